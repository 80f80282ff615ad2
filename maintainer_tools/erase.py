"""The command `erase`: items for good, a signed statement in the place of each."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import click
import msgspec

from maintainer_tools.alone import require_served
from maintainer_tools.asking import agrees
from maintainer_tools.carrying_out import carry_out, settle_requests
from maintainer_tools.console import clean, put_json, put_table, say
from maintainer_tools.erased_before import ErasedBefore, erased_before
from maintainer_tools.exits import Exit
from maintainer_tools.exporting import require_sender
from maintainer_tools.finding import fits, the_one
from maintainer_tools.homes import find_home
from maintainer_tools.reading import reading
from maintainer_tools.times import iso, now_ms
from maintainer_tools.withdrawn import TargetState, withdrawals_of
from vault.items import WITHDRAWAL_TYPE
from vault.reader import Reader, StoredItem

_MOST_SHOWN = 20
_NOT_REACHED = (
    "What left this vault before is not reached: snapshots and backups, exports, and what was opened "
    "elsewhere. When an item came, and a hash of what it was sealed as, stay: every receipt still holds."
)


class Choice(msgspec.Struct, frozen=True):
    """What was selected.

    Attributes:
        items: In the order in which they came.
        before: What was erased before, and is asked for by its id.
    """

    items: list[StoredItem]
    before: list[ErasedBefore] = []


class Selection(msgspec.Struct, frozen=True):
    """Which items are to go; one of the three.

    Attributes:
        ids: These, as they were typed.
        sender: Everything that came with this invite.
        is_withdrawn: What contributors asked to have erased.
    """

    ids: tuple[str, ...]
    sender: str | None
    is_withdrawn: bool

    def choose(self, reader: Reader) -> Choice:
        """Find them.

        Raises:
            MissingError: There is no such item or invite.
            click.UsageError: An id fits several.
        """
        require_sender(reader, self.sender)
        if self.is_withdrawn:
            return Choice(_withdrawn(reader))
        if self.sender is not None:
            return Choice([_without_values(item) for item in _all(reader) if item.slot_name == self.sender])
        choice = _named(reader, self.ids)
        return msgspec.structs.replace(choice, items=_with_duplicates(reader, choice.items))


def _named(reader: Reader, ids: Sequence[str]) -> Choice:
    candidates: dict[str, list[StoredItem]] = {wanted: [] for wanted in ids}
    for item in reader.items():
        for wanted, found in candidates.items():
            if fits(item, wanted):
                found.append(_without_values(item))
    by_seq, before = {}, {}
    for wanted, found in candidates.items():
        gone = [] if found else list(erased_before(reader, wanted))
        before.update({each.full_id: each for each in gone})
        if not gone:
            item = the_one(found, wanted)
            by_seq[item.seq] = item
    return Choice([by_seq[seq] for seq in sorted(by_seq)], list(before.values()))


def _all(reader: Reader) -> Iterator[StoredItem]:
    """Every item, as often as it came: what is erased is erased in each of its places."""
    return reader.items(has_duplicates=True)


def _with_duplicates(reader: Reader, chosen: list[StoredItem]) -> list[StoredItem]:
    if not reader.has_duplicates():
        return chosen
    wanted = {(item.slot, item.id) for item in chosen}
    return [_without_values(item) for item in _all(reader) if (item.slot, item.id) in wanted]


def _withdrawn(reader: Reader) -> list[StoredItem]:
    wanted = {
        (each.item.slot, each.target_id) for each in withdrawals_of(reader) if each.state is TargetState.THERE
    }
    # A withdrawal says why an item is gone; who wants one gone names it.
    return [
        _without_values(item)
        for item in _all(reader)
        if (item.slot, item.id) in wanted and item.type != WITHDRAWAL_TYPE
    ]


def _without_values(item: StoredItem) -> StoredItem:
    """What is needed of an item to name it: an invite's items may be many and large."""
    return msgspec.structs.replace(item, members={"type": item.type, "id": item.id})


@click.command("erase")
@click.argument("home", type=click.Path(path_type=Path))
@click.argument("item_ids", metavar="[ID]...", nargs=-1)
@click.option("--from", "sender", metavar="INVITE", help="Erase everything that came with this invite.")
@click.option("--withdrawn", "is_withdrawn", is_flag=True, help="Erase what contributors withdrew.")
@click.option("--yes", "is_agreed", is_flag=True, help="Do not ask.")
@click.option("--dry-run", "is_dry", is_flag=True, help="Show what would be erased, and erase nothing.")
@click.option("--json", "is_json", is_flag=True, help="Print a line of JSON for each item, and a summary.")
def erase(
    home: Path,
    item_ids: tuple[str, ...],
    sender: str | None,
    *,
    is_withdrawn: bool,
    is_agreed: bool,
    is_dry: bool,
    is_json: bool,
) -> None:
    """Erase items from a pod for good: by ID as for `show`, by invite, or what was withdrawn.

    Each is replaced by a statement that you signed, and its content is gone from
    every page of the vault. A server that is running does it at your signed
    request, within seconds or when the next item comes. What left the vault
    before is not reached: snapshots, backups, exports.
    """
    selection = Selection(item_ids, sender, is_withdrawn)
    if (bool(item_ids), sender is not None, is_withdrawn).count(True) != 1:
        raise click.UsageError("name the items to erase, or give one of --from and --withdrawn")
    found = find_home(home)
    require_served(found)
    with reading(home) as reader:
        left = settle_requests(found.pod, reader)
        choice = selection.choose(reader)
        chosen = choice.items
        erased_ms = now_ms()
        statements = [reader.sign_erasure(item, erased_ms) for item in chosen]
        identity = reader.identity
    if left:
        say(f"{left} earlier requests wait for the server: it does them when the next item comes.")
    _tell_before(choice.before, is_json=is_json)
    _put_chosen(chosen, is_json=is_json)
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


def _put_chosen(chosen: list[StoredItem], *, is_json: bool) -> None:
    if is_json:
        for item in chosen:
            put_json({"message_type": "item", "id": item.id, "from": item.slot_name, "seq": item.seq})
        return
    is_cut = sys.stdout.isatty() and len(chosen) > _MOST_SHOWN
    shown = chosen[:_MOST_SHOWN] if is_cut else chosen
    if shown:
        put_table(("ID", "TYPE", "RECEIVED"), [(item.full_id, item.type, iso(item.ms)) for item in shown])
    if is_cut:
        say(f"... and {len(chosen) - len(shown)} more.")


def _items(count: int) -> str:
    return "1 item" if count == 1 else f"{count} items"


def _end(chosen: list[StoredItem], state: str, *, is_json: bool) -> None:
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
