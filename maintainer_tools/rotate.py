"""The command `rotate`: another file key, or another identity."""

from __future__ import annotations

import os
from pathlib import Path

import click

from maintainer_tools.asking import ask_new_passphrase
from maintainer_tools.console import clean, ours, say
from maintainer_tools.file_key_rotation import rotate_file_key
from maintainer_tools.homes import Home, changing, find_home, open_identity
from maintainer_tools.identity_rotation import is_protected_file, rotate_identity
from vault.policies import load_policy


@click.command("rotate")
@click.argument("home", type=click.Path(path_type=Path))
@click.option("--file-key", "is_file_key", is_flag=True, help="A new key of vault.db; invites go on working.")
@click.option("--identity", "is_identity", is_flag=True, help="A new identity, which opens everything.")
@click.option(
    "--passphrase",
    "is_protected",
    is_flag=True,
    help="Protect the new identity; asks. One that was protected always is again.",
)
def rotate(home: Path, *, is_file_key: bool, is_identity: bool, is_protected: bool) -> None:
    """Replace a key of HOME's pod. No contributor is contacted.

    A running server lets go of the vault for that time, and tells contributors
    to try again. If it is interrupted, run it again: it goes on where it stopped.
    """
    if is_file_key == is_identity:
        raise click.UsageError("say what to replace, one at a time: --file-key or --identity")
    found = find_home(home)
    if is_file_key:
        _rotate_file_key(found)
    else:
        _rotate_identity(found, is_protected=is_protected)


def _rotate_file_key(home: Home) -> None:
    identity = open_identity(home)
    with changing(home, identity) as change:
        rotate_file_key(home, change, identity, entropy=os.urandom)
    say(f"{clean(str(home.pod.vault))} has a new file key. Every open invite goes on working.")
    say("Who could unwrap the old key reads with it what a copy made before now shows: counts, sizes, times.")
    _say_of_functions(home)


def _say_of_functions(home: Home) -> bool:
    """Say what becomes of a pod's functions; False if it has none."""
    if not load_policy(home.pod).function_logs:
        return False
    say("A function goes on with the keys it was deployed with; `collect` takes in what was made with those")
    say("too. Deploy it again:")
    say(f"  {ours('deploy', 'prepare', home.path)}")
    return True


def _rotate_identity(home: Home, *, is_protected: bool) -> None:
    identity = open_identity(home)
    ask = ask_new_passphrase if is_protected or is_protected_file(home) else lambda: None
    before = rotate_identity(home, identity, ask_new_passphrase=ask, entropy=os.urandom)
    shown = clean(str(before))
    say(f"{clean(str(home.path))} has a new identity. It was tried: it opens every batch and every slot.")
    say("Every invite goes on working. Save it on paper now; the digits on old paper open nothing new:")
    say(f"  {ours('identity', 'print', home.path)}")
    say("Recovery shares are of the old identity too: make new ones with `recovery make`.")
    if _say_of_functions(home):
        say(f"Keep {shown} until that is done, and what it took in before is collected.")
    say(f"{shown} is the old identity. It still opens all that was sealed to it, in every")
    say("copy, and copies made before now open with nothing else. Remove it once you need none of those.")
    say("If somebody may have it, they had the file key as well; to give the vault another:")
    say(f"  {ours('rotate', home.path, '--file-key')}")
