"""The reserve: what a server leaves free on a pod's disk, for what it has promised to be able to do.

Items are refused while there is still room to move the write-ahead log into the
vault and to publish the log's head, so that an orderly stop on a full disk
leaves a whole vault and no log. Measured with statvfs for each batch, and not
set aside in a file: docs/decisions/bytes-kept-free.md.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from vault.disk import storage_error
from vault.errors import DiskFullError
from vault.pod import PodFolder
from vault.submissions import Submission

KEPT_BYTES = 1 << 20
"""log.head and its successor, SQLite's shared memory (32 KiB for each 4,096 frames), and what a maintainer
puts here: a new slots.json, a request."""
ITEM_BYTES = 8 << 10
"""Beside its content an item changes a page of the items and one of their names, each 4,096 bytes."""
BATCH_BYTES = 64 << 10
"""A batch's own row, its wraps, its slots and the log's nodes."""


def _free_bytes(folder: PodFolder) -> int:
    try:
        found = os.statvfs(folder.path)
    except OSError as exc:
        raise storage_error(folder.path, exc) from exc
    return found.f_bavail * found.f_frsize


def _log_bytes(folder: PodFolder) -> int:
    try:
        return folder.wal.stat().st_size
    except OSError:
        # None is there, or SQLite says in a moment what is wrong with it.
        return 0


def needed_bytes(folder: PodFolder, batch: Sequence[Submission]) -> int:
    """How much must be free for a batch to be stored and the log to be moved after it.

    Args:
        folder: The pod's folder.
        batch: What is to be stored.
    """
    content = sum(len(submission.item.canonical) for submission in batch)
    # Twice: into the log, and from there into the vault.
    return KEPT_BYTES + _log_bytes(folder) + 2 * content + len(batch) * ITEM_BYTES + BATCH_BYTES


def has_room(folder: PodFolder, batch: Sequence[Submission]) -> bool:
    """Whether a batch may be stored.

    Raises:
        StorageError: The operating system does not say how much is free.
    """
    return _free_bytes(folder) >= needed_bytes(folder, batch)


def disk_full() -> DiskFullError:
    """What a batch is refused with."""
    return DiskFullError(
        f"less than what the log needs and {KEPT_BYTES >> 20} MiB are free on the pod's disk; "
        "free some, and items are taken again"
    )
