"""One deadline length for many tasks, kept by one timer.

``asyncio.timeout`` arms and disarms a timer for every request, 4 of the 30
microseconds this door adds to one (measured). All deadlines here are equally
long, so tasks end in the order in which they began, and one timer for the
oldest is enough.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any, TypeVar, cast

Result = TypeVar("Result")


class Deadline:
    """Ends what takes too long. Used from one event loop only.

    Args:
        seconds: How long each may take.
    """

    __slots__ = ("_began", "_is_armed", "_overdue", "_seconds")

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._began: dict[asyncio.Task[Any], float] = {}
        self._overdue: set[asyncio.Task[Any]] = set()
        self._is_armed = False

    async def keep(self, work: Awaitable[Result]) -> Result:
        """Await ``work`` in the current task, which is inside no other ``keep``.

        Raises:
            TimeoutError: It took too long, and was cancelled.
        """
        task = cast("asyncio.Task[Any]", asyncio.current_task())
        loop = asyncio.get_running_loop()
        self._began[task] = loop.time()
        if not self._is_armed:
            self._is_armed = True
            loop.call_later(self._seconds, self._ring, loop)
        try:
            return await work
        except asyncio.CancelledError:
            # Whoever else cancelled the task means it: then the deadline has no say.
            if task not in self._overdue or task.uncancel() > 0:
                raise
            raise TimeoutError from None
        finally:
            self._began.pop(task, None)
            self._overdue.discard(task)

    def _ring(self, loop: asyncio.AbstractEventLoop) -> None:
        latest = loop.time() - self._seconds
        while self._began:
            task, began = next(iter(self._began.items()))
            if began > latest:
                loop.call_later(began - latest, self._ring, loop)
                return
            del self._began[task]
            self._overdue.add(task)
            task.cancel()
        self._is_armed = False
