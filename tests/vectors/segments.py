"""Vectors of segments, promises, and the keys and tags of objects. FORMAT.md, "Segments" to "Objects"."""

from __future__ import annotations

import base64
import hashlib
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from tests.support.functions import database
from tests.vectors import batches, policies, world
from tests.vectors.family import Family, Vector, flipped
from tests.vectors.material import MATERIAL
from vault.encoding import le32, le64, pae
from vault.errors import (
    DamagedError,
    ForeignPodError,
    FormatTooNewError,
    MalformedError,
    PolicyError,
    VaultError,
)
from vault.header import Header, item_leaf
from vault.items import commitment, item_name
from vault.keys import LogKey, MacKey
from vault.segments import TABLES, Segment, SegmentItem, write_segment
from vault.tree import root_of

NAME = item_name(MacKey(world.KEYS[1].derive("name", world.POD_ID)), "note-1")
SEALED = batches.seal(0, batches.plain(0))
DIGEST = hashlib.sha256(SEALED).digest()
C = commitment(batches.SALTS[0], batches.CANONICAL[0])
LEAF = item_leaf(world.POD_ID, batches.UID, 0, C, DIGEST)
WRAPS = batches.wraps_for([world.IDENTITY.recipient])
LOGS = [
    {"key": world.LOG_KEY.public.hex(), "kind": "vault"},
    {"key": world.FUNCTION_KEY.public.hex(), "kind": "function"},
]
SLOTS_JSON = policies.signed(policies.packed(policies.members(revision=2, logs=LOGS)))
POLICY = hashlib.sha256(SLOTS_JSON.encode()).digest()


def _header(key: LogKey = world.FUNCTION_KEY, **changes: Any) -> Header:
    header = Header(
        pod_id=world.POD_ID,
        uid=batches.UID,
        log_key_hash=hashlib.sha256(key.public).digest(),
        ms=batches.MS,
        count=1,
        item_root=LEAF,
        commit=batches.COMMIT,
        wraps_hash=hashlib.sha256(WRAPS).digest(),
        policy=POLICY,
    )
    return msgspec.structs.replace(header, **changes)


HEADER = _header().pack()
SIGNATURE = world.FUNCTION_KEY.sign(HEADER)
ITEM = SegmentItem(NAME, C, DIGEST, SEALED)
SEGMENT = Segment(batches.UID, HEADER, WRAPS, SIGNATURE, (ITEM,))


def _signed(header: Header, key: LogKey = world.FUNCTION_KEY) -> dict[str, Any]:
    packed = header.pack()
    return {"header": packed, "signature": key.sign(packed)}


def _rows(segment: Segment) -> Vector:
    return {
        "uid": segment.uid.hex(),
        "header": segment.header.hex(),
        "wraps": segment.wraps.hex(),
        "signature": segment.signature.hex(),
        "items": [
            {name: getattr(item, name).hex() for name in ("name", "c", "digest", "sealed")}
            for item in segment.items
        ],
    }


def _content(name: str, segment: Segment) -> bytes:
    def make() -> bytes:
        with tempfile.TemporaryDirectory() as scratch:
            return write_segment(segment, world.FILE_KEY, Path(scratch))

    return MATERIAL.once(f"segment/{name}", make)


def _database(name: str, *statements: str, page_bytes: int = 1024) -> bytes:
    return MATERIAL.once(
        f"segment/{name}", lambda: database(world.FILE_KEY, *statements, page_bytes=page_bytes)
    )


_NEW_BATCH = (
    "INSERT INTO batch (rowid, uid, header, wraps, signature) VALUES ({}, x'00', x'00', x'00', x'00')"
)
_NEW_ITEM = "INSERT INTO item (rowid, name, c, digest, sealed) VALUES ({}, x'00', x'00', x'00', x'00')"


