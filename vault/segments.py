"""Segments: one batch as a small SQLCipher file of its own, for an object store.

What a function writes where there is no vault to append to: the same batch,
header and sealed items, under the same file key. Written once and never
changed. Here is its shape and how it is written; reading one, which is what
home does with bytes that anybody may have made, is ``vault.segment_reading``,
and no server has that. FORMAT.md, "Segments".

SQLCipher writes files only, so one is made in a folder that is passed in, and
removed at once. It is encrypted like all of them.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from vault.disk import storage_error
from vault.errors import MalformedError
from vault.header import MAX_ITEMS
from vault.keys import FileKey
from vault.sealing import SealedBatch
from vault.sqlcipher import LIBRARY_ERRORS, Connection, open_segment, translate

PAGE_BYTES = 1024
"""A segment of one small item is four pages; with a vault's page size it would be four times as large."""

MAX_SEGMENT_BYTES = 16 << 20
"""A batch has at most 8 MiB of canonical items; no segment that is larger than this is read."""

_COLUMNS = {"batch": ("uid", "header", "wraps", "signature"), "item": ("name", "c", "digest", "sealed")}
TABLES = {
    table: f"CREATE TABLE {table} ({', '.join(f'{name} BLOB NOT NULL' for name in columns)}) STRICT"
    for table, columns in _COLUMNS.items()
}
"""All that is in its schema: the two tables' statements, to the letter."""

_INSERT_BATCH = "INSERT INTO batch (rowid, uid, header, wraps, signature) VALUES (1, ?, ?, ?, ?)"
_INSERT_ITEM = "INSERT INTO item (rowid, name, c, digest, sealed) VALUES (?, ?, ?, ?, ?)"


class SegmentItem(msgspec.Struct, frozen=True):
    """One item of a segment.

    Attributes:
        name: 22 bytes.
        c: The commitment, 32 bytes.
        digest: SHA-256 of ``sealed``.
        sealed: The sealed item.
    """

    name: bytes
    c: bytes
    digest: bytes
    sealed: bytes


class Segment(msgspec.Struct, frozen=True):
    """What a segment holds. From elsewhere, believe it once ``segment_reading.verify_segment`` has returned.

    Attributes:
        uid: 16 bytes, the header's.
        header: Packed.
        wraps: The data key for each recipient.
        signature: 64 bytes over ``header``, by a function's log key.
        items: 1 to 512, in the order of the batch.
    """

    uid: bytes
    header: bytes
    wraps: bytes
    signature: bytes
    items: tuple[SegmentItem, ...]


def segment_of(
    sealed: SealedBatch, names: Sequence[bytes], commitments: Sequence[bytes], signature: bytes
) -> Segment:
    """The segment of a batch that was sealed and signed.

    Args:
        sealed: The batch.
        names: 22 bytes of each item.
        commitments: C of each item.
        signature: Over the batch's header.
    """
    rows = zip(names, commitments, sealed.digests, sealed.sealed, strict=True)
    items = tuple(SegmentItem(*row) for row in rows)
    return Segment(sealed.uid, sealed.header, sealed.wraps, signature, items)


def write_segment(segment: Segment, file_key: FileKey, scratch: Path) -> bytes:
    """Return a segment's bytes: 4,096 for one small item to one recipient.

    Args:
        segment: 1 to 512 items.
        file_key: The pod's.
        scratch: A folder of this process's user; what is made there is removed again.

    Raises:
        MalformedError: No item, too many, or larger than ``MAX_SEGMENT_BYTES``.
        DiskFullError: No space is left in ``scratch``.
        StorageError: The operating system refused.
    """
    if not 1 <= len(segment.items) <= MAX_ITEMS:
        raise MalformedError(f"a segment has 1 to {MAX_ITEMS} items, {len(segment.items)} were given")
    with scratch_file(scratch) as path:
        connection = open_segment(path, file_key, page_bytes=PAGE_BYTES, is_writable=True)
        try:
            _fill(connection, segment)
        except LIBRARY_ERRORS as exc:
            raise translate(exc) from exc
        finally:
            connection.close()
        content = _read(path)
    if len(content) > MAX_SEGMENT_BYTES:
        raise MalformedError(f"a segment of at most {MAX_SEGMENT_BYTES} bytes was expected")
    return content


def _fill(connection: Connection, segment: Segment) -> None:
    connection.execute("BEGIN IMMEDIATE")
    for statement in TABLES.values():
        connection.execute(statement)
    connection.execute(_INSERT_BATCH, (segment.uid, segment.header, segment.wraps, segment.signature))
    connection.cursor().executemany(
        _INSERT_ITEM,
        [
            (place, item.name, item.c, item.digest, item.sealed)
            for place, item in enumerate(segment.items, start=1)
        ],
    )
    connection.execute("COMMIT")


@contextlib.contextmanager
def scratch_file(folder: Path, content: bytes = b"") -> Iterator[Path]:
    """A file with this content, mode 0600, of a name nobody has; gone after the ``with`` block.

    Raises:
        DiskFullError: No space is left for it.
        StorageError: It cannot be made or written.
    """
    try:
        descriptor, name = tempfile.mkstemp(prefix="segment-", dir=folder)
    except OSError as exc:
        raise storage_error(folder, exc) from exc
    path = Path(name)
    try:
        _fill_new(path, descriptor, content)
        yield path
    finally:
        path.unlink(missing_ok=True)


def _fill_new(path: Path, descriptor: int, content: bytes) -> None:
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
    except OSError as exc:
        raise storage_error(path, exc) from exc


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as exc:
        raise storage_error(path, exc) from exc
