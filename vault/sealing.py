"""Sealing: encrypt a batch to the recipients' public keys. There is no opening here.

One fresh data key a batch, wrapped to each recipient by HPKE (RFC 9180 base
mode) with the X-Wing KEM (ML-KEM-768 and X25519), HKDF-SHA256 and AES-256-GCM,
and committed to, because AES-GCM alone lets one ciphertext open under two keys.
Each item is AES-256-GCM under a key that serves this one sealing. FORMAT.md, "A batch".

Randomness is passed in, except inside HPKE.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

import msgspec
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, MLKEM768X25519PublicKey, Suite

from vault.encoding import le32, le64, pae
from vault.errors import MalformedError
from vault.header import MAX_ITEMS, SUITE, Header, item_leaves
from vault.keys import PodId, hkdf_expand_sha256
from vault.tree import root_of

SUITE_BYTE = bytes([SUITE])
HPKE_XWING = Suite(KEM.MLKEM768_X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)

MLKEM_PUBLIC_BYTES = 1184
RECIPIENT_BYTES = MLKEM_PUBLIC_BYTES + 32
"""ML-KEM-768 encapsulation key (FIPS 203) and X25519 public key (RFC 7748)."""

ITEM_LABEL = b"item/v1"

DATA_KEY_BYTES = 32
SEALED_MORE_BYTES = 99
"""A sealed item is so much longer than its canonical bytes: lengths, label, slot, salt and tag."""
MAX_SEALED_BYTES = 64 << 20
"""Far more than the sealed items of a batch have: bounds what one made by hand takes of a reader's memory."""
UID_BYTES = 16

Entropy = Callable[[int], bytes]
"""Given a count, that many random bytes."""


class Recipient:
    """A maintainer's public key for sealing.

    Args:
        raw: 1216 bytes: ML-KEM-768 public key, then X25519 public key.

    Raises:
        MalformedError: Another length, or not an ML-KEM-768 public key.
    """

    __slots__ = ("_public", "kid", "raw")

    def __init__(self, raw: bytes) -> None:
        if len(raw) != RECIPIENT_BYTES:
            raise MalformedError(f"recipient: {RECIPIENT_BYTES} bytes were expected, {len(raw)} were found")
        try:
            mlkem = MLKEM768PublicKey.from_public_bytes(raw[:MLKEM_PUBLIC_BYTES])
        except ValueError as exc:
            raise MalformedError("recipient: the first 1184 bytes are no ML-KEM-768 public key") from exc
        self._public = MLKEM768X25519PublicKey(
            mlkem, X25519PublicKey.from_public_bytes(raw[MLKEM_PUBLIC_BYTES:])
        )
        self.raw = bytes(raw)
        self.kid = hashlib.sha256(self.raw).digest()

    def seal(self, plaintext: bytes, info: bytes) -> bytes:
        """HPKE-encrypt to this recipient: encapsulated key, then ciphertext; empty aad.

        Raises:
            MalformedError: Its X25519 half is a point of small order, which no
                identity has.
        """
        try:
            return HPKE_XWING.encrypt(plaintext, self._public, info)
        except ValueError as exc:
            raise MalformedError("recipient: the last 32 bytes are no usable X25519 public key") from exc

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Recipient) and self.raw == other.raw

    def __hash__(self) -> int:
        return hash(self.raw)

    def __repr__(self) -> str:
        return f"Recipient({self.kid.hex()[:8]}...)"


def seal_to_each(recipients: Sequence[Recipient], plaintext: bytes, info: bytes) -> bytes:
    """pae of one pae(kid, sealed) a recipient, in the order given."""
    return pae(*(pae(recipient.kid, recipient.seal(plaintext, info)) for recipient in recipients))


def wrap_info(pod_id: PodId, uid: bytes, commit: bytes) -> bytes:
    """HPKE info of a batch's data key."""
    return pae(b"wrap/v1", SUITE_BYTE, pod_id, uid, commit)


def file_key_info(pod_id: PodId) -> bytes:
    """HPKE info of a pod's file key."""
    return pae(b"file-key/v1", SUITE_BYTE, pod_id)


def slot_info(pod_id: PodId, slot: int) -> bytes:
    """HPKE info of a slot's keys and name."""
    return pae(b"rewrap/v1", SUITE_BYTE, pod_id, le32(slot))


def batch_keys(data_key: bytes) -> tuple[bytes, bytes]:
    """The item key and the key commitment of a batch's data key, 32 bytes each."""
    return (
        hkdf_expand_sha256(data_key, b"shared-pod/item-key/v1"),
        hkdf_expand_sha256(data_key, b"shared-pod/commit/v1"),
    )


def item_nonce(index: int) -> bytes:
    """BE96 of an item's place in its batch; each batch has a key of its own."""
    return index.to_bytes(12, "big")


def item_aad(pod_id: PodId, uid: bytes, index: int) -> bytes:
    """Associated data that binds a sealed item to its place."""
    return pae(b"seal/v1", pod_id, uid, le32(index))


class Plain(msgspec.Struct, frozen=True):
    """One item about to be sealed.

    Attributes:
        canonical: The canonical item.
        slot: Number of the slot that sent it.
        salt: 32 bytes, HMAC(D(K,"item"), id).
        c: 32 bytes, HMAC(salt, canonical).
    """

    canonical: bytes
    slot: int
    salt: bytes
    c: bytes


