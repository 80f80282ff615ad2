"""The request body: one typed decode, then the proof that no key stands twice.

Decoding is typed from the first byte, so that arrays, objects and deep nesting
are refused where they begin instead of being built in memory (a framework's
untyped decode turns a 5 MiB bomb into 120 MiB). msgspec keeps the last of two
equal keys in silence; ``refuse_duplicates`` finds them, and runs after
admission, because its worst case costs more than a decode. FORMAT.md, "The
wire".
"""

from __future__ import annotations

import json
import re
from typing import Any, Literal, NoReturn

import msgspec

from ingest.problems import NO_PLUGINS, Refused, malformed
from vault.errors import MalformedError
from vault.items import MAX_FIELDS, shown
from vault.keys import DatabaseKey
from vault.properties import Scalar

Payload = dict[str, Scalar | None]

OWN_KEYS = 4
"""Keys of an envelope without extras beside the payload's own: auth, type, databaseKey, payload."""
MOST_BRACKETS = 10_000
"""Objects and arrays the structural scan is willing to build, ignored extras included."""
MOST_EXTRA_KEYS = 10_000
"""Keys beside the payload's that the structural scan is willing to compare."""
MOST_SEARCHED_BYTES = 64 << 10
"""A larger body is not decoded again just to name the field at fault."""

_STRING_AND_COLON = re.compile(rb'"(?:[^"\\]++|\\.)*+"\s*+(:?)', re.DOTALL)
_FAULTY_PATH = re.compile(r" - at `\$\.?([A-Za-z.]*)(\[\.\.\.\])?`\Z")
_FAULTY_BYTE = re.compile(r"\(byte (\d+)\)\Z")


class _Auth(msgspec.Struct, gc=False):
    # A tagged union would accept a missing tag; a required literal does not.
    type: Literal["ClientAuth", "PluginAuth"]
    key: str | msgspec.UnsetType = msgspec.field(default=msgspec.UNSET, name="databaseKey")


class _Body(msgspec.Struct, gc=False):
    auth: _Auth
    payload: Payload


class _Members(msgspec.Struct):
    payload: dict[str, msgspec.Raw]


class Envelope(msgspec.Struct, frozen=True, gc=False):
    """What a body said.

    Attributes:
        key: The database key the client presented.
        payload: The item's members; untrusted.
    """

    key: DatabaseKey
    payload: Payload


_body = msgspec.json.Decoder(_Body)
_members = msgspec.json.Decoder(_Members)
_value = msgspec.json.Decoder(Scalar | None)

_NOT_DECODED = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""All that msgspec raises for input it refuses."""

_EXPECTED = {
    "": "an object with auth and payload was expected",
    "auth": "an object with type and databaseKey was expected",
    "auth.type": "ClientAuth was expected",
    "auth.databaseKey": "64 hexadecimal digits were expected",
    "payload": "an object with a type was expected",
}


def _faulty_member(unverified_body: bytes) -> str:
    if len(unverified_body) > MOST_SEARCHED_BYTES:
        return "a property"
    for name, value in _members.decode(unverified_body).payload.items():
        try:
            _value.decode(value)
        except _NOT_DECODED:
            return shown(name)
    return "a property"


def _sentence(unverified_body: bytes, error: Exception) -> str:
    path = _FAULTY_PATH.search(str(error))
    if path and path[2]:
        return f"{_faulty_member(unverified_body)}: a text, number, true, false or null was expected"
    if path and path[1] in _EXPECTED:
        return f"{path[1]}: {_EXPECTED[path[1]]}"
    if isinstance(error, msgspec.ValidationError):
        return f"the body: {_EXPECTED['']}"
    at = _FAULTY_BYTE.search(str(error))
    return f"the body is not JSON in UTF-8{f', at byte {at[1]}' if at else ''}"


def _refuse(unverified_body: bytes, error: Exception) -> NoReturn:
    try:
        sentence = _sentence(unverified_body, error)
    except _NOT_DECODED:
        sentence = "the body is not JSON in UTF-8"
    raise Refused(malformed(sentence)) from None


def _key_of(auth: _Auth) -> DatabaseKey:
    if auth.type == "PluginAuth":
        raise Refused(NO_PLUGINS)
    try:
        return DatabaseKey.from_hex(auth.key or "")
    except MalformedError:
        raise Refused(malformed(f"auth.databaseKey: {_EXPECTED['auth.databaseKey']}")) from None


def decode_envelope(unverified_body: bytes) -> Envelope:
    """Decode a request body.

    Args:
        unverified_body: Any bytes, of at most the server's limit.

    Raises:
        Refused: 400 with a sentence that names the field where it can be
            named; 403 for a plugin's auth.
    """
    try:
        body = _body.decode(unverified_body)
    except _NOT_DECODED as exc:
        _refuse(unverified_body, exc)
    if len(body.payload) > MAX_FIELDS:
        raise Refused(malformed(f"payload: at most {MAX_FIELDS} members were expected"))
    return Envelope(_key_of(body.auth), body.payload)


def _unique(pairs: list[tuple[str, Any]]) -> None:
    seen: set[str] = set()
    for name, _ in pairs:
        if name in seen:
            raise Refused(malformed(f"{shown(name)}: this key appears twice in one object"))
        seen.add(name)


def _scan(body: bytes) -> None:
    if body.count(b"{") + body.count(b"[") > MOST_BRACKETS:
        raise Refused(malformed(f"the body: at most {MOST_BRACKETS} objects and arrays were expected"))
    try:
        # As text: given bytes, json also takes surrogates, which UTF-8 has not, and other encodings.
        json.loads(body.decode(), object_pairs_hook=_unique, parse_int=len, parse_float=len)
    except (ValueError, RecursionError):
        raise Refused(malformed("the body is not JSON in UTF-8")) from None


def refuse_duplicates(body: bytes, payload: Payload) -> None:
    """Refuse a body in which one object holds a key twice, compared unescaped.

    Two cheap proofs come first: a body of as many colons, or of as many
    strings before a colon, as there are distinct keys cannot repeat one. Only
    extras, or a repeated key, make the third, structural scan run.

    Args:
        body: What ``decode_envelope`` accepted.
        payload: What it decoded to.

    Raises:
        Refused: 400; a key stands twice, or the ignored extras hold more
            objects or keys than the scan is willing to look through.
    """
    distinct = len(payload) + OWN_KEYS
    if body.count(b":") == distinct:
        return
    keys = _STRING_AND_COLON.findall(body).count(b":")
    if keys > distinct + MOST_EXTRA_KEYS:
        raise Refused(malformed(f"the body: at most {MOST_EXTRA_KEYS} keys beside the payload were expected"))
    if keys != distinct:
        _scan(body)
