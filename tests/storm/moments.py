"""Moments worth a kill, as they show in a pod's files from outside.

Nothing is asked of the processes: a file that has grown, or that lies there
only while something is done, says enough. A kill follows within milliseconds;
what it hits is what was going on, or what came right after.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from pathlib import Path

COMMIT, CHECKPOINT = "commit", "checkpoint"
POLL_SECONDS = 0.001
_MISSING = (0, 0)

IsSeen = Callable[[], bool]


def lies(folder: Path, *patterns: str) -> bool:
    """Whether a file lies in ``folder`` whose name fits one of ``patterns``."""
    with contextlib.suppress(FileNotFoundError):
        return any(next(folder.glob(pattern), None) for pattern in patterns)
    return False


def await_seen(is_seen: IsSeen, seconds: float) -> bool:
    """Look every millisecond; False if nothing was seen in time."""
    deadline = time.monotonic() + seconds
    while not is_seen():
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True


class Touched:
    """Whether a file was written, made or cut since it was last asked."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._before = self._now()

    def _now(self) -> tuple[int, int]:
        try:
            found = self._path.stat()
        except FileNotFoundError:
            return _MISSING
        return found.st_mtime_ns, found.st_size

    def __call__(self) -> bool:
        before, self._before = self._before, self._now()
        return self._before not in {before, _MISSING}
