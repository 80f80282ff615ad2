"""Batch headers: one form, exact lengths, and a kind of error for what a later program wrote."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.vectors import cases, load, refusal
from vault.encoding import pae
from vault.errors import FormatTooNewError, MalformedError
from vault.header import Header, item_leaf, log_leaf, parse_header
from vault.keys import PodId

LEAF_FIELDS = ("pod_id", "uid", "c", "digest", "leaf")
FIELDS_OF_BYTES = ("uid", "log_key_hash", "item_root", "commit", "wraps_hash", "policy")

hashes = st.binary(min_size=32, max_size=32)
headers = st.builds(
    Header,
    pod_id=hashes.map(PodId),
    uid=st.binary(min_size=16, max_size=16),
    log_key_hash=hashes,
    ms=st.integers(0, 2**63 - 1),
    count=st.integers(1, 512),
    item_root=hashes,
    commit=hashes,
    wraps_hash=hashes,
    policy=hashes,
)


def _header(fields: dict[str, Any]) -> Header:
    raw = {name: bytes.fromhex(fields[name]) for name in FIELDS_OF_BYTES}
    return Header(
        pod_id=PodId(bytes.fromhex(fields["pod_id"])), ms=fields["ms"], count=fields["count"], **raw
    )


@pytest.mark.parametrize("vector", cases("headers"))
def test_header_vectors(vector: dict[str, Any]) -> None:
    """Each is read and written the same, or refused for its one fault."""
    packed = bytes.fromhex(vector["packed"])
    if "error" in vector:
        with refusal(vector):
            parse_header(packed)
    else:
        assert parse_header(packed) == _header(vector["fields"])
        assert _header(vector["fields"]).pack() == packed


@given(header=headers)
def test_a_header_is_read_as_it_was_packed(header: Header) -> None:
    """Every header has one form of 325 bytes."""
    packed = header.pack()
    assert len(packed) == 325
    assert parse_header(packed) == header


@given(packed=st.binary() | st.lists(st.binary(max_size=40), max_size=12).map(lambda fields: pae(*fields)))
def test_any_bytes_give_a_header_or_our_error(packed: bytes) -> None:
    """A segment or a vault from elsewhere may hold anything in this place."""
    try:
        header = parse_header(packed)
    except (MalformedError, FormatTooNewError):
        return
    assert header.pack() == packed


@given(header=headers, data=st.data())
def test_a_changed_header_is_refused_or_another_header(header: Header, data: st.DataObject) -> None:
    """No two byte strings are one header, so a signature covers one reading only."""
    packed = bytearray(header.pack())
    packed[data.draw(st.integers(0, len(packed) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        found = parse_header(bytes(packed))
    except (MalformedError, FormatTooNewError):
        return
    assert found != header


def test_an_item_leaf_is_hashed_as_the_format_says() -> None:
    """The bytes of leaf/v1 are golden: receipts of years ago must verify."""
    vector = load("headers/item-leaves/accept-item-3.json")
    golden = {name: bytes.fromhex(value) for name, value in vector.items() if name in LEAF_FIELDS}
    index = vector["index"]
    preimage = pae(
        b"leaf/v1", golden["pod_id"], golden["uid"], bytes([index, 0, 0, 0]), golden["c"], golden["digest"]
    )
    assert hashlib.sha256(b"\x00" + preimage).digest() == golden["leaf"]
    assert (
        item_leaf(PodId(golden["pod_id"]), golden["uid"], index, golden["c"], golden["digest"])
        == golden["leaf"]
    )


def test_a_header_stands_in_the_log_as_a_leaf() -> None:
    """SHA-256(00 || header), as RFC 6962 hashes every leaf."""
    vector = load("headers/log-leaves/accept-header.json")
    packed = bytes.fromhex(vector["packed"])
    assert log_leaf(packed) == hashlib.sha256(b"\x00" + packed).digest()
    assert log_leaf(packed).hex() == vector["leaf"]
