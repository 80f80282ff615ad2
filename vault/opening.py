"""Opening: what only a maintainer's identity can do. The server never imports this.

An identity is one 32-byte seed; its sealing key and its signing key are
derived, so that 64 hex digits on paper recover all of it. FORMAT.md, "Keys"
and "A batch".
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hpke import MLKEM768X25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from vault.encoding import from_le32, le32, unpae, unpae_labelled
from vault.errors import DamagedError, FormatTooNewError, MalformedError, WrongKeyError
from vault.header import Header
from vault.keys import KEY_BYTES, FileKey, MacKey, PodId, Secret, hkdf_sha256
from vault.sealing import (
    HPKE_XWING,
    ITEM_LABEL,
    Recipient,
    batch_keys,
    file_key_info,
    item_aad,
    item_nonce,
    slot_info,
    wrap_info,
)

_MLKEM_SEED_BYTES = 64
_XWING_EXPANDED_BYTES = _MLKEM_SEED_BYTES + 32
"""X-Wing's expansion of a seed: ML-KEM d and z, then the X25519 scalar (draft-connolly-cfrg-xwing-kem)."""


class Identity(Secret):
    """A maintainer's private half: opens what is sealed, signs policies."""

    __slots__ = ("_private", "_signing", "recipient", "signer")

    def __init__(self, raw: bytes) -> None:
        super().__init__(raw)
        expanded = hashlib.shake_256(self.derive("seal")).digest(_XWING_EXPANDED_BYTES)
        mlkem = MLKEM768PrivateKey.from_seed_bytes(expanded[:_MLKEM_SEED_BYTES])
        x25519 = X25519PrivateKey.from_private_bytes(expanded[_MLKEM_SEED_BYTES:])
        self._private = MLKEM768X25519PrivateKey(mlkem, x25519)
        self._signing = Ed25519PrivateKey.from_private_bytes(self.derive("sign"))
        self.recipient = Recipient(
            mlkem.public_key().public_bytes_raw() + x25519.public_key().public_bytes_raw()
        )
        self.signer = self._signing.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)

    def derive(self, use: str) -> bytes:
        """I(use): 32 bytes for one of seal, sign, desk, review."""
        return hkdf_sha256(self._raw, salt=b"", info=b"shared-pod/identity/%s/v1" % use.encode())

    def sign(self, message: bytes) -> bytes:
        """Return the 64-byte Ed25519 signature of ``message`` by the identity's signer."""
        return self._signing.sign(message)

    def open_sealed(self, wraps: bytes, info: bytes, what: str) -> bytes:
        """Open what ``sealing.seal_to_each`` sealed to this identity among others.

        Args:
            wraps: pae of pae(kid, sealed), untrusted.
            info: The HPKE info it was sealed under.
            what: Names the thing in errors.

        Raises:
            MalformedError: ``wraps`` is not of its format.
            WrongKeyError: It is not sealed to this identity.
            DamagedError: It names this identity but does not open.
        """
        sealed = sealed_by_kid(wraps).get(self.recipient.kid)
        if sealed is None:
            raise WrongKeyError(
                f"{what} is not sealed to this identity; use the identity of this pod's maintainer"
            )
        return self.open_one(sealed, info, what)

    def open_one(self, sealed: bytes, info: bytes, what: str) -> bytes:
        """Open what ``Recipient.seal`` sealed to this identity.

        Raises:
            DamagedError: It does not open.
        """
        try:
            return HPKE_XWING.decrypt(sealed, self._private, info)
        except (InvalidTag, ValueError) as exc:
            raise DamagedError(
                f"{what} is sealed to this identity but does not open: it was altered"
            ) from exc


def sealed_by_kid(wraps: bytes) -> dict[bytes, bytes]:
    """Split what ``sealing.seal_to_each`` joined: each recipient's kid to what is sealed to it.

    Raises:
        MalformedError: Not a list of pairs, a kid that is not 32 bytes, or one twice.
    """
    pairs = [unpae(entry, 2) for entry in unpae(wraps)]
    sealed = {kid: each for kid, each in pairs if len(kid) == KEY_BYTES}
    if len(sealed) != len(pairs):
        raise MalformedError("a list of recipients names one twice, or not by a hash")
    return sealed


class SlotSecrets(msgspec.Struct, frozen=True):
    """What a slot's rewrap keeps for the maintainer.

    Attributes:
        name: The invite's name.
        wrap_key: 32 bytes, D(K,"wrap").
        view_key: 32 bytes, D(K,"view").
        name_key: D(K,"name").
    """

    name: str
    wrap_key: bytes
    view_key: bytes
    name_key: MacKey

    def __repr__(self) -> str:
        return f"SlotSecrets({self.name!r}, **redacted**)"


def open_file_key(identity: Identity, sealed: bytes, pod_id: PodId) -> FileKey:
    """Open a policy's sealed file key.

    Raises:
        WrongKeyError: The identity is not one of the pod's recipients.
        DamagedError: It names the identity but does not open.
        MalformedError: It is not of its format.
    """
    return FileKey(identity.open_sealed(sealed, file_key_info(pod_id), "the pod's file key"))


