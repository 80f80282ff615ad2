"""What a command says of items that nobody can read, and how it ends then.

They are exactly what the log names: whoever took the server over had them
sealed so, and no snapshot has them otherwise. A command goes on past them, does
the rest, and says so last.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from maintainer_tools.console import json_line, warn
from maintainer_tools.exits import Exit
from maintainer_tools.new_files import write_private
from maintainer_tools.times import iso
from vault.unreadable import PassedOver, Unreadable

FILE = "unreadable.json"
"""In the folder of an export that lacks items: what it lacks. No item's file ends so."""
_MOST_SHOWN = 20


def manifest(passed_over: PassedOver) -> dict[str, Any]:
    """What was passed over, as JSON: every item that is listed, and what invites declared."""
    return {
        "message_type": "unreadable",
        "count": passed_over.count,
        "items": [_document(item) for item in passed_over.items],
        "views": passed_over.views,
    }


def _document(item: Unreadable) -> dict[str, Any]:
    return {
        "seq": item.seq,
        "batch": item.batch,
        "place": item.place,
        "received": item.ms,
        "slot": item.slot,
        "from": item.slot_name or None,
        "why": item.why,
    }


def write_manifest(folder: Path, passed_over: PassedOver) -> None:
    """Say in an export what it lacks; nothing, if that is nothing.

    Raises:
        StorageError: The file cannot be written.
    """
    if passed_over.count or passed_over.views:
        write_private(folder / FILE, json_line(manifest(passed_over)))


def tell_unreadable(passed_over: PassedOver) -> None:
    """Name on standard error what was passed over; nothing, if that is nothing."""
    for name, why in passed_over.views.items():
        warn(
            f"what the invite {name} declared cannot be read ({why}): types are those of its "
            "values. A server takes nothing more by this invite; revoke it, and issue another"
        )
    if not passed_over.count:
        return
    for item in passed_over.items[:_MOST_SHOWN]:
        warn(_sentence(item))
    more = passed_over.count - min(passed_over.count, _MOST_SHOWN)
    and_more = f", {more} of them not named here" if more else ""
    warn(
        f"{_items(passed_over.count)} left out{and_more}: sealed so by whoever had taken the server "
        "over. No snapshot has them otherwise; `erase --unreadable` removes them"
    )


def end_unreadable(passed_over: PassedOver) -> None:
    """Say what was passed over, and end with the exit code for it; go on, if that is nothing."""
    tell_unreadable(passed_over)
    if passed_over.count or passed_over.views:
        sys.exit(Exit.UNREADABLE)


def _sentence(item: Unreadable) -> str:
    by = f"by the key of {item.slot_name}" if item.slot_name else "by no slot's key"
    return (
        f"item {item.seq} (batch {item.batch}, place {item.place}, {by}, received {iso(item.ms)}) "
        f"cannot be read: {item.why}"
    )


def _items(count: int) -> str:
    return "1 item was" if count == 1 else f"{count} items were"
