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
from contributor_tools.promise_verdict import (
    ProvenPromise,
    judge_promise,
    promise_json,
    promise_lines,
    read_promise,
)
from contributor_tools.proof_options import GIVEN_FILE, check_stdin, read_sent, read_trusted, sent_options
from contributor_tools.verdict import Unproven
from vault.files import read_given
from vault.promise_files import MAX_PROMISE_FILE_BYTES


@click.command("verify")
@click.argument("path", metavar="FILE", type=GIVEN_FILE)
@sent_options
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
    check_stdin([path, invite_path, item_path])
    invite = read_trusted(invite_path)
    file = read_promise(read_given(path, MAX_PROMISE_FILE_BYTES, sys.stdin.buffer))
    if isinstance(file, Unproven):
        _end(context, file, is_json=is_json)
    item = read_sent(item_path, invite, item_id, file.item_id)
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
