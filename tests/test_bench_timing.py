"""What `benchmarks.timing` concludes from times: an effect where there is one, none where there is none."""

from __future__ import annotations

import random
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.timing import BLOCKS, cliffs_delta, effect_of, meaning_of

_times = st.lists(st.integers(0, 9).map(float), min_size=1, max_size=12)


@given(_times, _times)
def test_cliffs_delta_is_what_its_definition_counts(first: list[float], second: list[float]) -> None:
    """Pairs in which the first is larger, less those in which it is smaller, of all."""
    counted = sum((a > b) - (a < b) for a, b in product(first, second))

    assert cliffs_delta(first, second) == pytest.approx(counted / (len(first) * len(second)))
    assert cliffs_delta(first, second) == pytest.approx(-cliffs_delta(second, first))


def _noise(seed: int, shift_us: float) -> list[float]:
    draw = random.Random(seed)  # noqa: S311 - a test must repeat itself
    return [draw.lognormvariate(5, 0.3) + shift_us for _ in range(BLOCKS * 50)]


def test_a_shift_is_found_with_its_size_and_its_price() -> None:
    """Twenty microseconds of a hundred and fifty."""
    effect = effect_of(_noise(1, 20.0), _noise(2, 0.0))

    assert effect.low_us < 20 < effect.high_us
    assert effect.is_seen
    assert 0.147 < effect.delta < 0.4
    assert meaning_of(effect).startswith("told apart: about ")


def test_no_shift_is_none_whatever_the_drift() -> None:
    """Both become slower together, ten times as much as a shift would be."""
    drift = [number / 25 for number in range(BLOCKS * 50)]
    first, second = ([a + b for a, b in zip(_noise(seed, 0.0), drift, strict=True)] for seed in (3, 4))

    effect = effect_of(first, second)

    assert abs(effect.difference_us) < 3
    assert abs(effect.delta) < 0.05
    assert meaning_of(effect._replace(low_us=-1.0, high_us=1.0)) == "not told apart in this run"


def test_a_small_shift_is_negligible_and_its_price_high() -> None:
    """A rank test needs many: 5.23 / delta^2 of each kind."""
    effect = effect_of(_noise(1, 0.0), _noise(1, 0.0))._replace(low_us=0.1, high_us=0.3, delta=0.01)

    assert meaning_of(effect).startswith("negligible: about 52,267 requests")
    assert "inf" in meaning_of(effect._replace(delta=0.0))
