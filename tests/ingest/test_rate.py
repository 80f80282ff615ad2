"""The rate caveat: a minute's worth at once, then the steady pace."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.rate import Meter


def test_a_minutes_worth_may_come_at_once() -> None:
    """A batch upload is how real contributors send."""
    meter = Meter((3, 1_000), now=0.0)

    assert [meter.charge(10, 0.0) for _ in range(4)] == [0, 0, 0, 20]


def test_bytes_are_limited_beside_items() -> None:
    """Few large items cost as much as many small ones."""
    meter = Meter((100, 1_000), now=0.0)

    assert meter.charge(900, 0.0) == 0
    assert meter.charge(200, 0.0) == 6
    assert meter.charge(100, 0.0) == 0


def test_waiting_as_long_as_told_is_enough() -> None:
    """Retry-After is a promise."""
    meter = Meter((7, 1_000), now=0.0)
    for _ in range(7):
        meter.charge(1, 0.0)
    wait_seconds = meter.charge(1, 0.0)

    assert wait_seconds > 0
    assert meter.charge(1, float(wait_seconds)) == 0


def test_a_refused_request_is_not_charged() -> None:
    """Or a client that retries too early would never be let in again."""
    meter = Meter((1, 1_000), now=0.0)
    meter.charge(1, 0.0)
    for second in range(1, 60):
        assert meter.charge(1, float(second)) == 60 - second

    assert meter.charge(1, 60.0) == 0


@pytest.mark.parametrize("idle_seconds", [60.0, 86_400.0])
def test_idleness_is_not_saved_up(idle_seconds: float) -> None:
    """A quiet day is no permission for a flood."""
    meter = Meter((2, 1_000), now=0.0)

    assert [meter.charge(1, idle_seconds) for _ in range(3)] == [0, 0, 30]


@given(
    rate=st.tuples(st.integers(1, 50), st.integers(1, 5_000)),
    steps=st.lists(st.tuples(st.floats(0, 5), st.integers(0, 500)), max_size=200),
)
def test_no_minute_sees_more_than_twice_the_rate(
    rate: tuple[int, int], steps: list[tuple[float, int]]
) -> None:
    """A full bucket, and what fills in during the minute: that is the bound, for items and bytes."""
    meter = Meter(rate, now=0.0)
    now, passed = 0.0, []
    for pause, size in steps:
        now += pause
        if meter.charge(size, now) == 0:
            passed.append((now, size))

    for start, _ in passed:
        minute = [size for at, size in passed if start <= at < start + 60]
        assert len(minute) <= 2 * rate[0] + 1
        assert sum(minute) <= 2 * rate[1] + 1
