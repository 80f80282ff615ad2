"""The command `show`: one item, whole."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from maintainer_tools.console import clean, put
from maintainer_tools.erased_before import erased_before
from maintainer_tools.exporting import line_of
from maintainer_tools.finding import fits, the_one
from maintainer_tools.listing import Schema, fields
from maintainer_tools.reading import reading, schema_of
from maintainer_tools.times import iso
from maintainer_tools.unreadable import tell_unreadable
from vault.stored import StoredItem

_MOST_NAME = 40
"""Widest column of names; a longer name pushes its own value to the right."""


@click.command("show")
@click.argument("home", type=click.Path(path_type=Path))
@click.argument("item_id", metavar="ID")
@click.option("--json", "is_json", is_flag=True, help="Print one JSON object.")
def show(home: Path, item_id: str, *, is_json: bool) -> None:
    """Print the item ID, INVITE/ID, or the one whose id ends so (8 characters or more).

    Ids are unique within an invite only. Where several fit, they are listed and
    the exit code is 2.
    """
    with reading(home) as reader:
        candidates = [item for item in reader.items() if fits(item, item_id)]
        if not candidates:
            # It may be one of them.
            tell_unreadable(reader.passed_over)
        found = the_one(candidates, item_id, [] if candidates else list(erased_before(reader, item_id)))
        schema = schema_of(reader)
    if is_json:
        sys.stdout.buffer.write(line_of(found))
    else:
        _put(found, schema)


def _put(item: StoredItem, schema: Schema) -> None:
    facts = [("id", item.id), ("type", item.type), ("from", item.slot_name), ("received", iso(item.ms))]
    lines = [*facts, ("seq", str(item.seq)), ("batch", str(item.batch)), *fields(item, schema)]
    width = min(max(len(name) for name, _ in lines), _MOST_NAME)
    for name, value in lines:
        put(f"{clean(name):<{width}}  {clean(value)}")
