"""The body of a request: what the door decodes before and after a key was let in.

Promises: what is accepted is JSON by Python's own decoder too, holds no key
twice, and becomes the canonical item that FORMAT.md's words give, worked out
here once more; what is refused with 400 is not simply right; no answer quotes a
value or the key.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from ingest.envelope import MOST_BRACKETS, MOST_EXTRA_KEYS, decode_envelope, refuse_duplicates
from ingest.problems import Problem, Refused, problem_of_item
from tests.fuzz.target import Shape, Target
from vault.encoding import mp, un_mp
from vault.errors import ItemError
from vault.items import ITEM_TYPE, MAX_FIELDS, parse_item, read_canonical

KEY = "Ab" * 32
MADE_ID = "0190a3c4e5f67a8b9c0d1e2f3a4b5c6d"
_VECTORS = Path(__file__).parents[2] / "data" / "wire_vectors.jsonl"
_INT64 = range(-(2**63), 2**63)
_DEEP = 100
"""Nesting that any decoder follows."""


class _Number(NamedTuple):
    """A JSON number as it was written."""

    literal: str


def run(data: bytes) -> None:
    """Decode, look for duplicates, and make the item, as create_item does."""
    accepted: bytes | Problem
    try:
        envelope = decode_envelope(data)
        refuse_duplicates(data, envelope.payload)
        item = parse_item(envelope.payload, make_id=lambda: MADE_ID)
        accepted = item.canonical
    except Refused as refused:
        accepted = refused.problem
    except ItemError as exc:
        accepted = problem_of_item(exc)
    expected = _expected(data)
    if isinstance(accepted, bytes):
        assert expected is not None, "Python's decoder refuses what was accepted"
        assert accepted == expected
        _require_readable(accepted)
        return
    _require_says_nothing(data, accepted)
    assert expected is None or _is_beyond(data) or accepted.status == 403, accepted.sentence


def _require_readable(canonical: bytes) -> None:
    """Home reads it, unless it has a name that no slot can know, for which it is not stored."""
    members = un_mp(canonical)
    if all(map(ITEM_TYPE.match, members)):
        assert read_canonical(canonical) == members


def _require_says_nothing(data: bytes, problem: Problem) -> None:
    assert problem.status in {400, 403}
    assert "\n" not in problem.sentence
    assert KEY.lower() not in problem.sentence.lower()
    # A text of some length in the body may be quoted only where it can be a name.
    for text in re.findall(rb'"([^"\\]{24,})"', data):
        quoted = text.decode("latin-1")
        assert quoted not in problem.sentence or re.fullmatch(r"[A-Za-z0-9_]{1,64}", quoted)


def _is_beyond(data: bytes) -> bool:
    """Right in itself, but more than is looked through, or nested deeper than decoders go."""
    return (
        data.count(b"{") + data.count(b"[") > min(MOST_BRACKETS, _DEEP)
        or data.count(b":") > MOST_EXTRA_KEYS
        or rb"\u" in data
    )


def _expected(data: bytes) -> bytes | None:
    """The canonical item by FORMAT.md, "The wire" and "Items"; None if the body is refused."""
    try:
        body = json.loads(
            data.decode(),
            object_pairs_hook=_unique,
            parse_float=_Number,
            parse_int=_Number,
            parse_constant=_none,
        )
        auth, payload = body["auth"], body["payload"]
        is_auth = auth["type"] == "ClientAuth" and re.fullmatch(r"[0-9a-fA-F]{64}", auth["databaseKey"])
        return mp(_members(payload)) if is_auth and len(payload) <= MAX_FIELDS else None
    except (ValueError, TypeError, KeyError, RecursionError, AttributeError):
        return None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(dict(pairs)) != len(pairs):
        raise ValueError("a key stands twice")
    return dict(pairs)


def _none(_: str) -> None:
    raise ValueError("no JSON")


def _members(payload: dict[str, Any]) -> dict[str, Any]:
    item_id = payload.get("id")
    members: dict[str, Any] = {
        "type": _matching(payload["type"], r"[A-Za-z][A-Za-z0-9_]{0,63}"),
        "id": MADE_ID if item_id is None else _matching(item_id, r"[a-zA-Z0-9_-]{6,36}"),
    }
    for name, value in payload.items():
        if name in {"rowid", "dateCreated", "dateModified"} and value is not None:
            members[name] = _int64(value)
        elif name == "deleted" and value is not True and value is not False:
            raise ValueError("deleted is no boolean")
        elif name not in {"type", "id"}:
            members[name] = _value(value)
    left_out = {"rowid", "dateServerModified"} | ({"deleted"} if not members.get("deleted") else set())
    return {name: value for name, value in members.items() if value is not None and name not in left_out}


def _matching(value: object, pattern: str) -> str:
    if not isinstance(value, str) or not re.fullmatch(pattern, value, re.ASCII):
        raise ValueError("not of its shape")
    return value


def _int64(value: object) -> int:
    if not isinstance(value, _Number) or not re.fullmatch(r"-?[0-9]+", value.literal):
        raise ValueError("no integer literal")
    if int(value.literal) not in _INT64:
        raise ValueError("beyond int64")
    return int(value.literal)


def _value(value: object) -> object:
    """A scalar in its one form."""
    if isinstance(value, _Number):
        if re.fullmatch(r"-?[0-9]{1,19}", value.literal) and int(value.literal) in _INT64:
            return int(value.literal)
        nearest = float(value.literal)
        if not math.isfinite(nearest):
            raise ValueError("no finite float64")
        return int(nearest) if nearest.is_integer() and int(nearest) in _INT64 else nearest
    if isinstance(value, str):
        value.encode()
    elif value is not None and not isinstance(value, bool):
        raise ValueError("no scalar")
    return value


def _seeds() -> Iterator[bytes]:
    for line in _VECTORS.read_text(encoding="utf-8").splitlines():
        vector = json.loads(line)
        for payload in vector["before"]:
            auth = {"type": "ClientAuth", "databaseKey": KEY}
            yield json.dumps({"auth": auth, "payload": payload}, separators=(",", ":")).encode()
        if "body" in vector["request"]:
            body = vector["request"]["body"].replace("{key}", KEY).replace("{KEY}", KEY.upper()).encode()
            if len(body) < TARGET.max_bytes:
                yield body


def _as_one(data: bytes) -> list[bytes]:
    return [data]


TARGET = Target(run, _seeds, 4_096, (Shape(_as_one, b"".join),))
