"""Answers that no key vouches for: each network gets so many a second, and then waits for them.

A wrong key, an unknown path, a body that is no envelope, a question for the
version: anybody can ask those without end, and each takes the time of others'
items. An answer beyond a network's share is the same answer, later: whoever
waits for it asks no more meanwhile. A request whose key opened a slot never
comes here. Kept in memory, for so many networks; those that asked longest ago
are forgotten. The clock is passed in.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable

from ingest.asgi import Scope
from ingest.networks import Network
from ingest.origins import Origins

BURST_SECONDS = 10.0
"""A network's rate for so long may come at once: a room of people behind one address, each with questions."""
MOST_SECONDS = 5.0
"""How long an answer waits at most: a flood over 64 connections is left with 13 answers a second, whatever
the rate."""
MOST_NETWORKS = 16_384
"""About 4 MB."""
MOST_WAITING = 4_096
"""Answers that wait at once; beyond it a connection is ended with its answer instead."""


class Throttle:
    """What each network has left. Used from the event loop only.

    Args:
        per_second: Answers a second to one network; 0 for no bound.
        origins: Tells whose a request is.
        clock: Monotone seconds.

    Attributes:
        waiting: How many answers wait now.
    """

    __slots__ = ("_clock", "_left", "_origins", "_per_second", "waiting")

    def __init__(self, per_second: float, origins: Origins, clock: Callable[[], float]) -> None:
        self._per_second = per_second
        self._origins = origins
        self._clock = clock
        # Network to answers left and when; the one charged last is the last.
        self._left: OrderedDict[Network, tuple[float, float]] = OrderedDict()
        self.waiting = 0

    def charge(self, network: Network) -> float:
        """Charge a network one answer.

        Returns:
            The seconds that the answer is to wait.
        """
        now, rate = self._clock(), self._per_second
        most = max(rate * BURST_SECONDS, 1.0)
        left, at = self._left.pop(network, (most, now))
        # Owed is never more than the longest wait: a flood that ends is soon forgotten.
        left = max(min(left + (now - at) * rate, most) - 1, -MOST_SECONDS * rate)
        self._left[network] = left, now
        if len(self._left) > MOST_NETWORKS:
            self._left.popitem(last=False)
        return max(-left / rate, 0.0)

    async def hold(self, scope: Scope) -> bool:
        """Charge a request's network one answer, and wait until it may be given.

        Args:
            scope: ASGI's.

        Returns:
            False if too many wait already: nothing was waited for, and the
            connection should end.
        """
        seconds = self.charge(self._origins.network(scope)) if self._per_second else 0
        if not seconds:
            return True
        if self.waiting >= MOST_WAITING:
            return False
        self.waiting += 1
        try:
            await asyncio.sleep(seconds)
        finally:
            self.waiting -= 1
        return True
