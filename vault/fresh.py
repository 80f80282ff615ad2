"""A vault's file that is being made: empty and private at first, whole or gone at the end, then put in place.

For whoever makes one: founding, a rotation, a repair. What is written into it is
theirs. FORMAT.md, "Rotation" and "Repair".
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from vault import disk
from vault.errors import BusyError, StorageError
from vault.files import PRIVATE_FILE
from vault.undoing import on_failure
from vault.wal import holds_frames


def fresh_beside(vault: Path) -> Path:
    """Where a new vault is made, beside the one whose place it takes: a rename leaves no file system."""
    return vault.with_name(f"{vault.name}.new")


def make_empty(path: Path) -> None:
    """Make an empty file, mode 0600.

    Raises:
        StorageError: Something is at ``path``, or the operating system refused.
    """
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, PRIVATE_FILE))
    except FileExistsError as exc:
        raise StorageError(f"{path} exists already and was left as it is; choose another place") from exc
    except OSError as exc:
        raise disk.storage_error(path, exc) from exc


@contextlib.contextmanager
def whole_or_gone(path: Path) -> Iterator[None]:
    """Sync a new vault once the ``with`` block has filled it, or remove it if that failed.

    Raises:
        StorageError: The operating system could not sync it.
    """
    with on_failure(discard_vault, path):
        yield
        disk.sync(path)
        disk.sync(path.parent)


def discard_vault(path: Path) -> None:
    """Remove what can be removed of a vault that came to nothing.

    Silent: a disk that refuses this too must not hide what it refused first.
    """
    for file in _files_of(path):
        with contextlib.suppress(OSError):
            file.unlink(missing_ok=True)


def remove_vault(path: Path) -> None:
    """Remove a vault that was being made, with what SQLite put beside it; one that is not there is gone.

    Raises:
        StorageError: The operating system refused.
    """
    try:
        for file in _files_of(path):
            file.unlink(missing_ok=True)
    except OSError as exc:
        raise disk.storage_error(path, exc) from exc


def put_in_place(fresh: Path, vault: Path) -> None:
    """Put a new vault in another's place; a kill at any moment leaves the one or the other.

    The caller holds ``vault.lock``, and ``copy.lock`` exclusively.

    Raises:
        BusyError: The write-ahead log of ``vault`` holds something: another
            process has the vault open. SQLite would replay it over ``fresh``.
        StorageError: The operating system refused.
    """
    wal = vault.with_name(f"{vault.name}-wal")
    if holds_frames(wal):
        raise BusyError("another process has the vault open in place; stop it, then try again")
    try:
        wal.unlink(missing_ok=True)
        disk.sync(vault.parent)
        fresh.replace(vault)
    except OSError as exc:
        raise disk.storage_error(vault, exc) from exc
    disk.sync(vault.parent)


def _files_of(path: Path) -> list[Path]:
    """A vault's file, and what SQLite puts beside it."""
    return [path.with_name(path.name + suffix) for suffix in ("", "-wal", "-shm", "-journal")]
