"""Which kind of table a file is, and the types a contributor insists on."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

import click

from contributor_tools.console import clean
from contributor_tools.csv_table import CsvTable
from contributor_tools.jsonl_table import JsonlTable
from contributor_tools.tables import Table, typed
from vault.columns import MISSING, Column
from vault.properties import ValueType

CSV, JSONL = "csv", "jsonl"

_FORMATS = {".csv": CSV, ".tsv": CSV, ".jsonl": JSONL, ".ndjson": JSONL}
_TAB_SUFFIX = ".tsv"


def format_of(path: Path) -> str:
    """The format a file's name says.

    Raises:
        click.UsageError: It says none.
    """
    found = _FORMATS.get(path.suffix.lower())
    if found is None:
        raise click.UsageError(
            f"{clean(path.name)}: .csv, .tsv, .jsonl or .ndjson was expected; pass --format"
        )
    return found


def open_table(
    file: BinaryIO,
    path: Path,
    *,
    file_format: str | None,
    item_type: str | None,
    delimiter: str | None,
    missing: tuple[str, ...],
) -> Table:
    """Make a table of an open file.

    Args:
        file: Seekable, binary.
        path: Its name decides what is not given.
        file_format: `csv` or `jsonl`.
        item_type: Of the items; CSV rows have no other.
        delimiter: Of CSV cells.
        missing: Cells that mean "no value"; empty takes the usual ones.

    Raises:
        click.UsageError: A CSV file without a type, or a delimiter that is not one character.
        MalformedError: A CSV file without usable headers.
    """
    if (file_format or format_of(path)) == JSONL:
        return JsonlTable(file, item_type)
    if item_type is None:
        raise click.UsageError("the rows of a CSV file need a type; pass --type, for example --type Penguin")
    delimiter = delimiter or ("\t" if path.suffix.lower() == _TAB_SUFFIX else ",")
    if len(delimiter) != 1 or delimiter in '"\r\n':
        raise click.UsageError("--delimiter: one character was expected, no quote and no line end")
    return CsvTable(file, item_type, delimiter=delimiter, missing=frozenset(missing) or MISSING)


def with_types(columns: list[Column], wanted: Iterable[str]) -> list[Column]:
    """Give columns the types the contributor insists on.

    Args:
        columns: As learned from the file.
        wanted: Each `NAME=TYPE`; NAME a header or a property's name.

    Raises:
        click.UsageError: No such column, or no such type.
    """
    types: dict[str, ValueType] = {}
    for text in wanted:
        name, _, type_name = text.rpartition("=")
        column = typed(columns, name)
        if column is None:
            raise click.UsageError(f"--as {clean(text)}: the file has no column of that name")
        types[column.name] = _value_type(text, type_name)
    return [Column(old.header, old.name, types.get(old.name, old.value_type)) for old in columns]


def _value_type(text: str, type_name: str) -> ValueType:
    try:
        return ValueType(type_name)
    except ValueError as exc:
        names = ", ".join(ValueType)
        raise click.UsageError(f"--as {clean(text)}: NAME=TYPE was expected, TYPE one of {names}") from exc
