"""One deadline length for many tasks, kept by one timer.

``asyncio.timeout`` arms and disarms a timer for every request, 4 of the 30
microseconds this door adds to one (measured). All deadlines here are equally
long, so tasks end in the order in which they began, and one timer for the
oldest is enough.
"""

from __future__ import annotations

import asyncio
from typing import Any, cast


class Deadline:
    """Ends what takes too long: ``with deadline: ...`` in a task that is inside no other.

    Raises ``TimeoutError`` at the end of the block if it took too long; the
    task was cancelled in it, and lives on. Used from one event loop only.

    Args:
        seconds: How long each may take.
    """

    __slots__ = ("_began", "_is_armed", "_overdue", "_seconds")

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._began: dict[asyncio.Task[Any], float] = {}
        self._overdue: set[asyncio.Task[Any]] = set()
        self._is_armed = False

    def __enter__(self) -> None:
        loop = asyncio.get_running_loop()
        task = cast("asyncio.Task[Any]", asyncio.current_task(loop))
        self._began[task] = loop.time()
        if not self._is_armed:
            self._is_armed = True
            loop.call_later(self._seconds, self._ring, loop)

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        task = cast("asyncio.Task[Any]", asyncio.current_task(asyncio.get_running_loop()))
        # There, it was in time.
        if self._began.pop(task, None) is not None:
            return
        self._overdue.discard(task)
        # Whoever else cancelled the task means it: then the deadline has no say.
        if kind is asyncio.CancelledError and task.uncancel() == 0:
            raise TimeoutError from None

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
