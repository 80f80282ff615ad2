"""A text file's lines, exactly, each with its number.

Lines end with a newline and keep it. Nothing is decoded loosely: a byte that is
no UTF-8 is an error that names its line, because a replaced character would be
sent and kept for good.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

from vault.errors import MalformedError

MAX_LINE_BYTES = 8 * 1024 * 1024
"""Longest line read: more than the largest item of the wire (5 MiB) needs."""

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def read_lines(file: BinaryIO) -> Iterator[str]:
    """Yield every line of a file from its beginning.

    Args:
        file: Seekable; a UTF-8 byte order mark at its beginning is skipped.

    Raises:
        MalformedError: A line that is not UTF-8 or longer than 8 MiB.
    """
    file.seek(0)
    if file.read(len(_BYTE_ORDER_MARK)) != _BYTE_ORDER_MARK:
        file.seek(0)
    number = 0
    while raw := file.readline(MAX_LINE_BYTES + 1):
        number += 1
        if len(raw) > MAX_LINE_BYTES:
            raise MalformedError(
                f"line {number}: longer than {MAX_LINE_BYTES} bytes, so this is no table of items"
            )
        yield _decoded(raw, number)


def _decoded(raw: bytes, number: int) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as exc:
        raise MalformedError(
            f"line {number}: not UTF-8 text; save the file as UTF-8 (in a spreadsheet: CSV UTF-8)"
        ) from exc
