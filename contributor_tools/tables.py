"""A table of items, whatever file it came from: what CSV and JSONL have in common.

A table is read several times (to learn its columns, to count, to send, to
write what was rejected), so that a large file never stands in memory. It is
one open file: replaced under our hands, the old one is still what is read.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import IO, Any

import msgspec

from vault.columns import Column
from vault.items import MAX_FIELDS
from vault.properties import Scalar

REASON = "rejected because"
"""Header of the column that says why a row was rejected; left out when such a file is sent again."""

MAX_COLUMNS = MAX_FIELDS - 2
"""Most properties of one item: the wire's members but for type and id."""


class Row(msgspec.Struct, frozen=True):
    """One row that holds something.

    Attributes:
        line: Number of its first line in the file, from 1.
        item_type: Its own, or the one given for the file.
        cells: What it holds, by property name; a missing cell is absent.
            Untrusted: text from CSV, any JSON from JSONL.
        own: The wire's own members as they stand: id, dateCreated, dateModified, deleted.
    """

    line: int
    item_type: str
    cells: dict[str, Any]
    own: dict[str, Any] = {}


class Table(ABC):
    """An open file of rows.

    Attributes:
        suffix: Of the file that takes its rejected rows: `.csv` or `.jsonl`.
    """

    suffix: str

    @abstractmethod
    def learn(self) -> list[Column]:
        """Read the whole file and decide its columns.

        Raises:
            MalformedError: The file is not what its name says; names the line.
        """

    @abstractmethod
    def rows(self) -> Iterator[Row]:
        """Yield the rows in order, from the beginning; rows without any value are left out.

        Raises:
            MalformedError: As `learn`.
        """

    @abstractmethod
    def value(self, column: Column, cell: Any) -> Scalar:
        """Read a cell that is not missing as its column's type.

        Raises:
            ItemError: It is of another type.
        """

    @abstractmethod
    def write_rejected(self, out: IO[str], reasons: Mapping[int, str]) -> None:
        """Write the rows at the given lines as they stand in the file, each with its reason."""


def typed(columns: Sequence[Column], name: str) -> Column | None:
    """The column of a header or property name, the header first; None if there is none."""
    by_header = (column for column in columns if column.header == name)
    by_name = (column for column in columns if column.name == name)
    return next(by_header, None) or next(by_name, None)
