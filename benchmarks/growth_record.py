"""What ``benchmarks.growth`` writes down of one vault: growth.json, and what follows from its figures."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

import msgspec

from benchmarks.commands import Cost

BATCH_ITEMS = 64
"""Items of one commit, as of a server at work."""


class Sample(msgspec.Struct, frozen=True):
    """So many items into the vault and into one that was just founded, in turn.

    Attributes:
        items: In the vault when it began.
        added: Into each of the two.
        seconds: In ``commit``, of the vault; ``beside`` of the other.
        cpu_seconds: Likewise, of processor.
        beside: See ``seconds``.
        cpu_beside: See ``cpu_seconds``.
    """

    items: int
    added: int
    seconds: float
    cpu_seconds: float
    beside: float
    cpu_beside: float


class Served(msgspec.Struct, frozen=True):
    """Items a second that a real server accepted, of the vault and of one that was just founded."""

    per_second: float
    beside: float


class Milestone(msgspec.Struct):
    """What was measured at one size.

    Attributes:
        target: How many there were to be.
        items: In the vault.
        size_bytes: Of vault.db.
        opening_ms: From sending an item to a server that has the pod closed to its 200; each try.
        opening_beside_ms: Likewise of a pod that was just founded, in turn.
        after_death_ms: Likewise, the first item after its writer was killed with a full write-ahead log.
        frames_at_death: What that held.
        costs: Command to what it took.
        samples: Taken here, one after the other.
        served: Taken last.
    """

    target: int
    items: int
    size_bytes: int
    opening_ms: list[float] = msgspec.field(default_factory=list)
    opening_beside_ms: list[float] = msgspec.field(default_factory=list)
    after_death_ms: list[float] = msgspec.field(default_factory=list)
    frames_at_death: list[int] = msgspec.field(default_factory=list)
    costs: dict[str, Cost] = msgspec.field(default_factory=dict)
    samples: list[Sample] = msgspec.field(default_factory=list)
    served: list[Served] = msgspec.field(default_factory=list)


class Growth(msgspec.Struct):
    """One vault's record; ``growth.json``."""

    ids: str
    began: str
    machine: str
    fdatasync_ms: float
    batch_items: int = BATCH_ITEMS
    samples: list[Sample] = msgspec.field(default_factory=list)
    milestones: list[Milestone] = msgspec.field(default_factory=list)


def ratio(samples: Sequence[Sample]) -> float:
    """The vault's items a second, of those of a vault that was just founded: the median of the samples."""
    return statistics.median(sample.beside / sample.seconds for sample in samples)


def cpu_ratio(samples: Sequence[Sample]) -> float:
    """Likewise, items a second of processor."""
    return statistics.median(sample.cpu_beside / sample.cpu_seconds for sample in samples)


def per_second(samples: Sequence[Sample]) -> float:
    """Items a second into the vault."""
    return sum(sample.added for sample in samples) / sum(sample.seconds for sample in samples)
