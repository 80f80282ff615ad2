"""The command `recover`: a home again, from a pod's folder and the 64 digits."""

from __future__ import annotations

import os
from pathlib import Path

import click

from maintainer_tools.asking import ask_identity, ask_new_passphrase
from maintainer_tools.console import clean, pasteable, say
from maintainer_tools.homes import PATIENCE, find_pod, trusted_policy
from maintainer_tools.new_files import new_folder, require_absent
from vault.founding import IDENTITY_FILE, POD_FOLDER
from vault.identity_file import write_identity
from vault.opening import Identity
from vault.pod import PodFolder
from vault.reader import file_key_of
from vault.snapshot import take_snapshot


@click.command("recover")
@click.argument("home", type=click.Path(path_type=Path))
@click.option("--pod", required=True, metavar="DIR", type=click.Path(path_type=Path), help="A pod's folder.")
@click.option(
    "--passphrase", "is_protected", is_flag=True, help="Protect the identity; asks for a passphrase."
)
def recover(home: Path, pod: Path, *, is_protected: bool) -> None:
    """Make HOME again from a pod's folder and the identity's 64 digits.

    DIR is HOME/pod if only the identity was lost; then nothing but the identity
    is written. Else DIR, a snapshot or any copy, is copied into the new folder HOME.
    """
    found = find_pod(pod)
    is_in_place = found.path.resolve() == (home / POD_FOLDER).resolve()
    require_absent(home / IDENTITY_FILE if is_in_place else home)
    identity = ask_identity()
    file_key_of(trusted_policy(found, identity), identity)
    passphrase = ask_new_passphrase() if is_protected else None
    if is_in_place:
        write_identity(home / IDENTITY_FILE, identity, passphrase, os.urandom)
        say(f"Wrote {clean(str(home / IDENTITY_FILE))}; the home is whole again.")
    else:
        _make_home(home, found, identity, passphrase)
        _say_what_it_is(home, found)


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
