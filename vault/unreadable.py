"""What a pod holds that cannot be read, because whoever sealed it sealed no item.

Whoever takes over the process that takes items in has the writer seal what it
likes: the log then names those bytes, every copy of the vault has them, and no
snapshot mends it. Reading goes on past them and says so. What is not what the
log names is damage, and stops reading: that is ``vault.reader``'s to tell
apart. FORMAT.md, "Reading".
"""

from __future__ import annotations

import msgspec

MOST_LISTED = 10_000
"""Kept in words: bounds memory. Beyond them they are counted."""


class Unreadable(msgspec.Struct, frozen=True):
    """A sealed item that is exactly what the log names, and is no item.

    Attributes:
        seq: Its place in the vault, from 1.
        batch: The batch it came with.
        place: In its batch, from 0.
        ms: When it was received, UTC milliseconds.
        slot: The slot it was put in by, as it was sealed; None if it names none.
        slot_name: The invite's name; empty if it names no slot.
        why: What is wrong with it, a sentence without anything it holds.
    """

    seq: int
    batch: int
    place: int
    ms: int
    slot: int | None
    slot_name: str
    why: str


class PassedOver:
    """What reading a pod went on past.

    Attributes:
        count: How many items, in the pass that was begun last.
        items: The first ``MOST_LISTED`` of them.
        views: Why what an invite declared does not open, by the invite's name.
    """

    __slots__ = ("count", "items", "views")

    def __init__(self) -> None:
        self.count = 0
        self.items: list[Unreadable] = []
        self.views: dict[str, str] = {}

    def begin(self) -> None:
        """Begin another pass over the items: none is counted twice."""
        self.count = 0
        self.items = []

    def add(self, item: Unreadable) -> None:
        """Note an item."""
        self.count += 1
        if len(self.items) < MOST_LISTED:
            self.items.append(item)
