"""Every golden vector: accepted ones give their value and the same bytes again, others their refusal.

Here those of encodings, keys and items.
"""

from __future__ import annotations

import json

import msgspec
import pytest

from tests.support.vectors import TESTDATA, Vector, cases, load, refusal, unhex
from tests.vectors.generate import stale
from vault.encoding import mp, pae, require_label, un_mp, unpae
from vault.items import (
    commitment,
    item_name,
    item_salt,
    parse_item,
    read_canonical,
    server_id,
)
from vault.keys import DatabaseKey, LogKey, MacKey, OwnerKey, PodId, parse_hex_32
from vault.opening import Identity
from vault.properties import Scalar
from vault.sealing import Recipient

MINIMUM = 1_400
"""Vectors of format 1; a later format adds to them."""


def all_vectors() -> list[Vector]:
    """Every vector of every folder."""
    paths = (path.relative_to(TESTDATA) for path in sorted(TESTDATA.rglob("*-*.json")))
    return [load(path.as_posix()) for path in paths if path.name.startswith(("accept-", "refuse-", "find-"))]


def test_vectors_are_many_and_most_of_them_refused() -> None:
    """A reader that accepts too much is the dangerous one."""
    found = all_vectors()
    negative = [vector for vector in found if vector.get("error") or vector.get("finds")]
    assert len(found) >= MINIMUM
    assert len(negative) >= 0.75 * len(found)


def test_vectors_are_what_their_program_makes() -> None:
    """Nobody edits one by hand, and the program gives the same bytes for ever."""
    assert stale() == []


@pytest.mark.parametrize("vector", cases("encodings/pae"))
def test_pae(vector: Vector) -> None:
    """Splitting is the exact inverse of joining."""
    joined = unhex(vector["joined"])
    if "error" in vector:
        with refusal(vector):
            unpae(joined, vector["count"])
        return
    fields = [unhex(field) for field in vector["fields"]]
    assert unpae(joined) == fields
    assert pae(*fields) == joined


@pytest.mark.parametrize("vector", cases("encodings/mp"))
def test_mp(vector: Vector) -> None:
    """One map, one form."""
    encoded = unhex(vector["encoded"])
    if "error" in vector:
        with refusal(vector):
            un_mp(encoded)
        return
    found = un_mp(encoded)
    # As JSON, which tells 2.0 from 2 and true from 1.
    assert json.dumps(found, sort_keys=True) == json.dumps(vector["map"], sort_keys=True)
    assert mp(vector["map"]) == encoded


@pytest.mark.parametrize("vector", cases("encodings/labels"))
def test_labels(vector: Vector) -> None:
    """A later number is a later format; anything else is another thing."""
    found, label = unhex(vector["found"]), vector["label"].encode()
    if "error" in vector:
        with refusal(vector):
            require_label(found, label, "thing")
    else:
        require_label(found, label, "thing")


@pytest.mark.parametrize("vector", cases("keys/database-keys"))
def test_database_keys(vector: Vector) -> None:
    """D(K, use) in one pod."""
    key, pod_id = DatabaseKey(unhex(vector["database_key"])), PodId(unhex(vector["pod_id"]))
    assert {use: key.derive(use, pod_id).hex() for use in vector["derived"]} == vector["derived"]


@pytest.mark.parametrize("vector", cases("keys/identities"))
def test_identities(vector: Vector) -> None:
    """64 digits on paper give recipient and signer."""
    identity = Identity(unhex(vector["identity"]))
    assert {use: identity.derive(use).hex() for use in vector["derived"]} == vector["derived"]
    assert identity.recipient.raw.hex() == vector["recipient"]
    assert identity.recipient.kid.hex() == vector["kid"]
    assert identity.signer.hex() == vector["signer"]


@pytest.mark.parametrize("vector", cases("keys/recipients"))
def test_recipients(vector: Vector) -> None:
    """Only what can be sealed to is a recipient."""
    raw = unhex(vector["recipient"])
    if "error" in vector:
        with refusal(vector):
            Recipient(raw)
    else:
        assert Recipient(raw).kid.hex() == vector["kid"]


@pytest.mark.parametrize("vector", cases("keys/digits"))
def test_digits(vector: Vector) -> None:
    """Exactly 64 hexadecimal digits, whatever they stand for."""
    readers = (
        lambda text: parse_hex_32(text, "key"),
        OwnerKey.from_hex,
        DatabaseKey.from_hex,
        LogKey.from_hex,
    )
    if "error" in vector:
        for read in readers:
            with refusal(vector):
                read(vector["digits"])
        return
    assert parse_hex_32(vector["digits"], "key") == unhex(vector["raw"])
    assert OwnerKey.from_hex(vector["digits"]).pod_id.hex() == vector["pod_id"]


@pytest.mark.parametrize("vector", cases("items/items"))
def test_items(vector: Vector) -> None:
    """From JSON to canonical bytes, commitment and name."""
    key, pod_id = DatabaseKey(unhex(vector["database_key"])), PodId(unhex(vector["pod_id"]))
    payload = msgspec.json.decode(vector["payload"], type=dict[str, Scalar | None])
    if "error" in vector:
        with refusal(vector):
            parse_item(payload, make_id=lambda: "made-id")
        return
    item = parse_item(payload, make_id=lambda: str(vector["made_id"]))
    salt = item_salt(MacKey(key.derive("item", pod_id)), item.id)
    assert item.canonical.hex() == vector["canonical"]
    assert json.dumps(read_canonical(item.canonical)) == json.dumps(vector["members"])
    assert salt.hex() == vector["salt"]
    assert commitment(salt, item.canonical).hex() == vector["c"]
    assert item_name(MacKey(key.derive("name", pod_id)), item.id).hex() == vector["item_name"]


@pytest.mark.parametrize("vector", cases("items/canonical"))
def test_canonical_items(vector: Vector) -> None:
    """A reader accepts what an item can be, and nothing else that is sealed."""
    canonical = unhex(vector["canonical"])
    if "error" in vector:
        with refusal(vector):
            read_canonical(canonical)
        return
    members = read_canonical(canonical)
    assert members == vector["members"]
    assert mp(members) == canonical


@pytest.mark.parametrize("vector", cases("items/names"))
def test_item_names(vector: Vector) -> None:
    """Only a UUIDv7's time shows."""
    assert item_name(MacKey(unhex(vector["name_key"])), vector["id"]).hex() == vector["item_name"]


@pytest.mark.parametrize("vector", cases("items/server-ids"))
def test_server_ids(vector: Vector) -> None:
    """UUIDv7 without hyphens."""
    assert server_id(vector["ms"], unhex(vector["random"])) == vector["id"]
