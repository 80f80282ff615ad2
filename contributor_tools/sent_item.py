"""The item a contributor sent, read again from its JSON, to the bit that the pod committed to.

The decoder is of the wire's types, as the server's is: a number is an integer
or a float by how it is written, and the canonical form follows from that alone
(FORMAT.md, "Items"). A member that stands twice is refused, since two readers
could take it for two different items.
"""

from __future__ import annotations

import json
from typing import Any

import msgspec

from vault.errors import MalformedError, WrongKeyError
from vault.items import MAX_FIELDS, Item, is_item_id, parse_item
from vault.keys import DatabaseKey
from vault.properties import Scalar

MAX_ITEM_FILE_BYTES = 8 << 20
"""More than the largest body of the wire (5 MiB) has."""

Payload = dict[str, Scalar | None]


class _Body(msgspec.Struct, forbid_unknown_fields=True):
    # Flat below auth and payload: nothing deep or wide can be built from a hostile file.
    auth: Payload
    payload: Payload


class Sent(msgspec.Struct, frozen=True):
    """What a file says was sent.

    Attributes:
        payload: The item's members. Untrusted.
        key: The database key beside it, if the file is a whole body. The secret in it.
    """

    payload: Payload
    key: DatabaseKey | None = None


_body = msgspec.json.Decoder(_Body)
_payload = msgspec.json.Decoder(Payload)
_members = msgspec.json.Decoder(dict[str, msgspec.Raw])
_NOT_DECODED = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def parse_sent(content: bytes) -> Sent:
    """Read a payload, or a whole body of `create_item`.

    Args:
        content: Untrusted JSON.

    Raises:
        MalformedError: It is neither; nothing of it is quoted.
    """
    try:
        is_body = _is_body(content)
        found = _body_of(content) if is_body else Sent(_payload.decode(content))
    except _NOT_DECODED as exc:
        raise MalformedError(
            "item: one JSON object was expected, the payload as it was sent or a whole create_item body "
            "of auth and payload"
        ) from exc
    if len(found.payload) > MAX_FIELDS:
        raise MalformedError(f"item: at most {MAX_FIELDS} members were expected")
    # What was decoded is flat, so this builds no more than the decoder did.
    json.loads(content, object_pairs_hook=_unique, parse_int=len, parse_float=len)
    return found


def item_of(sent: Sent, known_ids: list[str]) -> Item:
    """Bring what was sent into the form the pod committed to.

    Args:
        sent: The item.
        known_ids: The id from elsewhere: an argument, a receipt's file. Each
            must be the item's; one must be there if the item has none.

    Raises:
        MalformedError: There is no id, ids differ, or it breaks a rule of the wire.
    """
    own = sent.payload.get("id")
    for known in known_ids:
        if not is_item_id(known):
            raise MalformedError("id: 6 to 36 letters, digits, underscores and hyphens were expected")
    said = {*known_ids, own} - {None}
    if not said:
        raise MalformedError("item: it has no id, so the pod made one; pass what it answered as --id")
    if len(said) > 1:
        raise MalformedError("item: its id, --id and the receipt file's id are not all the same")
    return parse_item(sent.payload, make_id=lambda: known_ids[0])


def check_key(sent: Sent, key: DatabaseKey) -> None:
    """Refuse a body that was sent with another key than the invite's.

    Raises:
        WrongKeyError: It holds another database key.
    """
    if sent.key is not None and sent.key.reveal() != key.reveal():
        raise WrongKeyError("the body was sent with another database key; pass the invite that holds it")


def _is_body(content: bytes) -> bool:
    payload = _members.decode(content).get("payload")
    return payload is not None and bytes(payload).startswith(b"{")


def _body_of(content: bytes) -> Sent:
    body = _body.decode(content)
    key = body.auth.get("databaseKey")
    return Sent(body.payload, DatabaseKey.from_hex(key) if isinstance(key, str) else None)


def _unique(pairs: list[tuple[str, Any]]) -> None:
    if len(dict(pairs)) != len(pairs):
        raise MalformedError("item: a member stands twice in one object")
