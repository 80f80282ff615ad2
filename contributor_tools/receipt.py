"""The commands `receipt show` and `receipt verify`: what a pod's receipt says, and whether it is true.

Both work offline, with the receipt, the invite and the item: nothing is asked
of any server. stdout is the answer, stderr everything else. The maintainer's
command line mounts them beside `receipt refresh`.
"""

from __future__ import annotations

import sys
from typing import NoReturn

import click

from contributor_tools.console import say
from contributor_tools.exits import Exit
from contributor_tools.invite_file import exposure, read_invite
from contributor_tools.sent_item import MAX_ITEM_FILE_BYTES, check_key, item_of, parse_sent
from contributor_tools.verdict import (
    Proven,
    Unproven,
    claim_json,
    claim_lines,
    judge_receipt,
    read_judged,
    verdict_json,
    verdict_lines,
)
from vault.files import STDIN, read_given
from vault.items import Item
from vault.links import Invite
from vault.receipt_files import MAX_RECEIPT_FILE_BYTES, ReceiptFile, parse_receipt_file

_FILE = click.Path(exists=True, dir_okay=False, allow_dash=True)


@click.command("show")
@click.argument("path", metavar="FILE", type=_FILE)
@click.option("--json", "is_json", is_flag=True, help="Print one JSON object.")
def show(path: str, *, is_json: bool) -> None:
    """Print what the receipt in FILE says of itself; nothing of it is verified.

    FILE is what `send --receipts` wrote, or the Pod-Receipt header as curl
    shows it (`-` for standard input).
    """
    file = parse_receipt_file(read_given(path, MAX_RECEIPT_FILE_BYTES, sys.stdin.buffer))
    if is_json:
        click.echo(claim_json(file))
        return
    for line in claim_lines(file):
        click.echo(line)
    say("This is what it claims. `receipt verify` finds out whether it is true.")


@click.command("verify")
@click.argument("path", metavar="FILE", type=_FILE)
@click.option(
    "--invite", "invite_path", required=True, metavar="FILE", type=_FILE, help="The one it was sent with."
)
@click.option(
    "--item",
    "item_path",
    required=True,
    metavar="FILE",
    type=_FILE,
    help="JSON: the payload as it was sent, or the whole request body.",
)
@click.option("--id", "item_id", metavar="ID", help="The item's id, if the pod made it.")
@click.option(
    "--since", "earlier_path", metavar="FILE", type=_FILE, help="A copy kept before it was refreshed."
)
@click.option("--json", "is_json", is_flag=True, help="Print the verdict as one JSON object.")
@click.pass_context
def verify(
    context: click.Context,
    path: str,
    invite_path: str,
    item_path: str,
    item_id: str | None,
    earlier_path: str | None,
    *,
    is_json: bool,
) -> None:
    """Find out whether the receipt in FILE proves that the pod accepted exactly this item.

    Offline: the invite says which pod and which keys to trust. FILE is what `send
    --receipts` wrote, or the Pod-Receipt header as curl shows it (`-` for standard
    input). Every way not to hold has its own exit code: `help exit-codes`.
    """
    _check_stdin([path, invite_path, item_path, earlier_path])
    invite = read_invite(invite_path)
    exposed = exposure(invite_path)
    if exposed is not None:
        say(f"warning: {exposed}")
    file = read_judged(read_given(path, MAX_RECEIPT_FILE_BYTES, sys.stdin.buffer))
    if isinstance(file, Unproven):
        _end(context, file, is_json=is_json)
    item = _item(item_path, item_id, file, invite)
    earlier = None if earlier_path is None else _earlier(earlier_path)
    _end(context, judge_receipt(file, invite, item, earlier), is_json=is_json)


def _check_stdin(paths: list[str | None]) -> None:
    if paths.count(STDIN) > 1:
        raise click.UsageError("only one of the files can be standard input")


def _item(path: str, item_id: str | None, file: ReceiptFile, invite: Invite) -> Item:
    sent = parse_sent(read_given(path, MAX_ITEM_FILE_BYTES, sys.stdin.buffer))
    check_key(sent, invite.database_key)
    return item_of(sent, [known for known in (item_id, file.item_id) if known is not None])


def _earlier(path: str) -> ReceiptFile:
    return parse_receipt_file(read_given(path, MAX_RECEIPT_FILE_BYTES, sys.stdin.buffer))


def _end(context: click.Context, verdict: Proven | Unproven, *, is_json: bool) -> NoReturn:
    if is_json:
        click.echo(verdict_json(verdict))
    else:
        for line in verdict_lines(verdict):
            click.echo(line)
    if isinstance(verdict, Proven):
        say("What became of the item since, a receipt does not say: an erased item keeps its own.")
        context.exit(Exit.DONE)
    context.exit(verdict.exit_code)
