"""RFC 6962 trees, against published vectors and against the definitions written out naively."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.vectors import cases, load, refusal, vectors
from vault.errors import MalformedError, RollbackError
from vault.tree import (
    EMPTY_ROOT,
    Frontier,
    NodeAt,
    SmallTree,
    consistency_path,
    inclusion_path,
    leaf_hash,
    node_hash,
    peaks_of,
    root_from_inclusion,
    root_of,
    verify_consistency,
)

PUBLISHED_LEAVES = [
    leaf_hash(bytes.fromhex(leaf)) for leaf in load("tree/roots/accept-8-leaves.json")["leaves"]
]

sizes = st.integers(1, 70)
hashes = st.binary(min_size=32, max_size=32)


# The definitions of RFC 6962 section 2.1, letter by letter, on leaf hashes: the oracle.


def _split(count: int) -> int:
    """k: the largest power of two smaller than n."""
    power = 1
    while power * 2 < count:
        power *= 2
    return power


def _mth(leaves: Sequence[bytes]) -> bytes:
    if len(leaves) == 0:
        return hashlib.sha256().digest()
    if len(leaves) == 1:
        return leaves[0]
    k = _split(len(leaves))
    return hashlib.sha256(b"\x01" + _mth(leaves[:k]) + _mth(leaves[k:])).digest()


def _path(m: int, leaves: Sequence[bytes]) -> list[bytes]:
    if len(leaves) == 1:
        return []
    k = _split(len(leaves))
    if m < k:
        return [*_path(m, leaves[:k]), _mth(leaves[k:])]
    return [*_path(m - k, leaves[k:]), _mth(leaves[:k])]


def _subproof(m: int, leaves: Sequence[bytes], *, is_whole: bool) -> list[bytes]:
    if m == len(leaves):
        return [] if is_whole else [_mth(leaves)]
    k = _split(len(leaves))
    if m <= k:
        return [*_subproof(m, leaves[:k], is_whole=is_whole), _mth(leaves[k:])]
    return [*_subproof(m - k, leaves[k:], is_whole=False), _mth(leaves[:k])]


def _leaves(count: int) -> list[bytes]:
    """Leaf hashes of the published large trees: leaf i is its two bytes, little-endian."""
    return [leaf_hash(number.to_bytes(2, "little")) for number in range(count)]


def _node_at(leaves: Sequence[bytes]) -> NodeAt:
    """Complete subtrees of one tree; asking for another one is a failure of the test."""

    def node(level: int, index: int) -> bytes:
        first, last = index << level, (index + 1) << level
        assert 0 <= first < last <= len(leaves)
        return _mth(leaves[first:last])

    return node


def _hashes(digits: Sequence[str]) -> list[bytes]:
    return [bytes.fromhex(each) for each in digits]


def _frontier(leaves: Sequence[bytes]) -> Frontier:
    frontier = Frontier()
    for leaf in leaves:
        frontier.append(leaf)
    return frontier


@pytest.mark.parametrize("vector", cases("tree/roots"))
def test_published_roots(vector: dict[str, Any]) -> None:
    """Every RFC 6962 implementation gives these roots; so do all three of our ways to one."""
    expected = bytes.fromhex(vector["root"])
    leaves = [leaf_hash(bytes.fromhex(leaf)) for leaf in vector["leaves"]]
    assert root_of(leaves) == expected
    assert _frontier(leaves).root() == expected
    assert _mth(leaves) == expected


@pytest.mark.parametrize("vector", cases("tree/large-roots"))
def test_published_roots_of_large_trees(vector: dict[str, Any]) -> None:
    """Sizes around powers of two, up to 65,535, where an error of one leaf would show."""
    leaves = _leaves(vector["size"])
    assert root_of(leaves).hex() == vector["root"]
    assert _frontier(leaves).root().hex() == vector["root"]


@pytest.mark.parametrize("vector", cases("tree/inclusion"))
def test_inclusion_vectors(vector: dict[str, Any]) -> None:
    """A path leads to the trusted root, elsewhere, or is refused for its shape."""
    leaf, root = bytes.fromhex(vector["leaf"]), bytes.fromhex(vector["root"])

    def climb() -> bytes:
        return root_from_inclusion(vector["index"], vector["size"], leaf, _hashes(vector["path"]))

    match vector.get("error"):
        case None:
            assert climb() == root
        case "DamagedError":  # whoever asked for this root says so
            assert climb() != root
        case _:
            with refusal(vector):
                climb()


@pytest.mark.parametrize("vector", cases("tree/consistency"))
def test_consistency_vectors(vector: dict[str, Any]) -> None:
    """A log that only grew is accepted; everything else is a rollback or no proof at all."""

    def verify() -> None:
        verify_consistency(
            vector["old"],
            vector["new"],
            bytes.fromhex(vector["old_root"]),
            bytes.fromhex(vector["new_root"]),
            _hashes(vector["path"]),
        )

    if "error" in vector:
        with refusal(vector):
            verify()
    else:
        verify()


@pytest.mark.parametrize(
    "vector",
    [each for each in vectors("tree/inclusion") if "error" not in each],
    ids=lambda each: each["name"],
)
def test_published_paths_are_made_too(vector: dict[str, Any]) -> None:
    """We prove as others do, not only accept what others prove."""
    leaves = PUBLISHED_LEAVES[: vector["size"]]
    assert inclusion_path(vector["index"], vector["size"], _node_at(leaves)) == _hashes(vector["path"])
    assert SmallTree(leaves).path(vector["index"]) == _hashes(vector["path"])


@pytest.mark.parametrize(
    "vector",
    [each for each in vectors("tree/consistency") if "error" not in each],
    ids=lambda each: each["name"],
)
def test_published_consistency_proofs_are_made_too(vector: dict[str, Any]) -> None:
    """We prove as others do, not only accept what others prove."""
    node = _node_at(PUBLISHED_LEAVES[: vector["new"]])
    assert consistency_path(vector["old"], vector["new"], node) == _hashes(vector["path"])


def test_leaves_and_nodes_are_hashed_apart() -> None:
    """Else an inner node could be passed off as a leaf (RFC 6962 section 2.1, second preimages)."""
    assert leaf_hash(b"L123456").hex() == "395aa064aa4c29f7010acfe3f25db9485bbd4b91897b6ad7ad547639252b4d56"
    assert (
        node_hash(b"N123", b"N456").hex()
        == "aa217fe888e47007fa15edab33c2b492a722cb106c64667fc2b044444de66bbb"
    )


@given(size=sizes)
def test_roots_are_those_of_the_definition(size: int) -> None:
    """Level by level, peak by peak and by recursion: one root."""
    leaves = _leaves(size)
    assert root_of(leaves) == _frontier(leaves).root() == _mth(leaves)


@given(data=st.data(), size=sizes)
def test_inclusion_is_that_of_the_definition(data: st.DataObject, size: int) -> None:
    """Every leaf of every tree has the path that PATH(m, D[n]) defines, and it leads to the root."""
    index = data.draw(st.integers(0, size - 1))
    leaves = _leaves(size)
    path = inclusion_path(index, size, _node_at(leaves))
    assert path == SmallTree(leaves).path(index) == _path(index, leaves)
    assert root_from_inclusion(index, size, leaves[index], path) == _mth(leaves)


@given(data=st.data(), new=sizes)
def test_consistency_is_that_of_the_definition(data: st.DataObject, new: int) -> None:
    """Every earlier size is proven as PROOF(m, D[n]) defines, and the proof is accepted."""
    old = data.draw(st.integers(1, new))
    leaves = _leaves(new)
    path = consistency_path(old, new, _node_at(leaves))
    assert path == _subproof(old, leaves, is_whole=True)
    verify_consistency(old, new, _mth(leaves[:old]), _mth(leaves), path)


@given(data=st.data(), size=st.integers(2, 70))
def test_a_changed_inclusion_path_never_leads_to_the_root(data: st.DataObject, size: int) -> None:
    """One flipped bit anywhere in the leaf or its path is seen."""
    index = data.draw(st.integers(0, size - 1))
    leaves = _leaves(size)
    chain = [leaves[index], *SmallTree(leaves).path(index)]
    leaf, *path = _flip_one_bit(data, chain)
    assert root_from_inclusion(index, size, leaf, path) != _mth(leaves)


@given(data=st.data(), new=st.integers(2, 70))
def test_a_changed_consistency_proof_is_refused(data: st.DataObject, new: int) -> None:
    """One flipped bit anywhere in the roots or the proof is seen."""
    old = data.draw(st.integers(1, new - 1))
    leaves = _leaves(new)
    proof = [_mth(leaves[:old]), _mth(leaves), *consistency_path(old, new, _node_at(leaves))]
    old_root, new_root, *path = _flip_one_bit(data, proof)
    with pytest.raises(RollbackError):
        verify_consistency(old, new, old_root, new_root, path)


def _flip_one_bit(data: st.DataObject, chain: list[bytes]) -> list[bytes]:
    at = data.draw(st.integers(0, len(chain) - 1))
    bit = data.draw(st.integers(0, 255))
    chain[at] = (int.from_bytes(chain[at], "big") ^ 1 << bit).to_bytes(32, "big")
    return chain


@given(
    old=st.integers(-3, 2**70),
    new=st.integers(-3, 2**70),
    roots=st.tuples(hashes, hashes),
    path=st.lists(st.binary()),
)
def test_any_consistency_proof_is_accepted_or_refused_as_ours(
    old: int, new: int, roots: tuple[bytes, bytes], path: list[bytes]
) -> None:
    """Whatever a peer claims, there is no other exception and no endless loop."""
    try:
        verify_consistency(old, new, *roots, path)
    except (MalformedError, RollbackError):
        return
    assert old == new
    assert roots[0] == roots[1]


@given(index=st.integers(-3, 2**70), size=st.integers(-3, 2**70), path=st.lists(st.binary(max_size=40)))
def test_any_inclusion_path_gives_a_root_or_our_error(index: int, size: int, path: list[bytes]) -> None:
    """Whatever a peer claims, there is no other exception and no endless loop."""
    try:
        root = root_from_inclusion(index, size, EMPTY_ROOT, path)
    except MalformedError:
        return
    assert len(root) == 32


@pytest.mark.parametrize("index", [-1, 3, 4])
def test_a_leaf_outside_the_tree_has_no_path(index: int) -> None:
    """Neither a small tree nor the log invents a path for a leaf it does not have."""
    with pytest.raises(MalformedError, match=f"leaf {index} is not in a tree of 3 leaves"):
        SmallTree(_leaves(3)).path(index)
    with pytest.raises(MalformedError, match=f"leaf {index} is not in a tree of 3 leaves"):
        inclusion_path(index, 3, _node_at(_leaves(3)))


def test_no_consistency_path_leads_back() -> None:
    """A log that shrank has lost entries: that is said, not proven."""
    with pytest.raises(RollbackError, match="the log has 4 leaves, 5 were seen before"):
        consistency_path(5, 4, _node_at(_leaves(5)))


def test_the_empty_frontier_has_the_empty_root() -> None:
    """A pod without a batch has a log too (RFC 6962: the hash of nothing)."""
    frontier = Frontier()
    assert (frontier.size, frontier.peaks, frontier.next_path()) == (0, [], [])
    assert frontier.root() == EMPTY_ROOT


@given(size=st.integers(0, 70))
def test_appending_completes_each_subtree_once(size: int) -> None:
    """What append returns, kept by (level, index), is all that any later proof asks for."""
    leaves = _leaves(size)
    frontier = Frontier()
    stored: dict[tuple[int, int], bytes] = {}
    for leaf in leaves:
        for level, index, completed in frontier.append(leaf):
            assert (level, index) not in stored
            stored[level, index] = completed
    node = _node_at(leaves)
    every = [(level, index) for level in range(size.bit_length()) for index in range(size >> level)]
    assert stored == {place: node(*place) for place in every}
    assert [peak[:2] for peak in frontier.peaks] == peaks_of(size)
    assert all(stored[level, index] == peak for level, index, peak in frontier.peaks)


@given(size=st.integers(0, 70))
def test_the_next_leaf_has_the_peaks_as_its_path(size: int) -> None:
    """A receipt against the batch's own checkpoint needs no stored node, only the frontier before it."""
    leaves = _leaves(size + 1)
    assert _frontier(leaves[:size]).next_path() == _path(size, leaves)


