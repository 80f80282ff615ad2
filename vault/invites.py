"""The maintainer's half of slots and policies: found, issue, revoke, publish.

Everything here needs an identity and changes only pod.toml and slots.json, the
two files home writes. Members this version does not know are kept as they
stand. FORMAT.md, "Policy" and "Slots".
"""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

import msgspec

from vault.caveats import Caveats
from vault.encoding import pae
from vault.errors import ForeignPodError, MalformedError, MissingError, PolicyError
from vault.files import replace_file
from vault.keys import DatabaseKey, FileKey, PodId
from vault.links import Invite, check_slot_name
from vault.opening import Identity, SlotSecrets, open_file_key, open_slot_secrets
from vault.pod import PodFolder
from vault.policies import (
    MAX_SLOTS_JSON_BYTES,
    POLICY_FORMAT,
    Policy,
    parse_policy,
    parse_strict_json,
    signed_bytes,
)
from vault.sealing import Entropy, Recipient, file_key_info, seal_to_each, slot_info
from vault.slots import NONCE_BYTES, Slot, lookup_of, wrap_file_key

_POLICY_MEMBER = b',"policy":'


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def members_of(policy: Policy) -> dict[str, Any]:
    """P as JSON, with what this version does not know."""
    signed = policy.slots_json.partition(_POLICY_MEMBER)[2].removesuffix(b"}\n")
    return parse_strict_json(signed)


def _sign(members: dict[str, Any], identity: Identity, pod_id: PodId) -> bytes:
    signed = json.dumps(members, separators=(",", ":"), sort_keys=True).encode()
    signature = identity.sign(signed_bytes(pod_id, signed))
    frame = b'{"signature":"%s","signer":"%s","policy":%s}\n'
    return frame % (signature.hex().encode(), identity.signer.hex().encode(), signed)


def found_policy(
    pod_toml: bytes, identity: Identity, *, pod_id: PodId, file_key: FileKey, log_public: bytes
) -> bytes:
    """The first slots.json of a pod: revision 1, one recipient, one signer, no slot.

    Args:
        pod_toml: The pod.toml it signs.
        identity: The maintainer's; recipient and signer.
        pod_id: The pod's id.
        file_key: Sealed to the identity.
        log_public: 32-byte public key of the pod's log.
    """
    members = {
        "format": POLICY_FORMAT,
        "revision": 1,
        "pod_toml": hashlib.sha256(pod_toml).hexdigest(),
        "recipients": [{"key": _base64(identity.recipient.raw)}],
        "file_key": _base64(seal_to_each([identity.recipient], file_key.reveal(), file_key_info(pod_id))),
        "signers": [{"key": identity.signer.hex()}],
        "endorsements": [],
        "logs": [{"key": log_public.hex(), "kind": "vault"}],
        "slots": [],
    }
    return _sign(members, identity, pod_id)


def next_policy(policy: Policy, identity: Identity, changes: dict[str, Any]) -> Policy:
    """Sign the next revision of a policy; what is not changed stands as it stood.

    Args:
        policy: The current one.
        identity: A signer of the next one.
        changes: Members of P.

    Raises:
        PolicyError: The identity is not one of the pod's signers.
        MalformedError: slots.json would be larger than anybody reads.
    """
    members = members_of(policy) | changes
    members["revision"] = policy.revision + 1
    slots_json = _sign(members, identity, policy.pod_id)
    if len(slots_json) > MAX_SLOTS_JSON_BYTES:
        raise MalformedError(
            f"slots.json would have more than {MAX_SLOTS_JSON_BYTES >> 20} MiB, which nobody reads; "
            "it grows with invites times recipients: found another pod, or remove a recipient"
        )
    return parse_policy(policy.pod_toml, slots_json)


def reissue(policy: Policy, identity: Identity, pod_toml: bytes) -> Policy:
    """Sign an edited pod.toml as the next revision.

    Raises:
        MalformedError: ``pod_toml`` is not its format.
        PolicyError: It names another owner key, or the identity is no signer of this pod.
    """
    members = members_of(policy)
    members["revision"] = policy.revision + 1
    members["pod_toml"] = hashlib.sha256(pod_toml).hexdigest()
    return parse_policy(pod_toml, _sign(members, identity, policy.pod_id))


class IssuedSlot(msgspec.Struct, frozen=True):
    """A slot as its maintainer sees it."""

    slot: Slot
    secrets: SlotSecrets

    @property
    def name(self) -> str:
        """The invite's name."""
        return self.secrets.name


def issued_slots(policy: Policy, identity: Identity) -> list[IssuedSlot]:
    """Every slot of the policy with its name, tombstones too.

    Raises:
        WrongKeyError: The identity is not one of the pod's recipients.
        DamagedError: A slot names the identity but does not open.
    """
    return [
        IssuedSlot(slot, open_slot_secrets(identity, slot.rewrap, policy.pod_id, slot.number))
        for slot in policy.slots
    ]


def _slot_members(slot: Slot, caveats: Caveats) -> dict[str, Any]:
    return {
        "number": slot.number,
        "lookup": slot.lookup.hex(),
        "wrap": _base64(slot.wrap or b""),
        "caveats": caveats.as_map(),
        "state": "active",
        "rewrap": _base64(slot.rewrap),
    }


def _seal_slot(
    recipients: tuple[Recipient, ...], key: DatabaseKey, *, pod_id: PodId, number: int, name: str
) -> bytes:
    secrets = pae(
        key.derive("wrap", pod_id), key.derive("view", pod_id), key.derive("name", pod_id), name.encode()
    )
    return seal_to_each(recipients, secrets, slot_info(pod_id, number))


