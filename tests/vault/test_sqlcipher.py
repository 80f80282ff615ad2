"""The library is the tested one, its connection is hardened, and its errors are ours."""

from __future__ import annotations

import ctypes
import importlib.metadata
import os
import stat
import time
from pathlib import Path

import pytest
from sqlcipher3 import _sqlite3, dbapi2

from tests.support.vaultfile import FILE_KEY, WRONG_KEY, make_vault
from vault import sqlcipher
from vault.errors import BusyError, DamagedError, DiskFullError, StorageError
from vault.sqlcipher import (
    RefusedStatementError,
    assert_library,
    open_keyed,
    open_segment,
    passed_on,
    require_version,
    translate,
    use_wal,
)


def test_the_installed_library_is_the_tested_one() -> None:
    """What a server asks at its start."""
    assert_library()


def test_a_sibling_under_the_same_import_name_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """sqlcipher3-binary is older, and pip installs it over sqlcipher3 without a word."""

    def not_installed(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", not_installed)
    with pytest.raises(ImportError, match="sqlcipher3 is not installed, though a sibling may be"):
        assert_library()


@pytest.mark.parametrize("found", ["4.19.0 community", "4.20.1 enterprise", "5.0", "4.19"])
def test_later_versions_are_accepted(found: str) -> None:
    """Versions are numbers, not text: 4.20 comes after 4.19, and after 4.2."""
    require_version("SQLCipher", found, (4, 19))


@pytest.mark.parametrize("found", ["4.18.9 community", "4.2.0", "3.53", ""])
def test_earlier_versions_and_plain_sqlite_are_refused(found: str) -> None:
    """Plain SQLite answers nothing to PRAGMA cipher_version, and would write plaintext."""
    with pytest.raises(ImportError, match=r"SQLCipher 4\.19 or later is needed"):
        require_version("SQLCipher", found, (4, 19))


@pytest.mark.parametrize(
    ("pragma", "value"),
    [
        ("journal_mode", "wal"),
        ("synchronous", 2),
        ("wal_autocheckpoint", 0),
        ("trusted_schema", 0),
        ("cell_size_check", 1),
        ("foreign_keys", 1),
        ("recursive_triggers", 1),
        ("secure_delete", 1),
        ("temp_store", 0),
        ("page_size", "4096"),
    ],
)
def test_every_pragma_is_in_force(tmp_path: Path, pragma: str, value: object) -> None:
    """SQLite ignores a misspelt pragma; temp_store 0 is the build's own: memory."""
    connection = open_keyed(make_vault(tmp_path), FILE_KEY)
    assert connection.execute(f"PRAGMA {pragma}").fetchall() == [(value,)]
    connection.close()


def test_temporary_tables_stay_in_memory(tmp_path: Path) -> None:
    """A sorter that spills to disk would spill plaintext."""
    connection = open_keyed(make_vault(tmp_path), FILE_KEY)
    assert ("TEMP_STORE=2",) in connection.execute("PRAGMA compile_options").fetchall()
    connection.close()


def test_no_native_code_is_loaded(tmp_path: Path) -> None:
    """An extension runs with every right the process has."""
    connection = open_keyed(make_vault(tmp_path), FILE_KEY)
    with pytest.raises(dbapi2.OperationalError, match="not authorized"):
        connection.execute("SELECT load_extension('libm.so.6')")
    connection.close()


def test_a_file_that_is_not_there_is_not_created(tmp_path: Path) -> None:
    """Creating is the maintainer's act."""
    with pytest.raises(StorageError, match="could not be opened"):
        open_keyed(tmp_path / "vault.db", FILE_KEY)
    assert list(tmp_path.iterdir()) == []


def test_a_path_with_signs_of_an_address_is_that_path(tmp_path: Path) -> None:
    """The path stands in a URI: '?mode=memory' in a folder's name must stay a name."""
    folder = tmp_path / "a?mode=memory#b%41 c"
    folder.mkdir()
    path = make_vault(folder)
    assert stat.S_ISREG(path.stat().st_mode)
    assert [entry.name for entry in tmp_path.iterdir()] == [folder.name]
    open_keyed(path, FILE_KEY).close()


def test_a_path_that_is_not_unicode_is_opened(tmp_path: Path) -> None:
    """Linux allows any bytes in a name."""
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff\xfe"))
    folder.mkdir()
    open_keyed(make_vault(folder), FILE_KEY).close()


def test_nothing_is_written_to_stderr(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """SQLCipher logs there on its own; a server's logs are for what it decides to say."""
    with pytest.raises(DamagedError):
        open_keyed(make_vault(tmp_path), WRONG_KEY)
    assert capfd.readouterr() == ("", "")


def test_no_statement_holds_the_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Statements are cached and can be traced; the key is set by a call instead."""
    path = make_vault(tmp_path)
    statements: list[str] = []

    class Traced(dbapi2.Connection):  # type: ignore[misc]  # the library has no types
        def execute(self, sql: str, *parameters: object) -> object:
            statements.append(sql)
            return super().execute(sql, *parameters)

    connect = dbapi2.connect
    monkeypatch.setattr(dbapi2, "connect", lambda *args, **kwargs: connect(*args, factory=Traced, **kwargs))
    open_keyed(path, FILE_KEY).close()
    assert "PRAGMA cipher_log_level = NONE" in statements
    assert not [sql for sql in statements if FILE_KEY.reveal().hex() in sql]


def test_a_place_without_a_write_ahead_log_is_refused() -> None:
    """An in-memory database stands for a file system without shared memory: both keep their journal."""
    connection = dbapi2.connect(":memory:")
    with pytest.raises(StorageError, match="SQLite kept 'memory'; use a local file system"):
        use_wal(connection)
    connection.close()


def test_a_file_under_another_journals_lock_is_busy(tmp_path: Path) -> None:
    """At once: sqlite3's own 5 seconds of waiting would block the one thread that writes."""
    path = make_vault(tmp_path)
    holder = dbapi2.connect(path, isolation_level=None)
    holder.set_key(f"x'{FILE_KEY.reveal().hex()}'")
    holder.execute("PRAGMA locking_mode = EXCLUSIVE")
    holder.execute("BEGIN EXCLUSIVE")
    took = []
    for _ in range(3):
        began = time.monotonic()
        with pytest.raises(BusyError):
            open_keyed(path, FILE_KEY)
        took.append(time.monotonic() - began)
    assert min(took) < 3
    holder.close()


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (5, BusyError),
        (5 | 2 << 8, BusyError),
        (6, BusyError),
        (3, StorageError),
        (7, StorageError),
        (8, StorageError),
        (10, StorageError),
        (10 | 4 << 8, StorageError),
        (13, DiskFullError),
        (14, StorageError),
        (11, DamagedError),
        (26, DamagedError),
        (1, RefusedStatementError),
        (19, RefusedStatementError),
        (19 | 7 << 8, RefusedStatementError),
        (20, RefusedStatementError),
        (23, RefusedStatementError),
    ],
)
def test_each_result_code_has_its_error(code: int, kind: type[Exception]) -> None:
    """Extended codes carry the primary one in their low byte."""
    error = dbapi2.OperationalError("SQLite's words")
    error.sqlite_errorcode = code
    assert type(translate(error)) is kind
    assert "SQLite's words" in str(translate(error))


