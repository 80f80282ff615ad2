"""A folder of receipts, as contributors hand them in: every file of it, one at a time."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from vault.disk import storage_error
from vault.errors import MalformedError
from vault.pod import read_file
from vault.receipts import Receipt, decode_receipt

_ITEM_SUFFIX = ".json"
"""Beside a receipt the item may lie, as it was sent."""
_MARK = b"shared-pod-receipt/v1 "
_MOST_BYTES = 1 << 20


def receipt_files(folder: Path) -> Iterator[Path]:
    """Every file of a folder that may be a receipt; hidden ones, folders and items are left out.

    Raises:
        StorageError: The folder cannot be listed.
    """
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                is_named = not entry.name.startswith(".") and not entry.name.endswith(_ITEM_SUFFIX)
                if is_named and entry.is_file():
                    yield folder / entry.name
    except OSError as exc:
        raise storage_error(folder, exc) from exc


def read_receipt(path: Path) -> Receipt:
    """Read a receipt: the value of the header, as a file; or the second line of a marked file.

    Raises:
        MalformedError: It is neither.
        FormatTooNewError: A later format.
        StorageError: It cannot be read.
    """
    content = read_file(path, _MOST_BYTES)
    lines = content.split(b"\n")
    encoded = lines[1] if content.startswith(_MARK) and len(lines) > 1 else content.strip()
    try:
        return decode_receipt(encoded.decode("ascii"))
    except UnicodeDecodeError as exc:
        raise MalformedError("a receipt in base64 was expected") from exc
