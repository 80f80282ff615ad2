"""The command `withdrawals`: what contributors want back."""

from __future__ import annotations

from pathlib import Path

import click

from maintainer_tools.console import put_json, put_table, say
from maintainer_tools.reading import reading
from maintainer_tools.times import iso
from maintainer_tools.unreadable import end_unreadable
from maintainer_tools.withdrawn import TargetState, Withdrawal, withdrawals_of


@click.command("withdrawals")
@click.argument("home", type=click.Path(path_type=Path))
@click.option("--json", "is_json", is_flag=True, help="Print a line of JSON for each.")
def withdrawals(home: Path, *, is_json: bool) -> None:
    """List what contributors asked to have erased, oldest first, and whether it was.

    Nothing is erased by it: `erase --withdrawn` does that. An item can be
    withdrawn through the invite it came with, and through no other.
    """
    with reading(home) as reader:
        found = list(withdrawals_of(reader))
    if is_json:
        for each in found:
            put_json(_document(each))
    else:
        _put(found)
    end_unreadable(reader.passed_over)


def _put(found: list[Withdrawal]) -> None:
    rows = [
        (f"{each.item.slot_name}/{each.target_id}", each.state, iso(each.item.ms), each.item.full_id)
        for each in found
    ]
    if rows:
        put_table(("WANTED BACK", "STATE", "RECEIVED", "WITHDRAWAL"), rows)
    say(_summary(found))


def _document(each: Withdrawal) -> dict[str, object]:
    return {
        "message_type": "withdrawal",
        "id": each.item.id,
        "from": each.item.slot_name,
        "received": each.item.ms,
        "target": each.target_id,
        "state": each.state,
    }


def _summary(found: list[Withdrawal]) -> str:
    if not found:
        return "Nobody asked to have anything erased."
    waiting = sum(each.state is TargetState.THERE for each in found)
    return f"{waiting} of {len(found)} wait for `erase --withdrawn`." if waiting else "Nothing waits."
