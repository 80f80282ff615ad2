"""Changing an input where it hurts: inside lengths, hashes, base64 and signatures, which stay true.

Bytes changed blindly almost always break the frame around them, and the code
behind it is never reached. So most inputs are taken apart by the shape of their
format, changed in one field, and put together again; the others are changed
blindly. A field that is a list of fields itself is taken apart too.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import msgspec

from tests.fuzz.target import NOT_OF_THE_SHAPE, Shape
from vault.encoding import pae, unpae
from vault.errors import MalformedError

Mutate = Callable[[bytes, int], bytes]
"""libFuzzer's own: changes bytes into others of at most so many."""

BLIND = 0.25
"""Share of inputs that are changed without regard to their shape."""
_GROWTH = 64
_ODD: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 1.0, -0.0, 1e308, "", "a", [], {}),
    *(2**31, 2**32, 2**63 - 1, 2**63, -(2**63), 2**64, 10**400),
    *("0" * 64, "\ud800", "\0", "é", "active", "revoked", [[]], {"": None}),
)

_SMALL = tuple(value for value in _ODD if type(value) is not int or abs(value) < 2**63)


def changed(data: bytes, most: int, seed: int, *, shapes: Sequence[Shape], mutate: Mutate) -> bytes:
    """Change one input into another.

    Args:
        data: The input.
        most: Bytes of the longest that is wanted.
        seed: All choices follow from it.
        shapes: Of its target.
        mutate: For what is changed blindly.
    """
    chance = random.Random(seed)  # noqa: S311 - a run must repeat itself
    fields = None if chance.random() < BLIND else split_by(data, shapes)
    if fields is None:
        return mutate(data, most)
    shape, parts = fields
    return shape.join(_changed_fields(parts, chance, mutate))[:most]


def split_by(data: bytes, shapes: Sequence[Shape]) -> tuple[Shape, list[bytes]] | None:
    """Take an input apart by the first shape that it is of; None if it is of none."""
    for shape in shapes:
        with suppress(*NOT_OF_THE_SHAPE):
            return shape, shape.split(data)
    return None


def _changed_fields(fields: list[bytes], chance: random.Random, mutate: Mutate) -> list[bytes]:
    fields = list(fields)
    if not fields or chance.random() < 0.1:
        return _rearranged(fields, chance)
    at = chance.randrange(len(fields))
    fields[at] = _changed_field(fields[at], chance, mutate)
    return fields


def _rearranged(fields: list[bytes], chance: random.Random) -> list[bytes]:
    """One field less, twice, moved, or one more."""
    if fields and chance.random() < 0.5:
        taken = fields.pop(chance.randrange(len(fields)))
        copies = chance.randrange(3)
    else:
        taken, copies = chance.randbytes(chance.choice((0, 1, 4, 8, 32))), 1
    for _ in range(copies):
        fields.insert(chance.randint(0, len(fields)), taken)
    return fields


def _changed_field(field: bytes, chance: random.Random, mutate: Mutate) -> bytes:
    if chance.random() < 0.7:
        for inside in (_inside_pae, _inside_json, _inside_arrays):
            found = inside(field, chance, mutate)
            if found is not None:
                return found
    return mutate(field, len(field) + _GROWTH)


def _inside_pae(field: bytes, chance: random.Random, mutate: Mutate) -> bytes | None:
    try:
        fields = unpae(field)
    except MalformedError:
        return None
    return pae(*_changed_fields(fields, chance, mutate)) if fields else None


def _inside_json(field: bytes, chance: random.Random, _: Mutate) -> bytes | None:
    if not field.startswith((b"{", b"[")):
        return None
    try:
        value = json.loads(field)
    except (ValueError, RecursionError):
        return None
    return changed_json(value, chance)


def _inside_arrays(field: bytes, chance: random.Random, mutate: Mutate) -> bytes | None:
    """Inside a MessagePack array, such as a message between two processes."""
    try:
        value = msgspec.msgpack.decode(field)
    except (ValueError, RecursionError):
        return None
    places = list(_places(value))
    if not places:
        return None
    holder, key = chance.choice(places)
    was = holder[key]
    if isinstance(was, bytes) and chance.random() < 0.5:
        holder[key] = mutate(was, len(was) + _GROWTH)
    else:
        holder[key] = chance.choice((*_SMALL, b"", bytes(32), b"\xff" * 22, was, chance.choice(places)[0]))
    try:
        return msgspec.msgpack.encode(value)
    except (OverflowError, UnicodeEncodeError, RecursionError):
        return None


def changed_json(value: Any, chance: random.Random) -> bytes:
    """JSON of a value in which one thing is something else."""
    places = list(_places(value))
    if not places:
        return json.dumps(chance.choice(_ODD)).encode("utf-8", "surrogatepass")
    holder, key = chance.choice(places)
    match chance.randrange(4):
        case 0:
            holder[key] = chance.choice(_ODD)
        case 1:
            other, name = chance.choice(places)
            holder[key] = json.loads(json.dumps(other[name]))
        case 2:
            del holder[key]
        case _:
            _add(holder, key, chance)
    return json.dumps(value, ensure_ascii=chance.random() < 0.5).encode("utf-8", "surrogatepass")


def _add(holder: Any, key: Any, chance: random.Random) -> None:
    if isinstance(holder, list):
        holder.insert(key, json.loads(json.dumps(holder[key])))
    else:
        holder[chance.choice((*"ab", key.upper(), f"{key}2"))] = holder[key]


def _places(value: Any) -> list[tuple[Any, Any]]:
    """Every member of every object and list: what holds it, and under which key."""
    found: list[tuple[Any, Any]] = []
    waiting = [value]
    while waiting:
        holder = waiting.pop()
        if isinstance(holder, dict | list):
            keys = holder if isinstance(holder, dict) else range(len(holder))
            found += ((holder, key) for key in keys)
            waiting += (holder[key] for key in keys)
    return found