def _reading() -> Family:
    family = Family()
    content = _content("one item", SEGMENT)
    key = world.FILE_KEY.reveal().hex()
    family.good("one item", "four pages", content=content.hex(), file_key=key, rows=_rows(SEGMENT))
    several = msgspec.structs.replace(SEGMENT, items=(ITEM, SegmentItem(bytes(22), C, DIGEST, b"")))
    family.good(
        "several items",
        "in the order of the batch",
        content=_content("several items", several).hex(),
        file_key=key,
        rows=_rows(several),
    )

    def bad(name: str, why: str, error: type[VaultError], says: str, content: bytes) -> None:
        family.bad(name, why, error, says, content=content.hex(), file_key=key)

    batch, item = TABLES.values()
    rows = _NEW_BATCH.format(1), _NEW_ITEM.format(1)
    for name, why, raw in [
        ("nothing", "at least a page", b""),
        ("half a page", "whole pages", content[:512]),
        ("a byte more", "whole pages", content + b"\0"),
    ]:
        bad(name, why, MalformedError, "whole pages", raw)
    for name, why, raw in [
        ("zeros", "authentic pages", bytes(4096)),
        ("plaintext", "authentic pages", b"SQLite format 3\0" + bytes(1008)),
        ("first page altered", "its HMAC", flipped(content, 500)),
        ("salt altered", "the HMAC key follows from it", flipped(content, 3)),
        ("item's page altered", "its HMAC", flipped(content, 2 * 1024 + 100)),
        ("last page altered", "its HMAC", flipped(content, -1)),
        ("a page missing", "all of them", content[:-1024]),
        ("pages swapped", "an HMAC holds a page's number", content[:1024] + content[2048:3072] + content[1024:2048] + content[3072:]),
    ]:  # fmt: skip
        bad(name, why, DamagedError, "does not open", raw)
    family.bad(
        "another file key",
        "the pod's own",
        DamagedError,
        "does not open",
        content=content.hex(),
        file_key=world.OTHER_FILE_KEY.reveal().hex(),
    )
    schemas: list[tuple[str, str, Sequence[str]]] = [
        ("no tables", "both tables", ("CREATE TABLE t (a)",)),
        ("tables in another order", "in this order", (item, batch, *rows)),
        ("an index more", "nothing else", (batch, item, "CREATE INDEX i ON item (name)", *rows)),
        ("a view", "tables", ("CREATE VIEW batch AS SELECT 1 AS uid", item, rows[1])),
        ("not strict", "to the letter", (batch.removesuffix(" STRICT"), item, *rows)),
        ("a space more", "to the letter", (batch.replace(", header", ",  header"), item, *rows)),
    ]
    for name, why, statements in schemas:
        bad(name, why, DamagedError, "other tables", _database(name, *statements))
    for name, why, says, statements in [
        ("no batch", "one row", "holds one batch", (rows[1],)),
        ("two batches", "one row", "holds one batch", (*rows, _NEW_BATCH.format(2))),
        ("another rowid of the batch", "1", "holds one batch", (_NEW_BATCH.format(2), rows[1])),
        ("no item", "1 to 512", "items in their order", (rows[0],)),
        ("a gap between items", "rowids from 1", "items in their order", (*rows, _NEW_ITEM.format(3))),
    ]:
        bad(name, why, DamagedError, says, _database(name, batch, item, *statements))
    bad(
        "pages of a vault",
        "1,024 bytes",
        DamagedError,
        "does not open",
        _database("pages of a vault", batch, item, *rows, page_bytes=4096),
    )
    return family


def _verifying() -> Family:
    family = Family()

    def fields(segment: Segment, slots_json: str = SLOTS_JSON) -> Vector:
        return {"pod_toml": policies.POD_TOML, "slots_json": slots_json, "rows": _rows(segment)}

    def bad(name: str, why: str, error: type[VaultError], says: str, **changes: Any) -> None:
        family.bad(name, why, error, says, **fields(msgspec.structs.replace(SEGMENT, **changes)))

    family.good("one item", "all of it agrees", **fields(SEGMENT), ms=batches.MS)
    bad("header cut", "exact lengths", MalformedError, "ends inside", header=HEADER[:-1])
    bad("batch/v2", "a later program wrote it", FormatTooNewError, "later format", header=pae(b"batch/v2"))
    bad(
        "another pod", "pod id", ForeignPodError, "another pod", **_signed(_header(pod_id=world.OTHER_POD_ID))
    )
    bad(
        "another policy",
        "one that is known",
        PolicyError,
        "does not hold",
        **_signed(_header(policy=bytes(32))),
    )
    for name, why, changes in [
        ("signature altered", "over the header", {"signature": flipped(SIGNATURE, 9)}),
        ("signature empty", "64 bytes", {"signature": b""}),
        ("a vault's key", "a key has one kind", _signed(_header(world.LOG_KEY), world.LOG_KEY)),
        (
            "a stranger's key",
            "a key of the policy",
            _signed(_header(world.OTHER_LOG_KEY), world.OTHER_LOG_KEY),
        ),
        ("another's signature", "of the key it names", {"signature": world.LOG_KEY.sign(HEADER)}),
    ]:
        bad(name, why, DamagedError, "not signed by a function", **changes)
    bad("another uid", "the header's", DamagedError, "another uid", uid=bytes(16))
    bad("wraps altered", "their hash", DamagedError, "wraps are not those", wraps=flipped(WRAPS, 700))
    mine, other = world.IDENTITY.recipient.kid, world.OTHER_IDENTITY.recipient.kid
    for name, why, error, says, wraps in [
        ("no recipient", "exactly the policy's", DamagedError, "exactly the recipients", pae()),
        ("another recipient", "exactly the policy's", DamagedError, "exactly the recipients", pae(pae(other, b""))),
        ("one recipient more", "exactly the policy's", DamagedError, "exactly the recipients", pae(pae(mine, b""), pae(other, b""))),
        ("a recipient twice", "one entry each", MalformedError, "names one twice", pae(pae(mine, b""), pae(mine, b""))),
        ("wraps are no list", "a pae", MalformedError, "before its count", b""),
    ]:  # fmt: skip
        header = _header(wraps_hash=hashlib.sha256(wraps).digest())
        bad(name, why, error, says, wraps=wraps, **_signed(header))
    bad("fewer items", "as many as counted", DamagedError, "counts 1 items", items=())
    bad("more items", "as many as counted", DamagedError, "counts 1 items", items=(ITEM, ITEM))
    items: list[tuple[str, str, type[VaultError], str, Mapping[str, bytes]]] = [
        ("name short", "22 bytes", MalformedError, "another length", {"name": NAME[:-1]}),
        ("c long", "32 bytes", MalformedError, "another length", {"c": C + b"\0"}),
        ("sealed altered", "its digest", DamagedError, "was altered", {"sealed": flipped(SEALED, 5)}),
        ("digest altered", "of sealed", DamagedError, "was altered", {"digest": flipped(DIGEST, 5)}),
        ("another c", "the item root", DamagedError, "not those its header", {"c": bytes(32)}),
    ]
    for name, why, error, says, columns in items:
        bad(name, why, error, says, items=(msgspec.structs.replace(ITEM, **columns),))
    return family


