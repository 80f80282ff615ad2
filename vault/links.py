"""The invite: one link that carries all a contributor needs, in its fragment.

A fragment is never sent to a server, so the database key does not reach logs
or proxies. Home trusts its identity, a contributor trusts the invite: neither
takes keys from a vault. FORMAT.md, "Invite".
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import Any, cast

import msgspec

from vault.encoding import from_le32, le32, mp, pae, un_mp, unpae
from vault.errors import MalformedError
from vault.keys import DatabaseKey, OwnerKey
from vault.pod import check_url

MARK = "#sp1."
MAX_INVITE_CHARACTERS = 16_384
"""A link longer than this is refused unread; one log key and no types take about 350."""
_LABEL = b"invite/v1"
_PAYLOAD = re.compile(r"\A[A-Za-z0-9_-]+\Z")


class Invite(msgspec.Struct, frozen=True):
    """What a contributor was given.

    Attributes:
        url: Where to send to, without a trailing slash.
        owner_key: Names the pod.
        database_key: Opens one slot; the secret in it.
        slot: The slot's number.
        log_keys: 32-byte public keys of the pod's logs; receipts are checked against them.
        signer: 32-byte public key of the maintainer who issued it.
        name: The invite's name.
        pod_name: The pod's name, for people.
        expires: UTC milliseconds, or None.
        types: Item types allowed, or None for all.
    """

    url: str
    owner_key: OwnerKey
    database_key: DatabaseKey
    slot: int
    log_keys: tuple[bytes, ...]
    signer: bytes
    name: str
    pod_name: str
    expires: int | None = None
    types: tuple[str, ...] | None = None


def format_invite(invite: Invite) -> str:
    """The link: ``https://host/#sp1.`` and unpadded base64url. It holds the secret."""
    facts: dict[str, Any] = {"name": invite.name, "pod": invite.pod_name}
    if invite.expires is not None:
        facts["expires"] = invite.expires
    if invite.types is not None:
        facts["types"] = invite.types
    packed = pae(
        _LABEL,
        invite.owner_key.raw,
        invite.database_key.reveal(),
        le32(invite.slot),
        pae(*invite.log_keys),
        invite.signer,
        mp(facts),
    )
    return f"{invite.url}/{MARK}{base64.urlsafe_b64encode(packed).rstrip(b'=').decode()}"


def _unpack(payload: str) -> bytes:
    if not _PAYLOAD.match(payload):
        raise MalformedError("invite: letters that no invite holds follow the #sp1. mark; copy the whole link again")
    try:
        packed = base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4))
    except (binascii.Error, ValueError) as exc:
        raise MalformedError("invite: it ends too early; copy the whole link again") from exc
    if base64.urlsafe_b64encode(packed).rstrip(b"=").decode() != payload:
        raise MalformedError("invite: its last letter is wrong; copy the whole link again")
    return packed


def _text(facts: dict[str, Any], name: str) -> str:
    value = facts.get(name)
    if type(value) is not str or len(value) > 200:
        raise MalformedError(f"invite: {name} must be text of at most 200 characters")
    return value


def _expires(facts: dict[str, Any]) -> int | None:
    value = facts.get("expires")
    if value is not None and (type(value) is not int or not 0 <= value < 2**63):
        raise MalformedError("invite: expires must be milliseconds since 1970")
    return cast("int | None", value)


def _types(facts: dict[str, Any]) -> tuple[str, ...] | None:
    value = facts.get("types")
    if value is None:
        return None
    if type(value) is not list or not all(type(name) is str for name in value):
        raise MalformedError("invite: types must be a list of names")
    return tuple(value)


def _keys_32(joined: bytes) -> tuple[bytes, ...]:
    keys = tuple(unpae(joined))
    if any(len(key) != 32 for key in keys):
        raise MalformedError("invite: a log key must have 32 bytes")
    return keys


def parse_invite(text: str) -> Invite:
    """Read a link, as text or as the line of an invite file.

    Args:
        text: Untrusted; white space around it is ignored.

    Raises:
        MalformedError: Not an invite; the message never quotes it.
    """
    url, mark, payload = text.strip().partition(MARK)
    if not mark or len(text) > MAX_INVITE_CHARACTERS:
        raise MalformedError("invite: a link with #sp1. in it was expected")
    label, owner, key, slot, log_keys, signer, facts = unpae(_unpack(payload), 7)
    if label != _LABEL or len(signer) != 32:
        raise MalformedError("invite: it is not of version 1")
    known = un_mp(facts)
    return Invite(
        url=check_url(url),
        owner_key=OwnerKey(owner),
        database_key=DatabaseKey(key),
        slot=from_le32(slot),
        log_keys=_keys_32(log_keys),
        signer=signer,
        name=_text(known, "name"),
        pod_name=_text(known, "pod"),
        expires=_expires(known),
        types=_types(known),
    )
