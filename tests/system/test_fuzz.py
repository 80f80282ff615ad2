"""The corpora of fuzzing, and every input that ever broke a promise, played back; a broken one is seen.

Nothing native is needed: a harness is a function of bytes. ``make fuzz`` looks
for more.
"""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.fuzz.campaign import CORPORA, CRASHES, MOST_CORPUS_BYTES
from tests.fuzz.shaping import changed, split_by
from tests.fuzz.target import NAMES, BoundsError, Shape, Target, load, run_bounded
from vault.encoding import pae, unpae

CRASHED = [
    pytest.param(path, id=f"{path.parent.name}-{path.name[:14]}") for path in sorted(CRASHES.glob("*/*"))
]
ROUNDS = 200
SLOW = {"collecting", "edge", "messages", "sheets", "vault_bytes", "vault_rows"}
"""They lay out a pod for each input, or look for a mistyped word: of theirs, the corpus alone."""
MOST_SECONDS = 60.0
"""Not the bound of `make fuzz`: a machine that is kept busy by others must not fail a test."""
FEWEST = 8
"""Inputs of a corpus; one that was lost by accident would make its test say nothing."""


def _corpus(name: str) -> list[bytes]:
    return [path.read_bytes() for path in sorted((CORPORA / name).iterdir())]


@pytest.mark.parametrize("name", NAMES)
def test_every_input_of_a_corpus_keeps_all_promises(name: str) -> None:
    """What a harness promises stands at its top."""
    target, corpus = load(name), _corpus(name)
    seeds = [] if name in SLOW else target.seeds()
    for data in [*corpus, *seeds]:
        run_bounded(target, data, MOST_SECONDS)

    assert len(corpus) >= FEWEST
    assert sum(map(len, corpus)) <= MOST_CORPUS_BYTES


@pytest.mark.parametrize("path", CRASHED)
def test_what_once_broke_a_promise_does_so_no_more(path: Path) -> None:
    """Each was found by a fuzzer, and mended."""
    run_bounded(load(path.parent.name), path.read_bytes(), MOST_SECONDS)


@pytest.mark.parametrize("name", [name for name in NAMES if load(name).shapes])
def test_an_input_is_put_together_as_it_was_taken_apart(name: str) -> None:
    """Else what is changed in one field would be lost behind lengths and signatures that do not hold."""
    target = load(name)
    split = [(data, found) for data in target.seeds() if (found := split_by(data, target.shapes))]
    same = [data for data, (shape, fields) in split if shape.join(fields) == data]

    assert len(same) > len(split) // 8


@pytest.mark.parametrize("name", NAMES)
def test_no_input_to_begin_with_is_longer_than_those_that_are_tried(name: str) -> None:
    """It would be cut."""
    target = load(name)

    assert max(map(len, target.seeds())) <= target.max_bytes


def _xor(data: bytes, most: int) -> bytes:
    """Stands where libFuzzer's own changes are."""
    return bytes(byte ^ 1 for byte in data)[:most]


def test_a_changed_input_is_whole_and_repeats_itself() -> None:
    """Lengths are true after a change inside; the seed makes all choices."""
    data = pae(b"name/v1", pae(b"a" * 8, b"b" * 8), b'{"a":[1,2]}')
    shape = Shape(unpae, lambda fields: pae(*fields))
    found = [changed(data, 4_096, seed, shapes=(shape,), mutate=_xor) for seed in range(ROUNDS)]
    again = [changed(data, 4_096, seed, shapes=(shape,), mutate=_xor) for seed in range(ROUNDS)]
    whole = [fields for data in found if (fields := split_by(data, (shape,)))]

    assert found == again
    assert len(set(found)) > ROUNDS // 8
    assert ROUNDS // 2 < len(whole) < ROUNDS
    assert any(len(unpae(fields[1])) != 2 for _, fields in whole if len(fields) == 3 and _is_list(fields[1]))


def _is_list(field: bytes) -> bool:
    return split_by(field, (Shape(unpae, lambda fields: pae(*fields)),)) is not None


@pytest.mark.parametrize("name", NAMES)
def test_changed_inputs_keep_all_promises(name: str) -> None:
    """A little of what ``make fuzz`` does, without it: a harness never raises by a fault of its own."""
    target, chance = load(name), random.Random(name)  # noqa: S311 - a test must repeat itself
    seeds = [*_corpus(name), *target.seeds()]
    for _ in range(8):
        data = chance.choice(seeds)
        flipped = changed(data, target.max_bytes, chance.randrange(2**32), shapes=target.shapes, mutate=_flip)
        run_bounded(target, flipped, MOST_SECONDS)


def _flip(data: bytes, most: int) -> bytes:
    chance = random.Random(data)  # noqa: S311 - a test must repeat itself
    flipped = bytearray(data or b"\0")
    flipped[chance.randrange(len(flipped))] ^= 1 << chance.randrange(8)
    return bytes(flipped)[:most]


def _count(data: bytes) -> None:
    for _ in range(len(data) * 10_000_000):
        pass


def _hoard(data: bytes) -> None:
    assert b"x" * ((1 << 30) * len(data)) is not None


def test_an_input_that_takes_too_long_is_seen() -> None:
    """Time of the processor: a machine that does other things too breaks no promise."""
    target = Target(_count, list, 1)

    run_bounded(target, b"", 0.01)
    with pytest.raises(BoundsError, match="took"):
        run_bounded(target, b"x", 0.01)


def test_an_input_that_takes_too_much_memory_is_seen() -> None:
    """By how much the process grew: half a gigabyte for one byte."""
    target = Target(_hoard, list, 1)

    with pytest.raises(BoundsError, match="MiB"):
        run_bounded(target, b"x")
