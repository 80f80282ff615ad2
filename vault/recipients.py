"""Whom a pod is sealed to: recipients added, removed, replaced.

New batches are sealed to whom the policy names. The file key and what each slot
keeps for the maintainer are opened and sealed to all of them again; what was
sealed before is ``vault.rewrapping``'s. FORMAT.md, "Policy".
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from vault.encoding import pae
from vault.errors import MalformedError, MissingError, PolicyError
from vault.invites import members_of, next_policy
from vault.keys import PodId
from vault.links import check_slot_name
from vault.notes import from_base64, to_base64
from vault.opening import Identity
from vault.policies import Policy, endorsed_bytes
from vault.sealing import SUITE_BYTE, Recipient, file_key_info, seal_to_each, slot_info

_Entry = dict[str, Any]


class NamedRecipient(msgspec.Struct, frozen=True):
    """A recipient as a maintainer sees it.

    Attributes:
        recipient: Its key.
        name: What whoever added it called it; empty for a pod's first, which has none.
    """

    recipient: Recipient
    name: str


def recipient_info(pod_id: PodId, kid: bytes) -> bytes:
    """HPKE info of a recipient's name."""
    return pae(b"recipient/v1", SUITE_BYTE, pod_id, kid)


def named_recipients(policy: Policy, identity: Identity) -> list[NamedRecipient]:
    """Every recipient of a policy with its name.

    Raises:
        WrongKeyError: The identity is not one of them.
        DamagedError: A name was altered.
        MalformedError: A name is not of its format.
    """
    return [
        NamedRecipient(recipient, _opened_name(entry, recipient, policy.pod_id, identity))
        for entry, recipient in zip(members_of(policy)["recipients"], policy.recipients, strict=True)
    ]


def _sealed_name(entry: _Entry) -> bytes | None:
    name = entry.get("name")
    if name is None:
        return None
    if type(name) is not str:
        raise MalformedError("slots.json: a recipient's name must be base64")
    return from_base64(name, "slots.json: a recipient's name")


def _opened_name(entry: _Entry, recipient: Recipient, pod_id: PodId, identity: Identity) -> str:
    sealed = _sealed_name(entry)
    if sealed is None:
        return ""
    opened = identity.open_sealed(sealed, recipient_info(pod_id, recipient.kid), "a recipient's name")
    try:
        return check_slot_name(opened.decode())
    except (UnicodeDecodeError, MalformedError) as exc:
        raise MalformedError("slots.json: a recipient's name is none") from exc


def add_recipient(policy: Policy, identity: Identity, recipient: Recipient, *, name: str) -> Policy:
    """Seal to one more recipient from the next revision on.

    Args:
        policy: The current policy.
        identity: One of its signers and recipients.
        recipient: The new one.
        name: As an invite's; used by no other recipient.

    Raises:
        MalformedError: It is a recipient already, nothing can be sealed to it,
            or the name is bad or taken.
        WrongKeyError: The identity is not one of the pod's recipients.
        DamagedError: What names the identity does not open.
        PolicyError: The identity is not one of the pod's signers.
    """
    check_slot_name(name)
    if recipient in policy.recipients:
        raise MalformedError("this public key is a recipient of the pod already; see `recipient ls`")
    if any(each.name == name for each in named_recipients(policy, identity)):
        raise MalformedError(f"a recipient is named {name} already; choose another name")
    sealed = seal_to_each(
        [*policy.recipients, recipient], name.encode(), recipient_info(policy.pod_id, recipient.kid)
    )
    entry = {"key": to_base64(recipient.raw), "name": to_base64(sealed)}
    return _sealed_to(policy, identity, [*members_of(policy)["recipients"], entry], signing=identity)


def remove_recipient(policy: Policy, identity: Identity, recipient: Recipient) -> Policy:
    """Seal to one recipient less from the next revision on.

    Raises:
        MissingError: It is not one.
        MalformedError: It is the identity's own, without which home opens nothing.
        VaultError: As ``add_recipient``.
    """
    if recipient == identity.recipient:
        raise MalformedError("this home's own key stays a recipient; `rotate --identity` replaces it")
    return _sealed_to(policy, identity, _without(policy, recipient.kid), signing=identity)


