"""The log that the shim writes: what was done below one folder, in order.

A record is a header of little-endian numbers, two names and the data: its length
(32 bits), operation (32), inode, parent's inode, other parent's inode, number
(offset or size; 64 each), lengths of both names (32 each) and of the data (64).
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import NamedTuple

_HEADER = struct.Struct("<II4QIIQ")

CREATE, MKDIR, UNLINK, RENAME = "c", "m", "u", "r"
WRITE, TRUNCATE, SYNC, MARK, UNSEEN = "w", "t", "s", "a", "?"


class Record(NamedTuple):
    """One call that returned.

    Attributes:
        operation: One of the letters above.
        inode: Of the file or folder it was about.
        parent: Inode of the folder in which ``name`` stands.
        name: Of what was made, removed or renamed.
        other_parent: Inode of the folder it was renamed into.
        other_name: The name it has there.
        number: Where it was written, or the size it was cut to.
        data: What was written, or a test's own note.
    """

    operation: str
    inode: int
    parent: int
    name: str
    other_parent: int
    other_name: str
    number: int
    data: bytes


def packed_mark(note: bytes) -> bytes:
    """The record of a note, for a process without the shim to append."""
    return _HEADER.pack(_HEADER.size + len(note), ord(MARK), 0, 0, 0, 0, 0, 0, len(note)) + note


def read_log(path: Path) -> list[Record]:
    """Return all records.

    Raises:
        ValueError: The process changed a file in a way the shim does not follow.
    """
    content, at, records = path.read_bytes(), 0, []
    while at < len(content):
        length, operation, inode, parent, other_parent, number, *lengths = _HEADER.unpack_from(content, at)
        begin, parts = at + _HEADER.size, []
        for part_bytes in lengths:
            parts.append(content[begin : begin + part_bytes])
            begin += part_bytes
        if begin != at + length:
            raise ValueError(f"the record at {at} does not end where it says")
        name, other_name, data = parts
        at = begin
        record = Record(
            chr(operation), inode, parent, name.decode(), other_parent, other_name.decode(), number, data
        )
        if record.operation == UNSEEN:
            raise ValueError(f"the shim cannot follow what was done: {record.name}")
        records.append(record)
    return records
