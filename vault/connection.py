"""Connections to a vault that never hand out the library's own.

``AppendConnection`` is all a server has: it cannot read an item even sealed.
``InspectConnection`` looks before that and changes not a byte, its log included.
``ReadConnection`` is what tools have on their own copy; it cannot write.
``WritingConnection`` may do anything the triggers allow, and lives for one call
of creating or upgrading. Not here: how they are opened (``vault.database``).
See FORMAT.md, "The vault".
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Self

from vault import disk
from vault.authorizer import authorize, authorize_inspecting, refuse_unseen_reads
from vault.disk import FileIdentity
from vault.errors import BusyError, DamagedError, DiskFullError, OutcomeUnknownError, StorageError
from vault.sqlcipher import LIBRARY_ERRORS, Connection, translate
from vault.wal import FRAME_BYTES, HEADER_BYTES

Row = tuple[Any, ...]
"""One row of an answer, a value for each column."""


class _Statements:
    """Runs statements on a connection that stays inside, for the thread that made it."""

    # Two underscores, as `backup`, `open_blob` and `reset_key` of what is inside ask no authorizer.
    __slots__ = ("__connection", "__cursor")

    def __init__(self, connection: Connection) -> None:
        self.__connection = connection
        self.__cursor = connection.cursor()

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> list[Row]:
        """Run one statement and return all of its rows.

        Args:
            sql: A constant; values go into ``parameters``.
            parameters: One value for each ``?``.

        Raises:
            DiskFullError: No space is left. The statement did nothing.
            StorageError: The operating system failed.
            DamagedError: A page fails its checks.
            BusyError: Another connection is in the way.
            RefusedStatementError: Not allowed here, refused by a trigger or a
                constraint, or not SQL: a bug of the caller.
        """
        try:
            return self.__cursor.execute(sql, parameters).fetchall()
        except LIBRARY_ERRORS as exc:
            raise translate(exc) from exc

    def truncate_wal(self) -> bool:
        """Move every page from the WAL into the vault, sync it, and empty the WAL.

        The caller holds ``copy.lock`` exclusively.

        Returns:
            False when a connection of another process reads an older state:
            part may have moved, the WAL is not empty; try again later.
        """
        ((is_busy, _, _),) = self.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return not is_busy

    def restart_wal(self) -> bool:
        """Move every page from the WAL into the vault, sync it, and begin the WAL anew in the file it has.

        Its old frames stay in the file until others are written over them;
        nobody reads them but whoever has the file key and the file. Otherwise
        as ``truncate_wal``.
        """
        ((is_busy, _, _),) = self.execute("PRAGMA wal_checkpoint(RESTART)")
        return not is_busy

    def close(self) -> None:
        """Close the connection, which is a checkpoint: only under ``copy.lock``, after ``truncate_wal``."""
        self.__connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _executemany(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        try:
            self.__cursor.executemany(sql, rows)
        except LIBRARY_ERRORS as exc:
            raise translate(exc) from exc

    def _rows(self, sql: str, parameters: Sequence[Any]) -> Iterator[Row]:
        try:
            # Not `yield from`: an iterator that is given up would close its cursor, which the
            # library refuses once the connection is closed.
            for row in self.__connection.execute(sql, parameters):  # noqa: UP028  # said above
                yield row
        except LIBRARY_ERRORS as exc:
            raise translate(exc) from exc

    def _is_in_transaction(self) -> bool:
        return self.__connection.in_transaction

    def _guard(self, authorizer: Callable[..., int]) -> None:
        self.__connection.set_authorizer(authorizer)


class WritingConnection(_Statements):
    """Runs transactions. Bound by the triggers only; see ``AppendConnection`` for the server's."""

    __slots__ = ()

    def executemany(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        """Run one statement once for each of ``rows``; raises what ``execute`` does."""
        self._executemany(sql, rows)

    def begin(self) -> None:
        """Start a transaction and take SQLite's write lock at once (BEGIN IMMEDIATE)."""
        self.execute("BEGIN IMMEDIATE")

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """Begin one; whatever the block did not commit is rolled back at its end."""
        self.begin()
        try:
            yield
        finally:
            self.rollback()

    def settle(self) -> None:
        """Empty the WAL, as ``truncate_wal`` does, where nothing may be left in it.

        Raises:
            BusyError: Another process reads the vault where it lies.
        """
        if not self.truncate_wal():
            raise BusyError("another process reads the vault in place; stop it, then try again")

    def commit(self) -> None:
        """Make the transaction durable: its pages are in the WAL, and synced, when this returns.

        Raises:
            DiskFullError: No space is left. Nothing was stored; roll back.
            OutcomeUnknownError: A write or the sync failed. Whether the
                transaction is stored shows only when the vault is opened again.
        """
        try:
            self.execute("COMMIT")
        except DiskFullError:
            raise
        except (StorageError, DamagedError) as exc:
            raise OutcomeUnknownError(f"COMMIT failed, close the vault and open it again: {exc}") from exc

    def rollback(self) -> None:
        """Drop the open transaction. Does nothing without one: SQLite may have dropped it already."""
        if self._is_in_transaction():
            self.execute("ROLLBACK")


class AppendConnection(WritingConnection):
    """Appends to one vault under a default-deny authorizer.

    Args:
        connection: Keyed; whoever passes it keeps no other reference.
        path: Of ``vault.db``.
        vault_file: Which file ``path`` led to before ``connection`` was opened.
    """

    __slots__ = ("_files", "_vault", "_wal")

    def __init__(self, connection: Connection, path: Path, vault_file: FileIdentity | None) -> None:
        super().__init__(connection)
        self._vault = path
        self._wal = path.with_name(f"{path.name}-wal")
        # SQLite makes the WAL at the first read and keeps it until the last connection closes.
        self.execute("SELECT 1 FROM sqlite_schema")
        # It syncs the folder too, but commits all the same where that fails: the log could lose its name.
        disk.sync(path.parent)
        self._files = (vault_file, disk.identity(self._wal))
        self._guard(authorize)

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> list[Row]:
        """Run one statement of those ``vault.authorizer`` allows; see ``_Statements.execute``."""
        refuse_unseen_reads(sql)
        return super().execute(sql, parameters)

    def executemany(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        """Run one statement once for each of ``rows``; raises what ``execute`` does."""
        refuse_unseen_reads(sql)
        super().executemany(sql, rows)

    @property
    def wal_frames(self) -> int:
        """How many page images the WAL file has room for: 1,000 are about 4 MB."""
        try:
            size = self._wal.stat().st_size
        except FileNotFoundError:
            return 0
        return max(0, size - HEADER_BYTES) // FRAME_BYTES

    def files_unchanged(self) -> bool:
        """Return whether the paths still lead to the files that are open.

        SQLite goes on writing to a file that was replaced or removed. What it
        commits there is lost in silence, so this is asked before every answer.
        """
        found = (disk.identity(self._vault), disk.identity(self._wal))
        return found == self._files and None not in found


class InspectConnection(_Statements):
    """Looks at a vault before it is opened to append: reads no item, changes nothing.

    Args:
        connection: Keyed and read-only; whoever passes it keeps no other reference.
    """

    __slots__ = ()

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self._guard(authorize_inspecting)

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> list[Row]:
        """Run one statement of those ``vault.authorizer`` allows; see ``_Statements.execute``."""
        refuse_unseen_reads(sql)
        return super().execute(sql, parameters)


class ReadConnection(_Statements):
    """Reads one vault, every column of it; cannot write. For a private copy."""

    __slots__ = ()

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> Iterator[Row]:
        """Run one statement and yield its rows one by one; raises what ``execute`` does."""
        return self._rows(sql, parameters)

    def problems(self) -> list[str]:
        """Return what SQLCipher's and SQLite's own checks complain about; empty when all is well.

        Both are needed: the first sees every flipped bit but no missing page at
        the end, the second the reverse. Neither sees a page of an earlier
        time, nor commits cut off a WAL. The first reads the file alone, so
        the WAL is moved into it before.
        """
        checks = ("PRAGMA cipher_integrity_check", "PRAGMA integrity_check")
        try:
            self.truncate_wal()
        except DamagedError as exc:
            # A log of another time cannot be moved.
            return [str(exc), *(line for check in checks for line in self._complaints(check))]
        return [line for check in checks for line in self._complaints(check)]

    def _complaints(self, check: str) -> list[str]:
        try:
            return [str(line) for (line,) in self.execute(check) if line != "ok"]
        except DamagedError as exc:
            # The check itself ran into a page that does not open.
            return [str(exc)]
