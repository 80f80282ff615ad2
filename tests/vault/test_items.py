"""Items: one canonical form for what was sent, and names that show a time and nothing else."""

from __future__ import annotations

import json
import math
from typing import Any

import msgspec
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from vault.encoding import mp
from vault.errors import ItemError, MalformedError
from vault.items import (
    NAME_BYTES,
    canonical_number,
    commitment,
    is_type_list,
    item_name,
    item_salt,
    parse_item,
    read_canonical,
    server_id,
    shown,
)
from vault.keys import MacKey
from vault.properties import INT64_MAX, INT64_MIN, Scalar

Payload = dict[str, Scalar | None]
_decoder = msgspec.json.Decoder(Payload)
names = st.from_regex(r"\A[A-Za-z][A-Za-z0-9_]{0,8}\Z").filter(
    lambda name: (
        name not in {"type", "id", "rowid", "dateCreated", "dateModified", "dateServerModified", "deleted"}
    )
)
numbers = st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False)
values: st.SearchStrategy[Scalar | None] = st.none() | st.booleans() | st.text(max_size=20) | numbers
members = st.dictionaries(
    st.text() | names,
    st.booleans() | st.text() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.lists(st.text()),
)
payloads = st.dictionaries(names, values, max_size=8)
ids = st.from_regex(r"\A[a-zA-Z0-9_-]{6,36}\Z")
digits = st.from_regex(r"\A-?(0|[1-9][0-9]{0,25})\Z")
literals = digits | st.from_regex(r"\A-?(0|[1-9][0-9]{0,20})(\.[0-9]{1,20})?([eE][+-]?[0-9]{1,2})?\Z")


def _parse(text: str) -> bytes:
    return parse_item(_decoder.decode(text), make_id=lambda: "made-by-server").canonical


@given(payload=payloads, item_id=ids)
def test_the_canonical_form_is_the_items_own(payload: Payload, item_id: str) -> None:
    """It holds what was sent with a value, no nulls, and is what a reader accepts."""
    item = parse_item({**payload, "type": "Note", "id": item_id}, make_id=str)
    members = read_canonical(item.canonical)
    assert set(members) == {"type", "id"} | {name for name, value in payload.items() if value is not None}
    assert set(item.nulls) == {name for name, value in payload.items() if value is None}
    assert all(
        members[name] == value or _same_float(members[name], value)
        for name, value in payload.items()
        if value is not None
    )


def _same_float(stored: Scalar, sent: Scalar) -> bool:
    return type(sent) is int and float(sent) == stored


@given(payload=payloads, data=st.data())
def test_order_spelling_and_white_space_of_the_json_make_no_difference(
    payload: Payload, data: st.DataObject
) -> None:
    """A client that retries may serialise again."""
    whole = {**payload, "type": "Note", "id": "abcdef"}
    shuffled = dict(data.draw(st.permutations(list(whole.items()))))
    assert _parse(json.dumps(whole)) == _parse(json.dumps(shuffled, indent=2, ensure_ascii=False))


@given(literal=literals)
@example("-0")
@example("-0.0")
@example("1.0")
@example("1e3")
@example("5e-324")
@example("9223372036854775808")
@example("-9223372036854775809")
@example("9223372036854775807.0")
def test_a_number_has_one_form_that_its_literal_decides(literal: str) -> None:
    """-?digits within int64 is that integer; else the nearest float64, an integer again where it is one."""
    stored = read_canonical(_parse(f'{{"type":"Note","id":"abcdef","n":{literal}}}'))["n"]
    is_digits = not any(letter in literal for letter in ".eE")
    if is_digits and INT64_MIN <= int(literal) <= INT64_MAX:
        assert (stored, type(stored)) == (int(literal), int)
        return
    nearest = float(literal)
    assert stored == nearest
    is_whole = nearest.is_integer() and INT64_MIN <= nearest <= INT64_MAX
    assert type(stored) is (int if is_whole else float)
    assert math.copysign(1, stored) > 0 or stored != 0


@given(value=st.integers() | st.floats())
def test_the_one_form_of_a_number_is_a_fixed_point(value: float) -> None:
    """Or there is no finite float64 near it, which is refused by name."""
    try:
        canonical = canonical_number("height", value)
    except ItemError:
        return
    assert canonical_number("height", canonical) == canonical
    assert type(canonical_number("height", canonical)) is type(canonical)
    assert math.isfinite(canonical)


@given(encoded=st.binary() | members.map(lambda found: mp({"type": "Note", "id": "abcdef", **found})))
def test_any_sealed_bytes_give_an_item_or_our_error(encoded: bytes) -> None:
    """A server that was taken over seals what it likes; at home types become names of files."""
    try:
        members = read_canonical(encoded)
    except MalformedError:
        return
    assert mp(members) == encoded
    assert str(members["type"]).isidentifier()
    assert all(name.isidentifier() for name in members)


