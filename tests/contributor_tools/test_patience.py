"""How long a run keeps trying."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from contributor_tools.patience import FIRST_SECONDS, LATER_SECONDS, Patience, backoff_seconds


class _Clock:
    """Seconds a test sets."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_server_that_never_answers_is_given_up_soon() -> None:
    """A typing error in an address is worth telling within seconds."""
    clock = _Clock()
    patience = Patience(clock)
    assert patience.allows(FIRST_SECONDS)
    clock.now += 10
    assert not patience.allows(FIRST_SECONDS - 9)


def test_a_server_that_said_later_is_given_longer() -> None:
    """A rate limit can ask for a whole minute."""
    clock = _Clock()
    patience = Patience(clock)
    patience.answered()
    assert patience.allows(LATER_SECONDS)
    assert not patience.allows(LATER_SECONDS + 1)


def test_progress_anywhere_begins_the_wait_anew() -> None:
    """A slow pod is a working pod, also for the row that was unlucky five times."""
    clock = _Clock()
    patience = Patience(clock)
    for _ in range(10):
        clock.now += LATER_SECONDS - 1
        patience.progressed()
    assert patience.allows(LATER_SECONDS)


def test_saying_later_again_and_again_is_no_progress() -> None:
    """A pod whose disk stays full must end the run at last."""
    clock = _Clock()
    patience = Patience(clock)
    for _ in range(10):
        clock.now += LATER_SECONDS / 5
        patience.answered()
    assert not patience.allows(0)


@given(st.integers(1, 10_000), st.floats(0, 1))
def test_delays_grow_and_stay_bounded(failures: int, jitter: float) -> None:
    """Never a busy loop, never longer than a person waits without doubt."""
    delay = backoff_seconds(failures, lambda: jitter)
    assert 0.125 <= delay <= 15
    assert delay <= backoff_seconds(failures + 2, lambda: jitter)
