"""Copies a file without reading it where the file system can, and by reading it where not."""

from __future__ import annotations

import fcntl
import os
import shutil
from pathlib import Path
from typing import IO

from vault.disk import open_regular, storage_error

_FICLONE = 0x40049409  # linux/fs.h; Btrfs, XFS, bcachefs and others share the blocks until one side changes
_BUFFER_BYTES = 1 << 20


def clone(source: Path, target: Path) -> None:
    """Copy ``source`` to the new file ``target``, mode 0600.

    The copy is not synced. It is of the moment where blocks can be shared;
    else of what each block was when it was read.

    Raises:
        DiskFullError: No space is left; part of ``target`` may be there.
        StorageError: The operating system refused, ``target`` exists, or
            ``source`` is no regular file.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    try:
        with open_regular(source) as reading, open(os.open(target, flags, 0o600), "wb") as writing:  # noqa: PTH123 - a descriptor
            if not _reflink(reading, writing):
                shutil.copyfileobj(reading, writing, _BUFFER_BYTES)
    except OSError as exc:
        raise storage_error(target, exc) from exc


def _reflink(reading: IO[bytes], writing: IO[bytes]) -> bool:
    try:
        fcntl.ioctl(writing.fileno(), _FICLONE, reading.fileno())
    except OSError:
        # Another file system, one that cannot share blocks, or another kernel. A disk that is
        # full or broken shows itself when the bytes are copied.
        return False
    return True
