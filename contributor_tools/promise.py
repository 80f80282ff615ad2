"""The command `promise verify`: whether what a function gave in place of a receipt is true.

It works offline, with the promise, the invite and the item. stdout is the
answer, stderr everything else. The maintainer's command line mounts it beside
`promise redeem`.
"""

from __future__ import annotations

import sys
from typing import NoReturn

import click

from contributor_tools.console import say
from contributor_tools.exits import Exit
from contributor_tools.invite_file import exposure, read_invite
from contributor_tools.promise_verdict import (
    ProvenPromise,
    judge_promise,
    promise_json,
    promise_lines,
    read_promise,
)
from contributor_tools.sent_item import MAX_ITEM_FILE_BYTES, check_key, item_of, parse_sent
from contributor_tools.verdict import Unproven
from vault.files import STDIN, read_given
from vault.promise_files import MAX_PROMISE_FILE_BYTES

_FILE = click.Path(exists=True, dir_okay=False, allow_dash=True)


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
@click.option("--json", "is_json", is_flag=True, help="Print the verdict as one JSON object.")
@click.pass_context
def verify(
    context: click.Context, path: str, invite_path: str, item_path: str, item_id: str | None, *, is_json: bool
) -> None:
    """Find out whether the promise in FILE proves that a function of the pod accepted exactly this item.

    Offline: the invite says which pod and which keys to trust. FILE is a promise
    file, or the Pod-Promise header as curl shows it (`-` for standard input). Every
    way not to hold has its own exit code: `help exit-codes`.
    """
    if [path, invite_path, item_path].count(STDIN) > 1:
        raise click.UsageError("only one of the files can be standard input")
    invite = read_invite(invite_path)
    exposed = exposure(invite_path)
    if exposed is not None:
        say(f"warning: {exposed}")
    file = read_promise(read_given(path, MAX_PROMISE_FILE_BYTES, sys.stdin.buffer))
    if isinstance(file, Unproven):
        _end(context, file, is_json=is_json)
    sent = parse_sent(read_given(item_path, MAX_ITEM_FILE_BYTES, sys.stdin.buffer))
    check_key(sent, invite.database_key)
    item = item_of(sent, [known for known in (item_id, file.item_id) if known is not None])
    _end(context, judge_promise(file, invite, item), is_json=is_json)


def _end(context: click.Context, verdict: ProvenPromise | Unproven, *, is_json: bool) -> NoReturn:
    if is_json:
        click.echo(promise_json(verdict))
    else:
        for line in promise_lines(verdict):
            click.echo(line)
    if isinstance(verdict, ProvenPromise):
        say("It is in no log yet: ask the maintainer for its receipt, which `promise redeem` makes.")
        context.exit(Exit.DONE)
    context.exit(verdict.exit_code)
