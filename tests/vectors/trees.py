"""Vectors of RFC 6962 trees: every proof of the well-known eight leaves, and each broken in one place.

Nothing of ours computes them. Roots and proofs are RFC 6962 section 2.1 written
out letter by letter, recursive and slow, over the leaves that Certificate
Transparency's own tests use (published roots and examples, taken from there,
stand beside these). What a fault must give follows from the definition too: a
proof of another length is malformed, another hash leads to another root.
FORMAT.md, "Trees".
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from itertools import cycle
from typing import Any

from tests.vectors.family import flipped

Vector = dict[str, Any]

LEAVES = [
    bytes.fromhex(digits)
    for digits in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
ROOT = "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"
"""Of all eight, as every implementation of RFC 6962 gives it."""

_FAULTS_EACH = 3
"""Broken vectors for each whole one: three quarters of all vectors are to be refused."""


def _hash(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def mth(data: Sequence[bytes]) -> bytes:
    """MTH(D[n])."""
    if not data:
        return _hash(b"")
    if len(data) == 1:
        return _hash(b"\x00" + data[0])
    k = _split(len(data))
    return _hash(b"\x01" + mth(data[:k]) + mth(data[k:]))


def path(m: int, data: Sequence[bytes]) -> list[bytes]:
    """PATH(m, D[n])."""
    if len(data) == 1:
        return []
    k = _split(len(data))
    if m < k:
        return [*path(m, data[:k]), mth(data[k:])]
    return [*path(m - k, data[k:]), mth(data[:k])]


def proof(m: int, data: Sequence[bytes]) -> list[bytes]:
    """PROOF(m, D[n])."""
    return _subproof(m, data, is_complete=True)


def _subproof(m: int, data: Sequence[bytes], *, is_complete: bool) -> list[bytes]:
    if m == len(data):
        return [] if is_complete else [mth(data)]
    k = _split(len(data))
    if m <= k:
        return [*_subproof(m, data[:k], is_complete=is_complete), mth(data[k:])]
    return [*_subproof(m - k, data[k:], is_complete=False), mth(data[:k])]


def _split(n: int) -> int:
    """The largest power of two smaller than n."""
    k = 1
    while k * 2 < n:
        k *= 2
    return k


def _inclusion(index: int, size: int) -> Vector:
    return {
        "index": index,
        "size": size,
        "leaf": mth([LEAVES[index]]),
        "path": path(index, LEAVES[:size]),
        "root": mth(LEAVES[:size]),
    }


def _consistency(old: int, new: int) -> Vector:
    return {
        "old": old,
        "new": new,
        "old_root": mth(LEAVES[:old]),
        "new_root": mth(LEAVES[:new]),
        "path": proof(old, LEAVES[:new]),
    }


def _path_faults(whole: Vector, kind: str) -> list[tuple[str, str, Vector]]:
    """Every way to break the path of a proof: what, the kind, and the change."""
    hashes: list[bytes] = whole["path"]
    faults = [("a hash too many", "MalformedError", {"path": [*hashes, bytes(32)]})]
    if hashes:
        short = bytes(hashes[0][:31])
        faults += [
            ("last hash missing", "MalformedError", {"path": hashes[:-1]}),
            ("first hash missing", "MalformedError", {"path": hashes[1:]}),
            ("a hash of 31 bytes", "MalformedError", {"path": [short, *hashes[1:]]}),
        ]
    for at, each in enumerate(hashes):
        changed = [*hashes[:at], flipped(each, at), *hashes[at + 1 :]]
        faults.append((f"hash {at} altered", kind, {"path": changed}))
    if hashes != hashes[::-1]:
        faults.append(("upside down", kind, {"path": hashes[::-1]}))
    return faults


def _inclusion_faults(whole: Vector) -> list[tuple[str, str, Vector]]:
    root, leaf = whole["root"], whole["leaf"]
    return [
        ("another root", "DamagedError", {"root": flipped(root, -1)}),
        ("another leaf", "DamagedError", {"leaf": flipped(leaf, 0)}),
        ("a leaf beyond the tree", "MalformedError", {"index": whole["size"]}),
        *_path_faults(whole, "DamagedError"),
    ]


def _consistency_faults(whole: Vector) -> list[tuple[str, str, Vector]]:
    return [
        ("another old root", "RollbackError", {"old_root": flipped(whole["old_root"], 0)}),
        ("another new root", "RollbackError", {"new_root": flipped(whole["new_root"], -1)}),
        ("sizes exchanged", "RollbackError", {"old": whole["new"], "new": whole["old"]}),
        *_path_faults(whole, "RollbackError"),
    ]


def _shown(name: str, why: str, vector: Vector) -> Vector:
    return {"name": name, "why": why, **{member: _hex(value) for member, value in vector.items()}}


def _hex(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.hex()
    return [each.hex() for each in value] if isinstance(value, list) else value


def _broken(name: str, whole: Vector, faults: list[tuple[str, str, Vector]], start: int) -> list[Vector]:
    """A few of a proof's faults; which, moves on from proof to proof, so that all of them come to stand."""
    chosen = [faults[(start + step * 2) % len(faults)] for step in range(_FAULTS_EACH)]
    unique = dict.fromkeys(fault for fault, _, _ in chosen)
    return [
        {**_shown(f"{name}, {fault}", "one fault", whole | change), "error": error}
        for fault, error, change in faults
        if fault in unique
    ]


def build() -> dict[str, Any]:
    """tree/, beside what was taken from others."""
    if mth(LEAVES).hex() != ROOT:
        raise ValueError("the definition is not what was written out here")
    starts = cycle(range(12))
    inclusion: list[Vector] = []
    for size in range(1, len(LEAVES) + 1):
        for index in range(size):
            name, whole = f"leaf {index} of {size}", _inclusion(index, size)
            inclusion.append(_shown(name, "PATH(m, D[n])", whole))
            inclusion += _broken(name, whole, _inclusion_faults(whole), next(starts))
    consistency: list[Vector] = []
    for new in range(2, len(LEAVES) + 1):
        for old in range(1, new):
            name, whole = f"from {old} to {new}", _consistency(old, new)
            consistency.append(_shown(name, "PROOF(m, D[n])", whole))
            consistency += _broken(name, whole, _consistency_faults(whole), next(starts))
    return {
        "about": "RFC 6962 trees with SHA-256. Roots, large roots and the examples called published are those of the "
        "Certificate Transparency reference code (transparency-dev/merkle, Apache-2.0); roots gives the leaves' data, in "
        "order; a large root's leaf number i is its two bytes, little-endian. Leaf I of N and from M to N are every proof "
        "over the first of its eight leaves, computed by the definition of RFC 6962 2.1. All values hexadecimal. "
        "inclusion: the path leads from the leaf to the root; one that leads to another root is damage. consistency: a "
        "later tree extends an earlier one.",
        "inclusion": inclusion,
        "consistency": consistency,
    }
