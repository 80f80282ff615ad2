"""The maintainer's commands beside a server under load, and what each run of them took."""

from __future__ import annotations

import contextlib
import itertools
import queue
import shutil
import statistics
import threading
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import msgspec

from benchmarks.commands import Cost, run_command
from benchmarks.ingest import await_closed
from benchmarks.pods import Pod

COMMANDS = ("snapshot", "export", "audit")
NICE = 10
"""How far the commands stand back, as a person who minds the server would run them."""


class Job(msgspec.Struct):
    """One command, run again and again.

    Attributes:
        runs: How often it ended well.
        seconds: Median of how long it took.
        most_seconds: The longest.
        peak_mb: The most memory any of them had.
    """

    runs: int
    seconds: float
    most_seconds: float
    peak_mb: float


class Jobs:
    """The maintainer's commands, one after the other, until told to stop.

    Args:
        folder: For what they write, which is removed.
        pod: The pod that is loaded.

    Attributes:
        pod: See above; exchanged when the load moves on.
        finished: Pods that the load has left, to be counted and removed.
        stored: Items counted in each.
        costs: What each run of a command took.
        faults: What failed.
    """

    def __init__(self, folder: Path, pod: Pod) -> None:
        self._folder = folder
        self._stopping = threading.Event()
        self.pod = pod
        self.finished: queue.SimpleQueue[Pod] = queue.SimpleQueue()
        self.stored: dict[str, int] = {}
        self.costs: dict[str, list[Cost]] = defaultdict(list)
        self.faults: list[str] = []

    def stop(self) -> None:
        """End after the command that is under way, and each of them was run once."""
        self._stopping.set()

    def run(self) -> None:
        """Run them."""
        for number, name in enumerate(itertools.cycle(COMMANDS)):
            if self._stopping.is_set() and number >= len(COMMANDS):
                return
            with contextlib.suppress(queue.Empty):
                self.count(self.finished.get_nowait())
            home, out = self.pod.folder.path.parent, self._folder / "out"
            self._run(name, [home] if name == "audit" else [home, out])
            shutil.rmtree(out, ignore_errors=True)

    def _run(self, name: str, arguments: Sequence[Path | str], said: Path | None = None) -> None:
        try:
            cost = run_command(name, *arguments, temporary=self._folder, nice=NICE, out=said)
        except ChildProcessError as exc:
            self.faults.append(str(exc))
        else:
            self.costs[name].append(cost)

    def count(self, pod: Pod) -> None:
        """Count the items of a pod that is no longer loaded, and remove its vault."""
        await_closed(pod.folder)
        said, home = self._folder / "audit.json", pod.folder.path.parent
        self._run("audit", [home, "--json"], said)
        self.stored[home.name] = int(msgspec.json.decode(said.read_bytes())["items"])
        pod.folder.vault.unlink()


def job_of(costs: Sequence[Cost]) -> Job:
    """What its runs come to; at least one."""
    seconds = [cost.seconds for cost in costs]
    return Job(
        runs=len(costs),
        seconds=round(statistics.median(seconds), 2),
        most_seconds=round(max(seconds), 2),
        peak_mb=round(max(cost.peak_mb for cost in costs)),
    )
