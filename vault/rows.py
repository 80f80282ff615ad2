"""Rows as their columns promise them, also from a file that was made by hand.

SQLite stores any value in any column; STRICT tables check what SQLite itself
inserts, not what a hostile file already holds. Whoever reads a vault asks here
before it believes a type. FORMAT.md, "Tables".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, TypeVar

import msgspec

from vault.errors import DamagedError

T = TypeVar("T")


class Rows(Protocol):
    """What answers a statement: any connection to a vault."""

    def execute(self, sql: str, parameters: Sequence[Any] = ..., /) -> list[tuple[Any, ...]]:
        """Run one statement and return all of its rows."""


def only(rows: list[tuple[Any, ...]], kind: type[list[T]]) -> T:
    """Return the one row of ``rows``, which is there as other rows say.

    A page made by hand can list a row that a search for its key does not find.

    Args:
        rows: As the library gave them.
        kind: As for ``typed``.

    Raises:
        DamagedError: It is not there, or a value is of another type than its column's.
    """
    found = typed(rows, kind)
    if len(found) != 1:
        raise DamagedError(
            "a row of the vault is not where its key says: the file was made by hand; restore a snapshot"
        )
    return found[0]


def typed(rows: list[tuple[Any, ...]], kind: type[list[T]]) -> list[T]:
    """Return ``rows`` if every value has its column's type.

    Args:
        rows: As the library gave them.
        kind: Such as ``list[tuple[int, bytes]]``.

    Raises:
        DamagedError: A value is of another type.
    """
    try:
        return msgspec.convert(rows, kind, builtin_types=(bytes,))
    except msgspec.ValidationError as exc:
        raise DamagedError(
            "a row of the vault holds what its column cannot have: the file was made by hand; "
            "restore a snapshot"
        ) from exc
