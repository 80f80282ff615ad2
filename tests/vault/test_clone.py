"""A cloned file is a whole, private copy, however the file system made it."""

from __future__ import annotations

import fcntl
import os
import stat
from pathlib import Path

import pytest

from vault.clone import clone
from vault.errors import DiskFullError, StorageError


@pytest.mark.parametrize("size", [0, 1, 1 << 20, (1 << 20) + 1])
def test_a_copy_is_byte_for_byte(tmp_path: Path, size: int) -> None:
    """Around the buffer's size as well."""
    source = tmp_path / "source"
    source.write_bytes(os.urandom(size))
    source.chmod(0o644)
    clone(source, tmp_path / "target")
    assert (tmp_path / "target").read_bytes() == source.read_bytes()
    assert stat.S_IMODE((tmp_path / "target").stat().st_mode) == 0o600


def test_blocks_are_shared_where_the_file_system_can(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Then nothing is read: the kernel's answer is stood in for, as few test machines have such a disk."""
    asked: list[tuple[int, int, int]] = []
    monkeypatch.setattr(fcntl, "ioctl", lambda *arguments: asked.append(arguments))
    (tmp_path / "source").write_bytes(b"content")
    clone(tmp_path / "source", tmp_path / "target")
    ((target, request, source),) = asked
    assert request == 0x40049409
    assert source != target
    assert (tmp_path / "target").read_bytes() == b""


def test_an_existing_file_is_left_as_it_is(tmp_path: Path) -> None:
    """A copy replaces nothing."""
    (tmp_path / "source").write_bytes(b"new")
    (tmp_path / "target").write_bytes(b"old")
    with pytest.raises(StorageError, match="target: the operating system refused: File exists"):
        clone(tmp_path / "source", tmp_path / "target")
    assert (tmp_path / "target").read_bytes() == b"old"


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    """And nothing is made."""
    with pytest.raises(StorageError, match="No such file"):
        clone(tmp_path / "source", tmp_path / "target")
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_said_to_be_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """/dev/full takes no byte: the file that is opened for writing is replaced by it."""
    (tmp_path / "source").write_bytes(b"content")
    full = os.open("/dev/full", os.O_WRONLY)
    with monkeypatch.context() as patch:
        patch.setattr("vault.clone.open_regular", lambda path: path.open("rb"))
        patch.setattr("vault.clone.os.open", lambda *_: full)
        with pytest.raises(DiskFullError, match="target: no space is left"):
            clone(tmp_path / "source", tmp_path / "target")
