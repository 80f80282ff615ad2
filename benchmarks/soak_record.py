"""What a soak came to: a line of docs/soak.jsonl, and the same for a person."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from benchmarks.soak_jobs import Job
from benchmarks.soak_watch import Level


class Soak(msgspec.Struct):
    """A line of the ledger.

    Attributes:
        date: UTC, when it ended.
        commit: Of the program, with a plus where files were changed.
        minutes: How long items were due.
        lasted_minutes: Until all were answered, and the last command had ended.
        highest: Items a second of the short run before; 0 if the rate was given.
        per_second: The constant rate.
        sent: Items.
        statuses: Answers by status; 0 is a connection that ended without one.
        stored: Items counted in the vaults.
        p50_ms: Latency from the moment an item was due.
        p99_ms: Likewise.
        p999_ms: Likewise.
        most_ms: Likewise.
        worst_minute_p99_ms: The p99 of the minute in which it was highest.
        late_seconds: The longest an item waited for a free connection.
        pods: How many vaults were filled.
        memory_mb: By process.
        descriptors: By process.
        jobs: By command.
        faults: What makes it not clean, a sentence each.
    """

    date: str
    commit: str
    minutes: float
    lasted_minutes: float
    highest: float
    per_second: float
    sent: int
    statuses: dict[str, int]
    stored: int
    p50_ms: float
    p99_ms: float
    p999_ms: float
    most_ms: float
    worst_minute_p99_ms: float
    late_seconds: float
    pods: int
    memory_mb: dict[str, Level]
    descriptors: dict[str, Level]
    jobs: dict[str, Job]
    faults: list[str]


def lines_of(made: Soak) -> Iterator[str]:
    """The summary, for a person."""
    highest = f", {made.per_second / made.highest:.0%} of {made.highest:,.0f}/s" if made.highest else ""
    yield (
        f"{made.minutes:g} minutes at {made.per_second:,.0f} items a second{highest}, {made.pods} vaults; "
        f"it lasted {made.lasted_minutes:.1f} minutes"
    )
    statuses = ", ".join(f"{count:,} x {status}" for status, count in made.statuses.items())
    yield f"  sent {made.sent:,}; answered {statuses}; counted in the vaults {made.stored:,}"
    yield (
        f"  latency p50 {made.p50_ms:.1f} ms, p99 {made.p99_ms:.1f}, p99.9 {made.p999_ms:.1f}, most "
        f"{made.most_ms:.0f}; p99 of the worst minute {made.worst_minute_p99_ms:.1f}; "
        f"longest wait for a connection {made.late_seconds:.2f} s"
    )
    for name, levels, unit in (("memory", made.memory_mb, " MB"), ("descriptors", made.descriptors, "")):
        told = (
            f"{role} {level.first:g} to {level.last:g}{unit} (most {level.most:g})"
            for role, level in levels.items()
        )
        yield f"  {name}: {'; '.join(told)}"
    for name, job in made.jobs.items():
        yield (
            f"  {name}: {job.runs} times, {job.seconds:.1f} s each, at most {job.most_seconds:.1f} s "
            f"and {job.peak_mb:.0f} MB"
        )
    yield from (f"  NOT CLEAN: {fault}" for fault in made.faults)
    if not made.faults:
        yield "  clean"
