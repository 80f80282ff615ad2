"""The command `show`: one item, whole."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from maintainer_tools.console import clean, put
from maintainer_tools.exporting import line_of
from maintainer_tools.listing import ID_END, Schema, fields
from maintainer_tools.reading import reading, schema_of
from maintainer_tools.times import iso
from vault.errors import MissingError
from vault.reader import StoredItem

_MOST_CANDIDATES = 10
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
        found = _best([item for item in reader.items() if _fits(item, item_id)], item_id)
        schema = schema_of(reader)
    if not found:
        raise MissingError(f"no item {item_id} is in this pod; `ls` lists items")
    if len(found) > 1:
        raise click.UsageError(_which(found))
    if is_json:
        sys.stdout.buffer.write(line_of(found[0]))
    else:
        _put(found[0], schema)


def _fits(item: StoredItem, wanted: str) -> bool:
    sender, slash, end = wanted.rpartition("/")
    if slash and sender != item.slot_name:
        return wanted == item.id
    return item.id == end or (len(end) >= ID_END and item.id.endswith(end))


def _best(found: list[StoredItem], wanted: str) -> list[StoredItem]:
    """Those that are meant: whole ids before ends of ids."""
    return [item for item in found if wanted in {item.id, item.full_id}] or found


def _which(found: list[StoredItem]) -> str:
    names = [f"{item.full_id} ({item.type})" for item in found[:_MOST_CANDIDATES]]
    more = "" if len(found) == len(names) else f", and {len(found) - len(names)} more"
    return f"several items fit; name one of {clean(', '.join(names))}{more}"


def _put(item: StoredItem, schema: Schema) -> None:
    facts = [("id", item.id), ("type", item.type), ("from", item.slot_name), ("received", iso(item.ms))]
    lines = [*facts, ("seq", str(item.seq)), ("batch", str(item.batch)), *fields(item, schema)]
    width = min(max(len(name) for name, _ in lines), _MOST_NAME)
    for name, value in lines:
        put(f"{clean(name):<{width}}  {clean(value)}")
