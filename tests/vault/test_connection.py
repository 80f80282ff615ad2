"""Connections: durable or said not to be, aware of their files, and closed about what is inside."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from sqlcipher3 import dbapi2

from tests.support.child import Child
from tests.support.small_disk import run_on_small_disk
from tests.support.vaultfile import FILE_KEY, ITEMS, append_batch, make_vault
from vault import disk
from vault.connection import AppendConnection, ReadConnection, WritingConnection
from vault.database import connect_append, connect_read
from vault.errors import (
    BusyError,
    DamagedError,
    DiskFullError,
    OutcomeUnknownError,
    StorageError,
)
from vault.sqlcipher import RefusedStatementError, open_keyed


@pytest.fixture
def connection(path: Path) -> Iterator[AppendConnection]:
    """The connection a server has."""
    with connect_append(path, FILE_KEY) as connection:
        yield connection


def test_a_commit_survives_a_kill(tmp_path: Path, path: Path) -> None:
    """Acknowledged means kept."""
    with Child("writer", tmp_path) as writer:
        assert [writer.ask("commit") for _ in range(5)] == ["1", "2", "3", "4", "5"]
        writer.kill()
    with connect_read(path, FILE_KEY) as reading:
        assert reading.problems() == []
        assert reading.execute("SELECT count(*) FROM item") == [(5 * ITEMS,)]


def test_a_rolled_back_transaction_leaves_nothing(connection: AppendConnection) -> None:
    """None or all of a batch."""
    connection.begin()
    connection.execute("INSERT INTO slot VALUES (1, 0, 0, NULL)")
    connection.rollback()
    assert connection.execute("SELECT slot FROM slot") == []


def test_rolling_back_nothing_is_harmless(connection: AppendConnection) -> None:
    """SQLite rolls back by itself after some errors; the caller need not know which."""
    connection.rollback()


def test_committing_nothing_is_a_bug(connection: AppendConnection) -> None:
    """A writer that lost its transaction must not answer 200."""
    with pytest.raises(RefusedStatementError, match="no transaction is active"):
        connection.commit()


def test_many_rows_are_stored_by_one_call(connection: AppendConnection) -> None:
    """From any iterable."""
    connection.executemany("INSERT INTO node VALUES (?, ?, ?)", ((0, i, bytes(32)) for i in range(100)))
    assert connection.execute("SELECT max(i) FROM node") == [(99,)]


def test_a_refused_row_of_many_is_an_error(connection: AppendConnection) -> None:
    """Errors of executemany are in our words as well."""
    with pytest.raises(RefusedStatementError, match="already"):
        connection.executemany("INSERT INTO node VALUES (?, ?, ?)", [(0, 0, b""), (0, 0, b"")])


def test_the_wal_grows_until_it_is_truncated(connection: AppendConnection) -> None:
    """Automatic checkpoints are off: pages move only when the writer says so."""
    assert connection.wal_frames == 0
    for number in range(1, 300):
        append_batch(connection, number)
    assert connection.wal_frames > 1000
    assert connection.truncate_wal()
    assert connection.wal_frames == 0


def test_a_wal_that_begins_anew_keeps_its_file(connection: AppendConnection) -> None:
    """The next commits write over old frames, and need not sync a new size."""
    for number in range(1, 30):
        append_batch(connection, number)
    frames = connection.wal_frames

    assert connection.restart_wal()
    append_batch(connection, 30)

    assert connection.wal_frames == frames
    assert connection.execute("SELECT max(batch) FROM batch") == [(30,)]
    assert connection.truncate_wal()


@pytest.mark.parametrize("move", [AppendConnection.restart_wal, AppendConnection.truncate_wal])
def test_moving_the_wal_gives_way_to_a_reader_in_place(
    path: Path, connection: AppendConnection, move: Callable[[AppendConnection], bool]
) -> None:
    """The reader's state is still needed; the caller goes on and tries later."""
    append_batch(connection, 1)
    with Child("reader", path) as reader:
        assert reader.ask("read") == "1"
        append_batch(connection, 2)
        assert not move(connection)
    assert move(connection)


def test_a_second_writer_in_another_process_is_busy(path: Path, connection: AppendConnection) -> None:
    """SQLite's own lock stands behind vault.lock, for programs that do not ask for that."""
    connection.begin()
    program = (
        "import sys; from pathlib import Path; from tests.support.vaultfile import *\n"
        "from vault.database import connect_append\n"
        "connect_append(Path(sys.argv[1]), FILE_KEY).begin()"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program, str(path)],
        capture_output=True,
        cwd=Path(__file__).parents[2],
        check=False,
    )
    connection.rollback()
    assert b"vault.errors.BusyError: another connection is using the vault" in ended.stderr


