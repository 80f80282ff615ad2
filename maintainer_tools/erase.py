"""The command `erase`: items for good, a signed statement in the place of each."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

import click

from maintainer_tools.alone import require_served
from maintainer_tools.asking import agrees
from maintainer_tools.carrying_out import carry_out, settle_requests
from maintainer_tools.choosing import Chosen, Selection
from maintainer_tools.console import clean, put_json, put_table, say
from maintainer_tools.erased_before import ErasedBefore
from maintainer_tools.exits import Exit
from maintainer_tools.homes import find_home
from maintainer_tools.left_in_store import keys_in_store
from maintainer_tools.reading import reading
from maintainer_tools.times import iso, now_ms
from maintainer_tools.unreadable import tell_unreadable

_MOST_SHOWN = 20
_NOT_REACHED = (
    "What left this vault before is not reached: snapshots and backups, exports, and what was opened "
    "elsewhere. When an item came, and a hash of what it was sealed as, stay: every receipt still holds."
)


@click.command("erase")
@click.argument("home", type=click.Path(path_type=Path))
@click.argument("item_ids", metavar="[ID]...", nargs=-1)
@click.option("--from", "sender", metavar="INVITE", help="Erase everything that came with this invite.")
@click.option("--withdrawn", "is_withdrawn", is_flag=True, help="Erase what contributors withdrew.")
@click.option("--unreadable", "is_unreadable", is_flag=True, help="Erase what `export` left out.")
@click.option("--yes", "is_agreed", is_flag=True, help="Do not ask.")
@click.option("--dry-run", "is_dry", is_flag=True, help="Show what would be erased, and erase nothing.")
@click.option("--json", "is_json", is_flag=True, help="Print a line of JSON for each item, and a summary.")
def erase(
    home: Path,
    item_ids: tuple[str, ...],
    sender: str | None,
    *,
    is_withdrawn: bool,
    is_unreadable: bool,
    is_agreed: bool,
    is_dry: bool,
    is_json: bool,
) -> None:
    """Erase items from a pod for good: by ID as for `show`, by invite, what was withdrawn, or is unreadable.

    Each is replaced by a statement that you signed, and its content is gone from
    every page of the vault. A server that is running does it at your signed
    request, within seconds or when the next item comes. What left the vault
    before is not reached: snapshots, backups, exports; and what came through a
    function lies in its object store too, under the keys that are listed.
    """
    selection = Selection(item_ids, sender, is_withdrawn, is_unreadable)
    if not selection.is_one:
        raise click.UsageError("name the items to erase, or give one of --from, --withdrawn and --unreadable")
    found = find_home(home)
    require_served(found)
    with reading(home) as reader:
        left = settle_requests(found.pod, reader)
        choice = selection.choose(reader)
        chosen = choice.items
        objects = keys_in_store(reader, chosen)
        erased_ms = now_ms()
        statements = [reader.sign_erasure(item, erased_ms) for item in chosen]
        identity = reader.identity
    if not is_unreadable:
        tell_unreadable(reader.passed_over)
    if left:
        say(f"{left} earlier requests wait for the server: it does them when the next item comes.")
    _tell_before(choice.before, is_json=is_json)
    _put_chosen(chosen, objects, is_json=is_json)
    _tell_left(objects)
    if not chosen or is_dry:
        _end(chosen, "nothing" if not chosen else "dry run", is_json=is_json)
        return
    if not is_agreed and not agrees(f"Erase {_items(len(chosen))} for good?"):
        say("Nothing was erased.")
        sys.exit(Exit.FAILED)
    _end(chosen, "erased" if carry_out(found, identity, statements) else "pending", is_json=is_json)


def _tell_before(before: list[ErasedBefore], *, is_json: bool) -> None:
    for each in before:
        say(f"{clean(each.full_id)} was erased before, {iso(each.ms)}.")
        if is_json:
            put_json({"message_type": "erased before", "full_id": each.full_id, "erased": each.ms})


def _put_chosen(chosen: list[Chosen], objects: Mapping[int, str], *, is_json: bool) -> None:
    if is_json:
        for item in chosen:
            facts = {"message_type": "item", "id": item.id, "from": item.slot_name, "seq": item.seq}
            put_json({**facts, **({"object": objects[item.seq]} if item.seq in objects else {})})
        return
    is_cut = sys.stdout.isatty() and len(chosen) > _MOST_SHOWN
    shown = chosen[:_MOST_SHOWN] if is_cut else chosen
    if shown:
        put_table(("ID", "TYPE", "RECEIVED"), [(item.full_id, item.type, iso(item.ms)) for item in shown])
    if is_cut:
        say(f"... and {len(chosen) - len(shown)} more.")


def _tell_left(objects: Mapping[int, str]) -> None:
    keys = sorted(set(objects.values()))
    if not keys:
        return
    say(f"{_items(len(keys))} came through a function: its store holds them too, sealed, under these keys.")
    for key in keys[:_MOST_SHOWN]:
        say(f"  {key}")
    if len(keys) > _MOST_SHOWN:
        say(f"  ... and {len(keys) - _MOST_SHOWN} more; --dry-run --json lists them all before.")
    say("Nothing of ours may delete there. Remove every version of each, and put an empty object with the")
    say("same tags in its place, or its id is free again: docs/serverless.md, Erase, has the commands.")


def _items(count: int) -> str:
    return "1 item" if count == 1 else f"{count} items"


def _end(chosen: list[Chosen], state: str, *, is_json: bool) -> None:
    count = _items(len(chosen))
    say(
        {
            "nothing": "Nothing to erase.",
            "dry run": f"{count} would be erased.",
            "erased": f"Erased {count}. {_NOT_REACHED}",
            "pending": (
                f"{count} not erased yet: the server has the vault and was asked to, in a signed request. "
                f"It does it when the next item comes; `erase` and `ls` show it then. {_NOT_REACHED}"
            ),
        }[state]
    )
    if is_json:
        put_json({"message_type": "summary", "items": len(chosen), "state": state})
