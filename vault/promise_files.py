"""A promise as a file: the item's id and the promise, until a receipt takes its place.

What is not here: reading and writing files, and the item. FORMAT.md, "Promise
files".
"""

from __future__ import annotations

import re

import msgspec

from vault.errors import FormatTooNewError, MalformedError
from vault.items import is_item_id
from vault.promises import Promise, decode_promise, encode_promise
from vault.receipt_files import header_in

MAX_PROMISE_FILE_BYTES = 65_536
"""Room for what HTTP clients print around a promise; a larger file is refused unread."""

PROMISE_HEADER = "Pod-Promise"
_MARK = "shared-pod-promise/v1"
_LATER_MARK = re.compile(r"shared-pod-promise/v[1-9][0-9]{0,8}\Z")
_NO_ID = "-"
_LINES = 3


class PromiseFile(msgspec.Struct, frozen=True):
    """What a file holds. Believe it once ``vault.promises.verify_promise`` has returned.

    Attributes:
        item_id: The item's id, as the one who wrote the file says; None if they did not.
        promise: As the function gave it.
    """

    item_id: str | None
    promise: Promise


def format_promise_file(file: PromiseFile) -> bytes:
    """Return the file's bytes."""
    return f"{_MARK} {file.item_id or _NO_ID}\n{encode_promise(file.promise)}\n".encode()


def parse_promise_file(content: bytes) -> PromiseFile:
    """Read a promise from a file, or from what HTTP clients print.

    Args:
        content: Untrusted: a promise file; or the header's value, white space
            around it ignored; or lines one of which is the header.

    Raises:
        FormatTooNewError: Something of a later format.
        MalformedError: Anything else that is none of these.
    """
    if len(content) > MAX_PROMISE_FILE_BYTES:
        raise MalformedError(f"a promise file of at most {MAX_PROMISE_FILE_BYTES} bytes was expected")
    try:
        text = content.decode("ascii")
    except UnicodeDecodeError as exc:
        raise MalformedError("promise file: ASCII was expected") from exc
    mark = text.partition("\n")[0].partition(" ")[0]
    if mark == _MARK:
        return _parse_lines(text)
    if _LATER_MARK.match(mark):
        raise FormatTooNewError(f"a promise file of a later format was found, {_MARK} was expected; update")
    return PromiseFile(None, decode_promise(header_in(text, PROMISE_HEADER)))


def _parse_lines(text: str) -> PromiseFile:
    lines = text.split("\n")
    if len(lines) != _LINES or lines[-1]:
        raise MalformedError("promise file: two whole lines were expected: its mark, and a promise")
    item_id = lines[0].removeprefix(f"{_MARK} ")
    if item_id != _NO_ID and not is_item_id(item_id):
        raise MalformedError(f"promise file: {_MARK} and an item's id, or -, were expected in its first line")
    return PromiseFile(None if item_id == _NO_ID else item_id, decode_promise(lines[1]))
