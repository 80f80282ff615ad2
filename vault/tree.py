"""Merkle trees of RFC 6962 with SHA-256: roots, frontiers, inclusion and consistency.

Two trees use it: the items of one batch (at most 512 leaves, kept in memory)
and the pod's log (one leaf a batch, of which only the ``Frontier`` is kept).
The log's other nodes are asked for through a ``NodeAt`` function.

What is not here: what a leaf says (``vault.header``), signatures
(``vault.notes``), and where nodes are stored. Nothing recurses, so no size of
tree, real or claimed, exhausts the stack.

A *complete* subtree is written as (level, index): it covers the leaves from
``index << level`` on, ``1 << level`` of them. Level 0 is the leaves. The
*peaks* of a tree are the complete subtrees it splits into, largest first: one
for each bit set in its size. See FORMAT.md, "Trees", and RFC 6962 section 2.1.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence

from vault.errors import MalformedError, RollbackError

HASH_BYTES = 32
LEAF_PREFIX = b"\x00"
"""What is hashed before a leaf's data, so that no leaf is an inner node (RFC 6962 section 2.1)."""

EMPTY_ROOT = hashlib.sha256(b"").digest()
"""The root of a tree without leaves (RFC 6962 section 2.1)."""

Node = tuple[int, int, bytes]
"""A complete subtree and its root: level, index, 32-byte hash."""

NodeAt = Callable[[int, int], bytes]
"""Gives the 32-byte root of the complete subtree at (level, index)."""

_sha256 = hashlib.sha256


