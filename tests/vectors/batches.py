"""Vectors of sealed batches and of erasures. FORMAT.md, "A batch" and "Erasure"."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tests.vectors import world
from tests.vectors.family import Family, flipped
from tests.vectors.material import MATERIAL
from vault.encoding import le32, le64, mp, pae
from vault.erasures import erasure_bytes
from vault.errors import DamagedError, FormatTooNewError, MalformedError, VaultError, WrongKeyError
from vault.header import Header, item_leaf
from vault.items import commitment, item_salt
from vault.keys import MacKey, hkdf_expand_sha256
from vault.opening import Identity
from vault.sealing import Recipient
from vault.tree import root_of

UID = world.draw("uid", 16)
DATA_KEY = world.draw("data key")
POLICY = world.draw("policy digest")
MS = 1763700000000
ITEM_KEY = hkdf_expand_sha256(DATA_KEY, b"shared-pod/item-key/v1")
COMMIT = hkdf_expand_sha256(DATA_KEY, b"shared-pod/commit/v1")
INFO = pae(b"wrap/v1", b"\x02", world.POD_ID, UID, COMMIT)
ITEMS: list[tuple[str, dict[str, Any]]] = [
    ("note-1", {"a": "x"}),
    ("note-2", {"a": "", "n": 5}),
    ("note-3", {"r": 0.5}),
]


def canonical_of(item_id: str, fields: dict[str, Any]) -> bytes:
    """A canonical item of type Note."""
    return mp({"type": "Note", "id": item_id, **fields})


CANONICAL = [canonical_of(*item) for item in ITEMS]
SALTS = [item_salt(MacKey(world.KEYS[1].derive("item", world.POD_ID)), item_id) for item_id, _ in ITEMS]


def seal(index: int, plaintext: bytes, *, aad_index: int | None = None, uid: bytes = UID) -> bytes:
    """AES-256-GCM at one place of the batch."""
    place = index if aad_index is None else aad_index
    aad = pae(b"seal/v1", world.POD_ID, uid, le32(place))
    return AESGCM(ITEM_KEY).encrypt(index.to_bytes(12, "big"), plaintext, aad)


def plain(index: int) -> bytes:
    """What is sealed at one place."""
    return pae(b"item/v1", CANONICAL[index], le32(1), SALTS[index])


def wraps_for(
    recipients: list[Recipient], name: str = "batch", data_key: bytes = DATA_KEY, info: bytes = INFO
) -> bytes:
    """The data key for each recipient."""
    return MATERIAL.sealed_to_each(name, recipients, data_key, info)


def header_of(wraps: bytes, sealed: list[bytes], **changes: Any) -> Header:
    """The batch's header."""
    digests = [hashlib.sha256(each).digest() for each in sealed]
    commitments = [commitment(salt, canonical) for salt, canonical in zip(SALTS, CANONICAL, strict=True)]
    leaves = [item_leaf(world.POD_ID, UID, i, commitments[i], digest) for i, digest in enumerate(digests)]
    header = Header(
        pod_id=world.POD_ID,
        uid=UID,
        log_key_hash=hashlib.sha256(world.LOG_KEY.public).digest(),
        ms=MS,
        count=len(sealed),
        item_root=root_of(leaves),
        commit=COMMIT,
        wraps_hash=hashlib.sha256(wraps).digest(),
        policy=POLICY,
    )
    return msgspec.structs.replace(header, **changes)


def _fields(
    header: Header,
    wraps: bytes,
    sealed: list[bytes | None],
    identity: Identity = world.IDENTITY,
    later: dict[bytes, bytes] | None = None,
) -> dict[str, Any]:
    return {
        "identity": identity.reveal().hex(),
        "header": header.pack().hex(),
        "wraps": wraps.hex(),
        "rewrap": {kid.hex(): wrap.hex() for kid, wrap in (later or {}).items()},
        "sealed": [None if each is None else each.hex() for each in sealed],
    }


def _opened(*indexes: int) -> list[dict[str, Any]]:
    return [
        {"index": i, "canonical": CANONICAL[i].hex(), "slot": 1, "salt": SALTS[i].hex(), "c": commitment(SALTS[i], CANONICAL[i]).hex()}
        for i in indexes
    ]  # fmt: skip


