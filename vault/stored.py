"""What a vault's rows are once they are read: a batch with its header, a sealed row, an item.

Shapes alone: which rows there are and whether they are believed is
``vault.reader``'s. FORMAT.md, "Tables".
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

import msgspec

from vault.header import Header
from vault.properties import Scalar


class Placed(Protocol):
    """What has a place in a vault."""

    @property
    def seq(self) -> int:
        """Its place, from 1."""

    @property
    def batch(self) -> int:
        """The batch it came with."""


class StoredItem(msgspec.Struct, frozen=True):
    """One item as the maintainer reads it.

    Attributes:
        seq: Its place in the vault, from 1.
        batch: The batch it came with.
        ms: When it was received, UTC milliseconds.
        slot: The slot that sent it.
        slot_name: The invite's name. Ids are unique within one only.
        members: The flat map that was sealed: type, id and what was sent.
    """

    seq: int
    batch: int
    ms: int
    slot: int
    slot_name: str
    members: dict[str, Scalar]

    @property
    def type(self) -> str:
        """The item's type."""
        return str(self.members["type"])

    @property
    def id(self) -> str:
        """The item's id, unique within its slot."""
        return str(self.members["id"])

    @property
    def full_id(self) -> str:
        """``invite/id``: unique in the pod."""
        return f"{self.slot_name}/{self.id}"


class StoredBatch(msgspec.Struct, frozen=True):
    """One row of ``batch``, its header read.

    Attributes:
        number: From 1.
        first_seq: seq of its first item.
        uid: The 16 bytes its row names.
        packed: The header's bytes.
        header: The header.
        wraps: The data key for each recipient.
        signature: 64 bytes over ``packed``.
        checkpoint: The signed note of the log with it.
    """

    number: int
    first_seq: int
    uid: bytes
    packed: bytes
    header: Header
    wraps: bytes
    signature: bytes
    checkpoint: bytes


class SealedRow(NamedTuple):
    """One row of ``item``.

    Attributes:
        place: In its batch, from 0.
        name: 22 bytes; None if the vault had the item before.
        c: The commitment, 32 bytes.
        digest: SHA-256 of the sealed item.
        sealed: The sealed item; None if it was erased.
    """

    place: int
    name: bytes | None
    c: bytes
    digest: bytes
    sealed: bytes | None
