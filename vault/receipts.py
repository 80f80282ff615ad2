"""Receipts: the proof, checked offline and later, that a pod accepted exactly one item.

A receipt is a C2SP tlog-proof of the batch's header against the checkpoint
that the batch itself was logged under, so the header is always the last leaf
and the log path is the peaks before it. Its ``extra`` line carries what leads
from the item to the header: the item's commitment and digest, its place in the
batch, the header, and the item path. On the wire it is base64 of that text.

What is not here: the item (the contributor has it, and computes its
commitment), and which log keys to trust. A receipt proves nothing by its
shape: only ``verify_receipt`` does. See FORMAT.md, "Receipts", and
https://c2sp.org/tlog-proof.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from vault.encoding import from_le32, le32, pae, unpae_labelled
from vault.errors import DamagedError, Fault, MalformedError
from vault.header import Header, log_leaf, parse_header
from vault.item_proofs import check_item, check_signer
from vault.keys import PodId
from vault.notes import Checkpoint, epoch_of, from_base64, read_checkpoint, to_base64, verify_checkpoint
from vault.proofs import LogProof, format_proof, join_hashes, parse_proof, split_hashes
from vault.tree import HASH_BYTES, root_from_inclusion

MAX_RECEIPT_BYTES = 4_000
"""Of a receipt on the wire, up to 2^37 batches: proxies commonly refuse header lines from 4,096 bytes on."""

_LABEL = b"receipt/v1"
_FIELDS = 5


class Receipt(msgspec.Struct, frozen=True):
    """What a receipt says. Believe it once ``verify_receipt`` has returned.

    Attributes:
        c: The item's commitment, 32 bytes.
        digest: SHA-256 of the sealed item, 32 bytes.
        index: The item's place in its batch, from 0.
        header: The packed header of the batch.
        item_path: From the item's leaf up to the header's item root, 32 bytes each.
        batch: The batch's number, from 1; its log index is one less.
        log_path: From the header's leaf up to the checkpoint's root, 32 bytes each.
        checkpoint: The signed note of the log of ``batch`` leaves.
    """

    c: bytes
    digest: bytes
    index: int
    header: bytes
    item_path: tuple[bytes, ...]
    batch: int
    log_path: tuple[bytes, ...]
    checkpoint: bytes


class VerifiedReceipt(msgspec.Struct, frozen=True):
    """What a verified receipt proves.

    Attributes:
        header: Of the batch that holds the item.
        checkpoint: Of the log that holds the header.
        epoch: Of that log. A maintainer's audit accepts earlier epochs only up
            to the last checkpoint the vault remembers of each.
    """

    header: Header
    checkpoint: Checkpoint
    epoch: int


def encode_receipt(receipt: Receipt) -> str:
    """Return the receipt as it travels: base64 of its text, at most ``MAX_RECEIPT_BYTES``."""
    return to_base64(receipt_text(receipt))


def receipt_text(receipt: Receipt) -> bytes:
    """Return the receipt as a tlog-proof, for a file and for other people's tools."""
    extra = pae(
        _LABEL,
        receipt.c,
        receipt.digest,
        le32(receipt.index),
        receipt.header,
        join_hashes(receipt.item_path),
    )
    return format_proof(LogProof(extra, receipt.batch - 1, receipt.log_path, receipt.checkpoint))


def decode_receipt(encoded: str) -> Receipt:
    """Read a receipt from its wire form; the exact inverse of ``encode_receipt``.

    Args:
        encoded: Untrusted text.

    Raises:
        FormatTooNewError: A receipt/v2 or later.
        MalformedError: Longer than ``MAX_RECEIPT_BYTES``, not base64, not a
            tlog-proof with our extra data, or against another checkpoint than
            the batch's own.
    """
    if len(encoded) > MAX_RECEIPT_BYTES:
        raise MalformedError(f"a receipt of at most {MAX_RECEIPT_BYTES} characters was expected")
    proof = parse_proof(from_base64(encoded, "receipt"), "receipt")
    c, digest, place, header, item_path = _split_extra(proof.extra)
    return Receipt(
        c=c,
        digest=digest,
        index=from_le32(place),
        header=header,
        item_path=split_hashes(item_path, "receipt, item path"),
        batch=_batch_of(proof),
        log_path=proof.path,
        checkpoint=proof.checkpoint,
    )


def verify_receipt(
    receipt: Receipt,
    *,
    pod_id: PodId,
    log_keys: Sequence[bytes],
    c: bytes | None = None,
    epoch: int | None = None,
    function_keys: Sequence[bytes] = (),
) -> VerifiedReceipt:
    """Accept a receipt that proves: this pod took the item of this commitment.

    Args:
        receipt: Untrusted.
        pod_id: The pod that must have given it.
        log_keys: The keys trusted to sign the pod's checkpoints, 32 bytes
            each. One must have signed this one.
        c: The commitment that the holder computed from their own item; None
            leaves this comparison to the caller.
        epoch: The one epoch to accept; None accepts any.
        function_keys: Keys trusted to sign headers only, 32 bytes each. The
            header's must be one of these or of ``log_keys``.

    Raises:
        MalformedError: The header or the checkpoint does not parse, the item is not
            one of the batch's, or a path has another length than its tree gives.
        FormatTooNewError: The header is of a later format.
        ForeignPodError: It is another pod's receipt.
        DamagedError: Something in it does not match; the sentence says what.
    """
    header = parse_header(receipt.header)
    check_signer(header, pod_id, [*log_keys, *function_keys], "receipt")
    check_item(receipt, header, c, "receipt")
    checkpoint, found_epoch = _check_log(receipt, pod_id, log_keys)
    if epoch not in (None, found_epoch):
        raise DamagedError(f"a receipt of log epoch {epoch} was expected, it is of epoch {found_epoch}")
    return VerifiedReceipt(header=header, checkpoint=checkpoint, epoch=found_epoch)


def _check_log(receipt: Receipt, pod_id: PodId, log_keys: Sequence[bytes]) -> tuple[Checkpoint, int]:
    origin = read_checkpoint(receipt.checkpoint).origin
    epoch = epoch_of(origin, pod_id)
    checkpoint = verify_checkpoint(receipt.checkpoint, origin, log_keys)
    batch, leaf = checkpoint.size, log_leaf(receipt.header)
    if root_from_inclusion(batch - 1, batch, leaf, receipt.log_path) != checkpoint.root:
        raise DamagedError("the receipt's header is not in the log that its checkpoint signs", Fault.LOG_PATH)
    return checkpoint, epoch


def _split_extra(extra: bytes) -> list[bytes]:
    """Split the extra data into commitment, digest, index, header and item path."""
    fields = unpae_labelled(extra, _LABEL, _FIELDS, "receipt")
    if len(fields[0]) != HASH_BYTES or len(fields[1]) != HASH_BYTES:
        raise MalformedError(f"receipt: a commitment and a digest of {HASH_BYTES} bytes were expected")
    return fields


def _batch_of(proof: LogProof) -> int:
    batch, size = proof.index + 1, read_checkpoint(proof.checkpoint).size
    if size != batch:
        raise MalformedError(f"receipt: the checkpoint of batch {batch} was expected, it is of {size}")
    return batch
