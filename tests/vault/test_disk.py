"""What the file system says reaches the caller as one of our errors, with its file's name."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from vault.disk import identity, storage_error, sync
from vault.errors import DiskFullError, StorageError


def test_a_path_is_followed_to_its_file(tmp_path: Path) -> None:
    """The same name may lead to another file later; that is what identity tells."""
    path = tmp_path / "file"
    path.touch()
    before = identity(path)
    (tmp_path / "other").touch()
    assert before is not None
    assert identity(path) == before
    (tmp_path / "other").replace(path)
    assert identity(path) != before


def test_nothing_has_no_identity(tmp_path: Path) -> None:
    """A removed file is an answer, not an error."""
    assert identity(tmp_path / "absent") is None


def test_a_path_that_cannot_be_followed_is_an_error(tmp_path: Path) -> None:
    """Not knowing is different from knowing that nothing is there."""
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(StorageError, match="loop: the operating system refused"):
        identity(tmp_path / "loop")


def test_files_and_folders_can_be_synced(tmp_path: Path) -> None:
    """A new name is durable only when its folder is."""
    (tmp_path / "file").touch()
    sync(tmp_path / "file")
    sync(tmp_path)


def test_syncing_what_is_not_there_is_an_error(tmp_path: Path) -> None:
    """A promise of durability about nothing is a lie."""
    with pytest.raises(StorageError, match="absent: the operating system refused: No such file"):
        sync(tmp_path / "absent")


def test_a_failed_sync_is_an_error_and_leaves_no_file_open() -> None:
    """A device that cannot sync says so: a pipe stands for it."""
    before = os.listdir("/proc/self/fd")
    with pytest.raises(StorageError, match="full: the operating system refused: Invalid argument"):
        sync(Path("/dev/full"))
    assert os.listdir("/proc/self/fd") == before


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_and_a_full_quota_are_the_same_to_the_caller(number: int) -> None:
    """Both are answered 507, and both are helped by freeing space."""
    error = storage_error(Path("pod/vault.db"), OSError(number, os.strerror(number)))
    assert isinstance(error, DiskFullError)
    assert str(error) == "vault.db: no space is left on the disk; free some and try again"
