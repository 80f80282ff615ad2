"""Reading an input as a list of acts: numbers and bytes from its front, zeros and nothing beyond its end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

Thing = TypeVar("Thing")


class Cuts:
    """What is left of an input.

    Args:
        data: The input.
    """

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def __bool__(self) -> bool:
        return self._at < len(self._data)

    def number(self, count: int = 1) -> int:
        """The next bytes as a little-endian number."""
        return int.from_bytes(self.take(count), "little")

    def take(self, count: int) -> bytes:
        """So many bytes, or as many as are left."""
        self._at += count
        return self._data[self._at - count : self._at]

    def text(self) -> bytes:
        """Bytes that their number precedes."""
        return self.take(self.number())

    def one_of(self, things: Sequence[Thing]) -> Thing:
        """One of some things."""
        return things[self.number() % len(things)]
