"""Key slots: the file key wrapped under a database key, one slot an invite.

A slot's ``lookup`` is both its index and its verifier: finding it needs no scan
and tells nobody anything without the key. Issuing, revoking and recovering
slots is the maintainer's half (``vault.invites``); it is not reachable from
here. FORMAT.md, "Slots".
"""

from __future__ import annotations

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from vault.caveats import Caveats, is_expired
from vault.encoding import le32, pae
from vault.errors import WrongKeyError
from vault.keys import DatabaseKey, FileKey, MacKey, PodId

NONCE_BYTES = 12


class Slot(msgspec.Struct, frozen=True):
    """One slot of a policy.

    Attributes:
        number: Never reused.
        lookup: 32 bytes, D(K,"lookup").
        rewrap: The slot's keys and name, sealed to the recipients.
        caveats: Its limits; None if one is unknown, which closes the slot.
        wrap: Nonce and the file key under D(K,"wrap"); None in a tombstone.
        is_open: Whether its state is ``active`` and its caveats are understood.
    """

    number: int
    lookup: bytes
    rewrap: bytes
    caveats: Caveats | None
    wrap: bytes | None
    is_open: bool

    def caveats_at(self, ms: int) -> Caveats | None:
        """Its limits at a time, UTC milliseconds, at which it takes items in; None if it does not."""
        is_taking = self.is_open and self.caveats is not None and not is_expired(self.caveats, ms)
        return self.caveats if is_taking else None


class OpenedSlot:
    """A slot whose database key was presented: what it takes to accept its items.

    Attributes:
        number: The slot.
        caveats: Its limits.
        pod_id: Its pod.
        file_key: Opens the vault.
        view_key: Seals the slot's view.
        item_key: Salts its commitments.
        name_key: Names its items.
    """

    __slots__ = ("caveats", "file_key", "item_key", "name_key", "number", "pod_id", "view_key")

    def __init__(
        self, number: int, caveats: Caveats, file_key: FileKey, key: DatabaseKey, pod_id: PodId
    ) -> None:
        self.number = number
        self.caveats = caveats
        self.pod_id = pod_id
        self.file_key = file_key
        self.view_key = key.derive("view", pod_id)
        self.item_key = MacKey(key.derive("item", pod_id))
        self.name_key = MacKey(key.derive("name", pod_id))

    def __repr__(self) -> str:
        return f"OpenedSlot({self.number}, **redacted**)"


def lookup_of(key: DatabaseKey, pod_id: PodId) -> bytes:
    """D(K,"lookup"): 32 bytes, the slot's place in the policy's index."""
    return key.derive("lookup", pod_id)


def slot_aad(pod_id: PodId, number: int, caveats: Caveats) -> bytes:
    """Associated data of a wrap: nobody moves it to another slot or other caveats."""
    return pae(b"slot/v1", pod_id, le32(number), caveats.encoded())


def wrap_file_key(
    file_key: FileKey, wrap_key: bytes, *, pod_id: PodId, number: int, caveats: Caveats, nonce: bytes
) -> bytes:
    """Wrap the file key for a slot: nonce, then AES-256-GCM ciphertext and tag.

    Args:
        file_key: What the slot opens.
        wrap_key: 32 bytes, D(K,"wrap").
        pod_id: The slot's pod.
        number: The slot.
        caveats: Its limits, bound to the wrap.
        nonce: 12 random bytes.
    """
    sealed = AESGCM(wrap_key).encrypt(nonce, file_key.reveal(), slot_aad(pod_id, number, caveats))
    return nonce + sealed


def open_slot(slot: Slot, key: DatabaseKey, pod_id: PodId) -> OpenedSlot:
    """Unwrap a slot with its database key.

    Args:
        slot: Found by ``lookup_of(key)`` in a policy.
        key: The database key.
        pod_id: The slot's pod.

    Raises:
        WrongKeyError: The slot is closed, or the key does not open it; its
            caveats or number may have been altered.
    """
    if not slot.is_open or slot.caveats is None or slot.wrap is None:
        raise WrongKeyError("this slot is closed; ask the maintainer for a new invite")
    nonce, sealed = slot.wrap[:NONCE_BYTES], slot.wrap[NONCE_BYTES:]
    try:
        raw = AESGCM(key.derive("wrap", pod_id)).decrypt(
            nonce, sealed, slot_aad(pod_id, slot.number, slot.caveats)
        )
    except InvalidTag as exc:
        raise WrongKeyError(
            "the database key does not open its slot; ask the maintainer for a new invite"
        ) from exc
    return OpenedSlot(slot.number, slot.caveats, FileKey(raw), key, pod_id)
