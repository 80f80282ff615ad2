"""Golden vectors of what is sealed, signed and stored: each gives its value, or its refusal."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.vectors import Vector, cases, refusal, unhex
from vault.encoding import pae, unpae
from vault.erasures import erasure_bytes, verify_erasure
from vault.header import Header, parse_header
from vault.items import (
    commitment,
)
from vault.keys import FileKey, PodId
from vault.meta import Meta
from vault.objects import decode_tags, encode_tags, name_in_key, object_key
from vault.opening import Identity, OpenedBatch
from vault.policies import parse_policy
from vault.promises import Promise, decode_promise, encode_promise, verify_promise
from vault.public_file import parse_public
from vault.rekeying import parse_rotation
from vault.requests import Hold, parse_request, request_bytes
from vault.segment_reading import read_segment, verify_segment
from vault.segments import Segment, SegmentItem
from vault.tree import leaf_hash, root_of
from vault.witness import History, Witness, compare, kept_batches, parse_witness_file


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
