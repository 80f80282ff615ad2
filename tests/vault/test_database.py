"""Creating, opening and upgrading a vault; and that another SQLCipher reads it."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import Any

import apsw
import pytest

from tests.support.child import Child
from tests.support.vaultfile import (
    FILE_KEY,
    ITEMS,
    META,
    POLICY,
    WRONG_KEY,
    append_batch,
    make_vault,
    raw_connection,
)
from vault import disk
from vault.database import (
    connect_append,
    connect_inspect,
    connect_read,
    create,
    inspect_format,
    read_format,
    upgrade,
)
from vault.encoding import le32
from vault.errors import (
    DamagedError,
    DiskFullError,
    FormatTooNewError,
    FormatTooOldError,
    MissingError,
    PlaintextError,
    StorageError,
    VaultError,
    WrongKeyError,
)
from vault.migrations import FORMAT
from vault.migrations import META as META_TABLE
from vault.sqlcipher import RefusedStatementError

LOOSE_META = META_TABLE.replace("NOT NULL ", "").replace("STRICT, ", "").replace("BLOB NOT NULL", "BLOB")
OPENERS = [connect_append, connect_inspect, connect_read, upgrade]


def _set_format(path: Path, value: object) -> None:
    """Change what a vault says of itself, as a later or earlier program would have written it."""
    connection = raw_connection(path)
    connection.execute("DROP TRIGGER meta_update")
    connection.execute("UPDATE meta SET value = ? WHERE key = 'format'", (value,))
    connection.close()


def _without_meta(path: Path) -> None:
    connection = raw_connection(path)
    connection.execute("DROP TABLE meta")
    connection.close()


def test_a_new_vault_holds_what_it_was_given(path: Path) -> None:
    """And nothing else."""
    with connect_read(path, FILE_KEY) as connection:
        assert dict(connection.execute("SELECT key, value FROM meta")) == META
        assert connection.execute("SELECT * FROM policy") == [tuple(POLICY)]
        assert connection.execute("SELECT * FROM batch") == []
        assert connection.problems() == []


def test_a_new_vault_says_its_format_whatever_the_caller_said(tmp_path: Path) -> None:
    """Only this module knows which tables it made."""
    path = tmp_path / "vault.db"
    create(path, FILE_KEY, meta={"format": le32(99)}, policy_row=POLICY)
    with connect_inspect(path, FILE_KEY) as connection:
        assert read_format(connection) == FORMAT


def test_a_new_vault_is_encrypted(path: Path) -> None:
    """Without a key SQLCipher would write an ordinary SQLite file, and say nothing."""
    content = path.read_bytes()
    assert not content.startswith(b"SQLite format 3")
    assert b"CREATE TABLE" not in content
    assert POLICY.pod_toml not in content


def test_a_new_vault_is_whole_in_one_private_file(path: Path) -> None:
    """Nothing is left in a write-ahead log that could be forgotten when the file is copied."""
    assert os.listdir(path.parent) == ["vault.db"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_no_umask_makes_the_files_readable_to_others(tmp_path: Path, umask: int) -> None:
    """The log and the shared memory file take the vault's mode."""
    before = os.umask(umask)
    try:
        path = make_vault(tmp_path)
        with connect_append(path, FILE_KEY) as connection:
            append_batch(connection, 1)
            modes = {stat.S_IMODE(entry.stat().st_mode) for entry in path.parent.iterdir()}
    finally:
        os.umask(before)
    assert modes == {0o600}


@pytest.mark.parametrize("content", [b"", b"something"])
def test_an_existing_file_is_left_as_it_is(tmp_path: Path, content: bytes) -> None:
    """An empty one too: whoever made it may be about to fill it."""
    path = tmp_path / "vault.db"
    path.write_bytes(content)
    with pytest.raises(StorageError, match="exists already and was left as it is"):
        make_vault(tmp_path)
    assert path.read_bytes() == content


def test_a_dangling_link_is_not_followed(tmp_path: Path) -> None:
    """Creating where a link leads would put the vault outside its folder."""
    (tmp_path / "vault.db").symlink_to("elsewhere")
    with pytest.raises(StorageError, match="exists already"):
        make_vault(tmp_path)
    assert not (tmp_path / "elsewhere").exists()


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    """It is not made on the way."""
    with pytest.raises(StorageError, match=r"vault\.db: the operating system refused: No such file"):
        make_vault(tmp_path / "absent")