def test_checkpointing_inside_a_transaction_is_busy(connection: AppendConnection) -> None:
    """SQLite cannot; it says so by an error."""
    append_batch(connection, 1)
    connection.begin()
    connection.execute("INSERT INTO slot VALUES (1, 0, 0, NULL)")
    with pytest.raises(BusyError):
        connection.truncate_wal()
    connection.rollback()


def test_files_that_stay_are_unchanged(connection: AppendConnection) -> None:
    """Growing, committing and truncating keep the files what they are."""
    assert connection.files_unchanged()
    append_batch(connection, 1)
    assert connection.files_unchanged()
    assert connection.truncate_wal()
    assert connection.files_unchanged()


@pytest.mark.parametrize("name", ["vault.db", "vault.db-wal"])
@pytest.mark.parametrize("is_replaced", [True, False])
def test_a_file_that_was_replaced_or_removed_is_seen(
    path: Path, connection: AppendConnection, name: str, is_replaced: bool
) -> None:
    """SQLite goes on writing to the old file, and what it commits there is lost in silence."""
    append_batch(connection, 1)
    file = path.with_name(name)
    kept = path.with_name("kept")
    file.rename(kept)
    if is_replaced:
        file.write_bytes(kept.read_bytes())
    assert not connection.files_unchanged()
    kept.rename(file)
    assert connection.files_unchanged()


def test_a_vault_replaced_while_it_was_opened_is_seen(path: Path) -> None:
    """The identity is of the file whose key was checked, not of whichever SQLite found."""
    (path.parent / "other").mkdir()
    other = make_vault(path.parent / "other")
    checked = disk.identity(path)
    other.replace(path)
    with AppendConnection(open_keyed(path, FILE_KEY), path, checked) as connection:
        assert not connection.files_unchanged()


def test_a_vault_that_was_gone_before_it_was_opened_is_seen(path: Path) -> None:
    """Nothing then and nothing now is not the same file."""
    gone = path.with_name("gone.db")
    with AppendConnection(open_keyed(path, FILE_KEY), gone, disk.identity(gone)) as connection:
        assert not connection.files_unchanged()


def test_the_name_of_a_new_wal_is_made_durable(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite commits also where it could not sync the folder: a power cut then takes the whole log."""
    synced: list[tuple[Path, bool]] = []
    wal = path.with_name("vault.db-wal")
    monkeypatch.setattr(disk, "sync", lambda folder: synced.append((folder, wal.exists())))
    connect_append(path, FILE_KEY).close()
    assert synced == [(path.parent, True)]


def test_a_wal_whose_name_is_not_durable_takes_no_commit(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The vault is not opened; found by the fault sweep."""

    def refuse(folder: Path) -> None:
        raise StorageError(folder.name)

    with monkeypatch.context() as patched:
        patched.setattr(disk, "sync", refuse)
        with pytest.raises(StorageError):
            connect_append(path, FILE_KEY)
    connect_append(path, FILE_KEY).close()


def test_a_removed_wal_has_no_frames(path: Path, connection: AppendConnection) -> None:
    """Asked for its size only; that it is gone is for files_unchanged to say."""
    path.with_name("vault.db-wal").unlink()
    assert connection.wal_frames == 0


def test_the_librarys_connection_is_not_handed_out(connection: AppendConnection) -> None:
    """Its backup() asks no authorizer and would copy every item."""
    names = [name for name in dir(connection) if not name.startswith("_")]
    values = [getattr(connection, name) for name in names if not callable(getattr(connection, name))]
    assert not [value for value in values if isinstance(value, dbapi2.Connection | dbapi2.Cursor)]
    assert not hasattr(connection, "__dict__")
    assert {"backup", "cursor", "set_authorizer", "open_blob", "reset_key"}.isdisjoint(names)


def test_rows_do_not_lead_back_to_the_connection(connection: AppendConnection) -> None:
    """A cursor has its connection as an attribute; a list has not."""
    assert type(connection.execute("SELECT key FROM meta")) is list


def test_another_thread_cannot_use_a_connection(connection: AppendConnection) -> None:
    """One writer thread a pod: a mistake must not corrupt a transaction."""
    errors: list[Exception] = []

    def use() -> None:
        try:
            connection.execute("SELECT 1 FROM meta")
        except RefusedStatementError as exc:
            errors.append(exc)

    thread = threading.Thread(target=use)
    thread.start()
    thread.join()
    assert "thread" in str(errors[0])


def test_a_closed_connection_is_closed(path: Path) -> None:
    """And closing moved everything into the vault: nothing is beside it."""
    connection = connect_append(path, FILE_KEY)
    append_batch(connection, 1)
    connection.close()
    with pytest.raises(RefusedStatementError, match="closed database"):
        connection.execute("SELECT 1 FROM meta")
    assert os.listdir(path.parent) == ["vault.db"]


def test_a_failed_write_at_commit_leaves_the_outcome_unknown(path: Path) -> None:
    """The kernel refuses to let the WAL grow: nobody can say what of it is on the disk."""
    connection = connect_append(path, FILE_KEY)
    append_batch(connection, 1)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (connection.wal_frames * 4120 + 5000, limits[1]))
    try:
        with pytest.raises(OutcomeUnknownError, match="COMMIT failed, close the vault and open it again"):
            append_batch(connection, 2)
        connection.rollback()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    connection.close()
    with connect_read(path, FILE_KEY) as reading:
        assert reading.execute("SELECT max(batch) FROM batch") == [(1,)]


