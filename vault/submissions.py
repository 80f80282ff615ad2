"""Submissions: what the door hands to the writer, and the answer it gets back.

The door has the key that came with an item, so it names the item and commits
to it; the writer gets no key but the one of the slot's view. Both shapes travel
between two processes as arrays. FORMAT.md, "Items".
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from vault.items import NAME_BYTES, Item, commitment, item_name, item_salt
from vault.judging import Outcome
from vault.keys import KEY_BYTES
from vault.slots import OpenedSlot

Key = Annotated[bytes, msgspec.Meta(min_length=KEY_BYTES, max_length=KEY_BYTES)]
"""Of its length when it is decoded: whoever takes the door over sends the writer what it likes."""
Name = Annotated[bytes, msgspec.Meta(min_length=NAME_BYTES, max_length=NAME_BYTES)]
"""Likewise."""


class WriterSlot(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What the writer needs of an opened slot.

    Attributes:
        number: The slot.
        view_key: 32 bytes, D(K,"view"): seals the slot's own view.
    """

    number: int
    view_key: Key

    def __repr__(self) -> str:
        return f"WriterSlot({self.number}, **redacted**)"


class Submission(msgspec.Struct, frozen=True, array_like=True):
    """One item waiting for a commit.

    Attributes:
        slot: Opened by the key that came with the item.
        item: Parsed.
        name: The 22 bytes that stand for its id.
        salt: 32 bytes, HMAC(D(K,"item"), id).
        c: 32 bytes, HMAC(salt, canonical).
        wants_receipt: Whether its answer carries a receipt.
    """

    slot: WriterSlot
    item: Item
    name: Name
    salt: Key
    c: Key
    wants_receipt: bool


class Answer(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What became of one submission.

    Attributes:
        outcome: What happened.
        sentence: Why not; None if it was accepted or the slot is closed.
        receipt: The receipt's header value, if asked for and due.
        promise: A promise's header value, likewise: what a function gives in its place.
    """

    outcome: Outcome
    sentence: str | None = None
    receipt: str | None = None
    promise: str | None = None


def submit(slot: OpenedSlot, item: Item, *, wants_receipt: bool = False) -> Submission:
    """Name an item and commit to it, with the keys of the slot it came through."""
    salt = item_salt(slot.item_key, item.id)
    return Submission(
        WriterSlot(slot.number, slot.view_key),
        item,
        item_name(slot.name_key, item.id),
        salt,
        commitment(salt, item.canonical),
        wants_receipt,
    )
