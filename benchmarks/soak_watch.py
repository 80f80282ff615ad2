"""Whether the processes of a server stay as large as they were: memory and descriptors, sampled."""

from __future__ import annotations

import math
import os
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from benchmarks.ingest import processes

ROLES = ("parent", "worker", "writer")
WARM_UP = 0.1
"""Part of the run before memory is expected to be flat: allocators and caches fill."""
FLAT_MB, FLAT_PART, FLAT_DESCRIPTORS = 8.0, 0.1, 1


class Level(msgspec.Struct, frozen=True):
    """One measure of one process over the run.

    Attributes:
        first: Of the quarter that follows the warm-up; the median of memory, the fewest descriptors.
        last: Likewise of the last quarter.
        most: The highest of all.
    """

    first: float
    last: float
    most: float


class Watch:
    """What the processes of a server have, sampled again and again.

    Args:
        pid: Of the server's parent process.
    """

    def __init__(self, pid: int) -> None:
        self._pids = dict(zip(ROLES, processes(pid), strict=True))
        self.memory_mb: dict[str, list[float]] = defaultdict(list)
        self.descriptors: dict[str, list[float]] = defaultdict(list)

    def sample(self) -> None:
        """Look once.

        Raises:
            FileNotFoundError: One of them has ended.
        """
        found = {role: (own_memory_mb(pid), descriptors(pid)) for role, pid in self._pids.items()}
        for role, (memory_mb, open_files) in found.items():
            self.memory_mb[role].append(memory_mb)
            self.descriptors[role].append(open_files)


def own_memory_mb(pid: int) -> float:
    """The resident memory of a process that no file holds, in MB."""
    fields = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return sum(int(fields[name].split()[0]) for name in ("RssAnon", "RssShmem")) * 1024 / 1e6


def descriptors(pid: int) -> int:
    """How many descriptors a process has open; only root may look at a server's.

    For others, how many its table has room for: that grows, in steps, if they are leaked.
    """
    try:
        return len(os.listdir(f"/proc/{pid}/fd"))  # noqa: PTH208  # a count of names
    except PermissionError:
        fields = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
        return int(fields["FDSize"])


def level_of(samples: Sequence[float], typical: Callable[[Sequence[float]], float]) -> Level:
    """First and last quarter, after the warm-up.

    Args:
        samples: At equal distances over the whole run; at least one.
        typical: What stands for a quarter.
    """
    warm = samples[math.floor(len(samples) * WARM_UP) :]
    quarter = max(len(warm) // 4, 1)
    return Level(
        round(typical(warm[:quarter]), 1),
        round(typical(warm[-quarter:]), 1),
        round(max(samples), 1),
    )


def rises(memory_mb: Mapping[str, Level], open_files: Mapping[str, Level]) -> Iterator[str]:
    """What is not flat, a sentence each."""
    for role, level in memory_mb.items():
        if level.last - level.first > max(FLAT_MB, FLAT_PART * level.first):
            yield f"the {role}'s memory rose from {level.first:.1f} to {level.last:.1f} MB"
    for role, level in open_files.items():
        if level.last - level.first > FLAT_DESCRIPTORS:
            yield f"the {role}'s open descriptors rose from {level.first:.0f} to {level.last:.0f}"
