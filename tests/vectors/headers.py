"""Vectors of batch headers and of the leaves they and their items make. FORMAT.md, "A batch", "Trees"."""

from __future__ import annotations

import hashlib
from typing import Any

from tests.vectors.family import Family, Vector
from vault.encoding import pae
from vault.errors import FormatTooNewError, MalformedError, VaultError

_MS = 1_700_000_000_123
_FIELDS: dict[str, bytes] = {
    "label": b"batch/v1",
    "pod_id": bytes.fromhex("3ecdc4cbaf93849e6c4478c6e26fb447dc3e9129689e05bf1872bb38ac23ddca"),
    "uid": bytes.fromhex("d09beffa693d90243f7058b05d94d2f6"),
    "log_key_hash": bytes.fromhex("cedebe2094984417384a47eba2d8db59436bcdc76bc31e2edcbb4a418e883f55"),
    "ms": _MS.to_bytes(8, "little"),
    "suite": b"\x02",
    "count": (64).to_bytes(4, "little"),
    "item_root": bytes.fromhex("42b0e6e41f149c5ec53e75acf8c272b789f32649452973ca222b83fe7dd88922"),
    "commit": bytes.fromhex("beb377b830a720791e20240da87750fa273731e67f5ceb60a39d7866ed1334e0"),
    "wraps_hash": bytes.fromhex("28aa430dc05e83e8e9aa6ea754e3aa90b6b4e95b3ebb047c3d23d10265dd6791"),
    "policy": bytes.fromhex("a31c5774226bd81712c279cc1d186d5e52e52cea808960bc7d2187f8be679471"),
}
"""An ordinary batch's; drawn once, before there was a world to draw from."""


def _packed(**fields: bytes) -> bytes:
    return pae(*{**_FIELDS, **fields}.values())


def _good(family: Family) -> None:
    for name, why, ms, count in [
        ("header", "an ordinary batch", _MS, 64),
        ("one item", "the smallest batch", _MS, 1),
        ("512 items", "the largest batch", _MS, 512),
        ("time zero", "the earliest", 0, 64),
        ("last time", "an int64, as an item's own dates", 2**63 - 1, 64),
    ]:
        packed = _packed(ms=ms.to_bytes(8, "little"), count=count.to_bytes(4, "little"))
        read = {name: value.hex() for name, value in _FIELDS.items() if name not in {"label", "suite"}}
        family.good(name, why, packed=packed.hex(), fields={**read, "ms": ms, "count": count})


