"""JSON Lines: every item exactly as it was sealed, one a line."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import msgspec

from maintainer_tools.exporting import line_of, open_new
from vault.errors import DamagedError
from vault.stored import StoredItem

FILE = "items.jsonl"


def write_lines(folder: Path, items: Iterable[StoredItem]) -> int:
    """Write all items into one file of ``folder``, then read it again and count.

    Returns:
        How many there are.

    Raises:
        DamagedError: What was written does not read back.
        OSError: The file cannot be written.
    """
    path = folder / FILE
    written = 0
    with open_new(path) as out:
        for item in items:
            out.write(line_of(item))
            written += 1
    _verify(path, written)
    return written


def _verify(path: Path, rows: int) -> None:
    decoder = msgspec.json.Decoder(dict)
    with path.open("rb") as file:
        found = sum(1 for line in file if decoder.decode(line))
    if found != rows:
        raise DamagedError(
            f"{path.name} does not read back as it was written; check the disk, then try again"
        )
