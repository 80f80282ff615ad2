"""The vault as an SQLCipher file: created, opened to append, opened to read, upgraded.

Each function leads to one kind of ``vault.connection``, and refuses a file that
is missing, empty, plaintext, cut, of another key or of another format before it
changes a byte. Not here: what rows mean (``vault.store``, ``vault.reader``),
and waiting for locks (``vault.locks``), which the callers hold. See FORMAT.md,
"The vault".
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from vault import disk
from vault.connection import AppendConnection, InspectConnection, ReadConnection, Row, WritingConnection
from vault.encoding import from_le32, le32
from vault.errors import (
    BusyError,
    DamagedError,
    FormatTooNewError,
    FormatTooOldError,
    MalformedError,
)
from vault.fresh import make_empty, whole_or_gone
from vault.keys import FileKey
from vault.migrations import FORMAT, META, STEPS, Step
from vault.page_one import verify_page_one
from vault.rows import typed
from vault.sqlcipher import RefusedStatementError, open_keyed
from vault.undoing import on_failure

_FORMAT_KEY = "format"
_NO_VAULT = "the file opens under its key but says no format: it is no vault"


INSERT_POLICY = "INSERT INTO policy (revision, hash, pod_toml, slots_json) VALUES (?, ?, ?, ?)"
"""Takes a ``PolicyRow``."""


class PolicyRow(NamedTuple):
    """One row of the table ``policy``; see ``vault.migrations``."""

    revision: int
    digest: bytes
    pod_toml: bytes
    slots_json: bytes


class Rows(Protocol):
    """Anything that answers a statement with its rows."""

    def execute(self, sql: str, parameters: Sequence[object] = ..., /) -> list[Row]:
        """Run one statement and return all of its rows."""


def create(path: Path, file_key: FileKey, *, meta: Mapping[str, bytes], policy_row: PolicyRow) -> None:
    """Make a new, empty vault, durable when this returns.

    There is no way to make one without a key, and so a plaintext one.

    Args:
        path: Must not exist. Created with mode 0600.
        file_key: Its SQLCipher raw key from now on.
        meta: The rows of ``meta``; ``format`` is set to this program's.
        policy_row: The policy the vault starts with.

    Raises:
        StorageError: ``path`` exists already, or cannot be made. What was made
            so far is removed, unless that is refused too.
        DiskFullError: No space is left; likewise.
    """
    make_empty(path)
    with whole_or_gone(path):
        _fill(path, file_key, {**meta, _FORMAT_KEY: le32(FORMAT)}, policy_row)
        verify_page_one(path, file_key)


def connect_append(path: Path, file_key: FileKey) -> AppendConnection:
    """Open a vault to append to it, after checking the key against its first page.

    The caller holds ``vault.lock``, and ``copy.lock`` exclusively until this
    returns: a refusal closes the file, and closing is a checkpoint. No other
    connection to the vault may be open in this process.

    Raises:
        MissingError: Nothing is there; a vault is never created here.
        EmptyFileError: The file is empty.
        PlaintextError: It is an unencrypted SQLite file.
        TruncatedError: It does not end at the end of a page.
        WrongKeyError: Its first page does not authenticate under ``file_key``.
        FormatTooNewError: Written by a later version of this program.
        FormatTooOldError: Written by an earlier one; upgrade it.
        DamagedError: It opens, but is no vault, or fails its checks.
        StorageError: The operating system refused.
    """
    verify_page_one(path, file_key)
    # Remembered before SQLite opens it: a replacement in between is then seen, not missed.
    vault_file = disk.identity(path)
    connection = open_keyed(path, file_key)
    with on_failure(connection.close):
        append = AppendConnection(connection, path, vault_file)
        # Its authorizer keeps the schema from it; who opens a vault to append has inspected it before.
        _require_format(_said_format(append))
    return append


def connect_inspect(path: Path, file_key: FileKey) -> InspectConnection:
    """Look at a vault that is about to be opened to append; not a byte of it changes, nor of its WAL.

    The caller holds ``vault.lock``. Raises what ``connect_append`` does.
    """
    verify_page_one(path, file_key)
    connection = open_keyed(path, file_key, is_writable=False)
    with on_failure(connection.close):
        inspect = InspectConnection(connection)
        _require_format(read_format(inspect))
    return inspect


def inspect_format(path: Path, file_key: FileKey) -> int:
    """Return the format number of a vault of any format; not a byte of it changes, nor of its WAL.

    The caller holds ``vault.lock``. Raises what ``connect_append`` does, but
    for FormatTooOldError and FormatTooNewError.
    """
    verify_page_one(path, file_key)
    connection = open_keyed(path, file_key, is_writable=False)
    try:
        return read_format(InspectConnection(connection))
    finally:
        connection.close()


def connect_read(path: Path, file_key: FileKey) -> ReadConnection:
    """Open the vault of a private copy to read everything in it, of this format or an earlier one.

    The copy is the caller's alone, files beside it included: SQLite makes a
    ``-shm`` file, and closing moves the WAL into the copy. Raises what
    ``connect_append`` does, but for FormatTooOldError.
    """
    verify_page_one(path, file_key)
    connection = open_keyed(path, file_key)
    with on_failure(connection.close):
        connection.execute("PRAGMA query_only = ON")
        read = ReadConnection(connection)
        _refuse_newer(read_format(read), FORMAT)
    return read


def upgrade(path: Path, file_key: FileKey, steps: Sequence[Step] = STEPS) -> int:
    """Bring a vault of an earlier format to the latest of ``steps``, in one transaction.

    The caller holds ``vault.lock``, and ``copy.lock`` exclusively. A vault of
    the latest format is left as it is.

    Args:
        path: Of ``vault.db``.
        file_key: Its key.
        steps: All steps from 1, in order.

    Returns:
        The format the vault had before.

    Raises:
        DamagedError: A page fails SQLCipher's check, or the upgraded tables
            SQLite's: nothing was changed.
        BusyError: Another process has the vault open. It may be upgraded or
            not, and is whole: a second call does what is left.
        VaultError: Otherwise as ``connect_append``, but for FormatTooOldError.
    """
    verify_page_one(path, file_key)
    with WritingConnection(open_keyed(path, file_key)) as connection:
        found = read_format(connection)
        _refuse_newer(found, steps[-1].number)
        if missing := [step for step in steps if step.number > found]:
            _upgrade(connection, missing)
    return found


def read_format(connection: Rows) -> int:
    """Return the format number of an open vault.

    Its table is looked at first: whoever has the file key can make ``meta`` a
    view without end, and reading it would never return.

    Raises:
        DamagedError: It says none: the file is a database, but not a vault.
    """
    if connection.execute("SELECT sql FROM sqlite_schema WHERE name = 'meta'") != [(META,)]:
        raise DamagedError(_NO_VAULT)
    return _said_format(connection)


def _said_format(connection: Rows) -> int:
    try:
        found = connection.execute("SELECT value FROM meta WHERE key = ?", (_FORMAT_KEY,))
    except RefusedStatementError as exc:
        raise DamagedError(_NO_VAULT) from exc
    # A page that fails its checks says so itself; what follows is about what the row holds.
    try:
        ((value,),) = typed(found, list[tuple[bytes]])
        return from_le32(value)
    except (ValueError, MalformedError, DamagedError) as exc:
        raise DamagedError(_NO_VAULT) from exc


def _require_format(found: int) -> None:
    _refuse_newer(found, FORMAT)
    if found < FORMAT:
        raise FormatTooOldError(f"the vault has format {found}, {FORMAT} is needed to write; run `upgrade`")


def _refuse_newer(found: int, known: int) -> None:
    if found > known:
        raise FormatTooNewError(f"the vault has format {found}, {known} is known here; use a later version")


def _fill(path: Path, file_key: FileKey, meta: Mapping[str, bytes], policy_row: PolicyRow) -> None:
    with WritingConnection(open_keyed(path, file_key)) as connection:
        connection.begin()
        _run(connection, STEPS)
        connection.executemany("INSERT INTO meta (key, value) VALUES (?, ?)", meta.items())
        connection.execute(INSERT_POLICY, policy_row)
        connection.commit()
        # Closing moves the log as well, but is silent when it cannot.
        connection.truncate_wal()


def _upgrade(connection: WritingConnection, missing: Sequence[Step]) -> None:
    _settle(connection)
    connection.begin()
    _run(connection, missing)
    with _lifted(connection, "meta_update"):
        new_format = le32(missing[-1].number)
        connection.execute("UPDATE meta SET value = ? WHERE key = ?", (new_format, _FORMAT_KEY))
    _require_sound(connection, "PRAGMA integrity_check")
    connection.commit()
    _settle(connection)


def _settle(connection: WritingConnection) -> None:
    """Move the log into the vault, which SQLCipher's check reads without it, and check."""
    if not connection.truncate_wal():
        raise BusyError("another process has the vault open; stop it, then run `upgrade` again")
    _require_sound(connection, "PRAGMA cipher_integrity_check")


def _run(connection: WritingConnection, steps: Sequence[Step]) -> None:
    for step in steps:
        for statement in step.statements:
            connection.execute(statement)


@contextlib.contextmanager
def _lifted(connection: WritingConnection, trigger: str) -> Iterator[None]:
    """Let the open transaction do what ``trigger`` forbids; it stands again as it was before COMMIT."""
    ((sql,),) = connection.execute("SELECT sql FROM sqlite_schema WHERE name = ?", (trigger,))
    connection.execute(f"DROP TRIGGER {trigger}")
    yield
    connection.execute(sql)


def _require_sound(connection: Rows, check: str) -> None:
    problems = [problem for (problem,) in connection.execute(check) if problem != "ok"]
    if problems:
        raise DamagedError(f"the vault fails its check: {problems[0]}; restore a snapshot, then upgrade that")
