"""What the file system says: identity of a file, syncing, and its errors in our words.

Not here: anything about what the files hold. Used by the modules that create,
lock, open and copy a vault; see FORMAT.md, "The vault".
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO, NamedTuple

from vault.errors import DiskFullError, StorageError

# A full quota is a full disk to the one who waits for an answer.
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


class FileIdentity(NamedTuple):
    """What stays the same as long as a path leads to the same file."""

    device: int
    inode: int


def identity(path: Path) -> FileIdentity | None:
    """Return which file ``path`` leads to, or None when it leads to none.

    The file is not opened: closing one that SQLite has open in this process
    would drop SQLite's POSIX locks (sqlite.org/howtocorrupt.html, 2.2).
    """
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    except OSError as exc:
        raise storage_error(path, exc) from exc
    return FileIdentity(found.st_dev, found.st_ino)


def open_regular(path: Path, *, is_link_followed: bool = True) -> BinaryIO:
    """Open a pod's file to read it, if it is a regular file.

    A pipe would keep the reader waiting for ever, and a device may never end.

    Args:
        path: Of the file.
        is_link_followed: Whether it may be a symbolic link to one.

    Raises:
        OSError: It cannot be opened, or is of another kind.
    """
    no_follow = 0 if is_link_followed else os.O_NOFOLLOW
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | no_follow)
    kind = os.fstat(descriptor).st_mode
    if stat.S_ISREG(kind):
        return os.fdopen(descriptor, "rb")
    os.close(descriptor)
    if stat.S_ISDIR(kind):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    raise OSError(errno.EINVAL, "it is not a regular file")


def sync(path: Path) -> None:
    """Make a file's content, or a folder's entries, durable (fsync).

    Raises:
        StorageError: The operating system could not.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as exc:
        raise storage_error(path, exc) from exc


def storage_error(path: Path, exc: OSError) -> StorageError:
    """Put an error of the operating system about ``path`` into our words, to be raised ``from exc``."""
    if exc.errno in _FULL:
        return DiskFullError(f"{path.name}: no space is left on the disk; free some and try again")
    return StorageError(f"{path.name}: the operating system refused: {exc.strerror}")
