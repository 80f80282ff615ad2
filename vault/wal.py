"""Reads SQLite's write-ahead log without SQLite, and without changing a thing.

For what is asked before a vault is opened: what is the newest committed image of
a page, and which pages are there? SQLite answers it the same way, but by then it
has opened the files.
Follows https://www.sqlite.org/fileformat2.html, 4.1 to 4.4. The images are
SQLCipher's pages, still encrypted; their keys are none of this module's business.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import IO, NamedTuple

from vault.disk import open_regular, storage_error

PAGE_BYTES = 4096
"""SQLCipher 4's default page size, which is a vault's."""
HEADER_BYTES = 32
FRAME_BYTES = 24 + PAGE_BYTES

_VERSION = 3007000
# The magic number says in which byte order the writer computed its checksums.
_ORDERS = {0x377F0682: "<", 0x377F0683: ">"}

_Checksum = tuple[int, int]


class Survey(NamedTuple):
    """What the committed part of a log holds.

    Attributes:
        commits: Transactions.
        database_pages: How many pages the database has after the last of them; 0 without one.
        pages: The numbers of the pages that have an image in it.
    """

    commits: int
    database_pages: int
    pages: frozenset[int]


def survey(wal: Path) -> Survey:
    """Return what a log holds, counted as ``newest_committed_page`` does; about 70 us a frame.

    Raises:
        StorageError: The log cannot be read.
    """
    try:
        with open_regular(wal) as log:
            return _survey(log)
    except FileNotFoundError:
        return Survey(0, 0, frozenset())
    except OSError as exc:
        raise storage_error(wal, exc) from exc


def _survey(log: IO[bytes]) -> Survey:
    commits, database_pages = 0, 0
    committed: set[int] = set()
    pending: set[int] = set()
    for frame in _valid_frames(log):
        pending.add(frame.number)
        if frame.database_pages:
            commits, database_pages = commits + 1, frame.database_pages
            committed |= pending
    return Survey(commits, database_pages, frozenset(committed))


def holds_frames(wal: Path) -> bool:
    """Return whether a log has room for a frame: one that is absent or empty has nothing to lose.

    Asked before SQLite opens the vault, which makes an empty log where there is none.

    Raises:
        StorageError: The operating system refused.
    """
    try:
        return wal.stat().st_size > HEADER_BYTES
    except FileNotFoundError:
        return False
    except OSError as exc:
        raise storage_error(wal, exc) from exc


def newest_committed_page(wal: Path, number: int) -> bytes | None:
    """Return the newest committed image of a page.

    Frames count up to the last commit that is whole: salts and running
    checksums agree with the header from the first frame on. What lies behind,
    the rest of an interrupted commit or of an older log, does not.

    Args:
        wal: The ``-wal`` file; it may be absent.
        number: Of the page, from 1.

    Returns:
        The page's ``PAGE_BYTES`` bytes, or None if the log has no such frame.

    Raises:
        StorageError: The log cannot be read.
    """
    try:
        with open_regular(wal) as log:
            return _newest(log, number)
    except FileNotFoundError:
        return None
    except OSError as exc:
        raise storage_error(wal, exc) from exc


def _newest(log: IO[bytes], number: int) -> bytes | None:
    committed = pending = None
    for frame in _valid_frames(log):
        if frame.number == number:
            pending = frame.page
        if frame.database_pages:
            committed = pending
    return committed


class _Frame(NamedTuple):
    """One page image; ``database_pages`` is 0 but in the frame that ends a transaction."""

    number: int
    database_pages: int
    page: bytes


def _valid_frames(log: IO[bytes]) -> Iterator[_Frame]:
    header = log.read(HEADER_BYTES)
    if len(header) < HEADER_BYTES:
        return
    magic, version, page_bytes, _, salt_1, salt_2, *stored = struct.unpack(">8I", header)
    order = _ORDERS.get(magic)
    if order is None or (version, page_bytes) != (_VERSION, PAGE_BYTES):
        return
    checksum = _checksum(order, header[:24], (0, 0))
    if checksum != tuple(stored):
        return
    while len(frame := log.read(FRAME_BYTES)) == FRAME_BYTES:
        number, database_pages, *salts_and_stored = struct.unpack_from(">6I", frame)
        checksum = _checksum(order, frame[:8] + frame[24:], checksum)
        if salts_and_stored != [salt_1, salt_2, *checksum]:
            return
        yield _Frame(number, database_pages, frame[24:])


def _checksum(order: str, content: bytes, seed: _Checksum) -> _Checksum:
    """Continue SQLite's running checksum over a multiple of 8 bytes."""
    first, second = seed
    for even, odd in struct.iter_unpack(f"{order}2I", content):
        first = (first + even + second) & 0xFFFFFFFF
        second = (second + odd + first) & 0xFFFFFFFF
    return first, second
