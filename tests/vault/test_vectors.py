"""Every golden vector: accepted ones give their value and the same bytes again, others their refusal."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.support.vectors import TESTDATA, Vector, cases, load, policy_facts, refusal, unhex
from tests.vectors.generate import stale
from vault.caveats import Caveats, parse_caveats
from vault.encoding import mp, pae, require_label, un_mp, unpae
from vault.erasures import erasure_bytes, verify_erasure
from vault.header import Header, parse_header
from vault.identity_file import format_identity, is_protected, parse_identity
from vault.items import (
    commitment,
    item_name,
    item_salt,
    parse_item,
    read_canonical,
    server_id,
)
from vault.keys import DatabaseKey, FileKey, LogKey, OwnerKey, PodId, parse_hex_32
from vault.links import format_invite, parse_invite
from vault.meta import Meta
from vault.objects import decode_tags, encode_tags, name_in_key, object_key
from vault.opening import Identity, OpenedBatch, open_slot_secrets
from vault.pod import PodConfig, parse_pod_toml
from vault.policies import check_successor, parse_policy
from vault.promises import Promise, decode_promise, encode_promise, verify_promise
from vault.properties import Scalar, ValueType
from vault.public_file import parse_public
from vault.rekeying import parse_rotation
from vault.requests import Hold, parse_request, request_bytes
from vault.sealing import Recipient
from vault.segment_reading import read_segment, verify_segment
from vault.segments import Segment, SegmentItem
from vault.slots import NONCE_BYTES, Slot, lookup_of, open_slot, wrap_file_key
from vault.tree import leaf_hash, root_of
from vault.views import open_view, seal_view
from vault.witness import History, Witness, compare, kept_batches, parse_witness_file

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
    salt = item_salt(key.derive("item", pod_id), item.id)
    assert item.canonical.hex() == vector["canonical"]
    assert json.dumps(read_canonical(item.canonical)) == json.dumps(vector["members"])
    assert salt.hex() == vector["salt"]
    assert commitment(salt, item.canonical).hex() == vector["c"]
    assert item_name(key.derive("name", pod_id), item.id).hex() == vector["item_name"]


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
    assert item_name(unhex(vector["name_key"]), vector["id"]).hex() == vector["item_name"]


@pytest.mark.parametrize("vector", cases("items/server-ids"))
def test_server_ids(vector: Vector) -> None:
    """UUIDv7 without hyphens."""
    assert server_id(vector["ms"], unhex(vector["random"])) == vector["id"]


@pytest.mark.parametrize("vector", cases("slots/caveats"))
def test_caveats(vector: Vector) -> None:
    """Known ones have their shape; an unknown one closes the slot."""
    if "error" in vector:
        with refusal(vector):
            parse_caveats(vector["members"])
        return
    caveats = parse_caveats(vector["members"])
    assert (caveats is not None) is vector["is_open"]
    if caveats is not None:
        assert caveats.encoded().hex() == vector["encoded"]
        assert json.dumps(caveats.as_map()) == json.dumps(vector["members"])


@pytest.mark.parametrize("vector", cases("slots/wraps"))
def test_wraps(vector: Vector) -> None:
    """A wrap opens under its key, in its pod, at its number, with its caveats, and nowhere else."""
    key, pod_id = DatabaseKey(unhex(vector["database_key"])), PodId(unhex(vector["pod_id"]))
    caveats = parse_caveats(vector["caveats"])
    wrap = None if vector["wrap"] is None else unhex(vector["wrap"])
    is_open = vector["state"] == "active" and caveats is not None and wrap is not None
    slot = Slot(vector["number"], lookup_of(key, pod_id), b"", caveats, wrap, is_open)
    if "error" in vector:
        with refusal(vector):
            open_slot(slot, key, pod_id)
        return
    opened = open_slot(slot, key, pod_id)
    assert opened.file_key.reveal().hex() == vector["file_key"]
    assert slot.lookup.hex() == vector["lookup"]
    assert _wrapped_again(slot, key, pod_id) == wrap


def _wrapped_again(slot: Slot, key: DatabaseKey, pod_id: PodId) -> bytes:
    return wrap_file_key(
        open_slot(slot, key, pod_id).file_key,
        key.derive("wrap", pod_id),
        pod_id=pod_id,
        number=slot.number,
        caveats=slot.caveats or Caveats(),
        nonce=(slot.wrap or b"")[:NONCE_BYTES],
    )


@pytest.mark.parametrize("vector", cases("slots/rewraps"))
def test_rewraps(vector: Vector) -> None:
    """The maintainer finds name and keys of every slot."""
    identity, pod_id = Identity(unhex(vector["identity"])), PodId(unhex(vector["pod_id"]))
    if "error" in vector:
        with refusal(vector):
            open_slot_secrets(identity, unhex(vector["rewrap"]), pod_id, vector["number"])
        return
    secrets = open_slot_secrets(identity, unhex(vector["rewrap"]), pod_id, vector["number"])
    assert secrets.name == vector["slot_name"]
    for use in ("wrap_key", "view_key", "name_key"):
        assert getattr(secrets, use).hex() == vector[use]


@pytest.mark.parametrize("vector", cases("views"))
def test_views(vector: Vector) -> None:
    """A view opens for its slot only."""
    key, pod_id = unhex(vector["view_key"]), PodId(unhex(vector["pod_id"]))
    sealed = None if vector["view"] is None else unhex(vector["view"])
    if "error" in vector:
        with refusal(vector):
            open_view(sealed, key, pod_id=pod_id, slot=vector["slot"])
        return
    own = open_view(sealed, key, pod_id=pod_id, slot=vector["slot"])
    assert own == {name: ValueType(kind) for name, kind in vector["own"].items()}
    if sealed is not None:
        assert seal_view(own, key, pod_id=pod_id, slot=vector["slot"], nonce=unhex(vector["nonce"])) == sealed


@pytest.mark.parametrize("vector", cases("policies/pod-toml"))
def test_pod_toml(vector: Vector) -> None:
    """What people write is read, or the member at fault is named."""
    if "error" in vector:
        with refusal(vector):
            parse_pod_toml(vector["pod_toml"].encode())
    else:
        assert _config(parse_pod_toml(vector["pod_toml"].encode())) == vector["config"]


def _config(config: PodConfig) -> dict[str, Any]:
    return {
        "name": config.name,
        "url": config.url,
        "policy": config.policy,
        "properties": {name: str(kind) for name, kind in config.properties.items()},
        "labels": config.labels,
        "max_item_bytes": config.max_item_bytes,
    }


@pytest.mark.parametrize("vector", cases("policies/pairs"))
def test_policies(vector: Vector) -> None:
    """A pair is one, signed by a signer it lists, of exactly this shape."""
    pod_toml, slots_json = vector["pod_toml"].encode(), vector["slots_json"].encode()
    if "error" in vector:
        with refusal(vector):
            parse_policy(pod_toml, slots_json)
    else:
        assert policy_facts(parse_policy(pod_toml, slots_json)) == vector["policy"]


@pytest.mark.parametrize("vector", cases("policies/successors"))
def test_successors(vector: Vector) -> None:
    """Trust passes by revision and endorsement only."""
    pod_toml = vector["pod_toml"].encode()
    last, new = (parse_policy(pod_toml, vector[which].encode()) for which in ("last", "new"))
    if "error" in vector:
        with refusal(vector):
            check_successor(last, new)
    else:
        assert check_successor(last, new) is vector["is_new"]


@pytest.mark.parametrize("vector", cases("invites"))
def test_invites(vector: Vector) -> None:
    """A link is whole, or said to be broken without being quoted."""
    if "error" in vector:
        with refusal(vector):
            parse_invite(vector["link"])
        return
    invite = parse_invite(vector["link"])
    assert format_invite(invite) == vector["link_again"]
    assert {
        "url": invite.url,
        "owner_key": invite.owner_key.hex,
        "database_key": invite.database_key.reveal().hex(),
        "slot": invite.slot,
        "log_keys": [key.hex() for key in invite.log_keys],
        "function_keys": [key.hex() for key in invite.function_keys],
        "signer": invite.signer.hex(),
        "name": invite.name,
        "pod_name": invite.pod_name,
        "expires": invite.expires,
        "types": None if invite.types is None else list(invite.types),
    } == vector["invite"]


@pytest.mark.parametrize("vector", cases("identities"))
def test_identity_files(vector: Vector) -> None:
    """Either 64 digits, or a box that one passphrase opens."""
    content = vector["content"].encode()
    if "error" in vector:
        with refusal(vector):
            parse_identity(content, lambda: str(vector["passphrase"]))
        return
    passphrases = iter([vector["passphrase"]])
    identity = parse_identity(content, lambda: str(next(passphrases)))
    assert identity.reveal().hex() == vector["identity"]
    is_asked = next(passphrases, None) is None and vector["passphrase"] is not None
    assert is_asked is is_protected(content)
    if vector["name"] == "clear":
        assert format_identity(identity, None, bytes) == content


@pytest.mark.parametrize("vector", cases("sealing"))
def test_sealed_batches(vector: Vector) -> None:
    """A batch opens whole, or not at all where it was touched."""
    identity, header = Identity(unhex(vector["identity"])), parse_header(unhex(vector["header"]))
    later = {unhex(kid): unhex(wrap) for kid, wrap in vector["rewrap"].items()}
    sealed = [None if each is None else unhex(each) for each in vector["sealed"]]
    if "error" in vector:
        with refusal(vector):
            list(OpenedBatch(identity, header, unhex(vector["wraps"]), later).open_items(sealed))
        return
    opened = OpenedBatch(identity, header, unhex(vector["wraps"]), later).open_items(sealed)
    assert [
        {
            "index": item.index,
            "canonical": item.canonical.hex(),
            "slot": item.slot,
            "salt": item.salt.hex(),
            "c": commitment(item.salt, item.canonical).hex(),
        }
        for item in opened
    ] == vector["items"]


@pytest.mark.parametrize("vector", cases("erasures"))
def test_erasures(vector: Vector) -> None:
    """Only a signer's word for exactly this item stands in its place."""
    header, statement = parse_header(unhex(vector["header"])), unhex(vector["statement"])
    digest, signers = unhex(vector["digest"]), [unhex(key) for key in vector["signers"]]
    if "error" in vector:
        with refusal(vector):
            verify_erasure(statement, header=header, index=vector["index"], digest=digest, signers=signers)
        return
    ms = verify_erasure(statement, header=header, index=vector["index"], digest=digest, signers=signers)
    assert ms == vector["ms"]
    assert unpae(statement, 3)[0] == erasure_bytes(header, vector["index"], digest, ms)


