"""The one door to the sqlcipher3 library: a checked, keyed, hardened connection.

Only this module imports sqlcipher3. It gives its untyped connection a type,
sets every pragma a vault relies on, and puts the library's errors into ours.
Not here: what may be done on a connection (``vault.authorizer``), what a vault
looks like (``vault.migrations``). See FORMAT.md, "The vault", and
https://www.zetetic.net/sqlcipher/sqlcipher-api/.
"""

from __future__ import annotations

import functools
import importlib.metadata
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote

from sqlcipher3 import dbapi2

from vault.errors import BusyError, DamagedError, DiskFullError, StorageError
from vault.keys import FileKey
from vault.undoing import on_failure

LIBRARY_VERSION = (0, 6, 4)
"""The oldest sqlcipher3 with a SQLite that survives opening a hostile file (CVE-2026-11824)."""
CIPHER_VERSION = (4, 19)
"""The oldest SQLCipher the format was tested with."""
CACHED_STATEMENTS = 128
"""Prepared statements a connection keeps: more than a vault's whole vocabulary."""

LIBRARY_ERRORS = (dbapi2.Error, dbapi2.Warning, UnicodeDecodeError, OverflowError)
"""What sqlcipher3 raises; to be caught and given to ``translate``. The last two where SQLite's own message
quotes bytes of a file that are no text, and where a number that follows from one has more than 64 bits."""

_FIRST_PRAGMAS = ("PRAGMA cipher_log_level = NONE",)  # SQLCipher writes to stderr otherwise
_PRAGMAS = (
    "PRAGMA trusted_schema = OFF",
    "PRAGMA cell_size_check = ON",
    "PRAGMA foreign_keys = ON",
    "PRAGMA recursive_triggers = ON",  # REPLACE then fires the triggers that refuse DELETE
    "PRAGMA secure_delete = ON",
    "PRAGMA wal_autocheckpoint = 0",  # only under copy.lock, see vault.locks
    "PRAGMA synchronous = FULL",
)

_READ_SEGMENT_PRAGMAS = ("PRAGMA trusted_schema = OFF", "PRAGMA cell_size_check = ON")
_WRITE_SEGMENT_PRAGMAS = (
    "PRAGMA journal_mode = OFF",
    "PRAGMA synchronous = OFF",
    "PRAGMA locking_mode = EXCLUSIVE",
)

_NO_TEXT = "Could not decode to UTF-8"

# Primary result codes, https://www.sqlite.org/rescode.html
_IOERR, _CORRUPT, _FULL, _CANTOPEN, _NOTADB = 10, 11, 13, 14, 26
_TRANSLATIONS: dict[int, tuple[Callable[[str], Exception], str]] = {
    3: (StorageError, "access to the vault's files was refused; check their owner and mode"),  # PERM
    5: (BusyError, "another connection is using the vault; try again"),  # BUSY
    6: (BusyError, "another statement is using the vault; try again"),  # LOCKED
    7: (StorageError, "there was no memory for the statement; try again"),  # NOMEM
    8: (StorageError, "the vault's files are read-only; check their owner and mode"),  # READONLY
    _IOERR: (StorageError, "the operating system failed a read, write or sync; check the disk"),
    _CORRUPT: (DamagedError, "a page of the vault fails its checks; restore a snapshot, or repair"),
    _FULL: (DiskFullError, "no space is left on the disk; free some and try again"),
    _CANTOPEN: (StorageError, "the vault's files could not be opened; check their owner and mode"),
    _NOTADB: (DamagedError, "a page of the vault does not open under its key; restore a snapshot"),
}
# What sqlite3_errstr() says for them.
_SENTENCES = {
    "database disk image is malformed": _CORRUPT,
    "database or disk is full": _FULL,
    "unable to open database": _CANTOPEN,
    "file is not a database": _NOTADB,
}


class RefusedStatementError(Exception):
    """A statement the vault does not allow: a bug of the program, never of the data it was given."""