@given(
    payload=st.dictionaries(
        st.text(max_size=12) | st.sampled_from(["type", "id", "deleted", "rowid", "dateCreated"]),
        values,
        max_size=8,
    )
)
def test_any_payload_gives_an_item_or_an_error_that_names_a_field(payload: Payload) -> None:
    """And the name of the field is safe to show."""
    field, item = "", None
    try:
        item = parse_item(payload, make_id=lambda: "made-by-server")
    except ItemError as exc:
        field = exc.field
    assert len(field) <= 64
    assert field.isprintable()
    assert item is None or item.id in {payload.get("id"), "made-by-server"}


def test_an_item_without_id_gets_one_from_the_server() -> None:
    """It is part of the canonical form, so a request without id is never a retry."""
    made = iter(["first-id", "second-id"])
    one, two = (parse_item({"type": "Note"}, make_id=lambda: next(made)) for _ in range(2))
    assert (one.id, two.id) == ("first-id", "second-id")
    assert one.canonical != two.canonical


def test_a_declaration_is_told_by_its_type() -> None:
    """It is an item like any other in all else."""
    assert parse_item({"type": "ItemPropertySchema"}, make_id=lambda: "made-id").is_declaration
    assert not parse_item({"type": "Note"}, make_id=lambda: "made-id").is_declaration


@pytest.mark.parametrize(
    ("name", "safe"),
    [("height", "height"), ("a b", "a property"), ("x" * 65, "a property"), ("\x1b[2J", "a property")],
)
def test_a_members_name_is_shown_if_it_is_plain(name: str, safe: str) -> None:
    """An answer is text somebody's terminal prints."""
    assert shown(name) == safe


@given(item_id=ids, key=st.binary(min_size=32, max_size=32), canonical=st.binary())
def test_a_commitment_is_bound_to_key_id_and_content(item_id: str, key: bytes, canonical: bytes) -> None:
    """Without the salt it says nothing, with it there is one content."""
    salt = item_salt(MacKey(key), item_id)
    c = commitment(salt, canonical)
    assert len(salt) == len(c) == 32
    assert c != commitment(salt, canonical + b"x")
    assert c != commitment(item_salt(MacKey(key), item_id + "x"), canonical)


@given(item_id=ids, key=st.binary(min_size=32, max_size=32))
def test_a_name_shows_no_more_than_a_uuid7s_time(item_id: str, key: bytes) -> None:
    """A hash used as an id must not show 48 of its bits."""
    name = item_name(MacKey(key), item_id)
    assert len(name) == NAME_BYTES
    assert name[:6] in {
        bytes(6),
        bytes.fromhex(item_id.replace("-", "")[:12]) if _is_hex(item_id) else bytes(6),
    }
    assert name[6:] != item_name(MacKey(key[::-1] if key != key[::-1] else b"k" * 32), item_id)[6:]


def _is_hex(text: str) -> bool:
    return len(text.replace("-", "")) == 32 and all(letter in "0123456789abcdefABCDEF-" for letter in text)


@given(raw=st.binary(min_size=16, max_size=16))
def test_a_hash_as_id_shows_nothing_unless_it_looks_like_a_time(raw: bytes) -> None:
    """6 % of hashes look like a UUIDv7; the years 2020 to 2100 leave 1 in 29,000."""
    name = item_name(MacKey(bytes(32)), raw.hex())
    is_uuid7 = raw.hex()[12] == "7" and raw.hex()[16] in "89ab"
    is_in_time = 0x016F5E66E800 <= int(raw.hex()[:12], 16) < 0x03BB2CC3D800
    assert (name[:6] == raw[:6]) is ((is_uuid7 and is_in_time) or raw[:6] == bytes(6))


@given(ms=st.integers(1_577_836_800_000, 4_102_444_799_998), random=st.binary(min_size=10, max_size=10))
def test_ids_the_server_makes_are_ordered_by_time(ms: int, random: bytes) -> None:
    """So are their names: inserts stay at one end of the index."""
    item_id, later = server_id(ms, random), server_id(ms + 1, bytes(10))
    assert item_id < later
    assert item_name(MacKey(bytes(32)), item_id)[:6] < item_name(MacKey(bytes(32)), later)[:6]
    assert item_name(MacKey(bytes(32)), item_id)[:6] == ms.to_bytes(6, "big")
    assert parse_item({"type": "Note", "id": item_id}, make_id=str).id == item_id


@given(one=st.binary(min_size=10, max_size=10), other=st.binary(min_size=10, max_size=10))
def test_ids_the_server_makes_have_74_random_bits(one: bytes, other: bytes) -> None:
    """Of 80 that are drawn the lowest 74 count."""
    mask = 2**74 - 1
    assume(int.from_bytes(one, "big") & mask != int.from_bytes(other, "big") & mask)
    assert server_id(0, one) != server_id(0, other)


@given(
    value=st.lists(st.text(max_size=4) | st.sampled_from(["Note", "Photo"]) | st.integers(), max_size=4)
    | st.text()
    | st.none()
)
def test_a_list_of_types_is_sorted_and_of_types(value: Any) -> None:
    """Anything else is no such list, whatever it is."""
    if is_type_list(value):
        assert value == sorted(set(value))
        assert all(name.isidentifier() for name in value)