class SealedBatch(msgspec.Struct, frozen=True):
    """A batch as it is stored, but for its signature and its place in the log.

    Attributes:
        uid: 16 random bytes.
        header: Packed; names all the rest.
        wraps: The data key for each recipient.
        sealed: Each item's ciphertext and tag.
        digests: SHA-256 of each.
        leaves: Each item's leaf in the item tree.
    """

    uid: bytes
    header: bytes
    wraps: bytes
    sealed: list[bytes]
    digests: list[bytes]
    leaves: list[bytes]


class BatchKey:
    """What one batch is sealed under: drawn and wrapped, for a single sealing.

    It depends on no item, so it can be made before there is one.

    Args:
        recipients: At least one.
        pod_id: The pod's 32-byte id.
        entropy: Source of randomness.

    Attributes:
        recipients: Whom the data key is wrapped for.
        uid: 16 random bytes.
        commit: The key commitment of the data key.
        wraps: The data key for each recipient.

    Raises:
        MalformedError: No recipient.
    """

    __slots__ = ("_key", "commit", "recipients", "uid", "wraps")

    def __init__(self, recipients: Sequence[Recipient], pod_id: PodId, entropy: Entropy) -> None:
        if not recipients:
            raise MalformedError("a batch has at least one recipient")
        self.recipients = tuple(recipients)
        self.uid, data_key = entropy(UID_BYTES), entropy(DATA_KEY_BYTES)
        key, self.commit = batch_keys(data_key)
        self._key: bytes | None = key
        self.wraps = seal_to_each(recipients, data_key, wrap_info(pod_id, self.uid, self.commit))

    def take(self) -> AESGCM:
        """Return the cipher, once: a second sealing under it would repeat nonces.

        Raises:
            MalformedError: It was taken before.
        """
        key, self._key = self._key, None
        if key is None:
            raise MalformedError("a batch's key serves one sealing; draw another")
        return AESGCM(key)

    def __repr__(self) -> str:
        return f"BatchKey({self.uid.hex()}, **redacted**)"


_SLOT_LENGTH = le64(4)


def _form_of(item: Plain, head: bytes) -> bytes:
    """What is sealed of an item: ``head``, which is the label's, and canonical, LE32 slot and salt of a pae.

    Joined here because this is the commit path.
    """
    canonical, salt = item.canonical, item.salt
    size, salt_size = le64(len(canonical)), le64(len(salt))
    return b"".join((head, size, canonical, _SLOT_LENGTH, le32(item.slot), salt_size, salt))


def seal_batch(
    items: Sequence[Plain],
    recipients: Sequence[Recipient],
    *,
    pod_id: PodId,
    log_public: bytes,
    policy: bytes,
    ms: int,
    entropy: Entropy,
    batch_key: BatchKey | None = None,
) -> SealedBatch:
    """Seal the items of one commit.

    Its uid and data key serve this one call: sealing again after any failure
    needs new ones, or nonces would repeat.

    Args:
        items: 1 to 512.
        recipients: At least one.
        pod_id: The pod's 32-byte id.
        log_public: The 32-byte Ed25519 public key that will sign the header.
        policy: SHA-256 of the slots.json the batch was taken under.
        ms: UTC milliseconds, the received time of every item.
        entropy: Source of randomness.
        batch_key: Made before for this pod and these recipients; drawn now if None.

    Raises:
        MalformedError: No item, too many, no recipient, or a batch key that
            was used or is for other recipients; or more bytes than a reader takes in.
    """
    if not 1 <= len(items) <= MAX_ITEMS or not recipients:
        raise MalformedError(f"a batch has 1 to {MAX_ITEMS} items and at least one recipient")
    drawn = batch_key or BatchKey(recipients, pod_id, entropy)
    if drawn.recipients != tuple(recipients):
        raise MalformedError("a batch's key is wrapped for others than its recipients; draw another")
    uid, commit, wraps = drawn.uid, drawn.commit, drawn.wraps
    encrypt = drawn.take().encrypt
    # What is the same for every item is packed once; the index, of 4 bytes, stands last.
    aad_head = item_aad(pod_id, uid, 0)[:-4]
    form_head = pae(ITEM_LABEL, b"", b"", b"")[: -3 * 8]
    sealed = [
        encrypt(item_nonce(index), _form_of(item, form_head), aad_head + le32(index))
        for index, item in enumerate(items)
    ]
    if sum(map(len, sealed)) > MAX_SEALED_BYTES:
        raise MalformedError(f"a batch has at most {MAX_SEALED_BYTES} sealed bytes")
    digests = [hashlib.sha256(ciphertext).digest() for ciphertext in sealed]
    leaves = item_leaves(pod_id, uid, [item.c for item in items], digests)
    header = Header(
        pod_id=pod_id,
        uid=uid,
        log_key_hash=hashlib.sha256(log_public).digest(),
        ms=ms,
        count=len(items),
        item_root=root_of(leaves),
        commit=commit,
        wraps_hash=hashlib.sha256(wraps).digest(),
        policy=policy,
    )
    return SealedBatch(uid, header.pack(), wraps, sealed, digests, leaves)
