"""CSV: one file an item type, RFC 4180, UTF-8, written in two passes with flat memory.

Line ends are CRLF, as the RFC has them: then a lone CR inside a text is quoted too.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any, Self

from maintainer_tools.exporting import open_new
from maintainer_tools.sheets import Sheet
from vault.errors import DamagedError
from vault.stored import StoredItem

_MOST_OPEN_FILES = 64
"""Types are the contributors' choice; files open at once are not."""

_MOST_CELL_CHARACTERS = 16 << 20
"""Longer than any item the wire takes."""


def write_sheets(folder: Path, sheets: Mapping[str, Sheet], items: Iterable[StoredItem]) -> None:
    """Write every sheet into ``folder``, then read each again and count.

    Args:
        folder: Empty.
        sheets: By item type, planned from the same items.
        items: The second pass.

    Raises:
        DamagedError: What was written does not read back.
        OSError: A file cannot be written.
    """
    with _Files(folder, sheets) as files:
        for item in items:
            files.write(item)
    for sheet in sheets.values():
        _verify(folder / sheet.file, sheet)


def write_sheet(out: IO[str], sheet: Sheet, items: Iterable[StoredItem]) -> None:
    """Write one sheet to an open stream."""
    writer = csv.writer(out)
    writer.writerow(sheet.header_row())
    for item in items:
        writer.writerow(sheet.row(item))


class _Files:
    """The files of all sheets, few of them open."""

    def __init__(self, folder: Path, sheets: Mapping[str, Sheet]) -> None:
        self._folder = folder
        self._sheets = sheets
        self._open: dict[str, tuple[IO[str], Any]] = {}
        for sheet in sheets.values():
            with self._text(open_new(folder / sheet.file)) as file:
                csv.writer(file).writerow(sheet.header_row())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with ExitStack() as closing:
            for file, _writer in self._open.values():
                closing.callback(file.close)

    def write(self, item: StoredItem) -> None:
        """Write one item's row into its sheet."""
        self._writer(item.type).writerow(self._sheets[item.type].row(item))

    def _writer(self, item_type: str) -> Any:
        if item_type not in self._open:
            if len(self._open) >= _MOST_OPEN_FILES:
                oldest = next(iter(self._open))
                self._open.pop(oldest)[0].close()
            file = self._text((self._folder / self._sheets[item_type].file).open("ab"))
            self._open[item_type] = file, csv.writer(file)
        return self._open[item_type][1]

    @staticmethod
    def _text(file: IO[bytes]) -> IO[str]:
        return io.TextIOWrapper(file, encoding="utf-8", newline="")


def _verify(path: Path, sheet: Sheet) -> None:
    csv.field_size_limit(_MOST_CELL_CHARACTERS)
    with path.open(encoding="utf-8", newline="") as file:
        widths = Counter(map(len, csv.reader(file)))
    if widths != {len(sheet.header_row()): sheet.rows + 1}:
        raise DamagedError(
            f"{path.name} does not read back as it was written; check the disk, then try again"
        )
