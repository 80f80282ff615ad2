"""Copies a pod's vault while it is written, without any key.

The order of copying is the whole secret. Under ``copy.lock`` no page moves from
the write-ahead log into ``vault.db``, so ``vault.db`` stands still while it is
copied, and the log, copied after it, only grows: the two fit. ``log.head`` comes
first, so that it never names more than the copy holds. Any other order can give
a copy without rows that passes SQLite's and SQLCipher's own checks.

Never copied: ``log.key``, which would let two machines sign one log, and the
locks. Not here: whether what was copied is true (``vault.reader``). A snapshot
is not taken in a process that has the vault open: closing the copied file would
drop SQLite's POSIX locks. See FORMAT.md, "Snapshot".
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from vault.clone import clone
from vault.disk import storage_error, sync
from vault.errors import MissingError, StorageError
from vault.locks import Patience, copying
from vault.pod import PodFolder
from vault.undoing import on_failure

Copy = Callable[[Path, Path], None]
"""Copies its first argument to the new file that is its second; raises StorageError."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A finished copy.

    Attributes:
        folder: Laid out as the pod's own folder.
        size_bytes: Of its files together.
    """

    folder: Path
    size_bytes: int


def take_snapshot(pod_folder: Path, out: Path, patience: Patience, copy: Copy = clone) -> Snapshot:
    """Copy a pod's files into a new folder, durable and whole, or leave nothing.

    Args:
        pod_folder: The pod's folder; its server may be writing.
        out: Must not exist, its parent must. Made with mode 0700, by renaming
            ``out`` + ``.partial`` once all is in it.
        patience: How long to wait for the writer's checkpoint.
        copy: Copies one file.

    Raises:
        MissingError: There is no vault in ``pod_folder``.
        StorageError: ``out``, or ``.partial`` of an interrupted snapshot, is
            there already; or the operating system refused.
        DiskFullError: No space is left.
        LockedError: The writer kept ``copy.lock`` for longer than ``patience``.
    """
    partial = out.with_name(f"{out.name}.partial")
    _require_absent(out)
    _make_folder(partial)
    with on_failure(shutil.rmtree, partial, ignore_errors=True):
        size_bytes = _copy_pod(PodFolder(pod_folder), partial, patience, copy)
        _sync_all(partial)
        _rename(partial, out)
    sync(out.parent)
    return Snapshot(out, size_bytes)


@contextlib.contextmanager
def private_snapshot(pod_folder: Path, patience: Patience) -> Iterator[Path]:
    """Give a short-lived copy for a tool to read, in a folder of mode 0700 under ``TMPDIR``.

    Yields:
        The folder, laid out as the pod's own. Removed on leaving.

    Raises:
        VaultError: As ``take_snapshot``, which says when.
    """
    try:
        holder = tempfile.TemporaryDirectory(prefix="shared-pod-")
    except OSError as exc:
        raise StorageError(f"no temporary folder can be made ({exc.strerror}); set TMPDIR") from exc
    with holder as name:
        folder = Path(name)
        _copy_pod(PodFolder(pod_folder), folder, patience, clone)
        yield folder


def _copy_pod(pod: PodFolder, folder: Path, patience: Patience, copy: Copy) -> int:
    if not pod.vault.exists():
        raise MissingError(f"{pod.vault} does not exist, there is nothing to copy; name a pod's folder")
    with copying(pod.path, patience):
        # The pair too: a rotation replaces vault.db and slots.json while nobody copies.
        for source in (pod.log_head, pod.vault, pod.wal, pod.pod_toml, pod.slots_json):
            _copy_if_there(source, folder, copy)
    return sum(path.stat().st_size for path in folder.iterdir())


def _copy_if_there(source: Path, folder: Path, copy: Copy) -> None:
    if source.exists():
        copy(source, folder / source.name)


def _require_absent(out: Path) -> None:
    if os.path.lexists(out):
        raise StorageError(f"{out} exists already and was left as it is; choose another place")


def _make_folder(partial: Path) -> None:
    try:
        partial.mkdir(mode=0o700)
    except FileExistsError as exc:
        raise StorageError(f"{partial} is of an interrupted snapshot; remove it, then try again") from exc
    except OSError as exc:
        raise storage_error(partial, exc) from exc


def _sync_all(folder: Path) -> None:
    for path in folder.iterdir():
        sync(path)
    sync(folder)


def _rename(partial: Path, out: Path) -> None:
    try:
        partial.rename(out)
    except OSError as exc:
        raise storage_error(out, exc) from exc