class _FailingCommit:
    """A real connection of the library whose COMMIT fails with a given result code."""

    def __init__(self, connection: Any, code: int) -> None:
        self._connection = connection
        self._code = code

    @property
    def in_transaction(self) -> bool:
        return bool(self._connection.in_transaction)

    def cursor(self) -> _FailingCommit:
        return self

    def execute(self, sql: str, parameters: Sequence[object] = ()) -> Any:
        if sql == "COMMIT":
            error = dbapi2.OperationalError("the disk")
            error.sqlite_errorcode = self._code
            raise error
        return self._connection.execute(sql, parameters)

    def close(self) -> None:
        self._connection.close()


@pytest.mark.parametrize(
    ("code", "kind"),
    [(13, DiskFullError), (10, OutcomeUnknownError), (11, OutcomeUnknownError), (5, BusyError)],
)
def test_what_a_failed_commit_means(path: Path, code: int, kind: type[Exception]) -> None:
    """A full disk stored nothing, for the frame that commits comes last; other failures prove nothing."""
    faulty: Any = _FailingCommit(open_keyed(path, FILE_KEY), code)
    with WritingConnection(faulty) as connection:
        connection.begin()
        with pytest.raises(kind) as raised:
            connection.commit()
        assert type(raised.value) is kind
        connection.rollback()


_FILLING = """
import sys
from pathlib import Path
from tests.support.vaultfile import FILE_KEY, append_batch, make_vault
from vault.database import connect_append
from vault.errors import DiskFullError

path = make_vault(Path(sys.argv[1]))
connection = connect_append(path, FILE_KEY)
number = 0
try:
    while True:
        append_batch(connection, number + 1)
        number += 1
except DiskFullError:
    connection.rollback()
assert number > 2
assert connection.execute("SELECT max(batch) FROM batch") == [(number,)]
assert connection.files_unchanged()
print("full after", number)
"""


def test_a_full_disk_stores_nothing_of_the_batch(tmp_path: Path) -> None:
    """On a real disk of 400 KiB: what was committed stays, the connection can still be read."""
    assert run_on_small_disk(tmp_path, 400, _FILLING).startswith("full after")


def test_a_reader_reads_everything_and_writes_nothing(path: Path) -> None:
    """Sealed items too; a tool that reads must not be able to change what it judges."""
    with connect_append(path, FILE_KEY) as connection:
        append_batch(connection, 1)
    with connect_read(path, FILE_KEY) as reading:
        assert [seq for (seq, _) in reading.rows("SELECT seq, sealed FROM item ORDER BY seq")] == [1, 2, 3, 4]
        assert list(reading.rows("SELECT seq FROM item WHERE seq > ?", (3,))) == [(4,)]
        for sql in ("INSERT INTO node VALUES (0, 0, x'')", "DELETE FROM item", "CREATE TABLE a (b)"):
            with pytest.raises(StorageError, match="read-only"):
                reading.execute(sql)


def test_a_reading_that_is_given_up_outlives_its_connection(path: Path) -> None:
    """`ls --limit 1` stops in the midst; what is left of it must not speak when Python clears it away."""
    with connect_append(path, FILE_KEY) as connection:
        append_batch(connection, 1)
    with connect_read(path, FILE_KEY) as reading:
        rows = reading.rows("SELECT seq FROM item ORDER BY seq")
        assert next(rows) == (1,)

    rows.close()  # type: ignore[attr-defined]  # a generator, which Python closes so


def test_a_damaged_page_is_said_to_be_damaged(path: Path) -> None:
    """While rows are read, one by one or all."""
    with connect_append(path, FILE_KEY) as connection:
        for number in range(1, 10):
            append_batch(connection, number)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2] + bytes(8192) + whole[len(whole) // 2 + 8192 :])
    with connect_read(path, FILE_KEY) as reading:
        with pytest.raises(DamagedError):
            list(reading.rows("SELECT sealed, name FROM item"))
        assert reading.problems() != []


def test_reading_moves_a_log_into_the_copy_before_checking(tmp_path: Path, path: Path) -> None:
    """SQLCipher's check reads the file alone; pages that are newer in the log are not damage."""
    with Child("writer", tmp_path) as writer:
        writer.ask("commit")
    with path.open("r+b") as file:
        file.seek(2048)
        file.write(bytes(2048))
    with connect_read(path, FILE_KEY) as reading:
        assert isinstance(reading, ReadConnection)
        assert reading.problems() == []
