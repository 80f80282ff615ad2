"""What every process of a server asks of Python: its clock and its garbage collector."""

from __future__ import annotations

import gc
import time

GARBAGE_THRESHOLD = 50_000
"""Objects made and kept before the youngest are searched for cycles; 700 is Python's default."""


def now_ms() -> int:
    """UTC milliseconds since 1970."""
    return time.time_ns() // 1_000_000


def collect_rarely() -> None:
    """Search for reference cycles seldom; called when everything is loaded.

    A request leaves next to no cycles, but makes objects the collector counts:
    at its defaults it took 7 % of a loaded worker's time. Measured with ``make
    bench``.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(GARBAGE_THRESHOLD, *gc.get_threshold()[1:])