def _good(family: Family) -> None:
    mine, other = world.IDENTITY.recipient, world.OTHER_IDENTITY.recipient
    sealed = [seal(index, plain(index)) for index in range(3)]
    whole: list[bytes | None] = [*sealed]
    wraps = wraps_for([mine])
    header = header_of(wraps, sealed)
    family.good(
        "batch", "three items, one recipient", **_fields(header, wraps, whole), items=_opened(0, 1, 2)
    )
    both = wraps_for([other, mine], "batch for two")
    family.good(
        "second of two recipients",
        "each opens its own",
        **_fields(header_of(both, sealed), both, whole),
        items=_opened(0, 1, 2),
    )
    family.good(
        "first of two recipients",
        "each opens its own",
        **_fields(header_of(both, sealed), both, whole, world.OTHER_IDENTITY),
        items=_opened(0, 1, 2),
    )
    family.good(
        "one erased",
        "the others open",
        **_fields(header, wraps, [sealed[0], None, sealed[2]]),
        items=_opened(0, 2),
    )
    later = {other.kid: MATERIAL.sealed("later", other, DATA_KEY, INFO)}
    family.good(
        "a later recipient",
        "a row of rewrap",
        **_fields(header, wraps, whole, world.OTHER_IDENTITY, later),
        items=_opened(0, 1, 2),
    )
    family.good(
        "a worthless later row",
        "the batch's own wraps come first",
        **_fields(header, wraps, whole, later={mine.kid: b"nothing"}),
        items=_opened(0, 1, 2),
    )


def _bad(family: Family) -> None:
    mine, other = world.IDENTITY.recipient, world.OTHER_IDENTITY.recipient
    sealed = [seal(index, plain(index)) for index in range(3)]
    wraps = wraps_for([mine])
    header = header_of(wraps, sealed)

    def bad(name: str, why: str, error: type[VaultError], says: str, **changes: Any) -> None:
        whole: dict[str, Any] = {"header": header, "wraps": wraps, "sealed": sealed}
        family.bad(name, why, error, says, **_fields(**(whole | changes)))

    bad(
        "another identity",
        "not sealed to it",
        WrongKeyError,
        "not sealed to this identity",
        identity=world.OTHER_IDENTITY,
    )
    bad(
        "wraps altered",
        "the header holds their hash",
        DamagedError,
        "not those its header names",
        wraps=flipped(wraps, 600),
    )
    bad(
        "a later row altered",
        "it does not open",
        DamagedError,
        "was altered",
        identity=world.OTHER_IDENTITY,
        later={other.kid: flipped(MATERIAL.sealed("later", other, DATA_KEY, INFO), -1)},
    )
    altered = flipped(wraps, -1)
    bad(
        "data key altered",
        "HPKE does not open",
        DamagedError,
        "was altered",
        wraps=altered,
        header=header_of(altered, sealed),
    )
    other_headers: list[tuple[str, str, dict[str, Any]]] = [
        ("another pod", "the HPKE info holds it", {"pod_id": world.OTHER_POD_ID}),
        ("another uid", "the HPKE info holds it", {"uid": world.draw("other uid", 16)}),
        ("another commit", "the HPKE info holds it", {"commit": world.draw("other commit")}),
    ]
    for name, why, changes in other_headers:
        bad(name, why, DamagedError, "was altered", header=header_of(wraps, sealed, **changes))
    stranger = wraps_for([mine], "another data key", world.draw("another data key"))
    bad(
        "another data key",
        "it must give the header's commit",
        DamagedError,
        "commits to",
        wraps=stranger,
        header=header_of(stranger, sealed),
    )
    short = wraps_for([mine], "short data key", DATA_KEY[:31])
    bad(
        "short data key",
        "it must give the header's commit",
        DamagedError,
        "commits to",
        wraps=short,
        header=header_of(short, sealed),
    )
    twice = pae(pae(mine.kid, b""), pae(mine.kid, b""))
    bad(
        "twice the same recipient",
        "one entry each",
        MalformedError,
        "names one twice",
        wraps=twice,
        header=header_of(twice, sealed),
    )
    cut = wraps[:-1]
    bad(
        "wraps cut",
        "exact lengths",
        MalformedError,
        "inside a field",
        wraps=cut,
        header=header_of(cut, sealed),
    )
    moved = "altered or moved"
    for name, why, items in [
        ("items swapped", "nonce and associated data hold the place", [sealed[1], sealed[0], sealed[2]]),
        ("an item twice", "nonce and associated data hold the place", [sealed[0], sealed[0], sealed[2]]),
        ("item altered", "one bit", [flipped(sealed[0], 5), *sealed[1:]]),
        ("tag altered", "one bit", [*sealed[:2], flipped(sealed[2], -1)]),
        ("item cut", "the tag is missing", [sealed[0][:-16], *sealed[1:]]),
        ("item empty", "no tag", [b"", *sealed[1:]]),
        ("another place in its associated data", "place i", [seal(0, plain(0), aad_index=1), *sealed[1:]]),
        (
            "another batch's item",
            "the uid is associated data",
            [seal(0, plain(0), uid=bytes(16)), *sealed[1:]],
        ),
    ]:
        bad(name, why, DamagedError, moved, sealed=items)
    salt, canonical = SALTS[0], CANONICAL[0]
    for name, why, plaintext, error, says in [
        ("item/v2", "a later program wrote it", pae(b"item/v2", canonical), FormatTooNewError, "later format"),
        ("another label", "each label in one place", pae(b"leaf/v1", canonical, le32(1), salt), MalformedError, "its label"),
        ("no salt", "three fields follow the label", pae(b"item/v1", canonical, le32(1)), MalformedError, "3 fields"),
        ("short salt", "32 bytes", pae(b"item/v1", canonical, le32(1), salt[:31]), MalformedError, "a salt of 32 bytes"),
        ("slot of 8 bytes", "LE32", pae(b"item/v1", canonical, le64(1), salt), MalformedError, "4-byte"),
        ("sealed without a list", "a pae", canonical, MalformedError, "fields"),
    ]:  # fmt: skip
        bad(name, why, error, says, sealed=[seal(0, plaintext), *sealed[1:]])