def open_slot_secrets(identity: Identity, rewrap: bytes, pod_id: PodId, number: int) -> SlotSecrets:
    """Open what a slot keeps for the maintainer.

    Raises:
        WrongKeyError: Not sealed to this identity.
        DamagedError: It names the identity but does not open.
        MalformedError: It is not of its format.
    """
    opened = identity.open_sealed(rewrap, slot_info(pod_id, number), f"slot {number}")
    wrap_key, view_key, name_key, name = unpae(opened, 4)
    if any(len(key) != KEY_BYTES for key in (wrap_key, view_key, name_key)):
        raise MalformedError(f"slot {number}: its keys must have {KEY_BYTES} bytes each")
    try:
        return SlotSecrets(name.decode(), wrap_key, view_key, MacKey(name_key))
    except UnicodeDecodeError as exc:
        raise MalformedError(f"slot {number}: its name is not UTF-8") from exc


class OpenedItem(msgspec.Struct, frozen=True):
    """One item as it was sealed.

    Attributes:
        index: Its place in the batch.
        canonical: MP of the item.
        slot: The slot that sent it.
        salt: 32 bytes, the key of its commitment.
    """

    index: int
    canonical: bytes
    slot: int
    salt: bytes


def open_data_key(
    identity: Identity, header: Header, wraps: bytes, later_wraps: Mapping[bytes, bytes]
) -> bytes:
    """Unwrap a batch's data key, 32 bytes; ``OpenedBatch`` describes arguments and errors."""
    if hashlib.sha256(wraps).digest() != header.wraps_hash:
        raise DamagedError("a batch's wraps are not those its header names")
    info = wrap_info(header.pod_id, header.uid, header.commit)
    # The batch's own wraps come first: a row added later takes nobody's access away.
    sealed = {**later_wraps, **sealed_by_kid(wraps)}.get(identity.recipient.kid)
    if sealed is None:
        raise WrongKeyError(
            "a batch is not sealed to this identity; use the identity of this pod's maintainer"
        )
    data_key = identity.open_one(sealed, info, "a batch")
    _, commit = batch_keys(data_key)
    if commit != header.commit:
        raise DamagedError("a batch's data key is not the one its header commits to")
    return data_key


class OpenedBatch:
    """A batch whose data key this identity unwrapped and whose commitment holds.

    Args:
        identity: A recipient of the batch.
        header: The batch's header; trusted as far as its signature and the log go.
        wraps: The data key for each recipient.
        later_wraps: Sealed data keys added after the batch, by kid.

    Raises:
        WrongKeyError: Not sealed to this identity.
        DamagedError: The wraps are not the header's, do not open, or the data
            key is not the one committed to.
        MalformedError: The wraps are not of their format.
    """

    __slots__ = ("_aad_head", "_decrypt")

    def __init__(
        self,
        identity: Identity,
        header: Header,
        wraps: bytes,
        later_wraps: Mapping[bytes, bytes] | None = None,
    ) -> None:
        key, _ = batch_keys(open_data_key(identity, header, wraps, later_wraps or {}))
        self._decrypt = AESGCM(key).decrypt
        # The index, of 4 bytes, stands last.
        self._aad_head = item_aad(header.pod_id, header.uid, 0)[:-4]

    def open_item(self, index: int, sealed: bytes) -> OpenedItem:
        """Open one item.

        Raises:
            DamagedError: It was altered or moved.
            FormatTooNewError: What it holds is of a later format.
            MalformedError: What it holds is not an item.
        """
        canonical, slot, salt = self._parts(index, sealed)
        if len(salt) != KEY_BYTES:
            raise MalformedError(f"sealed item: a salt of {KEY_BYTES} bytes was expected")
        return OpenedItem(index, canonical, from_le32(slot), salt)

    def slot_of(self, index: int, sealed: bytes) -> int | None:
        """The slot that was sealed with what may be no item; None if none was."""
        try:
            _, slot, _ = self._parts(index, sealed)
            return from_le32(slot)
        except (DamagedError, FormatTooNewError, MalformedError):
            return None

    def _parts(self, index: int, sealed: bytes) -> list[bytes]:
        try:
            opened = self._decrypt(item_nonce(index), sealed, self._aad_head + le32(index))
        except InvalidTag as exc:
            raise DamagedError(f"item {index} of a batch does not open: it was altered or moved") from exc
        return unpae_labelled(opened, ITEM_LABEL, 3, "sealed item")

    def open_items(self, sealed: Iterable[bytes | None]) -> Iterator[OpenedItem]:
        """Open the items in order; None stands for an erased one and is passed over."""
        for index, ciphertext in enumerate(sealed):
            if ciphertext is not None:
                yield self.open_item(index, ciphertext)


def open_batch(
    identity: Identity, header: Header, wraps: bytes, sealed: Sequence[bytes | None]
) -> list[OpenedItem]:
    """Open a whole batch; see ``OpenedBatch`` for the errors."""
    return list(OpenedBatch(identity, header, wraps).open_items(sealed))
