"""Promises: what a function gives in place of a receipt, because functions cannot append to one log.

A promise says: the batch of this header, signed by a function's log key, holds
exactly this item, and it was stored before the answer was sent. Its maintainer
collects the batch and logs the header; from then on a receipt can be made of
it. A promise whose header is in no vault after everything was collected proves
that something was lost, or was never stored. A promise proves nothing by its
shape: only ``verify_promise`` does. FORMAT.md, "Promises".
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from vault.encoding import from_le32, le32, pae, unpae_labelled
from vault.errors import DamagedError, Fault, MalformedError
from vault.header import Header, parse_header
from vault.item_proofs import check_item, check_signer
from vault.keys import PodId, is_signed
from vault.notes import from_base64, to_base64
from vault.proofs import join_hashes, split_hashes
from vault.tree import HASH_BYTES

MAX_PROMISE_BYTES = 1_200
"""Of a promise on the wire: 708 for a batch of one item, 1,092 for one of 512."""

SIGNATURE_BYTES = 64
_LABEL = b"promise/v1"
_FIELDS = 6


class Promise(msgspec.Struct, frozen=True):
    """What a promise says. Believe it once ``verify_promise`` has returned.

    Attributes:
        c: The item's commitment, 32 bytes.
        digest: SHA-256 of the sealed item, 32 bytes.
        index: The item's place in its batch, from 0.
        header: The packed header of the batch.
        item_path: From the item's leaf up to the header's item root, 32 bytes each.
        signature: 64 bytes over the header.
    """

    c: bytes
    digest: bytes
    index: int
    header: bytes
    item_path: tuple[bytes, ...]
    signature: bytes


def encode_promise(promise: Promise) -> str:
    """Return the promise as it travels: base64, at most ``MAX_PROMISE_BYTES`` characters."""
    return to_base64(
        pae(
            _LABEL,
            promise.c,
            promise.digest,
            le32(promise.index),
            promise.header,
            join_hashes(promise.item_path),
            promise.signature,
        )
    )


def decode_promise(encoded: str) -> Promise:
    """Read a promise from its wire form; the exact inverse of ``encode_promise``.

    Args:
        encoded: Untrusted text.

    Raises:
        FormatTooNewError: A promise/v2 or later.
        MalformedError: Longer than ``MAX_PROMISE_BYTES``, not base64, not its
            fields, or a field of another length.
    """
    if len(encoded) > MAX_PROMISE_BYTES:
        raise MalformedError(f"a promise of at most {MAX_PROMISE_BYTES} characters was expected")
    joined = from_base64(encoded, "promise")
    c, digest, place, header, path, signature = unpae_labelled(joined, _LABEL, _FIELDS, "promise")
    if len(c) != HASH_BYTES or len(digest) != HASH_BYTES or len(signature) != SIGNATURE_BYTES:
        raise MalformedError(
            f"promise: a commitment and a digest of {HASH_BYTES} bytes and a signature of {SIGNATURE_BYTES} "
            "were expected"
        )
    return Promise(
        c=c,
        digest=digest,
        index=from_le32(place),
        header=header,
        item_path=split_hashes(path, "promise, item path"),
        signature=signature,
    )


def verify_promise(
    promise: Promise, *, pod_id: PodId, function_keys: Sequence[bytes], c: bytes | None = None
) -> Header:
    """Accept a promise that proves: a function of this pod said it stored the item of this commitment.

    Args:
        promise: Untrusted.
        pod_id: The pod whose function must have given it.
        function_keys: Log keys of the kind ``function``, 32 bytes each. One must have signed it.
        c: The commitment that the holder computed from their own item; None
            leaves this comparison to the caller.

    Returns:
        The header of the batch that holds the item.

    Raises:
        MalformedError: The header does not parse, the item is not one of the
            batch's, or the path has another length than its tree gives.
        FormatTooNewError: The header is of a later format.
        ForeignPodError: It is another pod's promise.
        DamagedError: Something in it does not match; the sentence says what.
    """
    header = parse_header(promise.header)
    key = check_signer(header, pod_id, function_keys, "promise")
    check_item(promise, header, c, "promise")
    if not is_signed(key, promise.signature, promise.header):
        raise DamagedError("the promise's header is not what its log key signed", Fault.SIGNATURE)
    return header