class Cursor(Protocol):
    """The part of sqlcipher3's cursor that is used (PEP 249)."""

    def execute(self, sql: str, parameters: Sequence[Any] = ..., /) -> Cursor:
        """Run one statement."""

    def executemany(self, sql: str, parameters: Iterable[Sequence[Any]], /) -> Cursor:
        """Run one statement for each set of parameters."""

    def fetchall(self) -> list[tuple[Any, ...]]:
        """Return the rows that are left."""

    def __iter__(self) -> Iterator[tuple[Any, ...]]: ...


class Connection(Protocol):
    """The part of sqlcipher3's connection that is used (PEP 249, and sqlite3's additions)."""

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open."""

    def cursor(self) -> Cursor:
        """Return a new cursor."""

    def execute(self, sql: str, parameters: Sequence[Any] = ..., /) -> Cursor:
        """Run one statement on a new cursor."""

    def set_key(self, key: str, /) -> None:
        """Call sqlite3_key(): what PRAGMA key does."""

    def set_authorizer(self, callback: Callable[..., int], /) -> None:
        """Ask ``callback`` about everything a statement would do."""

    def set_progress_handler(self, callback: Callable[[], bool], steps: int, /) -> None:
        """Ask ``callback`` after every so many steps of a statement whether to end it."""

    def enable_load_extension(self, is_enabled: bool, /) -> None:  # noqa: FBT001 - the library's signature
        """Allow or refuse native code from files."""

    def close(self) -> None:
        """Close the files."""


def assert_library() -> None:
    """Check at start that the installed sqlcipher3 is the one that was tested.

    Its two siblings on PyPI share the import name and are older: pip lets one
    silently overwrite the other.

    Raises:
        ImportError: sqlcipher3 is not installed under its own name, or it or
            its SQLCipher is too old.
    """
    try:
        version = importlib.metadata.version("sqlcipher3")
    except importlib.metadata.PackageNotFoundError as exc:
        raise ImportError("sqlcipher3 is not installed, though a sibling may be; install it") from exc
    require_version("sqlcipher3", version, LIBRARY_VERSION)
    connection = open_in_memory()
    try:
        require_version("SQLCipher", _cipher_version(connection), CIPHER_VERSION)
    finally:
        connection.close()


@functools.cache
def _assert_library_once() -> None:
    # Whoever opens a vault, a tool or a test, opens it with what was tested.
    assert_library()


def require_version(name: str, found: str, least: tuple[int, ...]) -> None:
    """Raise ImportError unless version ``found`` ("4.19.0 community") is at least ``least``."""
    if tuple(int(digits) for digits in re.findall(r"\d+", found)[:3]) < least:
        wanted = ".".join(str(number) for number in least)
        raise ImportError(f"{name} {wanted} or later is needed, {found or 'none'} is installed; upgrade it")


def open_keyed(path: Path, file_key: FileKey, *, is_writable: bool = True) -> Connection:
    """Open an existing file under its key, with every pragma set.

    Nothing is created. An empty file becomes an empty vault of this key, and a
    wrong key still checkpoints a WAL that is there: whoever did not make the
    file calls ``vault.page_one.verify_page_one`` first.

    Args:
        path: The database file.
        file_key: Used as SQLCipher raw key; exactly 32 bytes by its type.
        is_writable: False opens read-only: closing then is no checkpoint, and
            nothing of the file or its WAL changes.

    Raises:
        StorageError: The file or its WAL cannot be opened, or the file system
            cannot hold a WAL.
        DamagedError: The first page does not open under this key.
    """
    _assert_library_once()
    uri = f"file:{quote(os.fsencode(path.absolute()))}?mode={'rw' if is_writable else 'ro'}"
    try:
        # timeout 0: what waits, and how long, is decided by vault.locks.
        connection: Connection = dbapi2.connect(
            uri, uri=True, timeout=0.0, isolation_level=None, cached_statements=CACHED_STATEMENTS
        )
    except LIBRARY_ERRORS as exc:
        raise translate(exc) from exc
    with on_failure(connection.close):
        _harden(connection, file_key, _PRAGMAS, has_wal=True)
    return connection


def open_segment(path: Path, file_key: FileKey, *, page_bytes: int, is_writable: bool) -> Connection:
    """Open a small file that nobody else knows and that is thrown away: no journal, no locks, no syncing.

    Args:
        path: An existing file, empty if it is to be written, of the caller alone.
        file_key: Used as SQLCipher raw key.
        page_bytes: Its page size; unlike a vault's, no default.
        is_writable: False reads it and nothing beside it: what lies there is not even looked for.

    Returns:
        A connection that has read nothing yet.

    Raises:
        StorageError: It cannot be opened.
    """
    _assert_library_once()
    mode = "mode=rw" if is_writable else "mode=ro&immutable=1"
    uri = f"file:{quote(os.fsencode(path.absolute()))}?{mode}"
    try:
        connection: Connection = dbapi2.connect(uri, uri=True, timeout=0.0, isolation_level=None)
    except LIBRARY_ERRORS as exc:
        raise translate(exc) from exc
    with on_failure(connection.close):
        own = _WRITE_SEGMENT_PRAGMAS if is_writable else _READ_SEGMENT_PRAGMAS
        _harden(connection, file_key, (f"PRAGMA cipher_page_size = {page_bytes}", *own), has_wal=False)
    return connection


def open_in_memory() -> Connection:
    """Open an empty database that no file holds."""
    connection: Connection = dbapi2.connect(":memory:", isolation_level=None)
    return connection


def _harden(connection: Connection, file_key: FileKey, pragmas: Iterable[str], *, has_wal: bool) -> None:
    try:
        for pragma in _FIRST_PRAGMAS:
            connection.execute(pragma)
        # Not PRAGMA key: its text, and so the key, would stay in the statement cache.
        # 64 digits are a raw key; any other length would silently become a passphrase.
        connection.set_key(f"x'{file_key.reveal().hex()}'")
        for pragma in pragmas:
            connection.execute(pragma)
        connection.enable_load_extension(False)  # noqa: FBT003 - the library's signature
        if has_wal:
            use_wal(connection)
    except LIBRARY_ERRORS as exc:
        raise translate(exc) from exc


def use_wal(connection: Connection) -> None:
    """Switch to a write-ahead log.

    Raises:
        StorageError: SQLite kept another journal, as it does where the file
            system has no shared memory.
    """
    ((mode,),) = connection.execute("PRAGMA journal_mode = WAL").fetchall()
    if mode != "wal":
        raise StorageError(f"a write-ahead log is needed, SQLite kept '{mode}'; use a local file system")


def _cipher_version(connection: Connection) -> str:
    return "".join(str(version) for (version,) in connection.execute("PRAGMA cipher_version"))


def translate(exc: Exception) -> Exception:
    """Put an error of sqlcipher3 into our words, to be raised ``from`` the original.

    Args:
        exc: One of ``LIBRARY_ERRORS``.

    Returns:
        A VaultError when the world is at fault; RefusedStatementError when the
        statement is (not authorized, refused by a trigger, a constraint, SQL).
    """
    code = getattr(exc, "sqlite_errorcode", None)
    if isinstance(exc, UnicodeDecodeError) or (code is None and str(exc).startswith(_NO_TEXT)):
        # Not the library's sentence: it quotes what it could not decode.
        return DamagedError("the vault holds text that is no UTF-8; restore a snapshot")
    if isinstance(exc, OverflowError):
        return DamagedError("the vault holds a number beyond what its tables can have; restore a snapshot")
    if code is None:
        return RefusedStatementError(str(exc))
    kind, sentence = _TRANSLATIONS.get(code & 0xFF, (RefusedStatementError, ""))
    return kind(f"{sentence} (SQLite: {exc})" if sentence else str(exc))


def passed_on(error: RefusedStatementError) -> Exception:
    """What a function of SQLCipher met, which keeps SQLite's sentence of an error but not its code.

    Args:
        error: Of a statement of ours that calls nothing but such a function.

    Returns:
        A VaultError, to be raised ``from`` the original.
    """
    sentence = str(error)
    code = next((code for words, code in _SENTENCES.items() if words in sentence), _IOERR)
    kind, ours = _TRANSLATIONS[code]
    return kind(f"{ours} (SQLite: {sentence})")
