"""Trying again: for a random time that grows, until a deadline.

Those who were refused together then do not come back together. Only a failure
that may pass is tried again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeVar

from cloud.s3 import AgainError

FIRST_WAIT_SECONDS = 0.05
MOST_WAIT_SECONDS = 1.0
DEADLINE_SECONDS = 8.0
"""No try begins later; with one that begins then, below the 29 s a front door waits for a function."""
_RANDOM_BYTES = 8
_RANDOM_RANGE = 1 << 64

Result = TypeVar("Result")


class Tools(NamedTuple):
    """What is tried with.

    Attributes:
        clock: Monotone seconds.
        sleep: Waits for so many seconds.
        entropy: Source of randomness.
    """

    clock: Callable[[], float]
    sleep: Callable[[float], None]
    entropy: Callable[[int], bytes]


def keep_trying(
    attempt: Callable[[int], Result], tools: Tools, deadline_seconds: float = DEADLINE_SECONDS
) -> Result:
    """Call ``attempt`` with 0, 1, 2 and so on until it ends otherwise than by ``AgainError``.

    Args:
        attempt: Gets its number.
        tools: Clock and randomness.
        deadline_seconds: How long after the beginning an attempt still begins.

    Raises:
        AgainError: The deadline has come.
    """
    began = tools.clock()
    tried = 0
    while True:
        try:
            return attempt(tried)
        except AgainError:
            tried += 1
            wait = _wait_seconds(tried, tools)
            if tools.clock() + wait - began > deadline_seconds:
                raise
            tools.sleep(wait)


def _wait_seconds(tried: int, tools: Tools) -> float:
    most = min(FIRST_WAIT_SECONDS * (1 << tried), MOST_WAIT_SECONDS)
    return most * (int.from_bytes(tools.entropy(_RANDOM_BYTES), "little") / _RANDOM_RANGE)
