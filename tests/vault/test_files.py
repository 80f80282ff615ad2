"""Small files: read up to a bound; replaced whole, or left as they were."""

from __future__ import annotations

import io
import stat
from pathlib import Path

import pytest

from tests.support.small_disk import run_on_small_disk
from vault.errors import MalformedError, MissingError, StorageError
from vault.files import read_file, read_given, replace_file


def test_a_file_is_replaced_whole_and_private(tmp_path: Path) -> None:
    """Mode 0600 whatever it was before; nothing is left beside it."""
    path = tmp_path / "slots.json"
    path.write_bytes(b"old")
    path.chmod(0o644)
    replace_file(path, b"new")
    assert path.read_bytes() == b"new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_a_reader_keeps_the_old_bytes(tmp_path: Path) -> None:
    """A file that is open is not changed under its reader."""
    path = tmp_path / "log.head"
    replace_file(path, b"old", is_synced=False)
    with path.open("rb") as reading:
        replace_file(path, b"new", is_synced=False)
        assert reading.read() == b"old"
    assert path.read_bytes() == b"new"


def test_what_a_crash_left_beside_it_is_overwritten(tmp_path: Path) -> None:
    """A longer neighbour of an earlier attempt leaves no tail."""
    path = tmp_path / "pod.toml"
    (tmp_path / "pod.toml.new").write_bytes(b"x" * 100)
    replace_file(path, b"new")
    assert path.read_bytes() == b"new"


def test_a_link_in_its_neighbours_place_is_not_followed(tmp_path: Path) -> None:
    """Or somebody's file elsewhere would be overwritten."""
    target = tmp_path / "elsewhere"
    target.write_bytes(b"mine")
    (tmp_path / "pod.toml.new").symlink_to(target)
    with pytest.raises(StorageError):
        replace_file(tmp_path / "pod.toml", b"new")
    assert target.read_bytes() == b"mine"


def test_a_folder_that_is_gone_is_said(tmp_path: Path) -> None:
    """In our words."""
    with pytest.raises(StorageError, match="No such file"):
        replace_file(tmp_path / "gone" / "pod.toml", b"new")


def test_a_file_that_cannot_take_its_place_leaves_the_old_one(tmp_path: Path) -> None:
    """A folder stands where the file should be."""
    (tmp_path / "pod.toml").mkdir()
    with pytest.raises(StorageError):
        replace_file(tmp_path / "pod.toml", b"new")
    assert [path.name for path in tmp_path.iterdir()] == ["pod.toml"]


_FULL = """
import os, sys
from pathlib import Path
from vault.errors import DiskFullError
from vault.files import replace_file

path = Path(sys.argv[1]) / "pod.toml"
path.write_bytes(b"old")
try:
    replace_file(path, bytes(100 << 10))
except DiskFullError as exc:
    print(exc)
assert path.read_bytes() == b"old"
assert os.listdir(path.parent) == ["pod.toml"]
"""


def test_a_full_disk_leaves_the_old_file(tmp_path: Path) -> None:
    """On a real disk of 64 KiB, and nothing half written beside it."""
    assert run_on_small_disk(tmp_path, 64, _FULL).startswith("pod.toml: no space is left")


def test_a_small_file_is_read_up_to_its_limit(tmp_path: Path) -> None:
    """Beyond it nothing is believed, and not all of it is read."""
    path = tmp_path / "slots.json"
    path.write_bytes(b"12345")
    assert read_file(path, 5) == b"12345"
    with pytest.raises(MalformedError, match=r"slots\.json is larger than 4 bytes"):
        read_file(path, 4)


def test_a_file_that_is_not_there_or_no_file_is_said(tmp_path: Path) -> None:
    """Two kinds: put it there, or look at the disk."""
    with pytest.raises(MissingError, match=r"slots\.json is not in .*; is this a pod's folder"):
        read_file(tmp_path / "slots.json", 5)
    with pytest.raises(StorageError, match="could not be read"):
        read_file(tmp_path, 5)


def test_what_a_person_named_need_be_in_no_pod(tmp_path: Path) -> None:
    """A file of theirs, which nobody takes for a pod's."""
    path = tmp_path / "a.invite"
    with pytest.raises(MissingError, match=r"a\.invite is not in .*\Z") as missing:
        read_given(path, 5, io.BytesIO(b"no"))
    assert str(missing.value).endswith(tmp_path.name)
    path.write_bytes(b"12345")
    assert read_given(str(path), 5, io.BytesIO(b"no")) == b"12345"
    with pytest.raises(StorageError, match="could not be read: Is a directory"):
        read_given(tmp_path, 5, io.BytesIO(b"no"))


def test_a_hyphen_is_standard_input_and_bounded_too() -> None:
    """A pipe may never end."""
    endless = io.BytesIO(b"x" * 100)
    assert read_given("-", 5, io.BytesIO(b"12345")) == b"12345"
    with pytest.raises(MalformedError, match="standard input is larger than 4 bytes"):
        read_given(Path("-"), 4, endless)
    assert endless.tell() == 5
