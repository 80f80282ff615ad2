"""Writing an export: what is wanted, and a folder that is whole or not there.

Files are written into FOLDER.partial, read again, synced, and the folder is
renamed at the end. Both are for their owner alone: what a pod keeps sealed
lies open in them.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from vault.disk import storage_error, sync
from vault.errors import StorageError
from vault.items import SCHEMA_TYPE
from vault.reader import Reader, StoredItem

ReadItems = Callable[[], Iterable[StoredItem]]
"""Begins a new pass over the items to export."""


class Wanted(msgspec.Struct, frozen=True):
    """Which items an export is about.

    Attributes:
        type: Of this type only; None for all.
        sender: From this invite only; None for all.
        has_declarations: Whether items that declare properties count, if no type is named.
    """

    type: str | None = None
    sender: str | None = None
    has_declarations: bool = True

    def items(self, reader: Reader) -> Iterator[StoredItem]:
        """The items that are wanted, oldest first; one batch in memory at a time."""
        return (item for item in reader.items() if self.includes(item))

    def includes(self, item: StoredItem) -> bool:
        """Whether one item is wanted."""
        if self.type is not None:
            is_type = item.type == self.type
        else:
            is_type = self.has_declarations or item.type != SCHEMA_TYPE
        return is_type and self.sender in {None, item.slot_name}


@contextmanager
def new_folder(out: Path) -> Iterator[Path]:
    """Give a folder to write into, which becomes ``out`` when all went well, and vanishes if not.

    Raises:
        StorageError: ``out`` exists, or ``.partial`` of an interrupted export does.
        DiskFullError: No space is left.
    """
    partial = out.with_name(f"{out.name}.partial")
    if os.path.lexists(out):
        raise StorageError(f"{out} exists already and was left as it is; choose another folder")
    _make(partial)
    try:
        yield partial
        for path in partial.iterdir():
            sync(path)
        sync(partial)
        _rename(partial, out)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    sync(out.absolute().parent)


def open_new(path: Path) -> BinaryIO:
    """Open a new file for writing, mode 0600.

    Raises:
        OSError: As ``open``.
    """
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb")


def line_of(item: StoredItem) -> bytes:
    """One item as a line of JSON: its members as they were sealed, and where it came from.

    Added are `_from` (the invite's name), `_seq` (its place in the vault) and
    `_received` (UTC milliseconds). No member a client sends begins with an underscore.
    """
    document: dict[str, Any] = {
        **item.members,
        "_from": item.slot_name,
        "_seq": item.seq,
        "_received": item.ms,
    }
    return msgspec.json.encode(document) + b"\n"


def _make(partial: Path) -> None:
    try:
        partial.mkdir(mode=0o700)
    except FileExistsError as exc:
        raise StorageError(f"{partial} is of an interrupted export; remove it, then try again") from exc
    except OSError as exc:
        raise storage_error(partial, exc) from exc


def _rename(partial: Path, out: Path) -> None:
    try:
        partial.rename(out)
    except OSError as exc:
        raise storage_error(out, exc) from exc
