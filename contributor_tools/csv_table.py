"""CSV as a table of items: RFC 4180, strictly, UTF-8, the first row the headers.

Text is taken exactly, white space included. A row with more or fewer cells
than headers ends the reading with its line number: quotes that are not closed
look like that, and guessing would put values under wrong names.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from typing import IO, Any, BinaryIO, cast

from contributor_tools.lines import MAX_LINE_BYTES, read_lines
from contributor_tools.tables import MAX_COLUMNS, REASON, Row, Table
from vault.columns import MISSING, Column, learn_columns, parse_cell, property_names
from vault.errors import MalformedError
from vault.properties import Scalar

_OTHER_DELIMITERS = frozenset(";\t|")


class CsvTable(Table):
    """An open CSV file.

    Args:
        file: Seekable, binary; stays open.
        item_type: The type of every item in it.
        delimiter: One character.
        missing: Cells that mean "no value".

    Raises:
        MalformedError: No usable header row.
    """

    suffix = ".csv"

    def __init__(
        self, file: BinaryIO, item_type: str, *, delimiter: str = ",", missing: frozenset[str] = MISSING
    ) -> None:
        self._file = file
        self._item_type = item_type
        self._delimiter = delimiter
        self._missing = missing
        self._headers = self._read_headers()
        self._names = property_names(self._headers)

    def learn(self) -> list[Column]:
        """Read the whole file and decide its columns (`vault.columns.learn_columns`)."""
        rows = (cells[: len(self._headers)] for _, cells in self._records())
        return learn_columns(self._headers, rows, missing=self._missing)

    def rows(self) -> Iterator[Row]:
        """Yield the rows that hold something."""
        for line, cells in self._records():
            held = {
                name: cell
                for name, cell in zip(self._names, cells, strict=False)
                if cell not in self._missing
            }
            if held:
                yield Row(line, self._item_type, held)

    def value(self, column: Column, cell: Any) -> Scalar:
        """Read a cell as its column's type."""
        # Missing cells never come here; an empty set reads "NA" as the text it would be.
        return cast(Scalar, parse_cell(column, cell, missing=frozenset()))

    def write_rejected(self, out: IO[str], reasons: Mapping[int, str]) -> None:
        """Write the original columns and one with the reason behind them."""
        writer = csv.writer(out, delimiter=self._delimiter)
        writer.writerow([*self._headers, REASON])
        for line, cells in self._records():
            if line in reasons:
                writer.writerow([*cells[: len(self._headers)], reasons[line]])

    def _read_headers(self) -> list[str]:
        _, headers = next(self._parsed(), (0, []))
        if headers[-1:] == [REASON]:
            headers = headers[:-1]
        if not headers:
            raise MalformedError("line 1: column headers were expected, the file holds none")
        if len(headers) == 1 and (other := _OTHER_DELIMITERS & set(headers[0])):
            raise MalformedError(
                f"line 1: one column with {min(other)!r} in its header; pass it as --delimiter"
            )
        if len(headers) > MAX_COLUMNS:
            raise MalformedError(
                f"line 1: {len(headers)} columns were found, at most {MAX_COLUMNS} expected; split the table"
            )
        return headers

    def _records(self) -> Iterator[tuple[int, list[str]]]:
        parsed = self._parsed()
        _, headers = next(parsed, (0, []))
        for line, cells in parsed:
            if cells and len(cells) != len(headers):
                raise MalformedError(
                    f"line {line}: {len(headers)} cells were expected, one a header; {len(cells)} were found"
                )
            if cells:
                yield line, cells

    def _parsed(self) -> Iterator[tuple[int, list[str]]]:
        # A limit of the module, not of the reader: cells up to the longest line.
        csv.field_size_limit(MAX_LINE_BYTES)
        reader = csv.reader(read_lines(self._file), delimiter=self._delimiter, strict=True)
        line = 1
        while True:
            try:
                cells = next(reader, None)
            except csv.Error as exc:
                raise MalformedError(f"line {line}: not CSV: {exc}") from exc
            if cells is None:
                return
            yield line, cells
            line = reader.line_num + 1
