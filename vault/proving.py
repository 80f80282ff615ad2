"""Receipts of what the vault holds: for a batch just written, and for an earlier one.

A receipt is made against its batch's own checkpoint, so that the one a retry
gets is the one the first answer had. FORMAT.md, "Receipt".
"""

from __future__ import annotations

from collections.abc import Sequence

from vault.deciding import Decision, Submission
from vault.errors import DamagedError
from vault.header import item_leaf, parse_header
from vault.ledger import Extension, Rows, frontier_at
from vault.receipts import Receipt, encode_receipt
from vault.sealing import SealedBatch
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

    __slots__ = ("_batch", "_checkpoint", "_commitments", "_digests", "_header", "_log_path", "_tree")

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
        self._tree = SmallTree(leaves)
        self._batch = batch
        self._log_path = tuple(log_path)
        self._checkpoint = checkpoint

    def receipt(self, index: int) -> str:
        """The header value of one item's receipt."""
        return encode_receipt(
            Receipt(
                c=self._commitments[index],
                digest=self._digests[index],
                index=index,
                header=self._header,
                item_path=tuple(self._tree.path(index)),
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


def stored_receipt(rows: Rows, seq: int) -> str:
    """The receipt of an item stored before: the one its first answer could have had.

    Args:
        rows: The vault.
        seq: The item's.

    Raises:
        DamagedError: Its batch is not whole.
        MalformedError: Its header is not of its format.
        StorageError: The vault cannot be read.
    """
    found = rows.execute(
        "SELECT batch, first_seq, header, checkpoint FROM batch WHERE first_seq <= ? ORDER BY first_seq DESC LIMIT 1",
        (seq,),
    )
    if not found:
        raise DamagedError("an item has no batch; restore a snapshot")
    ((batch, first_seq, packed, checkpoint),) = found
    header = parse_header(packed)
    items = rows.execute(
        "SELECT c, digest FROM item WHERE seq >= ? AND seq < ? ORDER BY seq", (first_seq, first_seq + header.count)
    )
    if len(items) != header.count or seq >= first_seq + header.count:
        raise DamagedError(f"batch {batch} is not whole; restore a snapshot")
    proofs = BatchProofs(
        header=packed,
        commitments=[c for c, _ in items],
        digests=[digest for _, digest in items],
        leaves=[item_leaf(header.pod_id, header.uid, i, c, digest) for i, (c, digest) in enumerate(items)],
        batch=batch,
        log_path=frontier_at(rows, batch - 1).next_path(),
        checkpoint=checkpoint,
    )
    return proofs.receipt(seq - first_seq)


class Receipts:
    """Makes the receipts that the submissions of one batch asked for.

    Args:
        rows: The vault.
        fresh: Proofs of the batch being written; None if nothing is.
    """

    __slots__ = ("_fresh", "_rows")

    def __init__(self, rows: Rows, fresh: BatchProofs | None) -> None:
        self._rows = rows
        self._fresh = fresh

    def of(self, submission: Submission, decision: Decision) -> str | None:
        """The receipt of one submission; None if none was asked for or none is due."""
        if not submission.wants_receipt:
            return None
        if decision.seq is not None:
            return stored_receipt(self._rows, decision.seq)
        if decision.index is not None and self._fresh is not None:
            return self._fresh.receipt(decision.index)
        return None
