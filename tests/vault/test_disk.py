"""What the file system says reaches the caller as one of our errors, with its file's name."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from vault.clone import clone
from vault.disk import identity, open_regular, storage_error, sync
from vault.errors import DiskFullError, StorageError
from vault.files import read_file


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


@pytest.mark.parametrize("kind", ["pipe", "device", "folder"])
def test_only_a_regular_file_is_opened(tmp_path: Path, kind: str) -> None:
    """A pipe in a pod's folder would stop a server's watch for ever; a device would fill the disk."""
    path = tmp_path / "file"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    else:
        path.mkdir()
    with pytest.raises(OSError, match=r"not a regular file|Is a directory"):
        open_regular(path)


@pytest.mark.parametrize(
    "read",
    [lambda path: read_file(path, 100), lambda path: clone(path, Path(f"{path}.copy"))],
    ids=["read", "copied"],
)
def test_nothing_of_a_pods_folder_waits_for_a_pipe(tmp_path: Path, read: Callable[[Path], object]) -> None:
    """Who can write the folder could stop a server from seeing a revocation, or a maintainer's tool."""
    os.mkfifo(tmp_path / "slots.json")
    with pytest.raises(StorageError, match="not a regular file"):
        read(tmp_path / "slots.json")


def test_what_a_person_names_may_be_a_pipe(tmp_path: Path) -> None:
    """A shell hands a secret over as one: ``invite show <(pass show invite)``."""
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(target=(tmp_path / "pipe").write_bytes, args=(b"content",))
    writer.start()
    assert read_file(tmp_path / "pipe", 100, may_be_pipe=True) == b"content"
    writer.join()


def test_a_link_is_followed_or_refused(tmp_path: Path) -> None:
    """People link pod.toml to where they keep it; a vault's log lies beside its own name."""
    (tmp_path / "file").write_bytes(b"content")
    (tmp_path / "link").symlink_to("file")
    with open_regular(tmp_path / "link") as file:
        assert file.read() == b"content"
    with pytest.raises(OSError, match="Too many levels"):
        open_regular(tmp_path / "link", is_link_followed=False)


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