@given(size=st.integers(0, 70), more=st.integers(0, 10))
def test_a_frontier_goes_on_where_it_stopped(size: int, more: int) -> None:
    """A vault opened again continues the same log from its stored peaks."""
    leaves = _leaves(size + more)
    before = _frontier(leaves[:size])
    again = Frontier.of(size, [peak for _, _, peak in before.peaks])
    for leaf in leaves[size:]:
        again.append(leaf)
    assert (again.size, again.root()) == (size + more, _mth(leaves))


def test_a_copy_is_independent() -> None:
    """A transaction that fails leaves the frontier as it was."""
    frontier = _frontier(_leaves(3))
    twin = frontier.copy()
    twin.append(leaf_hash(b"more"))
    assert (frontier.size, frontier.root()) == (3, _mth(_leaves(3)))
    assert (twin.size, twin.root()) == (4, _mth([*_leaves(3), leaf_hash(b"more")]))


def test_a_frontier_keeps_no_hold_on_what_it_was_given() -> None:
    """The caller's list may change afterwards."""
    given_peaks = [leaf_hash(b"only")]
    frontier = Frontier.of(1, given_peaks)
    given_peaks.clear()
    assert frontier.root() == leaf_hash(b"only")


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: Frontier.of(-1, []), "a tree of -1 leaves does not exist"),
        (lambda: Frontier.of(6, [EMPTY_ROOT]), "a tree of 6 leaves does not have 1 peaks"),
        (lambda: Frontier.of(6, [EMPTY_ROOT] * 3), "a tree of 6 leaves does not have 3 peaks"),
        (lambda: Frontier.of(1, [EMPTY_ROOT[:31]]), "a hash of 32 bytes was expected"),
        (lambda: peaks_of(-1), "a tree of -1 leaves does not exist"),
    ],
    ids=["negative size", "a peak missing", "a peak more", "a short peak", "no peaks of a negative size"],
)
def test_peaks_that_cannot_be_are_refused(make: Callable[[], object], sentence: str) -> None:
    """Damaged rows are seen when the log is taken up, not at the next root."""
    with pytest.raises(MalformedError, match=sentence):
        make()


def test_a_small_tree_gives_every_path() -> None:
    """All receipts of one batch come from one hashing of its tree."""
    leaves = _leaves(512)
    tree = SmallTree(leaves)
    assert [tree.path(index) for index in range(0, 512, 37)] == [
        _path(index, leaves) for index in range(0, 512, 37)
    ]


def test_a_proof_in_a_vast_log_asks_for_few_nodes() -> None:
    """Proving in a log of 2^60 batches reads tens of nodes and does not recurse."""
    asked: list[tuple[int, int]] = []

    def node(level: int, index: int) -> bytes:
        asked.append((level, index))
        return leaf_hash(b"%d %d" % (level, index))

    assert len(inclusion_path(2**59 + 12345, 2**60 - 1, node)) == 60
    assert len(consistency_path(2**59 + 12345, 2**60 - 1, node)) == 61
    assert len(asked) < 250
