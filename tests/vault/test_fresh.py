"""A vault's file that is being made: private, whole or gone, and put in place without a foreign log."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from vault.errors import BusyError, StorageError
from vault.fresh import discard_vault, fresh_beside, make_empty, put_in_place, remove_vault, whole_or_gone
from vault.wal import FRAME_BYTES, HEADER_BYTES


def _names(folder: Path) -> list[str]:
    return sorted(os.listdir(folder))


@pytest.fixture
def vault(tmp_path: Path) -> Path:
    """A file where a vault lies, its log empty."""
    path = tmp_path / "vault.db"
    path.write_bytes(b"old")
    path.with_name("vault.db-wal").touch()
    return path


def test_what_is_made_is_empty_and_for_its_owner_alone(tmp_path: Path) -> None:
    """Mode 0600."""
    make_empty(tmp_path / "new.db")
    assert (tmp_path / "new.db").read_bytes() == b""
    assert stat.S_IMODE((tmp_path / "new.db").stat().st_mode) == 0o600


def test_what_is_there_is_not_made_anew(tmp_path: Path) -> None:
    """Nor is a file made in a folder that is not there."""
    (tmp_path / "new.db").write_bytes(b"mine")
    with pytest.raises(StorageError, match="exists already"):
        make_empty(tmp_path / "new.db")
    assert (tmp_path / "new.db").read_bytes() == b"mine"
    with pytest.raises(StorageError, match="No such file"):
        make_empty(tmp_path / "none" / "new.db")


def test_what_failed_is_gone_with_what_lies_beside_it(tmp_path: Path) -> None:
    """SQLite's files too: a log that stays would be replayed over the next one."""
    for suffix in ("", "-wal", "-shm", "-journal"):
        (tmp_path / f"new.db{suffix}").touch()
    (tmp_path / "other.db").touch()
    with pytest.raises(KeyboardInterrupt), whole_or_gone(tmp_path / "new.db"):
        raise KeyboardInterrupt
    assert _names(tmp_path) == ["other.db"]


def test_a_removal_that_fails_hides_nothing(tmp_path: Path) -> None:
    """What made it fail is what is said."""
    (tmp_path / "new.db").mkdir()
    with pytest.raises(ValueError, match="first"), whole_or_gone(tmp_path / "new.db"):
        raise ValueError("first")
    discard_vault(tmp_path / "new.db")
    with pytest.raises(StorageError, match=r"new\.db: the operating system refused"):
        remove_vault(tmp_path / "new.db")


def test_a_vault_that_is_not_there_is_removed(tmp_path: Path) -> None:
    """An interrupted command may have left one, or not."""
    remove_vault(tmp_path / "new.db")
    assert _names(tmp_path) == []


def test_a_new_vault_takes_the_place_of_the_old_one_and_its_log(vault: Path) -> None:
    """What SQLite left empty goes too."""
    fresh_beside(vault).write_bytes(b"new")
    put_in_place(fresh_beside(vault), vault)
    assert _names(vault.parent) == ["vault.db"]
    assert vault.read_bytes() == b"new"


def test_a_log_that_holds_something_stops_it(vault: Path) -> None:
    """SQLite would replay it over the new file."""
    vault.with_name("vault.db-wal").write_bytes(bytes(HEADER_BYTES + FRAME_BYTES))
    fresh_beside(vault).write_bytes(b"new")
    with pytest.raises(BusyError, match="has the vault open in place"):
        put_in_place(fresh_beside(vault), vault)
    assert vault.read_bytes() == b"old"


def test_a_new_vault_that_is_not_there_replaces_nothing(vault: Path) -> None:
    """The vault stays."""
    with pytest.raises(StorageError, match=r"vault\.db: the operating system refused"):
        put_in_place(fresh_beside(vault), vault)
    assert vault.read_bytes() == b"old"