def _without(policy: Policy, kid: bytes) -> list[_Entry]:
    entries = members_of(policy)["recipients"]
    kept = [entry for entry, found in zip(entries, policy.recipients, strict=True) if found.kid != kid]
    if len(kept) == len(entries):
        raise MissingError("this key is no recipient of the pod; see `recipient ls`")
    return kept


def hand_over(policy: Policy, old: Identity, new: Identity) -> Policy:
    """Add an identity as recipient and signer, endorsed by the one it follows; signed by the new one.

    Both are trusted and open everything under this policy. What was handed over
    before is not added again; signed by the new one already, the policy itself
    is returned.

    Raises:
        WrongKeyError: The old identity is not one of the pod's recipients.
        DamagedError: What names it does not open.
        PolicyError: It is not one of the pod's signers, whom servers follow.
    """
    if new.signer == policy.signer and new.recipient in policy.recipients:
        return policy
    members = members_of(policy)
    endorsement = {
        "key": new.signer.hex(),
        "by": old.signer.hex(),
        "signature": to_base64(old.sign(endorsed_bytes(policy.pod_id, new.signer))),
    }
    if old.signer not in policy.signers:
        raise PolicyError("this identity is not one of the pod's signers; only a signer names the next one")
    return _sealed_to(
        policy,
        old,
        _with(members["recipients"], {"key": to_base64(new.recipient.raw)}),
        signing=new,
        signers=_with(members["signers"], {"key": new.signer.hex()}),
        endorsements=_with(members["endorsements"], endorsement),
    )


def _with(entries: list[_Entry], entry: _Entry) -> list[_Entry]:
    return entries if entry in entries else [*entries, entry]


def let_go(policy: Policy, new: Identity, old: Identity) -> Policy:
    """Drop an identity that was followed by another: no recipient, no signer any more.

    Its endorsement stays, so that who trusted it finds its successor, and the
    policies and erasures it signed count in the pod's history.

    Raises:
        MissingError: The old identity is no recipient any more.
        VaultError: As ``add_recipient``.
    """
    signers = [entry for entry in members_of(policy)["signers"] if entry["key"] != old.signer.hex()]
    return _sealed_to(policy, new, _without(policy, old.recipient.kid), signing=new, signers=signers)


def _sealed_to(
    policy: Policy, identity: Identity, entries: list[_Entry], *, signing: Identity, **changes: Any
) -> Policy:
    """The next policy with what it seals opened by ``identity`` and sealed to ``entries``."""
    pod_id = policy.pod_id
    recipients = [Recipient(from_base64(entry["key"], "slots.json: key")) for entry in entries]

    def again(sealed: bytes, info: bytes, what: str) -> str:
        return to_base64(seal_to_each(recipients, identity.open_sealed(sealed, info, what), info))

    numbered = zip(members_of(policy)["slots"], policy.slots, strict=True)
    slots = [
        entry | {"rewrap": again(slot.rewrap, slot_info(pod_id, slot.number), f"slot {slot.number}")}
        for entry, slot in numbered
    ]
    file_key = again(policy.file_key, file_key_info(pod_id), "the pod's file key")
    named = list(_renamed(entries, recipients, pod_id, identity))
    return next_policy(
        policy, signing, {"recipients": named, "slots": slots, "file_key": file_key, **changes}
    )


def _renamed(
    entries: Iterable[_Entry], recipients: list[Recipient], pod_id: PodId, identity: Identity
) -> Iterable[_Entry]:
    for entry, recipient in zip(entries, recipients, strict=True):
        sealed = _sealed_name(entry)
        if sealed is None:
            yield entry
            continue
        info = recipient_info(pod_id, recipient.kid)
        name = identity.open_sealed(sealed, info, "a recipient's name")
        yield entry | {"name": to_base64(seal_to_each(recipients, name, info))}
