"""A folder of receipts, as contributors hand them in: every file of it, one at a time."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from vault.disk import storage_error
from vault.files import read_file
from vault.receipt_files import MAX_RECEIPT_FILE_BYTES, ReceiptFile, parse_receipt_file

_ITEM_SUFFIX = ".json"
"""Beside a receipt the item may lie, as it was sent."""


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


def read_receipt(path: Path) -> ReceiptFile:
    """Read a receipt file with its refreshes, or the value of the header as it was kept.

    Raises:
        VaultError: As ``vault.receipt_files.parse_receipt_file``, or it cannot be read.
    """
    return parse_receipt_file(read_file(path, MAX_RECEIPT_FILE_BYTES))
