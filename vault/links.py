"""The invite: one link that carries all a contributor needs, in its fragment.

A fragment is never sent to a server, so the database key does not reach logs
or proxies. Home trusts its identity, a contributor trusts the invite: neither
takes keys from a vault. FORMAT.md, "Invite".
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import cast

import msgspec

from vault.encoding import MpMap, from_le32, le32, mp, pae, un_mp, unpae, unpae_labelled
from vault.errors import FormatTooNewError, MalformedError
from vault.items import is_type_list
from vault.keys import KEY_BYTES, DatabaseKey, OwnerKey
from vault.pod import MAX_NAME_CHARACTERS, check_url
from vault.properties import INT64_MAX

MARK = "#sp1."
MAX_INVITE_CHARACTERS = 16_384
"""A link longer than this is refused unread; one log key and no types take about 350."""
_LABEL = b"invite/v1"
_LATER_MARK = re.compile(r"#sp[1-9][0-9]{0,8}\.")
_PAYLOAD = re.compile(r"\A[A-Za-z0-9_-]+\Z")
_SLOT_NAME = re.compile(r"\A[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")


def check_slot_name(name: str) -> str:
    """Return ``name`` if an invite may have it.

    Raises:
        MalformedError: Not 1 to 64 letters, digits, points, hyphens and
            underscores, a letter or digit first: it becomes a file's name.
    """
    if not _SLOT_NAME.match(name):
        raise MalformedError(
            "invite name: 1 to 64 letters, digits, points, hyphens and underscores were expected, "
            "a letter or digit first"
        )
    return name


class Invite(msgspec.Struct, frozen=True):
    """What a contributor was given.

    Attributes:
        url: Where to send to, without a trailing slash.
        owner_key: Names the pod.
        database_key: Opens one slot; the secret in it.
        slot: The slot's number.
        log_keys: 32-byte public keys that sign the pod's checkpoints.
        signer: 32-byte public key of the maintainer who issued it.
        name: The invite's name.
        pod_name: The pod's name, for people.
        expires: UTC milliseconds, or None.
        types: Item types allowed, sorted, or None for all.
        function_keys: 32-byte public keys that sign headers, and no checkpoint.
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
    function_keys: tuple[bytes, ...] = ()


def format_invite(invite: Invite) -> str:
    """The link: ``https://host/#sp1.`` and unpadded base64url. It holds the secret."""
    facts: MpMap = {"name": invite.name, "pod": invite.pod_name}
    if invite.expires is not None:
        facts["expires"] = invite.expires
    if invite.types is not None:
        facts["types"] = list(invite.types)
    packed = pae(
        _LABEL,
        invite.owner_key.raw,
        invite.database_key.reveal(),
        le32(invite.slot),
        pae(*invite.log_keys),
        pae(*invite.function_keys),
        invite.signer,
        mp(facts),
    )
    return f"{invite.url}/{MARK}{base64.urlsafe_b64encode(packed).rstrip(b'=').decode()}"


def _unpack(payload: str) -> bytes:
    if not _PAYLOAD.match(payload):
        raise MalformedError(
            "invite: letters that no invite holds follow the #sp1. mark; copy the whole link again"
        )
    try:
        packed = base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4))
    except (binascii.Error, ValueError) as exc:
        raise MalformedError("invite: it ends too early; copy the whole link again") from exc
    if base64.urlsafe_b64encode(packed).rstrip(b"=").decode() != payload:
        raise MalformedError("invite: its last letter is wrong; copy the whole link again")
    return packed


def _text(facts: MpMap, name: str) -> str:
    value = facts.get(name)
    if type(value) is not str or len(value) > MAX_NAME_CHARACTERS:
        raise MalformedError(f"invite: {name} must be text of at most {MAX_NAME_CHARACTERS} characters")
    return value


def _expires(facts: MpMap) -> int | None:
    value = facts.get("expires")
    if value is not None and (type(value) is not int or not 1 <= value <= INT64_MAX):
        raise MalformedError("invite: expires must be milliseconds since 1970")
    return value


def _types(facts: MpMap) -> tuple[str, ...] | None:
    value = facts.get("types")
    if value is None:
        return None
    if not is_type_list(value):
        raise MalformedError("invite: types must be a sorted list of item types")
    return tuple(cast("list[str]", value))


def _keys_32(joined: bytes) -> tuple[bytes, ...]:
    keys = tuple(unpae(joined))
    if any(len(key) != KEY_BYTES for key in keys):
        raise MalformedError(f"invite: a log key must have {KEY_BYTES} bytes")
    return keys


def _payload_of(text: str) -> tuple[str, str]:
    """Split a link into its URL and what follows the mark."""
    if len(text) > MAX_INVITE_CHARACTERS:
        raise MalformedError(f"invite: at most {MAX_INVITE_CHARACTERS} characters were expected")
    url, mark, payload = text.strip().partition(MARK)
    if mark:
        return url, payload
    if _LATER_MARK.search(text):
        raise FormatTooNewError("invite: it is of a later format; update this program")
    raise MalformedError("invite: a link with #sp1. in it was expected")


def parse_invite(text: str) -> Invite:
    """Read a link, as text or as the line of an invite file.

    Args:
        text: Untrusted; white space around it is ignored.

    Raises:
        FormatTooNewError: An invite of a later format.
        MalformedError: Not an invite; the message never quotes it.
    """
    url, payload = _payload_of(text)
    owner, key, slot, log_keys, function_keys, signer, facts = unpae_labelled(
        _unpack(payload), _LABEL, 7, "invite"
    )
    if len(signer) != KEY_BYTES:
        raise MalformedError(f"invite: a signer must have {KEY_BYTES} bytes")
    known = un_mp(facts)
    return Invite(
        url=check_url(url),
        owner_key=OwnerKey(owner),
        database_key=DatabaseKey(key),
        slot=from_le32(slot),
        log_keys=_keys_32(log_keys),
        signer=signer,
        name=check_slot_name(_text(known, "name")),
        pod_name=_text(known, "pod"),
        expires=_expires(known),
        types=_types(known),
        function_keys=_keys_32(function_keys),
    )
