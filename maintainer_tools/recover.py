"""The command `recover`: a home again, from a pod's folder and the 64 digits or shares of them."""

from __future__ import annotations

import os
from pathlib import Path

import click

from maintainer_tools.asking import ask_identity, ask_new_passphrase
from maintainer_tools.console import clean, pasteable, say
from maintainer_tools.drills import note_drilled
from maintainer_tools.given_shares import identity_from_shares
from maintainer_tools.homes import PATIENCE, find_pod, trusted_policy
from maintainer_tools.new_files import new_folder, require_absent
from maintainer_tools.times import now_ms
from vault.founding import IDENTITY_FILE, POD_FOLDER
from vault.identity_file import write_identity
from vault.opening import Identity
from vault.pod import PodFolder
from vault.reader import file_key_of
from vault.snapshot import take_snapshot


@click.command("recover")
@click.argument("home", type=click.Path(path_type=Path))
@click.argument("files", metavar="[FILE]...", nargs=-1, type=click.Path(path_type=Path))
@click.option("--pod", required=True, metavar="DIR", type=click.Path(path_type=Path), help="A pod's folder.")
@click.option("--shares", "is_shared", is_flag=True, help="From shares: in FILEs, or typed unseen.")
@click.option(
    "--passphrase", "is_protected", is_flag=True, help="Protect the identity; asks for a passphrase."
)
def recover(home: Path, files: tuple[Path, ...], pod: Path, *, is_shared: bool, is_protected: bool) -> None:
    """Make HOME again from a pod's folder and the identity's 64 digits, or shares.

    DIR is HOME/pod if only the identity was lost; then nothing but the identity
    is written. Else DIR, a snapshot or any copy, is copied into the new folder HOME.

    With --shares each FILE is a sheet that `recovery make` made, or the words of one
    share. Without FILEs the words are asked for, share by share.
    """
    if files and not is_shared:
        raise click.UsageError("FILEs hold shares: put --shares before them")
    found = find_pod(pod)
    is_in_place = found.path.resolve() == (home / POD_FOLDER).resolve()
    require_absent(home / IDENTITY_FILE if is_in_place else home)
    given = identity_from_shares(found, files) if is_shared else None
    identity = given.identity if given else _ask(found)
    passphrase = ask_new_passphrase() if is_protected else None
    if is_in_place:
        write_identity(home / IDENTITY_FILE, identity, passphrase, os.urandom)
        say(f"Wrote {clean(str(home / IDENTITY_FILE))}; the home is whole again.")
    else:
        _make_home(home, found, identity, passphrase)
        _say_what_it_is(home, found)
    if given:
        note_drilled(home, identity, given.set, now_ms())


def _ask(pod: PodFolder) -> Identity:
    """Ask for the 64 digits; they must open the pod."""
    identity = ask_identity()
    file_key_of(trusted_policy(pod, identity), identity)
    return identity


def _make_home(home: Path, pod: PodFolder, identity: Identity, passphrase: str | None) -> None:
    with new_folder(home) as partial:
        take_snapshot(pod.path, partial / POD_FOLDER, PATIENCE)
        write_identity(partial / IDENTITY_FILE, identity, passphrase, os.urandom)


def _say_what_it_is(home: Path, pod: PodFolder) -> None:
    shown, source = clean(str(home)), clean(str(pod.path))
    say(f"Made {shown} with the identity and a copy of {source}. It reads and exports.")
    if pod.log_key.exists():
        say("It cannot be served: log.key was not copied, because two folders that sign one log spoil it.")
        say(f"To serve it from here, stop serving {source} for good, and only then:")
        say(f"  {pasteable('mv', pod.log_key, home / POD_FOLDER)}")
