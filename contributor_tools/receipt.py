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
from contributor_tools.proof_options import GIVEN_FILE, check_stdin, read_sent, read_trusted, sent_options
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
from vault.files import read_given
from vault.receipt_files import MAX_RECEIPT_FILE_BYTES, ReceiptFile, parse_receipt_file


@click.command("show")
@click.argument("path", metavar="FILE", type=GIVEN_FILE)
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
@click.argument("path", metavar="FILE", type=GIVEN_FILE)
@sent_options
@click.option(
    "--since", "earlier_path", metavar="FILE", type=GIVEN_FILE, help="A copy kept before it was refreshed."
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
    check_stdin([path, invite_path, item_path, earlier_path])
    invite = read_trusted(invite_path)
    file = read_judged(read_given(path, MAX_RECEIPT_FILE_BYTES, sys.stdin.buffer))
    if isinstance(file, Unproven):
        _end(context, file, is_json=is_json)
    item = read_sent(item_path, invite, item_id, file.item_id)
    earlier = None if earlier_path is None else _earlier(earlier_path)
    _end(context, judge_receipt(file, invite, item, earlier), is_json=is_json)


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