def build() -> dict[str, Any]:
    """sealing/."""
    family = Family()
    _good(family)
    _bad(family)
    return {
        "about": "Batches as they are stored, opened with an identity: header, wraps, later wraps by kid, and the sealed "
        "items in order (null: erased). data_key is what the wraps hold; with it everything but the wraps can be made "
        "again. Bytes are hexadecimal; HPKE's are golden for opening only.",
        "data_key": DATA_KEY.hex(),
        "vectors": family.vectors,
    }


def _statement(signed: bytes, signer: Identity = world.IDENTITY) -> bytes:
    return pae(signed, signer.signer, signer.sign(signed))


def build_erasures() -> dict[str, Any]:
    """erasures/."""
    family, digest = Family(), world.draw("erased digest")
    header = header_of(b"", [b""] * 3)
    right = erasure_bytes(header, 1, digest, MS)

    def fields(statement: bytes) -> dict[str, Any]:
        return {
            "statement": statement.hex(),
            "header": header.pack().hex(),
            "index": 1,
            "digest": digest.hex(),
            "signers": [world.IDENTITY.signer.hex()],
        }

    family.good("erasure", "signed by a signer", **fields(_statement(right)), ms=MS)
    another = msgspec.structs.replace
    for name, why, signed in [
        ("another place", "i", erasure_bytes(header, 2, digest, MS)),
        ("another digest", "of the sealed bytes", erasure_bytes(header, 1, bytes(32), MS)),
        ("another batch", "the uid", erasure_bytes(another(header, uid=bytes(16)), 1, digest, MS)),
        (
            "another pod",
            "the pod id",
            erasure_bytes(another(header, pod_id=world.OTHER_POD_ID), 1, digest, MS),
        ),
    ]:
        family.bad(name, why, DamagedError, "about another item", **fields(_statement(signed)))
    for name, why, statement in [
        ("a stranger's", "not a signer of the pod", _statement(right, world.OTHER_IDENTITY)),
        ("signature altered", "one bit", flipped(_statement(right), -1)),
        ("signature of another text", "over S", pae(right, world.IDENTITY.signer, world.IDENTITY.sign(b""))),
        ("signature short", "64 bytes", pae(right, world.IDENTITY.signer, bytes(63))),
        (
            "signed by the log key",
            "it signs batches",
            pae(right, world.LOG_KEY.public, world.LOG_KEY.sign(right)),
        ),
    ]:
        family.bad(name, why, DamagedError, "not signed by a maintainer", **fields(statement))
    place = [world.POD_ID, UID, le32(1), digest, le64(MS)]
    family.bad(
        "erasure/v2",
        "a later program wrote it",
        FormatTooNewError,
        "later format",
        **fields(_statement(pae(b"erasure/v2"))),
    )
    for name, why, statement, says in [
        ("nothing", "a pae", b"", "before its count"),
        ("no signature", "three fields", pae(right, world.IDENTITY.signer), "3 fields"),
        ("a request", "each label in one place", _statement(pae(b"request/v1", *place)), "its label"),
        ("no time", "five fields follow the label", _statement(pae(b"erasure/v1", *place[:-1])), "5 fields"),
        ("time of 4 bytes", "LE64", _statement(pae(b"erasure/v1", *place[:-1], bytes(4))), "8-byte"),
    ]:
        family.bad(name, why, MalformedError, says, **fields(statement))
    return {
        "about": "Statements that stand in place of an item at index of the batch with this header, and the public keys "
        "that may have signed them. Bytes are hexadecimal.",
        "vectors": family.vectors,
    }
