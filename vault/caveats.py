"""Caveats: the limits of one key slot, and the pure decision they lead to.

The counters they are judged against live in the vault and are passed in; the
clock too. The rate of requests is kept by the door (``ingest.rate``), because
it counts every request, accepted or not. FORMAT.md, "Slots".
"""

from __future__ import annotations

from typing import Any

import msgspec

from vault.encoding import mp
from vault.errors import MalformedError
from vault.items import Item, is_type_list

_MAX = 2**63 - 1

WITHDRAWALS_BEYOND_ITEMS = 2
SPARE_WITHDRAWALS = 100
"""A bare withdrawal may go on to so many times max_items, and so many items: each can be withdrawn once, and
some under a wrong id; but nobody stores without end what only looks like withdrawals."""
WITHDRAWALS_BEYOND_BYTES = 12
SPARE_WITHDRAWAL_BYTES = 20_000
"""The same of max_bytes: the smallest item has 18 canonical bytes, the largest bare withdrawal 161."""


class Caveats(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a slot may not exceed; None is no limit.

    Attributes:
        expires: UTC milliseconds from which the slot is closed.
        types: Item types allowed, sorted; declarations are allowed besides.
        max_items: Most items the slot may store, ever.
        max_bytes: Most bytes of canonical items, ever.
        max_item_bytes: Most bytes of one canonical item.
        rate: Items and bytes of request bodies a minute.
    """

    expires: int | None = None
    types: tuple[str, ...] | None = None
    max_items: int | None = None
    max_bytes: int | None = None
    max_item_bytes: int | None = None
    rate: tuple[int, int] | None = None

    def as_map(self) -> dict[str, Any]:
        """The caveats that are set, as slots.json and the wrap's associated data hold them."""
        return {name: value for name in self.__struct_fields__ if (value := getattr(self, name)) is not None}

    def encoded(self) -> bytes:
        """MP of the caveats that are set: associated data of the slot's wrap."""
        return mp(self.as_map())


class Usage(msgspec.Struct):
    """What a slot has stored: its counters, committed and accepted so far.

    Attributes:
        items: Items stored.
        bytes: Sum of their canonical lengths.
    """

    items: int = 0
    bytes: int = 0


def _is_count(value: object) -> bool:
    return type(value) is int and 1 <= value <= _MAX


def _is_rate(value: object) -> bool:
    match value:
        case [items, in_bytes] if type(value) is list:
            return _is_count(items) and _is_count(in_bytes)
    return False


_SHAPES = {
    **dict.fromkeys(("expires", "max_items", "max_bytes", "max_item_bytes"), _is_count),
    "types": is_type_list,
    "rate": _is_rate,
}


def parse_caveats(members: dict[str, Any]) -> Caveats | None:
    """Read the caveats of a slot from decoded JSON.

    Returns:
        The caveats, or None if one is unknown: a limit this program does not
        understand closes the slot.

    Raises:
        MalformedError: A known caveat has the wrong shape.
    """
    for name, value in members.items():
        if name in _SHAPES and not _SHAPES[name](value):
            raise MalformedError(f"slots.json: the caveat {name} does not have its shape")
    if members.keys() - _SHAPES.keys():
        return None
    return msgspec.convert(members, Caveats)


def is_expired(caveats: Caveats, now_ms: int) -> bool:
    """Whether the slot's time is over."""
    return caveats.expires is not None and now_ms >= caveats.expires


def is_too_large(caveats: Caveats, pod_limit: int | None, item: Item) -> bool:
    """Whether the canonical item exceeds the slot's or the pod's limit for one; a bare withdrawal never."""
    size, of_slot = len(item.canonical), caveats.max_item_bytes
    is_over = (of_slot is not None and size > of_slot) or (pod_limit is not None and size > pod_limit)
    return is_over and not item.is_bare_withdrawal


def refusal(caveats: Caveats, usage: Usage, item: Item) -> str | None:
    """Say why the slot may not store this item now; None if it may.

    The sentence goes to the holder of the slot's own key.
    """
    if item.is_bare_withdrawal:
        return _withdrawal_refusal(caveats, usage, item)
    # Declarations answer to the pod's policy: types says what kind of data may come.
    if caveats.types is not None and item.type not in caveats.types and not item.is_declaration:
        return "this invite does not allow items of this type; ask the maintainer for another"
    if caveats.max_items is not None and usage.items + 1 > caveats.max_items:
        return "this invite has stored all the items it may; ask the maintainer for another"
    if caveats.max_bytes is not None and usage.bytes + len(item.canonical) > caveats.max_bytes:
        return "this invite has stored all the bytes it may; ask the maintainer for another"
    return None


def _withdrawal_refusal(caveats: Caveats, usage: Usage, item: Item) -> str | None:
    items, in_bytes = caveats.max_items, caveats.max_bytes
    most_items = None if items is None else WITHDRAWALS_BEYOND_ITEMS * items + SPARE_WITHDRAWALS
    most_bytes = None if in_bytes is None else WITHDRAWALS_BEYOND_BYTES * in_bytes + SPARE_WITHDRAWAL_BYTES
    if most_items is not None and usage.items + 1 > most_items:
        return _NO_MORE_WITHDRAWALS
    if most_bytes is not None and usage.bytes + len(item.canonical) > most_bytes:
        return _NO_MORE_WITHDRAWALS
    return None


_NO_MORE_WITHDRAWALS = "this invite has stored all the withdrawals it may; write to the maintainer"
