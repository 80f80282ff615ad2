"""A vault of an earlier format becomes one of this program's, or stays what it was."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support.child import Child
from tests.support.vaultfile import (
    FILE_KEY,
    ITEMS,
    append_batch,
    raw_connection,
)
from vault.database import (
    connect_append,
    connect_inspect,
    read_format,
    upgrade,
)
from vault.encoding import le32
from vault.errors import (
    BusyError,
    DamagedError,
    FormatTooNewError,
)
from vault.migrations import FORMAT, STEPS, Step
from vault.page_one import verify_page_one
from vault.sqlcipher import RefusedStatementError

STEP_2 = Step(
    FORMAT + 1,
    (
        "CREATE TABLE later (a INTEGER NOT NULL PRIMARY KEY) STRICT",
        "INSERT INTO later VALUES (7)",
    ),
)


def test_upgrading_runs_the_steps_that_are_missing(path: Path) -> None:
    """Once; rows stay, the vault says its new format, and the guards stand again."""
    with connect_append(path, FILE_KEY) as connection:
        append_batch(connection, 1)
    assert upgrade(path, FILE_KEY, (*STEPS, STEP_2)) == FORMAT
    assert upgrade(path, FILE_KEY, (*STEPS, STEP_2)) == FORMAT + 1
    verify_page_one(path, FILE_KEY)
    connection = raw_connection(path)
    assert connection.execute("SELECT value FROM meta WHERE key = 'format'").fetchall() == [
        (le32(FORMAT + 1),)
    ]
    assert connection.execute("SELECT a FROM later").fetchall() == [(7,)]
    assert connection.execute("SELECT count(*) FROM item").fetchall() == [(ITEMS,)]
    with pytest.raises(Exception, match="meta: rows never change"):
        connection.execute("UPDATE meta SET value = x''")
    connection.close()


def test_an_upgraded_vault_is_a_later_one_to_this_program(path: Path) -> None:
    """The way back is the snapshot taken before."""
    upgrade(path, FILE_KEY, (*STEPS, STEP_2))
    with pytest.raises(FormatTooNewError):
        connect_append(path, FILE_KEY)


def test_upgrading_a_vault_of_this_format_changes_nothing(path: Path) -> None:
    """Not a byte."""
    before = path.read_bytes()
    assert upgrade(path, FILE_KEY) == FORMAT
    assert path.read_bytes() == before


def test_upgrading_leaves_no_write_ahead_log(tmp_path: Path, path: Path) -> None:
    """What a killed writer left there is kept, in the file."""
    with Child("writer", tmp_path) as writer:
        writer.ask("commit")
    assert upgrade(path, FILE_KEY, (*STEPS, STEP_2)) == FORMAT
    assert not path.with_name("vault.db-wal").exists()
    connection = raw_connection(path)
    assert connection.execute("SELECT count(*) FROM item").fetchall() == [(ITEMS,)]
    connection.close()


@pytest.mark.parametrize(
    "statement",
    ["CREATE TABLE meta (a)", "DELETE FROM meta", "nonsense", "UPDATE policy SET hash = x''"],
)
def test_a_step_that_fails_changes_nothing(path: Path, statement: str) -> None:
    """All steps are one transaction, and guarded rows are guarded from steps too."""
    broken = Step(FORMAT + 1, ("CREATE TABLE later (a)", statement))
    with pytest.raises(RefusedStatementError):
        upgrade(path, FILE_KEY, (*STEPS, broken))
    with connect_inspect(path, FILE_KEY) as connection:
        assert read_format(connection) == FORMAT
    assert upgrade(path, FILE_KEY, (*STEPS, STEP_2)) == FORMAT


def test_steps_that_leave_a_vault_unsound_change_nothing(path: Path) -> None:
    """SQLite's check runs before COMMIT: here a column that must not be NULL, and is."""
    unsound = Step(
        FORMAT + 1,
        (
            "CREATE TABLE later (a)",
            "INSERT INTO later VALUES (NULL)",
            "PRAGMA writable_schema = ON",
            "UPDATE sqlite_schema SET sql = 'CREATE TABLE later (a NOT NULL)' WHERE name = 'later'",
            "PRAGMA writable_schema = RESET",
        ),
    )
    with pytest.raises(DamagedError, match="fails its check: NULL value in later"):
        upgrade(path, FILE_KEY, (*STEPS, unsound))
    with connect_inspect(path, FILE_KEY) as connection:
        assert read_format(connection) == FORMAT


def test_upgrading_while_another_process_reads_is_busy(path: Path) -> None:
    """The old pages are still needed there, so the log cannot be emptied; a second call does it."""
    with Child("reader", path) as reader:
        assert reader.ask("read") == "1"
        with pytest.raises(BusyError, match="another process has the vault open"):
            upgrade(path, FILE_KEY, (*STEPS, STEP_2))
    assert upgrade(path, FILE_KEY, (*STEPS, STEP_2)) == FORMAT + 1
    assert os.listdir(path.parent) == ["vault.db"]
    verify_page_one(path, FILE_KEY)


def test_a_damaged_vault_is_not_upgraded(path: Path) -> None:
    """SQLite's own check does not look at pages without rows; SQLCipher's does, and comes first."""
    connection = raw_connection(path)
    connection.execute("CREATE TABLE large (a)")
    connection.execute("INSERT INTO large VALUES (zeroblob(100000))")
    connection.execute("DROP TABLE large")
    connection.close()
    whole = path.read_bytes()
    path.write_bytes(whole[:-4096] + bytes(4096))
    with pytest.raises(DamagedError, match="fails its check: HMAC verification failed for page"):
        upgrade(path, FILE_KEY, (*STEPS, STEP_2))
    with connect_inspect(path, FILE_KEY) as inspect:
        assert read_format(inspect) == FORMAT
