"""The command `rotate`: another file key."""

from __future__ import annotations

import os
from pathlib import Path

import click

from maintainer_tools.console import clean, say
from maintainer_tools.file_key_rotation import rotate_file_key
from maintainer_tools.homes import changing, find_home, open_identity


@click.command("rotate")
@click.argument("home", type=click.Path(path_type=Path))
@click.option("--file-key", "is_file_key", is_flag=True, help="A new key of vault.db; invites go on working.")
def rotate(home: Path, *, is_file_key: bool) -> None:
    """Replace a key of HOME's pod. No contributor is contacted.

    If it is interrupted, run it again: it goes on where it stopped.
    """
    if not is_file_key:
        raise click.UsageError("say what to replace: --file-key")
    found = find_home(home)
    identity = open_identity(found)
    with changing(found, identity) as change:
        rotate_file_key(found, change, identity, entropy=os.urandom)
    say(f"{clean(str(found.pod.vault))} has a new file key. Every open invite goes on working.")
    say("Who could unwrap the old key reads with it what a copy made before now shows: counts, sizes, times.")
