"""A promise as a file: the item's id and the promise, until a receipt takes its place.

What is not here: reading and writing files, and the item. FORMAT.md, "Promise
files".
"""

from __future__ import annotations

import msgspec

from vault.errors import MalformedError
from vault.promises import Promise, decode_promise, encode_promise
from vault.proof_files import Kind, ProofFile, format_proof_file, parse_proof_file

MAX_PROMISE_FILE_BYTES = 65_536
"""Room for what HTTP clients print around a promise; a larger file is refused unread."""

PROMISE_HEADER = "Pod-Promise"
_KIND = Kind("promise", PROMISE_HEADER, "its mark, and a promise", MAX_PROMISE_FILE_BYTES)


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
    return format_proof_file(_KIND, ProofFile(file.item_id, [encode_promise(file.promise)]))


def parse_promise_file(content: bytes) -> PromiseFile:
    """Read a promise from a file, or from what HTTP clients print.

    Args:
        content: Untrusted; as for ``vault.proof_files.parse_proof_file``.

    Raises:
        FormatTooNewError: Something of a later format.
        MalformedError: Anything else that is no promise.
    """
    item_id, (encoded, *more) = parse_proof_file(_KIND, content)
    if more:
        raise MalformedError("promise file: two whole lines were expected: its mark, and a promise")
    return PromiseFile(item_id, decode_promise(encoded))
