"""What who was refused is told about coming back."""

from __future__ import annotations

import os
from collections import Counter

import pytest

from ingest.problems import (
    BODIES_FULL,
    DISK_FULL,
    NOT_ADMITTED,
    PAUSED,
    QUEUE_FULL,
    UNAVAILABLE,
    VAULTS_FULL,
    Problem,
    spread,
    too_fast,
)


@pytest.mark.parametrize("problem", [QUEUE_FULL, BODIES_FULL, VAULTS_FULL, UNAVAILABLE, PAUSED])
def test_who_is_refused_together_does_not_come_back_together(problem: Problem) -> None:
    """Each of a thousand is told a time of its own, every time in the range about as often."""
    assert problem.retry_after is not None
    told = Counter(spread(problem, os.urandom).retry_after for _ in range(1_000))
    choices = range(problem.retry_after, problem.retry_after + problem.spread_seconds + 1)

    assert set(told) == set(choices)
    assert len(choices) >= 5
    assert max(told.values()) < 2 * min(told.values())


@pytest.mark.parametrize("problem", [DISK_FULL, NOT_ADMITTED, too_fast(7)])
def test_what_is_exact_stays_as_it_is(problem: Problem) -> None:
    """No Retry-After where waiting is no remedy; and a rate says to the second when it has room."""
    assert spread(problem, os.urandom) is problem
