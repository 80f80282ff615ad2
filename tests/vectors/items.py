"""Vectors of canonical items, salts, commitments, names and server ids. FORMAT.md, "Items"."""

from __future__ import annotations

from typing import Any

import msgspec

from tests.vectors import world
from tests.vectors.family import Family
from vault.encoding import mp
from vault.errors import ItemError, MalformedError
from vault.items import commitment, item_name, item_salt, parse_item, server_id
from vault.keys import MacKey
from vault.properties import Scalar

_KEY = world.KEYS[1]
_NOTE = '{"type":"Note","id":"note-1",%s}'
Payload = dict[str, Scalar | None]


def _good(family: Family, name: str, why: str, payload: str, made_id: str | None = None) -> None:
    decoded = msgspec.json.decode(payload, type=Payload)
    item = parse_item(decoded, make_id=lambda: made_id or "")
    salt = item_salt(MacKey(_KEY.derive("item", world.POD_ID)), item.id)
    family.good(
        name,
        why,
        payload=payload,
        made_id=made_id,
        members=msgspec.msgpack.decode(item.canonical),
        canonical=item.canonical.hex(),
        salt=salt.hex(),
        c=commitment(salt, item.canonical).hex(),
        item_name=item_name(MacKey(_KEY.derive("name", world.POD_ID)), item.id).hex(),
    )


NUMBERS = [
    ("0", "an integer"), ("-0", "-0 is 0"), ("-0.0", "-0.0 is 0"), ("0.0", "integral"), ("1.0", "integral"),
    ("1e3", "integral"), ("100e-2", "integral"), ("-7", "negative"), ("36.5", "a float"), ("0.1", "nearest float64"),
    ("1e-7", "a float"), ("5e-324", "the smallest float64 stays"), ("1e-400", "the nearest float64 is 0"),
    ("1.7976931348623157e308", "the largest float64"), ("9007199254740993", "beyond float64's integers, exact"),
    ("9007199254740993.0", "the nearest float64 is 2^53"), ("9223372036854775807", "2^63-1"),
    ("9223372036854775808", "2^63: a float"), ("9223372036854775807.0", "the nearest float64 is 2^63: a float"),
    ("-9223372036854775808", "-2^63"), ("-9223372036854775809", "the nearest float64 is -2^63: the integer"),
    ("1e19", "a float"), ("123456789012345678901234567890", "an integer literal beyond int64 is a float"),
]  # fmt: skip
"""Literals, each with the rule that settles its one form."""


def _positive(family: Family) -> None:
    _good(family, "smallest", "type and id", '{"type":"A","id":"abcdef"}')
    _good(
        family,
        "id made by the server",
        "it is part of the item",
        '{"type":"Note"}',
        server_id(1763700000000, bytes(10)),
    )
    _good(family, "null id", "as none", '{"type":"Note","id":null}', "f" * 32)
    _good(family, "order of members", "makes no difference", '{"b":1,"id":"note-1","a":"x","type":"Note"}')
    _good(
        family,
        "dropped",
        "rowid, server time, deleted: false, nulls",
        _NOTE % '"rowid":5,"dateServerModified":"x","deleted":false,"a":null,"dateCreated":null',
    )
    _good(
        family,
        "own members",
        "dates and deleted: true are kept",
        _NOTE % '"dateCreated":1700000000000,"dateModified":-1,"deleted":true',
    )
    _good(
        family,
        "text unchanged",
        "no normalisation, NUL kept",
        _NOTE % '"a":"e\\u0301\\u00e9\\u0000\\ud83c\\udf3b \\t"',
    )
    _good(family, "booleans", "true and false", _NOTE % '"a":true,"b":false')
    _good(
        family,
        "declaration",
        "an item like any other",
        '{"type":"ItemPropertySchema","id":"decl-1","itemType":"Note","propertyName":"a","valueType":"Text"}',
    )
    for literal, why in NUMBERS:
        _good(family, f"number {literal}", why, _NOTE % f'"n":{literal}')