def leaf_hash(data: bytes) -> bytes:
    """Return the 32-byte hash of a leaf: SHA-256(00 || data)."""
    return _sha256(LEAF_PREFIX + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the 32-byte hash of an inner node: SHA-256(01 || left || right)."""
    return _sha256(b"\x01" + left + right).digest()


class SmallTree:
    """A whole tree in memory: its root, and the path of any leaf at no further hashing.

    Args:
        leaf_hashes: 32 bytes each, in order; there may be none.
    """

    __slots__ = ("_levels",)

    def __init__(self, leaf_hashes: Sequence[bytes]) -> None:
        self._levels = [list(leaf_hashes)]
        while len(self._levels[-1]) > 1:
            self._levels.append(_parents(self._levels[-1]))

    @property
    def root(self) -> bytes:
        """The 32-byte root; ``EMPTY_ROOT`` without leaves."""
        top = self._levels[-1]
        return top[0] if top else EMPTY_ROOT

    def path(self, index: int) -> list[bytes]:
        """Return the inclusion path of the leaf at ``index``, from the leaf upwards.

        Raises:
            MalformedError: No leaf has this index.
        """
        _check_index(index, len(self._levels[0]))
        path = []
        for nodes in self._levels[:-1]:
            sibling = index ^ 1
            if sibling < len(nodes):
                path.append(nodes[sibling])
            index >>= 1
        return path


def root_of(leaf_hashes: Sequence[bytes]) -> bytes:
    """Return the 32-byte root of the tree with these leaf hashes."""
    return SmallTree(leaf_hashes).root


class Frontier:
    """The peaks of a growing tree: enough to append to it and to know its root.

    It changes in place. A writer appends to a ``copy`` and keeps that only
    once what it wrote is durable.
    """

    __slots__ = ("_peak_hashes", "_size")

    def __init__(self) -> None:
        self._size = 0
        self._peak_hashes: list[bytes] = []

    @classmethod
    def of(cls, size: int, peak_hashes: Sequence[bytes]) -> Frontier:
        """Take up a tree again.

        Args:
            size: The tree's number of leaves.
            peak_hashes: 32 bytes each, in the order of ``peaks_of(size)``.

        Raises:
            MalformedError: A negative size, another number of peaks than the
                size has, or a hash that is not 32 bytes.
        """
        if len(peak_hashes) != len(peaks_of(size)):
            raise MalformedError(f"a tree of {size} leaves does not have {len(peak_hashes)} peaks")
        _check_hashes(peak_hashes)
        frontier = cls()
        frontier._size = size
        frontier._peak_hashes = list(peak_hashes)
        return frontier

    def copy(self) -> Frontier:
        """Return an independent frontier of the same tree; costs one short list."""
        twin = Frontier()
        twin._size = self._size
        twin._peak_hashes = self._peak_hashes.copy()
        return twin

    @property
    def size(self) -> int:
        """The number of leaves."""
        return self._size

    @property
    def peaks(self) -> list[Node]:
        """The peaks with their hashes, largest first."""
        places = peaks_of(self._size)
        return [(*place, peak) for place, peak in zip(places, self._peak_hashes, strict=True)]

    def next_path(self) -> list[bytes]:
        """Return the inclusion path that the next leaf has in the tree it completes.

        Appending to a tree of n leaves gives a leaf of index n in a tree of
        n + 1: its path is today's peaks, smallest first.
        """
        return self._peak_hashes[::-1]

    def append(self, new_leaf_hash: bytes) -> list[Node]:
        """Add one leaf.

        Args:
            new_leaf_hash: 32 bytes.

        Returns:
            The complete subtrees that now exist and did not before, level 0
            first: what a store has to keep.
        """
        level, index, top = 0, self._size, new_leaf_hash
        completed = [(level, index, top)]
        while index & 1:
            top = node_hash(self._peak_hashes.pop(), top)
            level, index = level + 1, index >> 1
            completed.append((level, index, top))
        self._peak_hashes.append(top)
        self._size += 1
        return completed

    def root(self) -> bytes:
        """Return the 32-byte root of the tree as it is now."""
        return _fold(self._peak_hashes) if self._size else EMPTY_ROOT


def peaks_of(size: int) -> list[tuple[int, int]]:
    """Return (level, index) of each peak of a tree of ``size`` leaves, largest first.

    Raises:
        MalformedError: ``size`` is negative.
    """
    if size < 0:
        raise MalformedError(f"a tree of {size} leaves does not exist")
    levels = (level for level in range(size.bit_length() - 1, -1, -1) if size >> level & 1)
    return [(level, (size >> level) - 1) for level in levels]


def inclusion_path(index: int, size: int, node: NodeAt) -> list[bytes]:
    """Return the path of a leaf in the tree of ``size`` leaves, from the leaf upwards.

    Args:
        index: The leaf, from 0.
        size: The tree's number of leaves; it may have grown since.
        node: Asked for complete subtrees of that tree only.

    Raises:
        MalformedError: No leaf has this index.
    """
    _check_index(index, size)
    return _siblings(0, index, size, node)


def root_from_inclusion(index: int, size: int, leaf: bytes, path: Sequence[bytes]) -> bytes:
    """Compute the root that a path leads to; the caller compares it with a trusted one.

    Args:
        index: The leaf, from 0.
        size: The tree's number of leaves.
        leaf: The leaf's 32-byte hash.
        path: Untrusted hashes, from the leaf upwards.

    Raises:
        MalformedError: No leaf has this index, or the path has another length
            than that leaf's, or a hash that is not 32 bytes.
    """
    _check_index(index, size)
    inner = _inner_length(index, size)
    _check_path(path, inner + (index >> inner).bit_count())
    return _climb(leaf, path, inner, index)


def consistency_path(old: int, new: int, node: NodeAt) -> list[bytes]:
    """Return the proof that the tree of ``new`` leaves starts with the tree of ``old``.

    Args:
        old: Leaves of the earlier tree. From an empty one no proof is needed: the path is empty.
        new: Leaves of the later tree.
        node: Asked for complete subtrees of the later tree only.

    Raises:
        RollbackError: ``new`` is smaller than ``old``.
        MalformedError: ``old`` is negative.
    """
    _check_growth(old, new)
    if old in (0, new):
        return []
    level = _trailing_zeros(old)
    index = (old >> level) - 1
    # An old tree that is itself a complete subtree is known to the verifier (RFC 6962 2.1.2).
    start = [node(level, index)] if index else []
    return start + _siblings(level, index, new, node)


def verify_consistency(old: int, new: int, old_root: bytes, new_root: bytes, path: Sequence[bytes]) -> None:
    """Accept that the log with ``new_root`` only appended to the one with ``old_root``.

    Args:
        old: Leaves of the earlier tree; 0 is allowed.
        new: Leaves of the later tree.
        old_root: 32 bytes, trusted.
        new_root: 32 bytes.
        path: Untrusted hashes in the order of RFC 6962 section 2.1.2.

    Raises:
        RollbackError: The later tree is smaller, or the path does not lead to both roots.
        MalformedError: ``old`` is negative, the path has another length than
            these sizes give, or a hash is not 32 bytes.
    """
    _check_growth(old, new)
    if not _is_consistent(old, new, (old_root, new_root), path):
        raise RollbackError(
            f"the log of {new} leaves does not extend the log of {old} leaves seen before: "
            "entries were altered, dropped or reordered"
        )


def _is_consistent(old: int, new: int, roots: tuple[bytes, bytes], path: Sequence[bytes]) -> bool:
    if old in (0, new):
        _check_path(path, 0)
        expected_old = EMPTY_ROOT if old == 0 else roots[0]
        return roots == (expected_old, expected_old if old == new else roots[1])
    return roots == _roots_from_consistency(old, new, roots[0], path)


def _roots_from_consistency(
    old: int, new: int, old_root: bytes, path: Sequence[bytes]
) -> tuple[bytes, bytes]:
    level = _trailing_zeros(old)
    index = (old >> level) - 1
    inner = _inner_length(old - 1, new) - level
    start = 1 if index else 0
    _check_path(path, start + inner + (index >> inner).bit_count())
    seed = path[0] if start else old_root
    rest = path[start:]
    # Of the inner siblings, only those on the left stand in the old tree too.
    in_old = [sibling for height, sibling in enumerate(rest[:inner]) if index >> height & 1]
    return _climb_left(seed, [*in_old, *rest[inner:]]), _climb(seed, rest, inner, index)


def _parents(nodes: list[bytes]) -> list[bytes]:
    # Spelled out rather than calling node_hash: this is the commit path.
    parents = [
        _sha256(b"\x01" + left + right).digest() for left, right in zip(nodes[::2], nodes[1::2], strict=False)
    ]
    if len(nodes) & 1:
        parents.append(nodes[-1])
    return parents


def _siblings(level: int, index: int, size: int, node: NodeAt) -> list[bytes]:
    path = []
    while index or 1 << level < size:
        sibling = index ^ 1
        if sibling << level < size:
            path.append(_subtree_root(level, sibling, size, node))
        level, index = level + 1, index >> 1
    return path


def _subtree_root(level: int, index: int, size: int, node: NodeAt) -> bytes:
    """Root of the subtree at (level, index), which the tree's right edge may cut short."""
    if (index + 1) << level <= size:
        return node(level, index)
    first = index << level
    places = [place for place in peaks_of(size) if place[1] << place[0] >= first]
    return _fold([node(*place) for place in places])


def _fold(peak_hashes: Sequence[bytes]) -> bytes:
    """Root over at least one peak, largest first."""
    return _climb_left(peak_hashes[-1], peak_hashes[-2::-1])


def _climb(seed: bytes, path: Sequence[bytes], inner: int, index: int) -> bytes:
    """Hash upwards: ``inner`` siblings on the side that ``index`` says, then the rest on the left."""
    top = seed
    for height in range(inner):
        top = node_hash(path[height], top) if index >> height & 1 else node_hash(top, path[height])
    return _climb_left(top, path[inner:])


def _climb_left(seed: bytes, siblings: Iterable[bytes]) -> bytes:
    top = seed
    for sibling in siblings:
        top = node_hash(sibling, top)
    return top


def _inner_length(index: int, size: int) -> int:
    """Levels below the point where the leaf's path joins the tree's right edge."""
    return (index ^ (size - 1)).bit_length()


def _trailing_zeros(number: int) -> int:
    return (number & -number).bit_length() - 1


def _check_index(index: int, size: int) -> None:
    if not 0 <= index < size:
        raise MalformedError(f"leaf {index} is not in a tree of {size} leaves")


def _check_growth(old: int, new: int) -> None:
    if old < 0:
        raise MalformedError(f"a tree of {old} leaves does not exist")
    if new < old:
        raise RollbackError(f"the log has {new} leaves, {old} were seen before: later entries are missing")


def _check_path(path: Sequence[bytes], length: int) -> None:
    if len(path) != length:
        raise MalformedError(f"a path of {length} hashes was expected, {len(path)} were found")
    _check_hashes(path)


def _check_hashes(hashes: Sequence[bytes]) -> None:
    if any(len(each) != HASH_BYTES for each in hashes):
        raise MalformedError("a hash of 32 bytes was expected, another length was found")
