"""What `receipt verify` and `promise verify` share: the invite that says whom to trust, and the item."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click

from contributor_tools.console import say
from contributor_tools.invite_file import exposure, read_invite
from contributor_tools.sent_item import MAX_ITEM_FILE_BYTES, check_key, item_of, parse_sent
from vault.files import STDIN, read_given
from vault.items import Item
from vault.links import Invite

GIVEN_FILE = click.Path(exists=True, dir_okay=False, allow_dash=True)
"""A file, or `-` for standard input."""

Command = TypeVar("Command", bound=Callable[..., Any])

_OPTIONS = (
    click.option(
        "--invite",
        "invite_path",
        required=True,
        metavar="FILE",
        type=GIVEN_FILE,
        help="The one it was sent with.",
    ),
    click.option(
        "--item",
        "item_path",
        required=True,
        metavar="FILE",
        type=GIVEN_FILE,
        help="JSON: the payload as it was sent, or the whole request body.",
    ),
    click.option("--id", "item_id", metavar="ID", help="The item's id, if the pod made it."),
)


def sent_options(command: Command) -> Command:
    """Add the options that name the invite (`invite_path`), the item (`item_path`) and its id (`item_id`)."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def check_stdin(paths: Sequence[str | None]) -> None:
    """Refuse to read standard input for two things.

    Raises:
        click.UsageError: It is named more than once.
    """
    if paths.count(STDIN) > 1:
        raise click.UsageError("only one of the files can be standard input")


def read_trusted(path: str) -> Invite:
    """Read an invite, and warn where others can read it too; raises as `read_invite`."""
    invite = read_invite(path)
    exposed = exposure(path)
    if exposed is not None:
        say(f"warning: {exposed}")
    return invite


def read_sent(path: str, invite: Invite, *ids: str | None) -> Item:
    """Read the item that was sent with an invite; raises as `contributor_tools.sent_item` does.

    Args:
        path: Of the payload, or of a whole request.
        invite: With what it was sent.
        ids: What is known of its id.
    """
    sent = parse_sent(read_given(path, MAX_ITEM_FILE_BYTES, sys.stdin.buffer))
    check_key(sent, invite.database_key)
    return item_of(sent, [known for known in ids if known is not None])
