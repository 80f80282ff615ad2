"""New files and folders: whole, private, or not there."""

from __future__ import annotations

import os
import resource
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from maintainer_tools.new_files import new_folder, write_private
from vault.errors import MissingError, StorageError, VaultError

LIMIT_BYTES = 100_000


@pytest.fixture
def _full_disk() -> Iterator[None]:
    """No file of this process grows beyond the limit: writing fails as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (LIMIT_BYTES, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_private_file_is_whole_and_its_owners_alone(tmp_path: Path) -> None:
    """Whatever the umask."""
    old = os.umask(0)
    write_private(tmp_path / "x", b"content")
    os.umask(old)

    assert (tmp_path / "x").read_bytes() == b"content"
    assert stat.S_IMODE((tmp_path / "x").stat().st_mode) == 0o600


@pytest.mark.usefixtures("_full_disk")
def test_a_file_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    """Half an invite is no invite."""
    with pytest.raises(StorageError):
        write_private(tmp_path / "x", b"x" * 2 * LIMIT_BYTES)

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("place", ["file/x", "gone/x"])
def test_a_place_that_cannot_be_is_refused(tmp_path: Path, place: str) -> None:
    """Ours, not the operating system's, is the error a caller sees."""
    (tmp_path / "file").touch()

    with pytest.raises(VaultError):
        write_private(tmp_path / place, b"x")
    with pytest.raises((StorageError, MissingError)), new_folder(tmp_path / place):
        pass
    assert sorted(os.listdir(tmp_path)) == ["file"]


def test_a_folder_appears_when_all_is_in_it(tmp_path: Path) -> None:
    """Nobody sees it half filled under its name."""
    with new_folder(tmp_path / "out") as folder:
        (folder / "x").touch()
        assert not (tmp_path / "out").exists()

    assert os.listdir(tmp_path) == ["out"]
    assert os.listdir(tmp_path / "out") == ["x"]


def test_a_folder_vanishes_when_something_fails(tmp_path: Path) -> None:
    """Interruptions too."""
    with pytest.raises(KeyboardInterrupt), new_folder(tmp_path / "out"):
        raise KeyboardInterrupt

    assert list(tmp_path.iterdir()) == []


def test_a_name_that_was_taken_meanwhile_is_left_to_its_taker(tmp_path: Path) -> None:
    """Two exports into one folder: the second finds it there."""
    theirs = tmp_path / "out" / "theirs"

    with pytest.raises(StorageError), new_folder(tmp_path / "out"):
        theirs.mkdir(parents=True)

    assert os.listdir(tmp_path) == ["out"]
    assert os.listdir(tmp_path / "out") == ["theirs"]