def test_a_sentence_that_was_passed_on_has_the_error_of_its_code() -> None:
    """What is not known is the operating system's fault."""
    for code, kind in ((11, DamagedError), (13, DiskFullError), (26, DamagedError), (10, StorageError)):
        error = passed_on(RefusedStatementError(_errstr(code)))
        assert type(error) is kind
        assert _errstr(code) in str(error)


def _errstr(code: int) -> str:
    library = ctypes.CDLL(_sqlite3.__file__)
    library.sqlite3_errstr.restype = ctypes.c_char_p
    return str(library.sqlite3_errstr(code).decode())


def test_a_segment_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    """Whoever writes one makes its file first."""
    for is_writable in (True, False):
        with pytest.raises(StorageError, match="could not be opened"):
            open_segment(tmp_path / "segment", FILE_KEY, page_bytes=1024, is_writable=is_writable)
    assert list(tmp_path.iterdir()) == []


def test_an_error_of_the_library_itself_is_a_bug() -> None:
    """It has no result code: a closed connection, another thread, two statements in one."""
    connection = dbapi2.connect(":memory:")
    connection.close()
    with pytest.raises(dbapi2.ProgrammingError) as raised:
        connection.execute("SELECT 1")
    assert type(translate(raised.value)) is RefusedStatementError


def test_no_vault_is_opened_with_another_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sibling of sqlcipher3 shares its import name; whoever opens a vault first finds out."""
    vault = make_vault(tmp_path)
    sqlcipher._assert_library_once.cache_clear()
    with monkeypatch.context() as patched:
        patched.setattr(sqlcipher, "LIBRARY_VERSION", (99,))
        with pytest.raises(ImportError, match="99 or later is needed"):
            sqlcipher.open_keyed(vault, FILE_KEY)
    sqlcipher.open_keyed(vault, FILE_KEY).close()