@pytest.mark.parametrize("vector", cases("requests"))
def test_requests(vector: Vector) -> None:
    """A maintainer of this pod asks, for this pod, under this id; everybody else asks for nothing."""
    content, of = unhex(vector["request"]), PodId(unhex(vector["pod_id"]))
    name, signers = unhex(vector["id"]), [unhex(key) for key in vector["signers"]]
    if "error" in vector:
        with refusal(vector):
            parse_request(content, pod_id=of, request_id=name, signers=signers)
        return
    found = parse_request(content, pod_id=of, request_id=name, signers=signers)
    if isinstance(found, Hold):
        assert vector["asks"] == {"verb": "hold", "until": found.until_ms}
    else:
        assert vector["asks"] == {"verb": "erase", "statements": [each.hex() for each in found.statements]}
    assert pae(request_bytes(of, name, found), *unpae(content)[1:]) == content


@pytest.mark.parametrize("vector", cases("public-files"))
def test_public_files(vector: Vector) -> None:
    """Both halves are one identity's, and something can be sealed to it."""
    if "error" in vector:
        with refusal(vector):
            parse_public(vector["line"])
        return
    found = parse_public(vector["line"])
    assert found.recipient.kid.hex() == vector["kid"]
    assert found.signer.hex() == vector["signer"]
    assert found.fingerprint == vector["fingerprint"]


