"""How long to keep trying: shared by all connections of one run.

Not per item: as long as anything gets through, a slow pod is a working pod,
and an item that was unlucky five times waits on. Pure but for the clock that
is passed in.
"""

from __future__ import annotations

import random
from collections.abc import Callable

FIRST_SECONDS = 15.0
"""Silence after which a server that never answered counts as out of reach: a typing
error or no network is worth telling soon."""

LATER_SECONDS = 150.0
"""The same once it answered: longer than the minute a rate limit can ask for, and a restart."""

_FIRST_DELAY_SECONDS = 0.25
_LONGEST_DELAY_SECONDS = 15.0


class Patience:
    """When trying again stops making sense.

    Args:
        clock: Monotonic seconds.
        first_seconds: Longest wait for the first answer of any kind.
        later_seconds: Longest wait for the next item that gets through.
    """

    __slots__ = ("_clock", "_later_seconds", "_limit_seconds", "_since")

    def __init__(
        self,
        clock: Callable[[], float],
        *,
        first_seconds: float = FIRST_SECONDS,
        later_seconds: float = LATER_SECONDS,
    ) -> None:
        self._clock = clock
        self._later_seconds = later_seconds
        self._limit_seconds = first_seconds
        self._since = clock()

    def answered(self) -> None:
        """A server spoke, if only to say "later"."""
        self._limit_seconds = self._later_seconds

    def progressed(self) -> None:
        """An item was decided; the wait begins anew."""
        self._limit_seconds = self._later_seconds
        self._since = self._clock()

    def allows(self, delay_seconds: float) -> bool:
        """Whether waiting so long from now is still worth it."""
        return self._clock() + delay_seconds - self._since <= self._limit_seconds


def backoff_seconds(failures: int, jitter: Callable[[], float] = random.random) -> float:
    """How long to wait after so many failures in a row.

    Args:
        failures: 1 or more.
        jitter: From 0 to 1; spreads the connections of many contributors, so
            that a pod that comes back is not knocked over.

    Returns:
        Seconds: half to all of 0.25 doubled each time, at most 15.
    """
    longest = min(_FIRST_DELAY_SECONDS * 2.0 ** min(failures - 1, 16), _LONGEST_DELAY_SECONDS)
    return longest * (1 + jitter()) / 2
