"""Reading a CSV file to learn its columns: RFC 4180, strictly, UTF-8, headers first.

`send` reads files by the same rules, in the contributor's room: what is learned
here fits what is sent there.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from io import TextIOWrapper
from pathlib import Path

from vault.columns import MISSING, Column, learn_columns
from vault.disk import storage_error
from vault.errors import MalformedError, MissingError
from vault.items import MAX_FIELDS

_MOST_COLUMNS = MAX_FIELDS - 2
"""Most properties of one item: the wire's members but for type and id."""
_MOST_CELL_CHARACTERS = 8 << 20
_OTHER_DELIMITERS = frozenset(";\t|")
_TAB_SUFFIX = ".tsv"
_REJECTED = "rejected because"
"""The column `send` puts behind rows it could not send."""


def learn_file(
    path: Path, *, delimiter: str | None = None, missing: frozenset[str] = MISSING
) -> list[Column]:
    """Name and type the columns of a whole file.

    Args:
        path: Of a CSV file, or with tabs if its name ends in ``.tsv``.
        delimiter: One character; None for the usual one.
        missing: Cells that mean "no value".

    Raises:
        MissingError: There is no such file.
        MalformedError: It is not such a file; names the line.
        StorageError: It cannot be read.
    """
    between = delimiter or ("\t" if path.suffix.lower() == _TAB_SUFFIX else ",")
    try:
        # utf-8-sig: spreadsheets put a byte order mark first.
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = _rows(file, between)
            headers = _headers(next(rows, []))
            return learn_columns(headers, _fitting(rows, headers), missing=missing)
    except FileNotFoundError as exc:
        raise MissingError(f"{path} does not exist; name a CSV file") from exc
    except UnicodeDecodeError as exc:
        raise MalformedError(
            f"{path.name}: not UTF-8 text; save it as UTF-8 (in a spreadsheet: CSV UTF-8)"
        ) from exc
    except OSError as exc:
        raise storage_error(path, exc) from exc


def _rows(file: TextIOWrapper, delimiter: str) -> Iterator[list[str]]:
    csv.field_size_limit(_MOST_CELL_CHARACTERS)
    reader = csv.reader(file, delimiter=delimiter, strict=True)
    try:
        yield from reader
    except csv.Error as exc:
        raise MalformedError(f"line {reader.line_num}: not CSV: {exc}") from exc


def _headers(row: list[str]) -> list[str]:
    headers = row[:-1] if row[-1:] == [_REJECTED] else row
    if len(headers) == 1 and (other := _OTHER_DELIMITERS & set(headers[0])):
        raise MalformedError(f"line 1: one column with {min(other)!r} in its header; pass it as --delimiter")
    if not 1 <= len(headers) <= _MOST_COLUMNS:
        raise MalformedError(
            f"line 1: 1 to {_MOST_COLUMNS} column headers were expected, {len(headers)} were found"
        )
    return headers


def _fitting(rows: Iterator[list[str]], headers: list[str]) -> Iterator[list[str]]:
    for number, row in enumerate(rows, start=2):
        cells = row[: len(headers)] if len(row) == len(headers) + 1 else row
        if cells and len(cells) != len(headers):
            raise MalformedError(
                f"row {number}: {len(headers)} cells were expected, one a header; {len(cells)} were found"
            )
        if cells:
            yield cells