def build() -> Vector:
    """segments/."""
    return {
        "about": "read: the bytes of a segment, and the rows in it under file_key. verify: rows, and the pair pod.toml and "
        "slots.json, which is the only policy that is known; ms is the header's. Bytes are hexadecimal; what SQLCipher "
        "drew is golden for reading only.",
        "read": _reading().vectors,
        "verify": _verifying().vectors,
    }


def _promise(*fields: bytes) -> str:
    return base64.b64encode(pae(*fields)).decode()


def build_promises() -> Vector:
    """promises/."""
    family = Family()
    right = (b"promise/v1", C, DIGEST, le32(0), HEADER, b"", SIGNATURE)

    def fields(promise: str, **changes: Any) -> Vector:
        return {
            "promise": promise,
            "pod_id": world.POD_ID.hex(),
            "function_keys": [world.FUNCTION_KEY.public.hex()],
            "c": C.hex(),
        } | changes

    def proves(ms: int, c: bytes, digest: bytes, index: int, uid: bytes) -> Vector:
        return {"ms": ms, "c": c.hex(), "digest": digest.hex(), "index": index, "uid": uid.hex()}

    good = proves(batches.MS, C, DIGEST, 0, batches.UID)
    family.good("one item", "708 characters", **fields(_promise(*right)), proves=good)
    family.good("without c", "the holder compares it", **fields(_promise(*right), c=None), proves=good)
    sealed = [batches.seal(index, batches.plain(index)) for index in range(3)]
    three = batches.header_of(WRAPS, sealed, log_key_hash=_header().log_key_hash)
    digests = [hashlib.sha256(each).digest() for each in sealed]
    commitments = [
        commitment(salt, each) for salt, each in zip(batches.SALTS, batches.CANONICAL, strict=True)
    ]
    leaves = [
        item_leaf(world.POD_ID, batches.UID, place, commitments[place], digests[place]) for place in range(3)
    ]
    packed = three.pack()
    of_three = (
        b"promise/v1",
        commitments[1],
        digests[1],
        le32(1),
        packed,
        leaves[0] + leaves[2],
        world.FUNCTION_KEY.sign(packed),
    )
    family.good(
        "one of three",
        "a path",
        **fields(_promise(*of_three), c=commitments[1].hex()),
        proves=proves(batches.MS, commitments[1], digests[1], 1, batches.UID),
    )
    assert root_of(leaves) == three.item_root

    def changed(at: int, field: bytes, fields_of: tuple[bytes, ...] = right) -> str:
        return _promise(*fields_of[:at], field, *fields_of[at + 1 :])

    for name, why, promise in [
        ("nothing", "a pae", ""),
        ("not base64", "one form", "====" + _promise(*right)),
        ("a newline more", "one form", _promise(*right) + "\n"),
        ("1201 characters", "at most 1,200", "A" * 1201),
        ("a receipt's label", "each label in one place", changed(0, b"receipt/v1")),
        ("no signature", "six fields", _promise(*right[:-1])),
        ("a field more", "six fields", _promise(*right, b"")),
        ("c short", "32 bytes", changed(1, C[:31])),
        ("digest long", "32 bytes", changed(2, DIGEST + b"\0")),
        ("index of 8 bytes", "LE32", changed(3, le64(0))),
        ("half a hash in the path", "whole hashes", changed(5, bytes(16))),
        ("signature short", "64 bytes", changed(6, SIGNATURE[:63])),
        ("no header", "a header", changed(4, b"")),
        ("index beyond", "below count", changed(3, le32(1))),
        ("path too long", "its length follows from count", changed(5, bytes(32))),
    ]:
        family.bad(name, why, MalformedError, "", **fields(promise))
    family.bad(
        "promise/v2",
        "a later program wrote it",
        FormatTooNewError,
        "later format",
        **fields(_promise(b"promise/v2")),
    )
    foreign = _header(pod_id=world.OTHER_POD_ID).pack()
    for name, why, error, says, found in [
        ("another pod", "pod id", ForeignPodError, "another pod", fields(changed(4, foreign))),
        ("an unknown key", "a function's", DamagedError, "not one of this pod's", fields(_promise(*right), function_keys=[world.LOG_KEY.public.hex()])),
        ("another item", "C", DamagedError, "another item", fields(_promise(*right), c=bytes(32).hex())),
        ("another digest", "the item root", DamagedError, "not in the batch", fields(changed(2, bytes(32)))),
        ("another place", "the item root", DamagedError, "not in the batch", fields(changed(5, leaves[2] + leaves[0], of_three), c=commitments[1].hex())),
        ("signature altered", "over the header", DamagedError, "not what its log key signed", fields(changed(6, flipped(SIGNATURE, 1)))),
        ("another's signature", "of the key it names", DamagedError, "not what its log key signed", fields(changed(6, world.LOG_KEY.sign(HEADER)))),
    ]:  # fmt: skip
        family.bad(name, why, error, says, **found)
    for vector in family.vectors:
        if vector.get("says") == "":
            del vector["says"]
    return {
        "about": "Promises for pod_id and function_keys; c is known if it is not null. Bytes are hexadecimal.",
        "vectors": family.vectors,
    }