def _new_slot(
    policy: Policy, file_key: FileKey, key: DatabaseKey, *, name: str, caveats: Caveats, entropy: Entropy
) -> Slot:
    number = 1 + max((slot.number for slot in policy.slots), default=0)
    pod_id = policy.pod_id
    wrap = wrap_file_key(
        file_key,
        key.derive("wrap", pod_id),
        pod_id=pod_id,
        number=number,
        caveats=caveats,
        nonce=entropy(NONCE_BYTES),
    )
    rewrap = _seal_slot(policy.recipients, key, pod_id=pod_id, number=number, name=name)
    return Slot(number, lookup_of(key, pod_id), rewrap, caveats, wrap, is_open=True)


def issue(
    policy: Policy, identity: Identity, *, name: str, caveats: Caveats, url: str, entropy: Entropy
) -> tuple[Policy, Invite]:
    """Issue an invite: a new slot and the link that opens it.

    Args:
        policy: The current policy.
        identity: One of its signers and recipients.
        name: The invite's name, unique in the pod for ever.
        caveats: Its limits.
        url: Where its holder sends to.
        entropy: Source of the database key and a nonce.

    Returns:
        The next policy, not yet published, and the invite.

    Raises:
        MalformedError: The name is bad or was used before.
        WrongKeyError: The identity is not one of the pod's recipients.
        PolicyError: The identity is not one of the pod's signers.
    """
    check_slot_name(name)
    if any(issued.name == name for issued in issued_slots(policy, identity)):
        raise MalformedError(f"an invite named {name} exists or existed; choose another name")
    file_key = open_file_key(identity, policy.file_key, policy.pod_id)
    key = DatabaseKey(entropy(32))
    if lookup_of(key, policy.pod_id) in policy.slot_by_lookup:
        raise MalformedError("this database key was used before; the source of randomness repeats itself")
    slot = _new_slot(policy, file_key, key, name=name, caveats=caveats, entropy=entropy)
    slots = [*members_of(policy)["slots"], _slot_members(slot, caveats)]
    published = next_policy(policy, identity, {"slots": slots})
    return published, _invite_to(published, identity, slot.number, key=key, name=name, url=url)


def _invite_to(
    policy: Policy, identity: Identity, number: int, *, key: DatabaseKey, name: str, url: str
) -> Invite:
    """The link to a slot, with the log keys that are listed."""
    caveats = policy.slot_by_number[number].caveats
    return Invite(
        url=url,
        owner_key=policy.config.owner_key,
        database_key=key,
        slot=number,
        log_keys=tuple(policy.vault_logs),
        function_keys=tuple(policy.function_logs),
        signer=identity.signer,
        name=name,
        pod_name=policy.config.name,
        expires=caveats.expires if caveats else None,
        types=caveats.types if caveats else None,
    )


def refreshed(policy: Policy, identity: Identity, invite: Invite, *, url: str) -> Invite:
    """An invite as it would be made today: with the same key, and the log keys that were listed since.

    Args:
        policy: The current policy, which does not change.
        identity: One of its recipients.
        invite: One that was issued before.
        url: Where its holder sends to.

    Raises:
        ForeignPodError: It is another pod's.
        PolicyError: Its slot is not there, or was revoked.
        WrongKeyError: The identity is not one of the pod's recipients.
    """
    if invite.owner_key.raw != policy.config.owner_key.raw:
        raise ForeignPodError("the invite is another pod's; refresh it in that pod's home")
    slot = policy.slot_by_lookup.get(lookup_of(invite.database_key, policy.pod_id))
    if slot is None or slot.wrap is None:
        raise PolicyError(
            "the invite opens nothing in this pod: it was revoked, or never issued; make another"
        )
    name = open_slot_secrets(identity, slot.rewrap, policy.pod_id, slot.number).name
    return _invite_to(policy, identity, slot.number, key=invite.database_key, name=name, url=url)


def revoke(policy: Policy, identity: Identity, number: int) -> Policy:
    """Close a slot for good: its tombstone keeps number, lookup and rewrap, not the wrap.

    Raises:
        MissingError: No such slot.
        PolicyError: The identity is not one of the pod's signers.
    """
    slots = members_of(policy)["slots"]
    for slot in slots:
        if slot["number"] == number:
            slot["state"] = "revoked"
            slot.pop("wrap", None)
            return next_policy(policy, identity, {"slots": slots})
    raise MissingError(f"slot {number} is not in this pod; see `invite ls`")


def list_function(policy: Policy, identity: Identity, log_public: bytes) -> Policy:
    """Let a function sign batches: its log key is listed with the kind ``function``.

    It signs no checkpoint by that, and opens nothing. Keys listed before stay:
    what they signed is collected, and verifies, for as long as they are listed.

    Args:
        policy: The current policy.
        identity: One of its signers.
        log_public: 32 bytes, Ed25519 public.

    Returns:
        The next policy, not yet published.

    Raises:
        MalformedError: The key is listed already; one key has one kind.
        PolicyError: The identity is not one of the pod's signers.
    """
    if any(log.key == log_public for log in policy.logs):
        raise MalformedError("this log key is listed already; draw another for the function")
    logs = [*members_of(policy)["logs"], {"key": log_public.hex(), "kind": "function"}]
    return next_policy(policy, identity, {"logs": logs})


def publish(folder: PodFolder, policy: Policy) -> None:
    """Write the pair into a pod's folder, each file whole; slots.json last.

    A server that looks in between sees no pair and keeps the old one.

    Raises:
        StorageError: A file cannot be written.
    """
    replace_file(folder.pod_toml, policy.pod_toml)
    replace_file(folder.slots_json, policy.slots_json)
