"""What a worker counts about its batches, for whoever measures it.

An observation is an addition or two and is always made; what is asked for
rarely is computed when it is asked for (``ingest.exposition``). Nothing here
names an owner, an item or a key. Used from the event loop only.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from ingest.messages import Committed
from vault.judging import Outcome

ITEM_BOUNDS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
"""Items of a batch; the format's bound is the last."""
SECOND_BOUNDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
"""From a fast disk's commit to one that is in trouble."""


class Observed(NamedTuple):
    """What a histogram holds.

    Attributes:
        bounds: Upper bounds of all buckets but the last, which has none.
        counts: Observations in each bucket.
        total: The sum of all observations.
    """

    bounds: Sequence[float]
    counts: tuple[int, ...]
    total: float


class Histogram:
    """Observations counted in buckets.

    Args:
        bounds: Upper bounds, each inclusive, growing.
    """

    __slots__ = ("_bounds", "_counts", "_total")

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._total = 0.0

    def observe(self, value: float) -> None:
        """Count one observation."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self._total += value

    @property
    def observed(self) -> Observed:
        """What was counted until now."""
        return Observed(self._bounds, tuple(self._counts), self._total)


class Measures:
    """What one worker measured since it started.

    Attributes:
        batch_items: Items of each batch.
        batch_seconds: Each batch's time in the writer.
        sync_seconds: Each COMMIT's time, which is an fsync.
        ended_connections: Connections ended because there were too many.
        stored_items: Items made durable, by the pod's folder; a retry is not another.
    """

    __slots__ = ("batch_items", "batch_seconds", "ended_connections", "stored_items", "sync_seconds")

    def __init__(self) -> None:
        self.batch_items = Histogram(ITEM_BOUNDS)
        self.batch_seconds = Histogram(SECOND_BOUNDS)
        self.sync_seconds = Histogram(SECOND_BOUNDS)
        self.ended_connections = 0
        self.stored_items: Counter[Path] = Counter()

    def committed(self, folder: Path, batch: Committed) -> None:
        """Count a batch that the writer answered."""
        self.batch_items.observe(len(batch.answers))
        self.batch_seconds.observe(batch.seconds)
        if batch.synced_seconds:
            self.sync_seconds.observe(batch.synced_seconds)
        self.stored_items[folder] += sum(answer.outcome is Outcome.STORED for answer in batch.answers)