def _url64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def build_objects() -> Vector:
    """objects/."""
    keys = Family()
    pod, name = world.POD_ID.hex(), NAME.hex()
    right = f"v1/{name[-1]}/{pod}/{name}"
    keys.good("key", "shard, pod, name", key=right, pod_id=pod, item_name=name)
    for title, why, key in [
        ("nothing", "a key", ""),
        ("another shard", "the last digit of name", f"v1/{'0' if name[-1] != '0' else '1'}/{pod}/{name}"),
        ("another pod", "its own", f"v1/{name[-1]}/{world.OTHER_POD_ID.hex()}/{name}"),
        ("another root", "v1", f"v2/{name[-1]}/{pod}/{name}"),
        ("capitals", "lower-case hex", f"v1/{name[-1]}/{pod}/{name.upper()}"),
        ("name short", "22 bytes", f"v1/{name[-1]}/{pod}/{name[2:]}"),
        ("a newline more", "nothing follows", right + "\n"),
        ("a slash before", "nothing precedes", "/" + right),
    ]:
        keys.bad(title, why, MalformedError, "not that of a segment", key=key, pod_id=pod)
    tags = Family()
    header = _url64(HEADER)
    good = {
        "shared-pod": "1",
        "c": _url64(C),
        "digest": _url64(DIGEST),
        "header-1": header[:217],
        "header-2": header[217:],
        "signature": _url64(SIGNATURE),
    }
    promise = _promise(b"promise/v1", C, DIGEST, le32(0), HEADER, b"", SIGNATURE)
    tags.good("tags", "the promise of its item", tags=good, promise=promise)
    tags.good("others too", "others' are ignored", tags=good | {"Owner": "x"}, promise=promise)
    tags.bad(
        "a later format", "another number", FormatTooNewError, "later format", tags=good | {"shared-pod": "2"}
    )
    for title, why, changes in [
        ("no mark", "1", {"shared-pod": ""}),
        ("another mark", "1", {"shared-pod": "01"}),
        ("no c", "all six", {"c": ""}),
        ("c of 31 bytes", "32", {"c": _url64(C[:31])}),
        ("c padded", "unpadded", {"c": _url64(C) + "="}),
        ("header cut elsewhere", "217 characters", {"header-1": header[:216], "header-2": header[216:]}),
        ("header in one", "217 characters", {"header-1": header, "header-2": ""}),
        ("header short", "325 bytes", {"header-2": header[217:-4]}),
        ("signature of 63 bytes", "64", {"signature": _url64(SIGNATURE[:63])}),
        ("standard base64", "base64url", {"signature": "+" + _url64(SIGNATURE)[1:]}),
    ]:
        tags.bad(title, why, MalformedError, "", tags={k: v for k, v in (good | changes).items() if v})
    for vector in tags.vectors:
        if vector.get("says") == "":
            del vector["says"]
    return {
        "about": "keys: the key of an item's object in the pod. tags: an object's tags, and the promise they make.",
        "keys": keys.vectors,
        "tags": tags.vectors,
    }
