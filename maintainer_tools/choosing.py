"""What `erase` is to erase: found by id, by invite, by withdrawal, or because nobody can read it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from maintainer_tools.erased_before import ErasedBefore, erased_before
from maintainer_tools.exporting import require_sender
from maintainer_tools.finding import fits, the_one
from maintainer_tools.withdrawn import TargetState, withdrawals_of
from vault.items import WITHDRAWAL_TYPE
from vault.reader import Reader
from vault.stored import StoredItem
from vault.unreadable import Unreadable

NO_ITEM = "(unreadable)"
"""In place of the type of what is no item; no type has brackets."""


class Chosen(msgspec.Struct, frozen=True):
    """What is needed of an item to name it and erase it: an invite's items may be many and large.

    Attributes:
        seq: Its place in the vault.
        batch: The batch it came with.
        ms: When it was received, UTC milliseconds.
        type: Its type, or ``NO_ITEM``.
        id: Its id; None of what cannot be read.
        slot: The slot that sent it; None if it names none.
        slot_name: The invite's name; empty if it names no slot.
    """

    seq: int
    batch: int
    ms: int
    type: str
    id: str | None
    slot: int | None
    slot_name: str

    @property
    def full_id(self) -> str:
        """``invite/id``, or its seq in place of an id."""
        return f"{self.slot_name}/{self.id or f'(item {self.seq})'}"


class Choice(msgspec.Struct, frozen=True):
    """What was selected.

    Attributes:
        items: In the order in which they came.
        before: What was erased before, and is asked for by its id.
    """

    items: list[Chosen]
    before: list[ErasedBefore] = []


class Selection(msgspec.Struct, frozen=True):
    """Which items are to go; one of the four.

    Attributes:
        ids: These, as they were typed.
        sender: Everything that came with this invite.
        is_withdrawn: What contributors asked to have erased.
        is_unreadable: What nobody can read.
    """

    ids: tuple[str, ...] = ()
    sender: str | None = None
    is_withdrawn: bool = False
    is_unreadable: bool = False

    @property
    def is_one(self) -> bool:
        """Whether it says which, in one way."""
        ways = (bool(self.ids), self.sender is not None, self.is_withdrawn, self.is_unreadable)
        return ways.count(True) == 1

    def choose(self, reader: Reader) -> Choice:
        """Find them.

        Raises:
            MissingError: There is no such item or invite.
            click.UsageError: An id fits several.
        """
        require_sender(reader, self.sender)
        if self.is_unreadable:
            return Choice([_no_item(item) for item in reader.unreadable()])
        if self.is_withdrawn:
            return Choice(_withdrawn(reader))
        if self.sender is not None:
            return Choice(_of_invite(reader, self.sender))
        choice = _named(reader, self.ids)
        return msgspec.structs.replace(choice, items=_with_duplicates(reader, choice.items))


def _of_invite(reader: Reader, sender: str) -> list[Chosen]:
    found = [_item(item) for item in _all(reader) if item.slot_name == sender]
    if reader.passed_over.count:
        found += [_no_item(item) for item in reader.unreadable() if item.slot_name == sender]
    return sorted(found, key=lambda item: item.seq)


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
    return Choice([_item(by_seq[seq]) for seq in sorted(by_seq)], list(before.values()))


def _all(reader: Reader) -> Iterator[StoredItem]:
    """Every item, as often as it came: what is erased is erased in each of its places."""
    return reader.items(has_duplicates=True)


def _with_duplicates(reader: Reader, chosen: list[Chosen]) -> list[Chosen]:
    if not reader.has_duplicates():
        return chosen
    wanted = {(item.slot, item.id) for item in chosen}
    return [_item(item) for item in _all(reader) if (item.slot, item.id) in wanted]


def _withdrawn(reader: Reader) -> list[Chosen]:
    wanted = {
        (each.item.slot, each.target_id) for each in withdrawals_of(reader) if each.state is TargetState.THERE
    }
    # A withdrawal says why an item is gone; who wants one gone names it.
    return [
        _item(item)
        for item in _all(reader)
        if (item.slot, item.id) in wanted and item.type != WITHDRAWAL_TYPE
    ]


def _without_values(item: StoredItem) -> StoredItem:
    return msgspec.structs.replace(item, members={"type": item.type, "id": item.id})


def _item(item: StoredItem) -> Chosen:
    return Chosen(item.seq, item.batch, item.ms, item.type, item.id, item.slot, item.slot_name)


def _no_item(item: Unreadable) -> Chosen:
    return Chosen(item.seq, item.batch, item.ms, NO_ITEM, None, item.slot, item.slot_name)