def _faults() -> list[tuple[str, str, type[VaultError], str, bytes]]:
    whole = _packed()
    labels = [
        ("version 2", "a later program wrote it", FormatTooNewError, "later format", b"batch/v2"),
        ("version 10", "a later program wrote it", FormatTooNewError, "later format", b"batch/v10"),
        ("version zero", "versions start at 1", MalformedError, "its label", b"batch/v0"),
        ("version with leading zero", "one form a number", MalformedError, "its label", b"batch/v01"),
        ("label without version", "no version", MalformedError, "its label", b"batch"),
        ("label in capitals", "labels stand as written", MalformedError, "its label", b"BATCH/V1"),
        ("label with newline", "labels are matched whole", MalformedError, "its label", b"batch/v2\n"),
        ("label of a promise", "another thing's label", MalformedError, "its label", b"promise/v1"),
    ]
    counts = [
        ("no items", "a batch has at least one", bytes(4)),
        ("513 items", "a batch has at most 512", (513).to_bytes(4, "little")),
        ("count all ones", "a batch has at most 512", b"\xff" * 4),
        ("count big-endian", "integers are little-endian", (64).to_bytes(4, "big")),
    ]
    suites = [
        ("suite 0", "never valid", MalformedError, "never valid", 0),
        ("suite 1", "reserved, not in batch/v1", FormatTooNewError, "suite 1", 1),
        ("suite 3", "unknown", FormatTooNewError, "suite 3", 3),
        ("suite 255", "unknown", FormatTooNewError, "suite 255", 255),
    ]
    return [
        *((name, why, error, says, _packed(label=label)) for name, why, error, says, label in labels),
        *((name, why, MalformedError, "1 to 512", _packed(count=count)) for name, why, count in counts),
        *((name, why, error, says, _packed(suite=bytes([n]))) for name, why, error, says, n in suites),
        ("version 2, other fields", "a later format may look different", FormatTooNewError, "later format", pae(b"batch/v2", b"anything")),
        ("time beyond int64", "2^63 ms", MalformedError, "a time of at most", _packed(ms=(2**63).to_bytes(8, "little"))),
        ("pod id in hexadecimal", "bytes, not text", MalformedError, "pod id of", _packed(pod_id=_FIELDS["pod_id"].hex().encode())),
        ("a field missing", "ten fields", MalformedError, "11 fields", pae(*list(_FIELDS.values())[:-1])),
        ("a field more", "twelve fields", MalformedError, "11 fields", pae(*_FIELDS.values(), b"")),
        ("no fields", "a list of nothing", MalformedError, "its label", pae()),
        ("empty", "zero bytes", MalformedError, "end before its count", b""),
        ("cut by one byte", "truncated", MalformedError, "inside a field", whole[:-1]),
        ("cut in half", "truncated", MalformedError, "ends", whole[: len(whole) // 2]),
        ("one byte more", "trailing bytes", MalformedError, "follow the last field", whole + b"\x00"),
        ("big-endian count", "counts are little-endian", MalformedError, "before its last field", (11).to_bytes(8, "big") + whole[8:]),
        ("count of fields huge", "a count beyond the bytes", MalformedError, "before its last field", b"\xff" * 8 + whole[8:]),
        ("field length huge", "a length beyond the bytes", MalformedError, "inside a field", whole[:8] + b"\xff" * 8 + whole[16:]),
    ]  # fmt: skip


def _lengths(family: Family) -> None:
    for name, value in _FIELDS.items():
        if name == "label":
            continue
        said = name.replace("_", " ")
        for how, changed in (("long", value + b"\x00"), ("short", value[:-1])):
            family.bad(
                f"{said} {how}",
                "lengths are exact",
                MalformedError,
                f"batch header: {said} of",
                packed=_packed(**{name: changed}).hex(),
            )


def _item_leaf() -> Vector:
    place = {"pod_id": _FIELDS["pod_id"], "uid": _FIELDS["uid"]}
    c = bytes.fromhex("1a2b528bd77d5ae6bcdd3af13c43fcf1de22bf82959d0b9cda0a11896f3d2a3f")
    digest = bytes.fromhex("79ae9f0f01cc20305f1996e7eb2d4ea60a6b8f3d129e21c2fbe558307c171d0f")
    data = pae(b"leaf/v1", *place.values(), (3).to_bytes(4, "little"), c, digest)
    return {
        "name": "item 3",
        "why": "leaf/v1 in an item tree",
        **{name: value.hex() for name, value in place.items()},
        "index": 3,
        "c": c.hex(),
        "digest": digest.hex(),
        "leaf": hashlib.sha256(b"\x00" + data).hexdigest(),
    }


def _log_leaf() -> Vector:
    leaf = hashlib.sha256(b"\x00" + _packed()).hexdigest()
    return {"name": "header", "why": "the hash of 00 and the header", "packed": _packed().hex(), "leaf": leaf}


def build() -> dict[str, Any]:
    """headers/."""
    family = Family()
    _good(family)
    for name, why, error, says, packed in _faults():
        family.bad(name, why, error, says, packed=packed.hex())
    _lengths(family)
    return {
        "about": "Batch headers, batch/v1; hexadecimal. A vector gives fields, or the kind of error and a part of our "
        "sentence. item-leaves: the leaf hash of one item of the batch named uid. log-leaves: a header's leaf hash in the "
        "log.",
        "vectors": family.vectors,
        "item_leaves": [_item_leaf()],
        "log_leaves": [_log_leaf()],
    }
