"""What a recorded process says of itself, in the log of what it did: sent, acknowledged, founded, copied."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from tests.power.records import MARK, Record
from tests.storm.promises import Promises


class Sent(msgspec.Struct, tag="sent"):
    """A batch that is about to be committed: id to text of each item."""

    texts: dict[str, str]


class Acknowledged(msgspec.Struct, tag="acknowledged"):
    """A batch that was answered: id to receipt of each item."""

    receipts: dict[str, str]


class Founded(msgspec.Struct, tag="founded"):
    """The pod is founded, says the founder."""


class Rotated(msgspec.Struct, tag="rotated"):
    """The vault has another file key, says who rotated it."""


class Copied(msgspec.Struct, tag="copied"):
    """A snapshot is taken, of this name, says who took it."""

    name: str


class Said(msgspec.Struct):
    """All that was said up to some moment.

    Attributes:
        promises: What was sent and acknowledged, this run and before.
        batches: The ids that were sent together.
        copies: Each snapshot, with the ids that were acknowledged before it.
        is_founded: Whether a founding was reported done.
        is_rotated: Whether a rotation was.
    """

    promises: Promises = msgspec.field(default_factory=Promises)
    batches: list[frozenset[str]] = msgspec.field(default_factory=list)
    copies: dict[str, frozenset[str]] = msgspec.field(default_factory=dict)
    is_founded: bool = False
    is_rotated: bool = False

    def take(self, mark: Mark) -> None:
        """Take up one more note."""
        match mark:
            case Sent(texts):
                self.promises.texts |= texts
                self.batches.append(frozenset(texts))
            case Acknowledged(receipts):
                self.promises.acknowledged |= receipts.keys()
                self.promises.receipts |= receipts
            case Founded():
                self.is_founded = True
            case Rotated():
                self.is_rotated = True
            case Copied(name):
                self.copies[name] = frozenset(self.promises.acknowledged)


Mark = Sent | Acknowledged | Founded | Rotated | Copied
_DECODER = msgspec.json.Decoder(Mark)


def encode_mark(mark: Mark) -> bytes:
    """The bytes of a note."""
    return msgspec.json.encode(mark)


def said_in(log: Iterable[Record], said: Said) -> Said:
    """Add to ``said`` what the notes in a log say."""
    for record in log:
        if record.operation == MARK:
            said.take(_DECODER.decode(record.data))
    return said
