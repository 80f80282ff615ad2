"""Erasure statements: a maintainer's signed word that one item was to go.

An item's sealed bytes may be missing only where such a statement stands in
their place; anything else is loss. Who may sign one is the policy's matter
(``vault.policies``). Making statements and erasing are not here. FORMAT.md, "Erasure".
"""

from __future__ import annotations

from collections.abc import Collection

from vault.encoding import from_le64, le32, le64, pae, unpae, unpae_labelled
from vault.errors import DamagedError
from vault.header import Header
from vault.keys import is_signed

_LABEL = b"erasure/v1"
_PLACE_FIELDS = 4
"""Pod id, uid, index, digest: what names one sealed item for good."""


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
    ms = from_le64(unpae_labelled(signed, _LABEL, _PLACE_FIELDS + 1, "erasure statement")[-1])
    if signed != erasure_bytes(header, index, digest, ms):
        raise DamagedError("an erasure statement is about another item")
    if key not in signers or not is_signed(key, signature, signed):
        raise DamagedError("an erasure statement is not signed by a maintainer of this pod")
    return ms
