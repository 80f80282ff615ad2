"""A folder for files that live for a moment, in memory where there is a file system in memory.

It has a name of its own for each home, so that what a killed command left there
is found, and removed, by the next one; who uses it holds the vault's lock.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vault.disk import storage_error
from vault.files import PRIVATE_FOLDER

SHARED_MEMORY = Path("/dev/shm")  # noqa: S108  # a folder of our own is made in it
_NAME_DIGITS = 16


@contextmanager
def scratch_folder(home: Path) -> Iterator[Path]:
    """Give an empty folder that nobody else may enter; gone after the ``with`` block.

    Args:
        home: Whose it is. No two at once: the caller has its vault's lock.

    Raises:
        StorageError: It cannot be made.
    """
    parent = SHARED_MEMORY if os.access(SHARED_MEMORY, os.W_OK) else Path(tempfile.gettempdir())
    digest = hashlib.sha256(os.fsencode(home.resolve())).hexdigest()
    folder = parent / f"shared-pod-{digest[:_NAME_DIGITS]}"
    try:
        _remove_ours(folder)
        folder = _made(folder)
    except OSError as exc:
        raise storage_error(folder, exc) from exc
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _remove_ours(folder: Path) -> None:
    """What a killed command left; never what somebody else put there, nor where a link of theirs leads."""
    try:
        found = folder.lstat()
    except FileNotFoundError:
        return
    if stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid():
        shutil.rmtree(folder)


def _made(folder: Path) -> Path:
    try:
        folder.mkdir(mode=PRIVATE_FOLDER)
    except FileExistsError:
        # Somebody else's: the place is everybody's.
        return Path(tempfile.mkdtemp(prefix=f"{folder.name}-", dir=folder.parent))
    return folder