def test_a_vault_that_could_not_be_finished_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A half-made one would be taken for a vault at the next attempt."""

    def full(path: Path) -> None:
        raise DiskFullError(path.name)

    monkeypatch.setattr(disk, "sync", full)
    with pytest.raises(DiskFullError):
        make_vault(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_half_made_vault_that_cannot_be_removed_does_not_hide_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that fails one call often fails the next; found by the fault sweep."""

    def refuse(path: Path, *, missing_ok: bool = False) -> None:
        assert missing_ok
        raise OSError(errno.EIO, "Input/output error", str(path))

    def full(path: Path) -> None:
        raise DiskFullError(path.name)

    monkeypatch.setattr(disk, "sync", full)
    monkeypatch.setattr(Path, "unlink", refuse)
    with pytest.raises(DiskFullError):
        make_vault(tmp_path)


def test_a_vault_that_sqlite_refuses_is_removed(tmp_path: Path) -> None:
    """Also when the fault is in the rows, and SQLite has made its own files: here text for a BLOB."""
    meta: Any = {"pod_id": "text"}
    with pytest.raises(RefusedStatementError, match="cannot store TEXT value in BLOB column"):
        create(tmp_path / "vault.db", FILE_KEY, meta=meta, policy_row=POLICY)
    assert list(tmp_path.iterdir()) == []


def test_creating_syncs_the_file_and_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A vault lost to a power cut after `init` said it was made would take its keys' sense with it."""
    synced: list[Path] = []
    monkeypatch.setattr(disk, "sync", synced.append)
    path = make_vault(tmp_path)
    assert synced == [path, tmp_path]


@pytest.mark.parametrize("found", [0, FORMAT, FORMAT + 1, 2**32 - 1])
def test_any_format_can_be_asked_for(path: Path, found: int) -> None:
    """`upgrade` names it before it does anything, also one nobody has written yet."""
    _set_format(path, le32(found))
    before = path.read_bytes()

    assert inspect_format(path, FILE_KEY) == found
    assert path.read_bytes() == before


@pytest.mark.parametrize("connect", [connect_append, connect_inspect, connect_read])
def test_a_wrong_key_is_refused(path: Path, connect: Any) -> None:
    """Before SQLCipher sees the file; see test_page_one."""
    with pytest.raises(WrongKeyError):
        connect(path, WRONG_KEY)


@pytest.mark.parametrize("open_", OPENERS)
def test_a_missing_vault_is_missing(tmp_path: Path, open_: Any) -> None:
    """And stays so."""
    with pytest.raises(MissingError):
        open_(tmp_path / "vault.db", FILE_KEY)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("open_", OPENERS)
def test_a_plaintext_database_is_refused(tmp_path: Path, open_: Any) -> None:
    """It opens under no key; SQLCipher would only say that it is not a database."""
    connection = apsw.Connection(str(tmp_path / "vault.db"))
    connection.execute("CREATE TABLE meta (key, value)")
    connection.close()
    with pytest.raises(PlaintextError, match="an unencrypted SQLite file"):
        open_(tmp_path / "vault.db", FILE_KEY)


@pytest.mark.parametrize("open_", OPENERS)
def test_a_later_format_is_refused(path: Path, open_: Any) -> None:
    """What this program does not know it must neither write nor explain."""
    _set_format(path, le32(FORMAT + 1))
    with pytest.raises(FormatTooNewError, match=f"the vault has format {FORMAT + 1}, {FORMAT} is known here"):
        open_(path, FILE_KEY)


def test_an_earlier_format_is_read_but_not_written(path: Path) -> None:
    """Old snapshots stay readable; writing waits for `upgrade`."""
    _set_format(path, le32(FORMAT - 1))
    for connect in (connect_inspect, connect_append):
        with pytest.raises(FormatTooOldError, match="run `upgrade`"):
            connect(path, FILE_KEY)
    with connect_read(path, FILE_KEY) as connection:
        assert read_format(connection) == FORMAT - 1


@pytest.mark.parametrize("value", [b"", b"1", le32(1) + b"\0", None])
@pytest.mark.parametrize("open_", OPENERS)
def test_a_vault_that_does_not_say_its_format_is_damaged(path: Path, open_: Any, value: bytes | None) -> None:
    """No number is guessed."""
    if value is None:
        connection = raw_connection(path)
        connection.execute("DROP TRIGGER meta_delete")
        connection.execute("DELETE FROM meta")
        connection.close()
    else:
        _set_format(path, value)
    with pytest.raises(DamagedError, match="says no format"):
        open_(path, FILE_KEY)


@pytest.mark.parametrize("open_", OPENERS)
def test_another_database_under_the_same_key_is_no_vault(path: Path, open_: Any) -> None:
    """A segment, for one."""
    _without_meta(path)
    with pytest.raises(DamagedError, match="it is no vault"):
        open_(path, FILE_KEY)


