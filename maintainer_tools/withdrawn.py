"""What contributors asked to have erased, and what became of it.

A withdrawal's target is the item of that id that came through the same invite:
another's cannot be withdrawn, and whether there is one was never told to who
asked. FORMAT.md, "Withdrawals".
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum

import msgspec

from vault.items import TARGET, WITHDRAWAL_TYPE, is_item_id, item_name
from vault.reader import Reader
from vault.stored import StoredItem
from vault.whereabouts import is_erased_by_name


class TargetState(StrEnum):
    """Where the item is that somebody wants back."""

    THERE = "there"
    ERASED = "erased"
    NOT_FOUND = "not found"
    OTHER_INVITE = "of another invite"


class Withdrawal(msgspec.Struct, frozen=True):
    """One withdrawal.

    Attributes:
        item: Itself.
        target_id: The id of the item that is to go, as it was sent.
        state: Where that is.
    """

    item: StoredItem
    target_id: str
    state: TargetState


def withdrawals_of(reader: Reader) -> Iterator[Withdrawal]:
    """Every withdrawal of a pod, oldest first; what a server that was taken over sealed may lack a target."""
    for item in reader.items():
        target_id = item.members.get(TARGET)
        if item.type == WITHDRAWAL_TYPE and type(target_id) is str:
            yield Withdrawal(item, target_id, _state(reader, item.slot, target_id))


def _state(reader: Reader, slot: int, target_id: str) -> TargetState:
    if not is_item_id(target_id):
        return TargetState.NOT_FOUND
    is_erased = {
        number: is_erased_by_name(reader.rows, item_name(secrets.name_key, target_id))
        for number, secrets in reader.slots.items()
    }
    own = is_erased.pop(slot, None)
    if own is not None:
        return TargetState.ERASED if own else TargetState.THERE
    others = any(found is not None for found in is_erased.values())
    return TargetState.OTHER_INVITE if others else TargetState.NOT_FOUND