def _note_of(count: int) -> str:
    return '{"type":"Note",' + ",".join(f'"a{number}":0' for number in range(count)) + "}"


def _refused(family: Family) -> None:
    for name, why, payload, field in [
        ("no type", "required", '{"id":"abcdef"}', "type"),
        ("null type", "text", '{"type":null,"id":"abcdef"}', "type"),
        ("empty type", "1 to 64 characters", '{"type":"","id":"abcdef"}', "type"),
        ("type of 65", "1 to 64 characters", '{"type":"%s"}' % ("T" * 65), "type"),
        ("type begins with a digit", "a letter first", '{"type":"1A"}', "type"),
        ("type with a slash", "letters, digits, underscores", '{"type":"../a"}', "type"),
        ("type with a newline", "matched whole", '{"type":"Note\\n"}', "type"),
        ("type in Greek", "ASCII", '{"type":"\\u0391"}', "type"),
        ("number as type", "text", '{"type":5}', "type"),
        ("id of 5", "6 to 36 characters", '{"type":"Note","id":"abcde"}', "id"),
        ("id of 37", "6 to 36 characters", '{"type":"Note","id":"%s"}' % ("a" * 37), "id"),
        ("id with a point", "letters, digits, underscore, hyphen", '{"type":"Note","id":"abc.def"}', "id"),
        ("id with a newline", "matched whole", '{"type":"Note","id":"abcdef\\n"}', "id"),
        ("number as id", "text or null", '{"type":"Note","id":123456}', "id"),
        ("rowid a float", "an integer literal", _NOTE % '"rowid":1.0', "rowid"),
        ("rowid beyond int64", "int64", _NOTE % '"rowid":9223372036854775808', "rowid"),
        ("dateCreated a float", "an integer literal", _NOTE % '"dateCreated":1e3', "dateCreated"),
        ("dateModified text", "an integer literal", _NOTE % '"dateModified":"now"', "dateModified"),
        ("deleted null", "a boolean", _NOTE % '"deleted":null', "deleted"),
        ("deleted 1", "a boolean", _NOTE % '"deleted":1', "deleted"),
        ("no float64 is near", "10^309 as digits", _NOTE % f'"n":1{"0" * 309}', "n"),
        (
            "513 members",
            "at most 512",
            _note_of(512),
            "payload",
        ),
    ]:
        family.bad(name, why, ItemError, f"{field}: ", payload=payload, field=field)


def _canonical() -> Family:
    family = Family()
    item: dict[str, Any] = {"type": "Note", "id": "note-1"}
    family.good("smallest", "type and id", canonical=mp(item).hex(), members=item)
    full = {
        **item,
        "a": "x",
        "n": 5,
        "r": 1.5,
        "b": False,
        "dateCreated": 1,
        "dateModified": -1,
        "deleted": True,
    }
    family.good("all kinds", "text, numbers, booleans, own members", canonical=mp(full).hex(), members=full)
    shape = "no type or no id"
    member = "a member that no item can have"
    for name, why, members, says in [
        ("no type", "required", {"id": "note-1"}, shape),
        ("no id", "required", {"type": "Note"}, shape),
        ("type is a path", "types become names of files", {**item, "type": "../../x"}, shape),
        ("type with a newline", "matched whole", {**item, "type": "Note\n"}, shape),
        ("number as type", "text", {**item, "type": 1}, shape),
        ("id with a slash", "the pattern of ids", {**item, "id": "abc/def"}, shape),
        ("id a list", "text", {**item, "id": ["note-1"]}, shape),
        ("float that is integral", "it has another form", {**item, "n": 1.0}, member),
        ("-0.0", "it has another form", {**item, "n": -0.0}, member),
        ("integer beyond int64", "a float64", {**item, "n": 2**63}, member),
        ("infinity", "finite", {**item, "n": float("inf")}, member),
        ("not a number", "finite", {**item, "n": float("nan")}, member),
        ("a list", "flat", {**item, "n": [1]}, member),
        ("name with a hyphen", "the pattern of names", {**item, "a-b": 1}, member),
        ("name of 65", "the pattern of names", {**item, "a" * 65: 1}, member),
        ("empty name", "the pattern of names", {**item, "": 1}, member),
        ("rowid", "never stored", {**item, "rowid": 1}, member),
        ("dateServerModified", "never stored", {**item, "dateServerModified": 1}, member),
        ("deleted false", "left out", {**item, "deleted": False}, member),
        ("dateCreated a float", "int64", {**item, "dateCreated": 1.5}, member),
        ("dateModified beyond int64", "int64", {**item, "dateModified": 2**63}, member),
    ]:
        family.bad(name, why, MalformedError, says, canonical=mp(members).hex())
    family.bad("not MP", "a map", MalformedError, "a flat MessagePack map", canonical="c0")
    family.bad(
        "unsorted",
        "MP",
        MalformedError,
        "canonical form",
        canonical=(b"\x82\xa4type\xa4Note\xa2id\xa6note-1").hex(),
    )
    return family


