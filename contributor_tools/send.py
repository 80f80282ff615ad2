"""The command `send`: a CSV or JSONL file into a pod, one item a row.

It reads the file to the end before it sends anything, shows what it is about
to do and asks. Every row has a stable id, so running the command again goes on
where the last run stopped and stores nothing twice. stdout is for `--json`,
stderr for everything else. The maintainer's command line mounts `send`.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

import click
import msgspec

from contributor_tools.address import Address, parse_address
from contributor_tools.console import clean, say
from contributor_tools.exits import Exit
from contributor_tools.invite_file import exposure, read_invite
from contributor_tools.opening_tables import CSV, JSONL, open_table, with_types
from contributor_tools.patience import FIRST_SECONDS
from contributor_tools.preview import Survey, preview_lines, survey
from contributor_tools.receipt_folder import ReceiptFolder
from contributor_tools.rejects import rejected_path, write_rejected
from contributor_tools.run import Run, Source
from contributor_tools.summary import Summary, summary_json, summary_lines
from vault.links import Invite

DEFAULT_CONNECTIONS = 16
"""Enough to fill a pod's commits: one takes all items that wait."""

_MOST_CONNECTIONS = 64


class Options(msgspec.Struct, frozen=True):
    """The command's arguments, by their names in Python."""

    path: Path
    invite_path: str
    item_type: str | None
    file_format: str | None
    delimiter: str | None
    missing: tuple[str, ...]
    types: tuple[str, ...]
    connections: int
    first_seconds: float
    receipts_path: Path | None
    is_plain_http_allowed: bool
    is_agreed: bool
    is_json: bool


@click.command("send", short_help="Send a table's rows to a pod.")
@click.argument("path", metavar="FILE", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--invite",
    "invite_path",
    required=True,
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False, allow_dash=True),
    help="The invite's file, or - for standard input.",
)
@click.option("--type", "item_type", metavar="NAME", help="The items' type; JSON lines may have their own.")
@click.option("--format", "file_format", type=click.Choice([CSV, JSONL]), help="If FILE's name does not say.")
@click.option("--delimiter", metavar="CHARACTER", help="Between CSV cells; a comma if not given.")
@click.option(
    "--missing", multiple=True, metavar="CELL", help="CSV cells without value; '' and NA if not given."
)
@click.option(
    "--as", "types", multiple=True, metavar="COLUMN=TYPE", help="Text, Integer, Real, Bool, DateTime."
)
@click.option(
    "--connections",
    type=click.IntRange(1, _MOST_CONNECTIONS),
    default=DEFAULT_CONNECTIONS,
    show_default=True,
    help="Rows on their way at once; 1 keeps their order.",
)
@click.option(
    "--patience",
    "first_seconds",
    type=click.FloatRange(0),
    default=FIRST_SECONDS,
    show_default=True,
    metavar="SECONDS",
    help="Longest wait for the first answer.",
)
@click.option(
    "--receipts",
    "receipts_path",
    metavar="DIR",
    type=click.Path(file_okay=False, path_type=Path),
    help="Ask for receipts and keep them here: ID.receipt (from a function ID.promise), the item in ID.json.",
)
@click.option("--insecure-http", "is_plain_http_allowed", is_flag=True, help="Allow an http:// address.")
@click.option("--yes", "is_agreed", is_flag=True, help="Send without asking.")
@click.option("--json", "is_json", is_flag=True, help="Print a summary as JSON.")
@click.pass_context
def send(context: click.Context, /, **options: Any) -> None:
    """Send the rows of FILE (CSV or JSON Lines) to a pod, one item a row.

    Run it again after any trouble: it goes on where it stopped, and nothing is
    stored twice. Equal rows of one file are items of their own; a row equal to
    one of a file sent earlier counts as that one.

    Rejected rows go into FILE.rejected.csv with the reason; mend them there and
    send that file.
    """
    try:
        code = send_file(Options(**options))
    except (KeyboardInterrupt, click.Abort):
        say("interrupted; nothing was sent")
        code = Exit.INTERRUPTED
    context.exit(code)


def send_file(options: Options) -> Exit:
    """Preview, ask, send, report.

    Returns:
        How it ended.

    Raises:
        click.UsageError: Arguments that do not fit the file or the invite.
        MalformedError: The file or the invite is not what it should be.
        PlainHttpError: The invite's address is not safe to send to.
        StorageError: The rejected rows, or a receipt, could not be written.
    """
    invite = read_invite(options.invite_path)
    for warning in _warnings(options.invite_path, invite):
        say(f"warning: {warning}")
    address = parse_address(invite.url, allows_plain_http=options.is_plain_http_allowed)
    with options.path.open("rb") as file:
        source = _source(file, options, invite)
        found = survey(source.rows())
        _check_types(found, invite)
        for line in preview_lines(invite, source.columns, found):
            say(line)
        if not found.count:
            return _finish(options, source, Summary(0, len(found.rejected), 0, 0.0), found.rejected)
        if not _is_agreed(options, found.count):
            say("Nothing was sent.")
            return Exit.FAILED
        run = _run(options, address, invite)
        summary = run.send(source, found)
        return _finish(options, source, summary, {**run.rejected, **run.left})


def _run(options: Options, address: Address, invite: Invite) -> Run:
    folder = options.receipts_path
    return Run(
        address,
        invite,
        connections=options.connections,
        first_seconds=options.first_seconds,
        receipts=None if folder is None else ReceiptFolder(folder, invite),
    )


def _warnings(invite_path: str, invite: Invite) -> Iterable[str]:
    exposed = exposure(invite_path)
    if exposed is not None:
        yield exposed
    if invite.expires is not None and invite.expires <= time.time() * 1000:
        day = datetime.fromtimestamp(invite.expires // 1000, UTC).strftime("%Y-%m-%d")
        yield f"this invite was for use until {day}; if the pod refuses it, ask the maintainer for another"


def _source(file: BinaryIO, options: Options, invite: Invite) -> Source:
    table = open_table(
        file,
        options.path,
        file_format=options.file_format,
        item_type=options.item_type,
        delimiter=options.delimiter,
        missing=options.missing,
    )
    id_key = invite.database_key.derive("id", invite.owner_key.pod_id)
    return Source(table, with_types(table.learn(), options.types), id_key)


def _check_types(found: Survey, invite: Invite) -> None:
    if invite.types is None or found.types.keys() <= set(invite.types):
        return
    allowed = clean(", ".join(invite.types))
    wrong = ", ".join(sorted(found.types.keys() - set(invite.types)))
    raise click.UsageError(f"this invite is for items of type {allowed}; the file has {wrong}")


def _is_agreed(options: Options, count: int) -> bool:
    if options.is_agreed:
        return True
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise click.UsageError(
            "nobody can be asked here, this is no terminal; pass --yes to send without asking"
        )
    return click.confirm(f"Send {count} items?", err=True)


def _finish(options: Options, source: Source, summary: Summary, rejected: dict[int, str]) -> Exit:
    path = rejected_path(options.path, source.table)
    if rejected:
        write_rejected(path, source.table, rejected)
        summary = msgspec.structs.replace(summary, rejected_file=str(path))
    for line in summary_lines(summary):
        say(line)
    if options.is_json:
        click.echo(summary_json(summary))
    return summary.exit_code
