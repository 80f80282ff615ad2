"""The text of a C2SP tlog-proof: that one leaf is in the log that a checkpoint signs.

Receipts and their refreshes are such texts, so that other people's tools check
the log part of them. What a proof means to us, and its ``extra`` data, are
theirs (``vault.receipts``, ``vault.refreshes``). Nothing here is believed: a
proof that parses proves nothing yet. FORMAT.md, "Log proofs";
https://c2sp.org/tlog-proof.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from vault.errors import MalformedError
from vault.notes import from_base64, parse_size, to_base64
from vault.tree import HASH_BYTES

_HEAD_LINES = 3
_PROOF_LINE = "c2sp.org/tlog-proof@v1"
_EXTRA = "extra "
_INDEX = "index "


class LogProof(msgspec.Struct, frozen=True):
    """What a proof says.

    Attributes:
        extra: Opaque here; required in ours.
        index: The leaf, from 0.
        path: From the leaf up to the checkpoint's root, 32 bytes each.
        checkpoint: The signed note, unread.
    """

    extra: bytes
    index: int
    path: tuple[bytes, ...]
    checkpoint: bytes


def format_proof(proof: LogProof) -> bytes:
    """Return the proof as text."""
    head = [_PROOF_LINE, _EXTRA + to_base64(proof.extra), f"{_INDEX}{proof.index}"]
    head.extend(map(to_base64, proof.path))
    return "\n".join(head).encode() + b"\n\n" + proof.checkpoint


def parse_proof(text: bytes, what: str) -> LogProof:
    """Read a proof; the exact inverse of ``format_proof``.

    Args:
        text: Untrusted; its length is the caller's to bound.
        what: The name of the thing, for the error's sentence.

    Raises:
        MalformedError: Not a proof with an extra line.
    """
    head, _, checkpoint = text.partition(b"\n\n")
    extra, index, path = _split_head(head, what)
    return LogProof(
        extra=from_base64(extra, f"{what}, extra"),
        index=parse_size(index, f"{what}, index"),
        path=tuple(_parse_hash(line, what) for line in path),
        checkpoint=checkpoint,
    )


def join_hashes(path: Sequence[bytes]) -> bytes:
    """Return a path as one field: its hashes one after the other."""
    return b"".join(path)


def split_hashes(joined: bytes, what: str) -> tuple[bytes, ...]:
    """Split a field into the hashes of a path; the inverse of ``join_hashes``.

    Args:
        joined: Untrusted.
        what: The name of the thing, for the error's sentence.

    Raises:
        MalformedError: Not a whole number of hashes.
    """
    if len(joined) % HASH_BYTES:
        raise MalformedError(f"{what}: hashes of {HASH_BYTES} bytes were expected")
    return tuple(joined[at : at + HASH_BYTES] for at in range(0, len(joined), HASH_BYTES))


def _split_head(head: bytes, what: str) -> tuple[str, str, list[str]]:
    """Split the lines above the checkpoint into extra data, index and hashes."""
    try:
        lines = head.decode("ascii").split("\n")
    except UnicodeDecodeError as exc:
        raise MalformedError(f"{what}: ASCII was expected above the checkpoint") from exc
    if len(lines) < _HEAD_LINES or lines[0] != _PROOF_LINE:
        raise MalformedError(f"{what}: {_PROOF_LINE} and its lines were expected")
    if not (lines[1].startswith(_EXTRA) and lines[2].startswith(_INDEX)):
        raise MalformedError(f"{what}: an extra line, then an index line were expected")
    return lines[1].removeprefix(_EXTRA), lines[2].removeprefix(_INDEX), lines[_HEAD_LINES:]


def _parse_hash(line: str, what: str) -> bytes:
    raw = from_base64(line, f"{what}, log path")
    if len(raw) != HASH_BYTES:
        raise MalformedError(f"{what}: a log path of hashes of {HASH_BYTES} bytes was expected")
    return raw
