"""A receipt as a file: the item's id, the receipt, and every refresh it was given since.

What travels in the header is the receipt alone; its holder keeps it as it came,
or in a file that has the id too. A refresh adds a line and changes none, so
that who kept the older file sees that the newer one continues it.

What is not here: reading and writing files, and the item. FORMAT.md,
"Receipt files".
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from vault.errors import RollbackError
from vault.header import log_leaf
from vault.keys import PodId
from vault.notes import Checkpoint
from vault.proof_files import Kind, ProofFile, format_proof_file, parse_proof_file
from vault.receipts import Receipt, VerifiedReceipt, decode_receipt, encode_receipt, verify_receipt
from vault.refreshes import Refresh, decode_refresh, encode_refresh, verify_refresh

MAX_RECEIPT_FILE_BYTES = 1 << 20
"""A file larger than this is refused unread; one refresh in a log of 2^30 batches takes about 6,000."""

_KIND = Kind("receipt", "Pod-Receipt", "its mark, a receipt, and refreshes", MAX_RECEIPT_FILE_BYTES)


class ReceiptFile(msgspec.Struct, frozen=True):
    """What a file holds. Believe it once ``verify_receipt_file`` has returned.

    Attributes:
        item_id: The item's id, as the one who wrote the file says; None if they did not.
        receipt: As the pod gave it.
        refreshes: In the order in which they were made.
    """

    item_id: str | None
    receipt: Receipt
    refreshes: tuple[Refresh, ...] = ()

    def continues(self, earlier: ReceiptFile) -> bool:
        """Whether this is the earlier file with nothing but refreshes added."""
        kept = self.refreshes[: len(earlier.refreshes)]
        return (self.receipt, kept) == (earlier.receipt, earlier.refreshes)


class VerifiedFile(msgspec.Struct, frozen=True):
    """What a verified file proves.

    Attributes:
        receipt: That the item is in its batch, and the batch in the log.
        checkpoints: Of the log: the receipt's own, then each refresh's. Each extends the one before.
    """

    receipt: VerifiedReceipt
    checkpoints: tuple[Checkpoint, ...]

    @property
    def newest(self) -> Checkpoint:
        """The latest state of the log that the file reaches."""
        return self.checkpoints[-1]


def format_receipt_file(file: ReceiptFile) -> bytes:
    """Return the file's bytes."""
    lines = [encode_receipt(file.receipt), *map(encode_refresh, file.refreshes)]
    return format_proof_file(_KIND, ProofFile(file.item_id, lines))


def parse_receipt_file(content: bytes) -> ReceiptFile:
    """Read a receipt from a file, or from what HTTP clients print.

    Args:
        content: Untrusted; as for ``vault.proof_files.parse_proof_file``.

    Raises:
        FormatTooNewError: Something of a later format.
        MalformedError: Anything else that is no receipt, or no refresh after it.
    """
    item_id, (receipt, *refreshes) = parse_proof_file(_KIND, content)
    return ReceiptFile(item_id, decode_receipt(receipt), tuple(map(decode_refresh, refreshes)))


def verify_receipt_file(
    file: ReceiptFile,
    *,
    pod_id: PodId,
    log_keys: Sequence[bytes],
    function_keys: Sequence[bytes] = (),
    c: bytes | None = None,
) -> VerifiedFile:
    """Accept a file whose receipt holds, and whose every refresh extends the log before it.

    Args:
        file: Untrusted.
        pod_id: As for ``vault.receipts.verify_receipt``, and so the rest.
        log_keys: Sign checkpoints.
        function_keys: Sign headers only.
        c: The item's commitment, if the holder knows it.

    Raises:
        VaultError: As ``vault.receipts.verify_receipt`` and
            ``vault.refreshes.verify_refresh``, which say when.
    """
    proven = verify_receipt(file.receipt, pod_id=pod_id, log_keys=log_keys, function_keys=function_keys, c=c)
    checkpoints = [proven.checkpoint]
    leaf, batch = log_leaf(file.receipt.header), file.receipt.batch
    for refresh in file.refreshes:
        checkpoints.append(
            verify_refresh(refresh, checkpoints[-1], pod_id=pod_id, batch=batch, leaf=leaf, log_keys=log_keys)
        )
    return VerifiedFile(proven, tuple(checkpoints))


def check_continues(file: ReceiptFile, earlier: ReceiptFile) -> None:
    """Refuse a file that is not an earlier one with refreshes added.

    Whoever holds the log key can tell two stories of one item, each of which
    verifies. Only the file that was kept says which was told first.

    Raises:
        RollbackError: It does not continue the earlier one.
    """
    if not file.continues(earlier):
        raise RollbackError(
            "the file does not continue the earlier one: its receipt, or a refresh it had, is another now. "
            "Keep both: together they show two stories of one log"
        )
