"""Writing a small file whole or not at all."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from vault.disk import storage_error, sync

PRIVATE_FILE = 0o600
PRIVATE_FOLDER = 0o700


def _write_new(path: Path, content: bytes, *, is_synced: bool) -> None:
    descriptor = os.open(
        path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, PRIVATE_FILE
    )
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        if is_synced:
            file.flush()
            os.fsync(file.fileno())


def replace_file(path: Path, content: bytes, *, is_synced: bool = True) -> None:
    """Replace ``path`` atomically; readers see the old bytes or the new ones.

    Args:
        path: The file; its neighbour ``path`` + ``.new`` is used meanwhile.
        content: All of it.
        is_synced: Whether content and name are durable on return. The log's
            head is not: a power cut may bring back an older one, which is safe.

    Raises:
        DiskFullError: No space is left; ``path`` is untouched.
        StorageError: The operating system refuses; ``path`` is untouched.
    """
    fresh = path.with_name(path.name + ".new")
    try:
        _write_new(fresh, content, is_synced=is_synced)
        fresh.replace(path)
        if is_synced:
            sync(path.parent)
    except OSError as exc:
        with contextlib.suppress(OSError):
            fresh.unlink()
        raise storage_error(path, exc) from exc