@pytest.mark.parametrize("vector", cases("rotations"))
def test_rotations(vector: Vector) -> None:
    """What an interrupted rotation left opens for the identity that began it."""
    identity, of = Identity(unhex(vector["identity"])), PodId(unhex(vector["pod_id"]))
    if "error" in vector:
        with refusal(vector):
            parse_rotation(vector["line"], identity, of)
        return
    assert parse_rotation(vector["line"], identity, of).reveal().hex() == vector["file_key"]


@pytest.mark.parametrize("vector", cases("witnesses/files"))
def test_witnesses(vector: Vector) -> None:
    """A checkpoint that was kept elsewhere, as a file or a scanner gives it."""
    content, keys = vector["content"].encode(), [unhex(key) for key in vector["log_keys"]]
    of = PodId(unhex(vector["pod_id"]))
    if "error" in vector:
        with refusal(vector):
            parse_witness_file(content, "a file", pod_id=of, log_keys=keys)
        return
    found = parse_witness_file(content, "a file", pod_id=of, log_keys=keys)
    expected = vector["witness"]
    assert (found.epoch, found.size, found.root.hex()) == (
        expected["epoch"],
        expected["size"],
        expected["root"],
    )


@pytest.mark.parametrize("vector", cases("witnesses/held"))
def test_what_a_vault_holds(vector: Vector) -> None:
    """By the log's own leaves, and what each repair has kept."""
    leaves = [leaf_hash(unhex(leaf)) for leaf in vector["leaves"]]
    ends = {int(epoch): note.encode() for epoch, note in vector["ends"].items()}
    kept = kept_batches(Meta(PodId(bytes(32)), vector["epoch"], ends), len(leaves))
    history = History(vector["epoch"], len(leaves), kept, lambda size, root: root_of(leaves[:size]) == root)
    given = vector["witness"]
    witness = Witness("a witness", given["epoch"], given["size"], unhex(given["root"]), b"")
    if "error" in vector:
        with refusal(vector):
            compare(witness, history)
        return
    compare(witness, history)


