"""A new folder, or a new file, that is whole or not there.

A folder is filled as FOLDER.partial, synced and renamed at the end. All of it is
for its owner alone.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vault.disk import storage_error, sync
from vault.errors import MissingError, StorageError
from vault.files import PRIVATE_FILE, PRIVATE_FOLDER
from vault.undoing import on_failure


def require_absent(path: Path) -> None:
    """Refuse a place that is taken.

    Raises:
        StorageError: Something is at ``path``.
    """
    if os.path.lexists(path):
        raise StorageError(f"{path} exists already and was left as it is; choose another place")


@contextmanager
def new_folder(out: Path) -> Iterator[Path]:
    """Give a folder to write into, which becomes ``out`` when all went well, and vanishes if not.

    Raises:
        StorageError: ``out`` exists, or ``.partial`` of an interrupted command does.
        DiskFullError: No space is left.
    """
    require_absent(out)
    partial = out.with_name(f"{out.name}.partial")
    _make(partial)
    with on_failure(shutil.rmtree, partial, ignore_errors=True):
        yield partial
        for path in partial.iterdir():
            sync(path)
        sync(partial)
        _rename(partial, out)
    sync(out.absolute().parent)


def write_private(path: Path, content: bytes) -> None:
    """Write a new file that nobody else may read, durable on return.

    Raises:
        StorageError: Something is at ``path`` already, or the file cannot be written.
        DiskFullError: No space is left; nothing stays.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, PRIVATE_FILE)
    except FileExistsError as exc:
        raise StorageError(
            f"{path} exists already and was left as it is; move it away, or choose another name"
        ) from exc
    except OSError as exc:
        raise storage_error(path, exc) from exc
    with on_failure(path.unlink, missing_ok=True):
        _fill(descriptor, path, content)


def _fill(descriptor: int, path: Path, content: bytes) -> None:
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
    except OSError as exc:
        raise storage_error(path, exc) from exc
    sync(path)
    sync(path.absolute().parent)


def _make(partial: Path) -> None:
    try:
        partial.mkdir(mode=PRIVATE_FOLDER)
    except FileExistsError as exc:
        raise StorageError(f"{partial} is of an interrupted command; remove it, then try again") from exc
    except FileNotFoundError as exc:
        raise MissingError(f"{partial.parent} does not exist; make it first") from exc
    except OSError as exc:
        raise storage_error(partial, exc) from exc


def _rename(partial: Path, out: Path) -> None:
    try:
        partial.rename(out)
    except OSError as exc:
        raise storage_error(out, exc) from exc