@pytest.mark.parametrize("value", ["NULL", "1"])
@pytest.mark.parametrize("open_", OPENERS)
def test_a_format_of_another_type_is_no_format(path: Path, open_: Any, value: str) -> None:
    """A STRICT table checks what SQLite inserts, not what a file already holds."""
    connection = raw_connection(path)
    connection.execute("DROP TRIGGER meta_update")
    connection.execute("PRAGMA writable_schema = ON")
    connection.execute("UPDATE sqlite_schema SET sql = ? WHERE name = 'meta'", (LOOSE_META,))
    connection.execute("PRAGMA schema_version = 1000")
    connection.close()
    connection = raw_connection(path)
    connection.execute(f"UPDATE meta SET value = {value} WHERE key = 'format'")
    connection.execute("PRAGMA writable_schema = ON")
    connection.execute("UPDATE sqlite_schema SET sql = ? WHERE name = 'meta'", (META_TABLE,))
    connection.close()
    with pytest.raises(DamagedError, match="says no format"):
        open_(path, FILE_KEY)


@pytest.mark.parametrize("open_", [connect_inspect, connect_read, upgrade])
def test_a_view_in_the_place_of_meta_is_not_read(path: Path, open_: Any) -> None:
    """Who has the file key can make one without end: reading it would never return."""
    _without_meta(path)
    connection = raw_connection(path)
    connection.execute(
        "CREATE VIEW meta AS WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)"
        " SELECT 'format' AS key, x'01000000' AS value FROM n WHERE i < 0"
    )
    connection.close()
    with pytest.raises(DamagedError, match="it is no vault"):
        open_(path, FILE_KEY)


@pytest.mark.parametrize(
    "forgery",
    [
        "UPDATE sqlite_schema SET sql = sql || CAST(x'2d2dff' AS TEXT) WHERE name = 'meta'",
        "INSERT INTO sqlite_schema VALUES ('table', 'x', 'x', 0, CAST(x'43524541ff' AS TEXT))",
    ],
)
@pytest.mark.parametrize("open_", [connect_inspect, connect_read, upgrade])
def test_text_that_is_no_text_is_damage_and_not_quoted(path: Path, open_: Any, forgery: str) -> None:
    """The library fails on it in two ways of its own, and its sentence holds the bytes."""
    connection = raw_connection(path)
    connection.execute("PRAGMA writable_schema = ON")
    connection.execute(forgery)
    connection.close()
    with pytest.raises(DamagedError) as raised:
        open_(path, FILE_KEY)
    assert "CREA" not in str(raised.value)


@pytest.mark.parametrize("open_", OPENERS)
def test_a_refused_vault_is_closed(path: Path, open_: Any) -> None:
    """No file stays open. Looking cannot remove the empty log that SQLite makes for it."""
    _without_meta(path)
    with pytest.raises(DamagedError):
        open_(path, FILE_KEY)
    beside = {} if open_ is not connect_inspect else {"vault.db-wal": 0, "vault.db-shm": 32768}
    assert {file.name: file.stat().st_size for file in path.parent.iterdir() if file != path} == beside
    still_open = [os.path.realpath(f"/proc/self/fd/{name}") for name in os.listdir("/proc/self/fd")]
    assert str(path) not in still_open


def test_looking_leaves_a_write_ahead_log_as_it_is(tmp_path: Path, path: Path) -> None:
    """A vault that is then refused must be found as it was: closing to read is no checkpoint."""
    with Child("writer", tmp_path) as writer:
        writer.ask("commit")
    wal = path.with_name("vault.db-wal")
    before = (path.read_bytes(), wal.read_bytes())
    with connect_inspect(path, FILE_KEY) as connection:
        assert connection.execute("SELECT max(seq) FROM item") == [(ITEMS,)]
    assert (path.read_bytes(), wal.read_bytes()) == before


def test_an_independent_implementation_reads_the_vault(path: Path) -> None:
    """SQLite3MultipleCiphers shares no code with SQLCipher: the format is a format, not a program."""
    with connect_append(path, FILE_KEY) as connection:
        append_batch(connection, 1)
    other = apsw.Connection(str(path))
    for pragma in ("cipher = 'sqlcipher'", "legacy = 4", f"key = \"x'{FILE_KEY.reveal().hex()}'\""):
        other.execute(f"PRAGMA {pragma}").fetchall()
    meta: Any = other.execute("SELECT key, value FROM meta").fetchall()
    assert dict(meta) == META
    assert other.execute("SELECT seq, sealed FROM item ORDER BY seq LIMIT 1").fetchall() == [(1, b"s" * 3000)]
    assert other.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    with pytest.raises(apsw.ConstraintError, match="rows are never deleted"):
        other.execute("DELETE FROM item")
    other.close()


def test_every_refusal_is_a_vault_error(path: Path) -> None:
    """Whatever a file's bytes are, a caller needs one except clause."""
    whole = path.read_bytes()
    for size in (1, 16, 100, 4095, 4096, 4097, 8192, len(whole) - 1):
        path.write_bytes(whole[:size])
        with pytest.raises(VaultError):
            connect_read(path, FILE_KEY)
