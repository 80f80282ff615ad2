"""Bugs to be planted in a recorded process, each of which the campaign must find.

They change our modules in that process alone, before it opens a vault.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import maintainer_tools.file_key_rotation
import vault.connection
import vault.disk
import vault.files
import vault.founding
import vault.snapshot
import vault.sqlcipher
from vault.errors import StorageError


def _put(module: ModuleType, name: str, fault: object) -> None:
    assert hasattr(module, name), "the plant names what is not there any more"
    setattr(module, name, fault)


def _synchronous_normal() -> None:
    """COMMIT no longer syncs the write-ahead log."""
    found = vault.sqlcipher._PRAGMAS
    pragmas = tuple(pragma.replace("synchronous = FULL", "synchronous = NORMAL") for pragma in found)
    assert pragmas != found
    _put(vault.sqlcipher, "_PRAGMAS", pragmas)


def _not_synced(_: Path) -> None:
    """Do nothing where something should be synced."""


def _founding_forgets_folders() -> None:
    """Nothing that founding makes has a name that lasts."""
    for module in (vault.disk, vault.files, vault.founding):
        _put(module, "sync", _not_synced)


def _founding_forgets_contents() -> None:
    """Small files get their names before their bytes are on the disk."""
    _put(vault.founding, "replace_file", functools.partial(vault.files.replace_file, is_synced=False))


def _snapshot_forgets_files() -> None:
    """A snapshot is renamed into place with what was copied still in memory."""
    _put(vault.snapshot, "_sync_all", _not_synced)


def _rotation_forgets_folders() -> None:
    """Home's note of the new key is gone for good while slots.json may still be the old one."""
    for module in (vault.files, maintainer_tools.file_key_rotation):
        _put(module, "sync", _not_synced)


def _swallowed_commit() -> None:
    """COMMIT failed, and who asked for it is told that it did not."""
    commit = vault.connection.WritingConnection.commit

    def swallowing(self: vault.connection.WritingConnection) -> None:
        with contextlib.suppress(StorageError):
            commit(self)

    vault.connection.WritingConnection.commit = swallowing  # type: ignore[method-assign]  # the plant


def _nothing() -> None:
    """Leave the program as it is."""


NOTHING = "nothing"
DEAF = "folders are not synced"
"""Planted in the shim, below SQLite too: the name of a new write-ahead log is never made durable."""
PLANTS: dict[str, Callable[[], None]] = {
    NOTHING: _nothing,
    "synchronous is NORMAL": _synchronous_normal,
    "founding forgets folders": _founding_forgets_folders,
    "founding forgets contents": _founding_forgets_contents,
    "a rotation forgets folders": _rotation_forgets_folders,
    "a snapshot forgets files": _snapshot_forgets_files,
    DEAF: _nothing,
}
"""What a campaign of power cuts must find, and what puts it in."""
SWALLOWED = "a failed COMMIT is swallowed"
FAULT_PLANTS: dict[str, Callable[[], None]] = {NOTHING: _nothing, SWALLOWED: _swallowed_commit}
"""Likewise for a fault sweep."""
