"""The command `ls`: items, newest first."""

from __future__ import annotations

import sys
from itertools import islice
from pathlib import Path

import click

from maintainer_tools.console import put_table, say
from maintainer_tools.exporting import Wanted, line_of, require_sender
from maintainer_tools.listing import Schema, short_id, summary
from maintainer_tools.reading import reading, schema_of
from maintainer_tools.times import ago, iso, now_ms
from maintainer_tools.unreadable import end_unreadable
from vault.stored import StoredItem

_LIMIT = 20


@click.command("ls")
@click.argument("home", type=click.Path(path_type=Path))
@click.option("--type", "item_type", metavar="NAME", help="Only items of this type.")
@click.option("--from", "sender", metavar="INVITE", help="Only items that came with this invite.")
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    metavar="COUNT",
    default=_LIMIT,
    show_default=True,
    help="Most items.",
)
@click.option("--json", "is_json", is_flag=True, help="Print whole items, one JSON object a line.")
def ls(home: Path, item_type: str | None, sender: str | None, limit: int, *, is_json: bool) -> None:
    """List a pod's items, newest first."""
    wanted = Wanted(item_type, sender)
    with reading(home) as reader:
        require_sender(reader, sender)
        items = (item for item in reader.items(is_newest_first=True) if wanted.includes(item))
        shown = list(islice(items, limit))
        _, total = reader.counts()
        schema = schema_of(reader)
    if is_json:
        sys.stdout.buffer.writelines(map(line_of, shown))
    else:
        _put_list(shown, schema)
        _say_how_many(len(shown), total)
    end_unreadable(reader.passed_over)


def _say_how_many(shown: int, total: int) -> None:
    if not shown:
        say("No item fits." if total else "The pod is empty.")
    elif shown < total:
        say(f"{shown} of the pod's {total} items, newest first; --limit shows more.")


def _put_list(items: list[StoredItem], schema: Schema) -> None:
    now = now_ms()
    if sys.stdout.isatty():
        rows = [(short_id(item), item.type, ago(item.ms, now), summary(item, schema)) for item in items]
    else:
        # A program gets what it can use: whole ids, exact times.
        rows = [(item.full_id, item.type, iso(item.ms), summary(item, schema)) for item in items]
    if rows:
        put_table(("ID", "TYPE", "RECEIVED", "SUMMARY"), rows)
