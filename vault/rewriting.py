"""A vault's rows in a new file, under another key; every row compared before anybody trusts it.

SQLCipher exports the schema and the rows; then both files are read side by
side. Pages that held what was erased are not carried over. Not here: which file
takes whose place, and when (home's tools); the policy (``vault.rekeying``).
FORMAT.md, "Rotation".
"""

from __future__ import annotations

import itertools
import os
from pathlib import Path

from vault.connection import ReadConnection, WritingConnection
from vault.database import connect_read, read_format
from vault.errors import BusyError, DamagedError
from vault.fresh import make_empty, whole_or_gone
from vault.keys import FileKey
from vault.layout import require_layout
from vault.page_one import verify_page_one
from vault.sqlcipher import RefusedStatementError, open_keyed, passed_on
from vault.wal import holds_frames

_TABLES = "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name"
_MISSING = object()


def rewrite(source: Path, file_key: FileKey, target: Path, new_key: FileKey, *, checkpoint: bytes) -> None:
    """Write a vault's schema and rows into a new file under another key; whole and durable, or not there.

    The caller holds ``vault.lock``, and ``copy.lock`` exclusively. The source's
    rows stay as they are, and its write-ahead log is empty afterwards.

    Args:
        source: Of a vault whose schema is its format's (``vault.inspecting``).
        file_key: Its key.
        target: Must not exist. Mode 0600.
        new_key: The key of ``target``.
        checkpoint: The newest one that was seen when the source was inspected;
            empty if it had no batch.

    Raises:
        DiskFullError: No space is left.
        StorageError: ``target`` exists, or the operating system refused.
        BusyError: Another process reads the source in place.
        DamagedError: A page of the source fails its checks, or what was
            written is not what was read, or not what was inspected.
        VaultError: As ``vault.database.connect_read``.
    """
    verify_page_one(source, file_key)
    make_empty(target)
    with whole_or_gone(target):
        _export(source, file_key, target, new_key)
        _require_no_log(source)
        _compare(source, file_key, target, new_key)
        _require_inspected(target, new_key, checkpoint)


def _export(source: Path, file_key: FileKey, target: Path, new_key: FileKey) -> None:
    with WritingConnection(open_keyed(source, file_key)) as connection:
        connection.truncate_wal()
        # The key is a value, not text of a statement: those stay in a cache.
        connection.execute(
            "ATTACH DATABASE ? AS fresh KEY ?", (os.fspath(target), f"x'{new_key.reveal().hex()}'")
        )
        try:
            connection.execute("SELECT sqlcipher_export('fresh')")
        except RefusedStatementError as exc:
            # It passes on SQLite's sentence, and the code of a wrong statement.
            raise passed_on(exc) from exc
        connection.execute("DETACH DATABASE fresh")
        connection.truncate_wal()


def _require_no_log(source: Path) -> None:
    if holds_frames(source.with_name(f"{source.name}-wal")):
        raise BusyError("another process reads the vault in place; stop it, then try again")


def _compare(source: Path, file_key: FileKey, target: Path, new_key: FileKey) -> None:
    verify_page_one(target, new_key)
    with connect_read(source, file_key) as old, connect_read(target, new_key) as new:
        require_layout(new, read_format(new))
        for (table,) in new.execute(_TABLES):
            _compare_table(old, new, table)
        if problems := new.problems():
            raise DamagedError(f"the vault that was written fails its check: {problems[0]}; try again")


def _compare_table(old: ReadConnection, new: ReadConnection, table: str) -> None:
    # A name of the format's own schema. Each table's primary key is its first column, or its first two.
    sql = f"SELECT * FROM {table} ORDER BY 1, 2"  # noqa: S608  # said above
    for row, written in itertools.zip_longest(old.rows(sql), new.rows(sql), fillvalue=_MISSING):
        if row != written:
            raise DamagedError(
                f"the table {table} was not written as it was read; nothing was changed. "
                "Run `check`, then try again"
            )


def _require_inspected(target: Path, new_key: FileKey, checkpoint: bytes) -> None:
    """Refuse an older vault that somebody put in the source's place since it was inspected."""
    with connect_read(target, new_key) as new:
        found = new.execute("SELECT checkpoint FROM batch ORDER BY batch DESC LIMIT 1")
    if found != ([(checkpoint,)] if checkpoint else []):
        raise DamagedError(
            "vault.db was replaced while it was read; nothing was changed. Put the newest one back, "
            "then try again"
        )
