"""Where an item is: in the vault, erased from it, or nowhere; without opening any.

Asked by name (``vault.items.item_name``), which is its slot's and id's, or by
place in a batch, which is a statement's or a receipt's. An erased item keeps
its row. FORMAT.md, "Tables", "Erasure".
"""

from __future__ import annotations

from collections.abc import Collection

import msgspec

from vault.erasures import verify_erasure
from vault.errors import DamagedError
from vault.header import parse_header
from vault.rows import Rows, typed

_BY_NAME = "SELECT sealed IS NULL FROM item WHERE name = ?"
_ROW = "SELECT seq, sealed IS NULL, c, digest FROM item"
_BY_SEQ = _ROW + " WHERE seq = ?"
_WHOLE_BY_NAME = _ROW + " WHERE name = ?"
_BATCH = "SELECT first_seq, header FROM batch WHERE uid = ?"
_BATCH_WITH = "SELECT first_seq, header FROM batch WHERE first_seq <= ? ORDER BY first_seq DESC LIMIT 1"
_STATEMENT = "SELECT statement FROM erasure WHERE seq = ?"


class Whereabouts(msgspec.Struct, frozen=True):
    """One row of ``item``.

    Attributes:
        seq: Its place in the vault, from 1.
        index: Its place in its batch, from 0.
        is_erased: Whether its sealed bytes are gone.
        c: The commitment, 32 bytes.
        digest: SHA-256 of what it was sealed as.
        header: Of its batch, packed.
    """

    seq: int
    index: int
    is_erased: bool
    c: bytes
    digest: bytes
    header: bytes


def is_erased_by_name(rows: Rows, name: bytes) -> bool | None:
    """Whether the item of one slot and id was erased; None if it never came.

    Args:
        rows: The vault.
        name: 22 bytes.

    Raises:
        DamagedError: A page fails its checks, or a row is not of its types.
    """
    found = typed(rows.execute(_BY_NAME, (name,)), list[tuple[int]])
    return bool(found[0][0]) if found else None


def find_by_name(rows: Rows, name: bytes) -> Whereabouts | None:
    """Find the item of one slot and id; None if it never came.

    Args:
        rows: The vault.
        name: 22 bytes.

    Raises:
        DamagedError: A page fails its checks, or a row is not of its types.
        MalformedError: The header of its batch is not of its format.
    """
    found = typed(rows.execute(_WHOLE_BY_NAME, (name,)), list[tuple[int, int, bytes, bytes]])
    if not found:
        return None
    seq, is_erased, c, digest = found[0]
    batch = typed(rows.execute(_BATCH_WITH, (seq,)), list[tuple[int, bytes]])
    if not batch or seq - batch[0][0] >= parse_header(batch[0][1]).count:
        return None
    first_seq, header = batch[0]
    return Whereabouts(seq, seq - first_seq, bool(is_erased), c, digest, header)


def header_with(rows: Rows, seq: int) -> bytes:
    """The packed header of the batch that an item came with.

    Args:
        rows: The vault.
        seq: Of an item that is there.

    Raises:
        DamagedError: A page fails its checks, or there is no such batch.
    """
    batch = typed(rows.execute(_BATCH_WITH, (seq,)), list[tuple[int, bytes]])
    if not batch:
        raise DamagedError(f"item {seq} stands before every batch; run `check`, and restore a snapshot")
    return batch[0][1]


def find_by_place(rows: Rows, uid: bytes, index: int) -> Whereabouts | None:
    """Find the item at a place of a batch; None if this vault has none there.

    Args:
        rows: The vault.
        uid: Of the batch, 16 bytes.
        index: The place, from 0; untrusted.

    Raises:
        DamagedError: A page fails its checks, or a row is not of its types.
        MalformedError: The batch's header is not of its format.
    """
    batch = typed(rows.execute(_BATCH, (uid,)), list[tuple[int, bytes]])
    if not batch or index >= parse_header(batch[0][1]).count:
        return None
    first_seq, header = batch[0]
    found = typed(rows.execute(_BY_SEQ, (first_seq + index,)), list[tuple[int, int, bytes, bytes]])
    if not found:
        return None
    seq, is_erased, c, digest = found[0]
    return Whereabouts(seq, index, bool(is_erased), c, digest, header)


def erased_ms(rows: Rows, place: Whereabouts, signers: Collection[bytes]) -> int:
    """When an item was erased, UTC milliseconds.

    Args:
        rows: The vault.
        place: An item whose sealed bytes are gone.
        signers: Whose statements count (``vault.policies.past_signers``).

    Raises:
        DamagedError: It is gone without a statement that holds: it is lost.
        MalformedError: What stands in its place is no statement.
    """
    found = typed(rows.execute(_STATEMENT, (place.seq,)), list[tuple[bytes]])
    if not found:
        raise DamagedError(
            f"item {place.seq} is gone without a statement; run `check`, and restore a snapshot"
        )
    header = parse_header(place.header)
    return verify_erasure(found[0][0], header=header, index=place.index, digest=place.digest, signers=signers)
