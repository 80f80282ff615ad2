"""Receipts of what the vault holds: for a batch just written, and for an earlier one.

A receipt is made against its batch's own checkpoint, so that the one a retry
gets is the one the first answer had. FORMAT.md, "Receipts".
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from vault.deciding import Decision
from vault.errors import DamagedError, MalformedError
from vault.header import Header, item_leaves, parse_header
from vault.ledger import Extension, frontier_at
from vault.receipts import Receipt, encode_receipt
from vault.rows import Rows, typed
from vault.sealing import SealedBatch
from vault.submissions import Submission
from vault.tree import SmallTree


class BatchProofs:
    """Makes the receipts of one batch's items.

    Args:
        header: The packed header.
        commitments: C of each item.
        digests: Digest of each item's sealed bytes.
        leaves: Item leaf of each.
        batch: The batch's number.
        log_path: Its inclusion path in the log of that size.
        checkpoint: The signed note of that log.
    """

    __slots__ = (
        "_batch",
        "_checkpoint",
        "_commitments",
        "_digests",
        "_header",
        "_leaves",
        "_log_path",
        "_tree",
    )

    def __init__(
        self,
        *,
        header: bytes,
        commitments: Sequence[bytes],
        digests: Sequence[bytes],
        leaves: Sequence[bytes],
        batch: int,
        log_path: Sequence[bytes],
        checkpoint: bytes,
    ) -> None:
        self._header = header
        self._commitments = commitments
        self._digests = digests
        self._leaves = leaves
        # Most batches have no one who asks for a receipt.
        self._tree: SmallTree | None = None
        self._batch = batch
        self._log_path = tuple(log_path)
        self._checkpoint = checkpoint

    def _path(self, index: int) -> tuple[bytes, ...]:
        if self._tree is None:
            self._tree = SmallTree(self._leaves)
        return tuple(self._tree.path(index))

    def receipt(self, index: int) -> str:
        """The header value of one item's receipt."""
        return encode_receipt(
            Receipt(
                c=self._commitments[index],
                digest=self._digests[index],
                index=index,
                header=self._header,
                item_path=self._path(index),
                batch=self._batch,
                log_path=self._log_path,
                checkpoint=self._checkpoint,
            )
        )


def proofs_of(sealed: SealedBatch, commitments: Sequence[bytes], extension: Extension) -> BatchProofs:
    """Receipts of the batch that extended the log."""
    return BatchProofs(
        header=sealed.header,
        commitments=commitments,
        digests=sealed.digests,
        leaves=sealed.leaves,
        batch=extension.batch,
        log_path=extension.path,
        checkpoint=extension.checkpoint,
    )


class _StoredBatch(msgspec.Struct, frozen=True):
    """The row of a batch, as far as receipts need it."""

    number: int
    first_seq: int
    header: Header
    packed: bytes
    checkpoint: bytes

    @property
    def seqs(self) -> range:
        """Its items'."""
        return range(self.first_seq, self.first_seq + self.header.count)


def _batch_of(rows: Rows, seq: int) -> _StoredBatch:
    found = rows.execute(
        "SELECT batch, first_seq, header, checkpoint FROM batch"
        " WHERE first_seq <= ? ORDER BY first_seq DESC LIMIT 1",
        (seq,),
    )
    if not found:
        raise DamagedError("an item has no batch; restore a snapshot")
    ((number, first_seq, packed, checkpoint),) = typed(found, list[tuple[int, int, bytes, bytes]])
    return _StoredBatch(number, first_seq, _parse(packed, number), packed, checkpoint)


def _parse(packed: bytes, number: int) -> Header:
    try:
        return parse_header(packed)
    except MalformedError as exc:
        raise DamagedError(f"the header of batch {number} is not of its format; restore a snapshot") from exc


def _stored_proofs(rows: Rows, batch: _StoredBatch) -> BatchProofs:
    found = rows.execute(
        "SELECT seq, c, digest FROM item WHERE seq >= ? AND seq < ? ORDER BY seq",
        (batch.seqs.start, batch.seqs.stop),
    )
    items = typed(found, list[tuple[int, bytes, bytes]])
    if [seq for seq, _, _ in items] != list(batch.seqs):
        raise DamagedError(f"batch {batch.number} is not whole; restore a snapshot")
    header = batch.header
    return BatchProofs(
        header=batch.packed,
        commitments=[c for _, c, _ in items],
        digests=[digest for _, _, digest in items],
        leaves=item_leaves(
            header.pod_id, header.uid, [c for _, c, _ in items], [digest for _, _, digest in items]
        ),
        batch=batch.number,
        log_path=frontier_at(rows, batch.number - 1).next_path(),
        checkpoint=batch.checkpoint,
    )


def stored_receipt(rows: Rows, seq: int) -> str:
    """The receipt of an item that is in the vault, as its first answer could have had it, or a retry's would.

    Args:
        rows: The vault.
        seq: The item's.

    Raises:
        DamagedError: Its batch is not whole.
        StorageError: The vault cannot be read.
    """
    return Receipts(rows, None).of_stored(seq)


class Receipts:
    """Makes the receipts that the submissions of one batch asked for.

    A retried file asks for a whole batch again: its tree is built once.

    Args:
        rows: The vault.
        fresh: Proofs of the batch being written; None if nothing is.
    """

    __slots__ = ("_fresh", "_rows", "_stored")

    def __init__(self, rows: Rows, fresh: BatchProofs | None) -> None:
        self._rows = rows
        self._fresh = fresh
        self._stored: dict[int, BatchProofs] = {}

    def of(self, submission: Submission, decision: Decision) -> str | None:
        """The receipt of one submission; None if none was asked for or none is due.

        Raises:
            DamagedError: The batch of an item stored before is not whole.
            StorageError: The vault cannot be read.
        """
        if not submission.wants_receipt:
            return None
        if decision.seq is not None:
            return self.of_stored(decision.seq)
        if decision.index is not None and self._fresh is not None:
            return self._fresh.receipt(decision.index)
        return None

    def of_stored(self, seq: int) -> str:
        """The receipt that the item's first answer could have had; raises what ``of`` does."""
        batch = _batch_of(self._rows, seq)
        if seq not in batch.seqs:
            raise DamagedError("an item has no batch; restore a snapshot")
        if batch.number not in self._stored:
            self._stored[batch.number] = _stored_proofs(self._rows, batch)
        return self._stored[batch.number].receipt(seq - batch.first_seq)
