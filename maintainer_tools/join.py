"""The command `join`: a colleague's home for a pod that another maintainer has."""

from __future__ import annotations

from pathlib import Path

import click

from maintainer_tools.console import clean, ours, say
from maintainer_tools.homes import PATIENCE, SIGNER_FILE, find_pod, identity_at, trusted_policy
from maintainer_tools.new_files import require_absent
from maintainer_tools.public_keys import read_public
from vault.files import replace_file
from vault.founding import POD_FOLDER
from vault.reader import file_key_of
from vault.snapshot import take_snapshot


@click.command("join")
@click.argument("home", type=click.Path(path_type=Path))
@click.option(
    "--pod", required=True, metavar="DIR", type=click.Path(path_type=Path), help="A copy of the pod."
)
@click.option(
    "--maintainer",
    required=True,
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="The maintainer's public key, as their `identity public` printed it.",
)
def join(home: Path, pod: Path, maintainer: Path) -> None:
    """Read another maintainer's pod with the identity in HOME, made by `identity new`.

    They have added its public key with `recipient add`, and given you a snapshot
    DIR and their own public key. HOME then reads and exports; it changes nothing.
    For a newer snapshot remove HOME/pod, and join again.
    """
    identity = identity_at(home)
    require_absent(home / POD_FOLDER)
    key = read_public(maintainer)
    found = find_pod(pod)
    file_key_of(trusted_policy(found, identity, key.signer), identity)
    replace_file(home / SIGNER_FILE, key.signer.hex().encode() + b"\n")
    take_snapshot(found.path, home / POD_FOLDER, PATIENCE)
    say(f"{clean(str(home))} reads the pod of whoever has this fingerprint; compare it with them:")
    say(f"  {key.fingerprint}")
    say(f"  {ours('ls', home)}")
