"""Progress on stderr: a bar where a person looks, else a plain line every 30 seconds."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from contributor_tools.console import say

PLAIN_SECONDS = 30.0
"""Between two lines in a log: seldom enough to be read, often enough to show life."""

Report = Callable[[int], None]
"""Told how many rows are decided by now."""


@contextmanager
def progress(total: int, clock: Callable[[], float]) -> Iterator[Report]:
    """Show how far a run is, until the context is left.

    Args:
        total: Rows there are to decide.
        clock: Monotonic seconds.
    """
    if not sys.stderr.isatty():
        yield plain_report(total, clock)
        return
    with _bar(total) as report:
        yield report


def plain_report(total: int, clock: Callable[[], float]) -> Report:
    """A report that says one line every 30 seconds: how many of how many, rate, time left."""
    started = last = clock()

    def report(decided: int) -> None:
        nonlocal last
        now = clock()
        if now - last < PLAIN_SECONDS:
            return
        last = now
        rate = decided / (now - started)
        left = f"about {(total - decided) / rate:.0f} s left" if rate else "time left unknown"
        say(f"sending: {decided} of {total}, {rate:.1f} a second, {left}")

    return report


@contextmanager
def _bar(total: int) -> Iterator[Report]:
    columns = (TextColumn("Sending"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("", total=total)
        yield lambda decided: bar.update(task, completed=decided)