def _names() -> Family:
    family = Family()
    name_key = MacKey(_KEY.derive("name", world.POD_ID))
    uuid = server_id(1763700000000, world.draw("server id", 10))
    grouped = "-".join((uuid[:8], uuid[8:12], uuid[12:16], uuid[16:20], uuid[20:]))
    for name, why, item_id in [
        ("UUIDv7", "its time comes first", uuid),
        ("UUIDv7 in capitals", "any case; another id", uuid.upper()),
        ("UUIDv7 grouped", "8-4-4-4-12; another id", grouped),
        ("version 4", "no time", uuid[:12] + "4" + uuid[13:]),
        ("variant c", "no time", uuid[:16] + "c" + uuid[17:]),
        ("before 2020", "a hash, not a time", "016f5e66e7ff7" + uuid[13:]),
        ("2020", "the first", "016f5e66e8007" + uuid[13:]),
        ("last of 2099", "the last", "03bb2cc3d7ff7" + uuid[13:]),
        ("2100", "a hash, not a time", "03bb2cc3d8007" + uuid[13:]),
        ("grouped wrongly", "no time", uuid[:16] + "-" + uuid[16:]),
        ("short", "no time", "abcdef"),
        ("ours", "no time", "A" * 22),
    ]:
        found = item_name(name_key, item_id)
        family.good(name, why, id=item_id, name_key=name_key.reveal().hex(), item_name=found.hex())
    return family


def _server_ids() -> Family:
    family = Family()
    for name, ms, random in [
        ("zeros", 0, bytes(10)),
        ("ones", 2**48 - 1, b"\xff" * 10),
        ("beyond 48 bits", 2**48 + 5, bytes(10)),
        ("drawn", 1763700000000, world.draw("server id", 10)),
    ]:
        family.good(name, "UUIDv7 of 32 digits", ms=ms, random=random.hex(), id=server_id(ms, random))
    return family


def build() -> dict[str, Any]:
    """items/."""
    family = Family()
    _positive(family)
    _refused(family)
    return {
        "about": "items: payload is JSON text as create_item carries it, made_id the id a server made if it sent none; "
        "canonical and what follows from it under D(K, item) and D(K, name) of database_key in pod_id. A negative one "
        "names the field at fault. canonical: reading what was sealed. Bytes are hexadecimal; in members a number "
        "written with a point or an exponent is a float64.",
        "database_key": _KEY.reveal().hex(),
        "pod_id": world.POD_ID.hex(),
        "items": family.vectors,
        "canonical": _canonical().vectors,
        "names": _names().vectors,
        "server_ids": _server_ids().vectors,
    }
