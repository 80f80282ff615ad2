"""Erasure statements: a maintainer's signed word that one item was to go.

An item's sealed bytes may be missing only where such a statement stands in
their place; anything else is loss. Who may sign one is the policy's matter
(``vault.policies``). Erasing is not here (``vault.erasing``). FORMAT.md, "Erasure".
"""

from __future__ import annotations

from collections.abc import Collection

import msgspec

from vault.encoding import from_le32, from_le64, le32, le64, pae, unpae, unpae_labelled
from vault.errors import DamagedError
from vault.header import Header
from vault.keys import Signs, is_signed

_LABEL = b"erasure/v1"
_WHAT = "erasure statement"
_PLACE_FIELDS = 4
"""Pod id, uid, index, digest: what names one sealed item for good."""


class ErasedPlace(msgspec.Struct, frozen=True):
    """Which item a statement says it is about; nothing of it is verified.

    Attributes:
        uid: Of its batch, 16 bytes.
        index: Its place in it, from 0.
    """

    uid: bytes
    index: int


def read_place(statement: bytes) -> ErasedPlace:
    """Find out which item a statement is to be verified against.

    Args:
        statement: Untrusted.

    Raises:
        FormatTooNewError: An erasure/v2 or later.
        MalformedError: Not a statement.
    """
    signed, _, _ = unpae(statement, 3)
    _, uid, index, _, _ = unpae_labelled(signed, _LABEL, _PLACE_FIELDS + 1, _WHAT)
    return ErasedPlace(uid, from_le32(index))


def sign_erasure(header: Header, index: int, digest: bytes, ms: int, identity: Signs) -> bytes:
    """Make a statement; arguments as for ``erasure_bytes``.

    Args:
        header: Of the item's batch.
        index: The item's place in it, from 0.
        digest: SHA-256 of the sealed item, 32 bytes.
        ms: When it is erased, UTC milliseconds.
        identity: Of a signer of the pod's policy.
    """
    signed = erasure_bytes(header, index, digest, ms)
    return pae(signed, identity.signer, identity.sign(signed))


def erasure_bytes(header: Header, index: int, digest: bytes, ms: int) -> bytes:
    """What an erasure's signature covers.

    Args:
        header: Of the item's batch.
        index: The item's place in it, from 0.
        digest: SHA-256 of the sealed item, 32 bytes.
        ms: When it was erased, UTC milliseconds.
    """
    return pae(_LABEL, header.pod_id, header.uid, le32(index), digest, le64(ms))


def verify_erasure(
    statement: bytes, *, header: Header, index: int, digest: bytes, signers: Collection[bytes]
) -> int:
    """Accept a statement that one item was erased.

    Args:
        statement: Untrusted: pae(what is signed, signer's key, signature).
        header: Of the item's batch.
        index: The item's place in it, from 0.
        digest: SHA-256 of the sealed item, 32 bytes.
        signers: 32-byte Ed25519 public keys that may have signed it.

    Returns:
        When it was erased, UTC milliseconds.

    Raises:
        FormatTooNewError: An erasure/v2 or later.
        MalformedError: Not a statement.
        DamagedError: It is about another item, or not signed by a signer.
    """
    signed, key, signature = unpae(statement, 3)
    ms = from_le64(unpae_labelled(signed, _LABEL, _PLACE_FIELDS + 1, _WHAT)[-1])
    if signed != erasure_bytes(header, index, digest, ms):
        raise DamagedError("an erasure statement is about another item")
    if key not in signers or not is_signed(key, signature, signed):
        raise DamagedError("an erasure statement is not signed by a maintainer of this pod")
    return ms
