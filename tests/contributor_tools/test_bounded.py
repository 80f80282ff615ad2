"""Reading what a person named: all of it, or a sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from contributor_tools.bounded import read_bounded
from vault.errors import MalformedError, MissingError, StorageError


def test_a_file_of_exactly_the_limit_is_read(tmp_path: Path) -> None:
    """And not one byte more."""
    path = tmp_path / "file"
    path.write_bytes(b"12345")
    assert read_bounded(str(path), 5) == b"12345"
    with pytest.raises(MalformedError, match="larger than 4 bytes"):
        read_bounded(str(path), 4)


def test_what_cannot_be_read_is_named_clean(tmp_path: Path) -> None:
    """A name too may draw on the terminal."""
    with pytest.raises(MissingError, match=r"gone\\x1b is not there"):
        read_bounded(str(tmp_path / "gone\x1b"), 5)
    with pytest.raises(StorageError, match="could not be read: Is a directory"):
        read_bounded(str(tmp_path), 5)
