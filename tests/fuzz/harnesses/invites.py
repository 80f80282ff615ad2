"""Invites: a link that somebody else made, opened by a contributor.

Promises: what a link is read as is written and read again as the same; what is
refused is never quoted, since it may hold a key.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator

from tests.fuzz.target import Shape, Target
from tests.support.vectors import vectors
from vault.encoding import pae, unpae
from vault.errors import FormatTooNewError, MalformedError
from vault.keys import KEY_BYTES
from vault.links import MARK, MAX_INVITE_CHARACTERS, Invite, format_invite, parse_invite

_QUOTED = re.compile(r"[A-Za-z0-9_-]{12,}")
"""As much of a payload as would tell something; our own sentences have shorter words."""
_URL = re.compile(r"https?://[!-~]+")


def run(data: bytes) -> None:
    """Read the link as ``send`` does, and write it again."""
    text = data.decode("ascii", "replace")
    try:
        invite = parse_invite(text)
    except (FormatTooNewError, MalformedError) as exc:
        _require_not_quoted(text, str(exc))
        return
    assert len(text) <= MAX_INVITE_CHARACTERS
    again = format_invite(invite)
    assert _members(parse_invite(again)) == _members(invite)
    assert format_invite(parse_invite(again)) == again
    payload = text.strip().partition(MARK)[2].encode()
    assert base64.urlsafe_b64encode(_decoded(payload)).rstrip(b"=") == payload
    _require_rules(invite)
    assert invite.database_key.reveal().hex() not in repr(invite)


def _require_not_quoted(text: str, sentence: str) -> None:
    assert not [word for word in _QUOTED.findall(sentence) if word in text], sentence


def _members(invite: Invite) -> list[object]:
    """All of it; a secret does not compare by accident."""
    named = [getattr(invite, name) for name in invite.__struct_fields__ if name != "database_key"]
    return [*named, invite.database_key.reveal()]


def _require_rules(invite: Invite) -> None:
    """FORMAT.md, "Invite", spelled out once more."""
    assert _URL.fullmatch(invite.url)
    assert not invite.url.endswith("/")
    assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", invite.name)
    assert len(invite.pod_name) <= 200
    assert 0 <= invite.slot < 2**32
    assert {len(key) for key in (*invite.log_keys, *invite.function_keys, invite.signer)} == {KEY_BYTES}
    assert invite.expires is None or 1 <= invite.expires < 2**63
    types = invite.types or ()
    assert list(types) == sorted(set(types))
    assert invite.types is None or 1 <= len(types) <= 256


def _decoded(payload: bytes) -> bytes:
    return base64.urlsafe_b64decode(payload + b"=" * (-len(payload) % 4))


def _split(data: bytes) -> list[bytes]:
    url, _, payload = data.strip().partition(MARK.encode())
    return [url, *unpae(_decoded(payload))]


def _join(fields: list[bytes]) -> bytes:
    url, *packed = fields or [b""]
    return url + MARK.encode() + base64.urlsafe_b64encode(pae(*packed)).rstrip(b"=")


def _seeds() -> Iterator[bytes]:
    for vector in vectors("invites"):
        if len(vector["link"]) <= TARGET.max_bytes:
            yield vector["link"].encode()
    link = vectors("invites")[0]["link"].strip()
    yield from (f"{link[:-1]}{letter}".encode() for letter in "ABCDEFGHghwxyz")


TARGET = Target(run, _seeds, 4_096, (Shape(_split, _join),))
