"""Refreshes: a receipt's batch, proven once more in a later checkpoint of the log.

A receipt is made against the log as it was when its batch was logged. A
refresh says, with the maintainer's vault at hand: the same header stands in
the log of this later size, and that log only appended to the one before. It is
a C2SP tlog-proof of the header against the later checkpoint, with the
consistency proof of RFC 6962 2.1.2 as its ``extra`` data.

What is not here: the receipt itself (``vault.receipts``), the file that holds
both (``vault.receipt_files``), and how a vault makes one
(``vault.refreshing``). FORMAT.md, "Refreshes".
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

from vault.encoding import pae, unpae
from vault.errors import DamagedError, Fault, FormatTooNewError, MalformedError, RollbackError
from vault.keys import PodId
from vault.notes import Checkpoint, epoch_of, from_base64, read_checkpoint, to_base64, verify_checkpoint
from vault.proofs import LogProof, format_proof, join_hashes, parse_proof, split_hashes
from vault.tree import root_from_inclusion, verify_consistency

MAX_REFRESH_CHARACTERS = 16_384
"""In base64: both paths at their longest (63 and 64 hashes) take 7 kB, so signatures of witnesses fit too."""

_LABEL = b"refresh/v1"
_LATER_LABEL = re.compile(rb"refresh/v[1-9][0-9]{0,8}")
_FIELDS = 2


class Refresh(msgspec.Struct, frozen=True):
    """What a refresh says. Believe it once ``verify_refresh`` has returned.

    Attributes:
        consistency: From the checkpoint before to this one, 32 bytes each.
        batch: The batch's number, from 1; its log index is one less.
        log_path: From the header's leaf up to this checkpoint's root, 32 bytes each.
        checkpoint: The later signed note.
    """

    consistency: tuple[bytes, ...]
    batch: int
    log_path: tuple[bytes, ...]
    checkpoint: bytes


def encode_refresh(refresh: Refresh) -> str:
    """Return a refresh as it stands in a receipt's file: base64 of its text."""
    return to_base64(refresh_text(refresh))


def refresh_text(refresh: Refresh) -> bytes:
    """Return a refresh as a tlog-proof, for other people's tools."""
    extra = pae(_LABEL, join_hashes(refresh.consistency))
    return format_proof(LogProof(extra, refresh.batch - 1, refresh.log_path, refresh.checkpoint))


def decode_refresh(encoded: str) -> Refresh:
    """Read a refresh; the exact inverse of ``encode_refresh``.

    Args:
        encoded: Untrusted text.

    Raises:
        FormatTooNewError: A refresh/v2 or later.
        MalformedError: Longer than ``MAX_REFRESH_CHARACTERS``, not base64, or
            not a tlog-proof with our extra data.
    """
    if len(encoded) > MAX_REFRESH_CHARACTERS:
        raise MalformedError(f"a refresh of at most {MAX_REFRESH_CHARACTERS} characters was expected")
    proof = parse_proof(from_base64(encoded, "refresh"), "refresh")
    return Refresh(
        consistency=split_hashes(_consistency_of(proof.extra), "refresh, consistency proof"),
        batch=proof.index + 1,
        log_path=proof.path,
        checkpoint=proof.checkpoint,
    )


def verify_refresh(
    refresh: Refresh,
    since: Checkpoint,
    *,
    pod_id: PodId,
    batch: int,
    leaf: bytes,
    log_keys: Sequence[bytes],
) -> Checkpoint:
    """Accept a refresh that proves: the log only grew since, and still holds the batch.

    Args:
        refresh: Untrusted.
        since: The checkpoint before, which was verified.
        pod_id: The pod both must be of.
        batch: The batch's number.
        leaf: Its header's log leaf, 32 bytes.
        log_keys: The keys trusted to sign the pod's checkpoints, 32 bytes each.

    Returns:
        The later checkpoint.

    Raises:
        MalformedError: The checkpoint does not parse, the refresh is of
            another batch, or a path has another length than its tree gives.
        ForeignPodError: The checkpoint is of another pod.
        DamagedError: It is not signed by one of the keys, or the header is not
            where the refresh says.
        RollbackError: It is of an earlier epoch, or its log does not extend the earlier one.
    """
    if refresh.batch != batch:
        raise MalformedError(f"refresh: batch {batch} was expected, it is of batch {refresh.batch}")
    origin = read_checkpoint(refresh.checkpoint).origin
    _check_epochs(epoch_of(since.origin, pod_id), epoch_of(origin, pod_id))
    checkpoint = verify_checkpoint(refresh.checkpoint, origin, log_keys)
    verify_consistency(since.size, checkpoint.size, since.root, checkpoint.root, refresh.consistency)
    if root_from_inclusion(batch - 1, checkpoint.size, leaf, refresh.log_path) != checkpoint.root:
        raise DamagedError(
            "the receipt's header is not in the log that the refresh's checkpoint signs", Fault.LOG_PATH
        )
    return checkpoint


def _check_epochs(earlier: int, later: int) -> None:
    # A repair begins an epoch with the batches it kept: a later one may extend an earlier one.
    if later < earlier:
        raise RollbackError(
            f"refresh: a log of epoch {earlier} or later was expected, it is of epoch {later}"
        )


def _consistency_of(extra: bytes) -> bytes:
    fields = unpae(extra)
    label = fields[0] if fields else b""
    if label != _LABEL and _LATER_LABEL.fullmatch(label):
        raise FormatTooNewError(
            "a refresh of a later format was found, refresh/v1 was expected; update this program"
        )
    if label != _LABEL or len(fields) != _FIELDS:
        raise MalformedError("a refresh was expected: its label refresh/v1 and one field were not found")
    return fields[1]