def _segment(rows: Vector) -> Segment:
    columns = {name: unhex(rows[name]) for name in ("uid", "header", "wraps", "signature")}
    items = tuple(
        SegmentItem(**{name: unhex(value) for name, value in item.items()}) for item in rows["items"]
    )
    return Segment(**columns, items=items)


@pytest.mark.parametrize("vector", cases("segments/read"))
def test_segments_are_read(vector: Vector, tmp_path: Path) -> None:
    """Bytes by anybody give rows, or a refusal."""
    content, key = unhex(vector["content"]), FileKey(unhex(vector["file_key"]))
    if "error" in vector:
        with refusal(vector):
            read_segment(content, key, tmp_path)
    else:
        assert read_segment(content, key, tmp_path) == _segment(vector["rows"])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("vector", cases("segments/verify"))
def test_segments_are_verified(vector: Vector) -> None:
    """All of it agrees, or it is nobody's."""
    policy = parse_policy(vector["pod_toml"].encode(), vector["slots_json"].encode())
    policies, segment = {policy.digest: policy}, _segment(vector["rows"])
    if "error" in vector:
        with refusal(vector):
            verify_segment(segment, policies.get, policy.pod_id)
    else:
        assert verify_segment(segment, policies.get, policy.pod_id).header.ms == vector["ms"]


@pytest.mark.parametrize("vector", cases("promises"))
def test_promises(vector: Vector) -> None:
    """Read, and checked by who may hold the item."""

    def check() -> tuple[Promise, Header]:
        promise = decode_promise(vector["promise"])
        header = verify_promise(
            promise,
            pod_id=PodId(unhex(vector["pod_id"])),
            function_keys=[unhex(key) for key in vector["function_keys"]],
            c=None if vector["c"] is None else unhex(vector["c"]),
        )
        return promise, header

    if "error" in vector:
        with refusal(vector):
            check()
        return
    promise, header = check()
    assert vector["proves"] == {
        "ms": header.ms,
        "c": promise.c.hex(),
        "digest": promise.digest.hex(),
        "index": promise.index,
        "uid": header.uid.hex(),
    }
    assert encode_promise(promise) == vector["promise"]


@pytest.mark.parametrize("vector", cases("objects/keys"))
def test_keys_of_objects(vector: Vector) -> None:
    """One name, one key."""
    pod_id = PodId(unhex(vector["pod_id"]))
    if "error" in vector:
        with refusal(vector):
            name_in_key(vector["key"], pod_id)
        return
    assert name_in_key(vector["key"], pod_id) == unhex(vector["item_name"])
    assert object_key(pod_id, unhex(vector["item_name"])) == vector["key"]


@pytest.mark.parametrize("vector", cases("objects/tags"))
def test_tags_of_objects(vector: Vector) -> None:
    """They make a promise, which is not believed yet."""
    if "error" in vector:
        with refusal(vector):
            decode_tags(vector["tags"])
        return
    promise = decode_tags(vector["tags"])
    assert encode_promise(promise) == vector["promise"]
    assert encode_tags(promise).items() <= vector["tags"].items()
