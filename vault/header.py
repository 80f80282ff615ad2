"""The header of a batch: the one text about it that is logged and signed.

Everything that a batch must never lose stands in it or is hashed into it: the
pod, the time, the items (as the root of the item tree), the data key (as a key
commitment), the recipients' wraps and the policy it was taken under. A header
names no batch number, so a batch keeps it when it moves to another file.

What is not here: sealing (``vault.sealing``), the log (``vault.tree``,
``vault.notes``), and the proof that an item is in it (``vault.receipts``).
See FORMAT.md, "A batch".
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import msgspec

from vault.encoding import from_le32, from_le64, le32, le64, pae, require_label, unpae
from vault.errors import FormatTooNewError, MalformedError
from vault.keys import PodId
from vault.tree import HASH_BYTES, LEAF_PREFIX, leaf_hash

SUITE = 2
"""HPKE base mode with X-Wing, HKDF-SHA256 and AES-256-GCM: the one suite of batch/v1."""

MAX_ITEMS = 512
"""Items in a batch, at most; at least one."""

MAX_MS = 2**63 - 1
"""A received time is an int64, as an item's own dates are."""

_LABEL = b"batch/v1"
_LEAF_LABEL = b"leaf/v1"
_LEAF_TAIL_BYTES = 4 + 2 * (8 + HASH_BYTES)
"""What differs between the leaves of a batch: the index, then two hashes, each after its length."""
_FIELD_BYTES = {
    "label": len(_LABEL),
    "pod id": 32,
    "uid": 16,
    "log key hash": 32,
    "ms": 8,
    "suite": 1,
    "count": 4,
    "item root": 32,
    "commit": 32,
    "wraps hash": 32,
    "policy": 32,
}


class Header(msgspec.Struct, frozen=True):
    """What is said about one batch; its suite is always ``SUITE``.

    Attributes:
        pod_id: 32 bytes.
        uid: 16 random bytes that name the batch wherever it is stored.
        log_key_hash: SHA-256 of the 32-byte Ed25519 public key that signs this
            header: the vault's log key, or a function's.
        ms: When the batch closed, in milliseconds since 1970 UTC; not monotone.
            The received time of each of its items.
        count: Items in it, 1 to ``MAX_ITEMS``.
        item_root: Root of the tree of ``item_leaf`` hashes, 32 bytes.
        commit: The key commitment of the batch's data key, 32 bytes.
        wraps_hash: SHA-256 of the batch's wraps.
        policy: SHA-256 of the slots.json under which the batch was taken.
    """

    pod_id: PodId
    uid: bytes
    log_key_hash: bytes
    ms: int
    count: int
    item_root: bytes
    commit: bytes
    wraps_hash: bytes
    policy: bytes

    def pack(self) -> bytes:
        """Return the header's bytes: what is signed, and logged as ``log_leaf``."""
        return pae(
            _LABEL,
            self.pod_id,
            self.uid,
            self.log_key_hash,
            le64(self.ms),
            bytes([SUITE]),
            le32(self.count),
            self.item_root,
            self.commit,
            self.wraps_hash,
            self.policy,
        )


def parse_header(packed: bytes) -> Header:
    """Read a header; the exact inverse of ``Header.pack``.

    Args:
        packed: Untrusted bytes.

    Raises:
        FormatTooNewError: A batch/v2 or later, or a suite this program does not know.
        MalformedError: Anything else that ``pack`` does not write: another
            label or number of fields, a field of another length, suite 0, a
            time beyond ``MAX_MS``, or a count that is not 1 to ``MAX_ITEMS``.
    """
    fields = unpae(packed)
    require_label(fields[0] if fields else b"", _LABEL, "batch header")
    _check_lengths(fields)
    _check_suite(fields[5][0])
    return Header(
        pod_id=PodId(fields[1]),
        uid=fields[2],
        log_key_hash=fields[3],
        ms=_parse_ms(fields[4]),
        count=_parse_count(fields[6]),
        item_root=fields[7],
        commit=fields[8],
        wraps_hash=fields[9],
        policy=fields[10],
    )


def log_leaf(packed: bytes) -> bytes:
    """Return the 32-byte hash under which a packed header stands in the log."""
    return leaf_hash(packed)


def item_leaf(pod_id: PodId, uid: bytes, index: int, c: bytes, digest: bytes) -> bytes:
    """Return the 32-byte hash under which an item stands in its batch's item tree.

    Args:
        pod_id: 32 bytes.
        uid: The batch's 16 bytes.
        index: The item's place in the batch, from 0.
        c: The item's commitment, 32 bytes.
        digest: SHA-256 of the sealed item, 32 bytes.
    """
    return leaf_hash(pae(_LEAF_LABEL, pod_id, uid, le32(index), c, digest))


def item_leaves(
    pod_id: PodId, uid: bytes, commitments: Sequence[bytes], digests: Sequence[bytes]
) -> list[bytes]:
    """Return ``item_leaf`` of every item of a batch, in their order.

    Args:
        pod_id: 32 bytes.
        uid: The batch's 16 bytes.
        commitments: Of each item, 32 bytes.
        digests: Of each sealed item, 32 bytes.
    """
    # What stands before and between what differs is the same bytes for all of them. Spelled out
    # rather than calling leaf_hash: this is the commit path.
    between = le64(HASH_BYTES)
    packed = pae(_LEAF_LABEL, pod_id, uid, le32(0), bytes(HASH_BYTES), bytes(HASH_BYTES))
    head, sha256 = LEAF_PREFIX + packed[:-_LEAF_TAIL_BYTES], hashlib.sha256
    return [
        sha256(b"".join((head, le32(index), between, c, between, digest))).digest()
        for index, (c, digest) in enumerate(zip(commitments, digests, strict=True))
    ]


def _check_lengths(fields: list[bytes]) -> None:
    if len(fields) != len(_FIELD_BYTES):
        raise MalformedError(
            f"a batch header of {len(_FIELD_BYTES)} fields was expected, {len(fields)} were found"
        )
    for (name, expected), field in zip(_FIELD_BYTES.items(), fields, strict=True):
        if len(field) != expected:
            raise MalformedError(
                f"batch header: {name} of {expected} bytes was expected, {len(field)} were found"
            )


def _check_suite(suite: int) -> None:
    if suite == 0:
        raise MalformedError("batch header: suite 0 is never valid")
    if suite != SUITE:
        raise FormatTooNewError(
            f"batch header: suite {suite} was found, this program knows {SUITE}; update it"
        )


def _parse_ms(field: bytes) -> int:
    ms = from_le64(field)
    if ms > MAX_MS:
        raise MalformedError(f"batch header: a time of at most {MAX_MS} ms was expected")
    return ms


def _parse_count(field: bytes) -> int:
    count = from_le32(field)
    if not 1 <= count <= MAX_ITEMS:
        raise MalformedError(f"batch header: 1 to {MAX_ITEMS} items were expected, {count} are claimed")
    return count
