"""RFC 6962's trees by their recursive definitions, to be held against the iterative ones of ``vault.tree``.

Slow, and as short as the text it follows: section 2.1.1 read backwards gives
the root that a path leads to, 2.1.2 the two roots that a consistency proof joins.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence


def _node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def _split_at(size: int) -> int:
    """The largest power of two below a size of 2 or more."""
    return 1 << (size - 1).bit_length() - 1


def root_of_path(index: int, size: int, leaf: bytes, path: Sequence[bytes]) -> bytes:
    """The root that a leaf's path leads to.

    Raises:
        ValueError: The path has another length than the place and the size give.
    """
    if size == 1:
        if path:
            raise ValueError("a path goes on beyond its leaf")
        return leaf
    if not path:
        raise ValueError("a path ends too early")
    *below, beside = path
    at = _split_at(size)
    if index < at:
        return _node(root_of_path(index, at, leaf, below), beside)
    return _node(beside, root_of_path(index - at, size - at, leaf, below))


def roots_of_proof(old: int, new: int, old_root: bytes, proof: Sequence[bytes]) -> tuple[bytes, bytes]:
    """The two roots that a consistency proof leads to; the old one must come out as it went in.

    Raises:
        ValueError: The proof has another length than the sizes give.
    """
    return _subproof(old, new, old_root, proof, is_whole=True)


def _subproof(
    old: int, new: int, old_root: bytes, proof: Sequence[bytes], *, is_whole: bool
) -> tuple[bytes, bytes]:
    if old == new and is_whole:
        if proof:
            raise ValueError("a proof goes on beyond its tree")
        return old_root, old_root
    if not proof:
        raise ValueError("a proof ends too early")
    *below, beside = proof
    if old == new:
        if below:
            raise ValueError("a proof goes on beyond its tree")
        return beside, beside
    at = _split_at(new)
    if old <= at:
        before, after = _subproof(old, at, old_root, below, is_whole=is_whole)
        return before, _node(after, beside)
    before, after = _subproof(old - at, new - at, old_root, below, is_whole=False)
    return _node(beside, before), _node(beside, after)
