"""Admission: which pod, and which of its slots, may this key write through?

One keyed digest finds a slot that is open already; else D(K, "lookup") is the
slot's index and its verifier. There is no scan and no slow hash. An unknown
owner, a malformed one, a wrong key, a revoked and an expired slot cost the
same work and get the same answer. FORMAT.md, "Slots".
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import NamedTuple

from ingest.pods import Pod
from ingest.problems import NOT_ADMITTED, Refused
from vault.caveats import is_expired
from vault.errors import MalformedError, WrongKeyError
from vault.keys import KEY_BYTES, DatabaseKey, PodId, parse_hex_32
from vault.slots import OpenedSlot, lookup_of, open_slot

_NOBODY = bytes(KEY_BYTES)
_NO_SLOTS: Mapping[bytes, OpenedSlot] = {}


class Admission(NamedTuple):
    """Who may write where.

    Attributes:
        pod: The pod.
        slot: The slot the key opened.
    """

    pod: Pod
    slot: OpenedSlot


def owner_bytes(unverified_owner: bytes) -> bytes:
    """The owner key's 32 bytes, or zeros where the path holds anything but 64 hex digits."""
    try:
        return parse_hex_32(unverified_owner.decode("latin-1"), "owner key")
    except MalformedError:
        return _NOBODY


class Admissions:
    """Decides who may write.

    Args:
        pods: Every pod served, by its owner key's bytes.
        digest_key: 32 random bytes of this process: what finds an open slot
            is not the key itself, nor a hash anybody else can make.
    """

    __slots__ = ("_digest_key", "_pods")

    def __init__(self, pods: Mapping[bytes, Pod], digest_key: bytes) -> None:
        self._pods = pods
        self._digest_key = digest_key

    def admit(self, owner: bytes, key: DatabaseKey, now_ms: int) -> Admission:
        """Find the slot that ``key`` opens in the pod of ``owner``.

        Args:
            owner: 32 bytes, of ``owner_bytes``.
            key: The database key the client presented.
            now_ms: UTC milliseconds, for slots that expire.

        Raises:
            Refused: The constant 403.
        """
        pod = self._pods.get(owner)
        digest = hashlib.blake2b(owner + key.reveal(), key=self._digest_key, digest_size=16).digest()
        slot = (pod.opened if pod else _NO_SLOTS).get(digest)
        if slot is None:
            slot = _open(pod, owner, key, now_ms)
            if pod and slot:
                pod.opened[digest] = slot
        if pod is None or slot is None or is_expired(slot.caveats, now_ms):
            raise Refused(NOT_ADMITTED)
        return Admission(pod, slot)


def _open(pod: Pod | None, owner: bytes, key: DatabaseKey, now_ms: int) -> OpenedSlot | None:
    # Hashed for a pod that is known too: looking its id up would be told from hashing by 3 us.
    pod_id = PodId(hashlib.sha256(owner).digest())
    lookup = lookup_of(key, pod_id)
    found = pod.policy.slot_by_lookup.get(lookup) if pod else None
    # Before unwrapping, and without raising: a closed slot must not cost more than one that never was.
    if found is None or found.caveats_at(now_ms) is None:
        return None
    try:
        return open_slot(found, key, pod_id)
    except WrongKeyError:
        return None
