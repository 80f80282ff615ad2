"""One file of vectors: positive ones give a value, negative ones have one fault and its kind of error."""

from __future__ import annotations

from typing import Any

from vault.errors import VaultError

Vector = dict[str, Any]


def _place(vector: Vector) -> tuple[str, str | None]:
    return vector["name"], vector.get("at")


class Family:
    """Collects the vectors of one section, each under a name of its own."""

    def __init__(self) -> None:
        self.vectors: list[Vector] = []

    def good(self, name: str, why: str, **fields: Any) -> Vector:
        """Add a vector that is accepted."""
        return self._add({"name": name, "why": why, **fields})

    def bad(self, name: str, why: str, error: type[VaultError], says: str, **fields: Any) -> Vector:
        """Add a vector that is refused.

        Args:
            name: Unique in the section.
            why: The rule that is broken.
            error: The kind.
            says: A part of our own sentence.
            fields: The input.
        """
        return self._add({"name": name, "why": why, **fields, "error": error.__name__, "says": says})

    def _add(self, vector: Vector) -> Vector:
        if any(_place(known) == _place(vector) for known in self.vectors):
            raise ValueError(f"two vectors are named {vector['name']}")
        self.vectors.append(vector)
        return vector


def flipped(raw: bytes, at: int, mask: int = 1) -> bytes:
    """``raw`` with one bit (or the bits of ``mask``) of byte ``at`` changed; ``at`` may count from the end."""
    changed = bytearray(raw)
    changed[at] ^= mask
    return bytes(changed)
