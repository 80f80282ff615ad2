"""The commands `identity print` and `identity check`: the one secret, on paper."""

from __future__ import annotations

from pathlib import Path

import click

from maintainer_tools.asking import ask_identity
from maintainer_tools.console import put, put_json, say
from maintainer_tools.exits import Exit
from maintainer_tools.homes import find_home, open_identity


@click.group("identity")
def identity() -> None:
    """Print the one secret for paper, or check a copy."""


@identity.command("print")
@click.argument("home", type=click.Path(path_type=Path))
def print_digits(home: Path) -> None:
    """Print the identity's 64 digits, which open everything in the pod."""
    found = open_identity(find_home(home))
    say("Whoever has these digits can read every item. Print or write them down, and keep them apart.")
    put(found.reveal().hex())


@identity.command("check")
@click.argument("home", type=click.Path(path_type=Path))
@click.option("--json", "is_json", is_flag=True, help="Print the answer as JSON.")
@click.pass_context
def check(context: click.Context, home: Path, *, is_json: bool) -> None:
    """Say whether the digits you type are this home's: yes, or no with exit code 12.

    They are typed unseen, or read from standard input.
    """
    found = open_identity(find_home(home))
    is_same = ask_identity() == found
    if is_json:
        put_json({"message_type": "answer", "is_same": is_same})
    else:
        put("yes" if is_same else "no")
    if not is_same:
        context.exit(Exit.WRONG_KEY)
