"""A server for an hour: ``make soak MINUTES=60``.

A real server is loaded at a constant rate, 70 % of the highest it reached in a
short run just before, while `snapshot`, `export` and `audit` are run one after
the other beside it, over and over. At the end, or as soon as a vault has grown
to ``--vault-mb`` and the load has moved on to the next pod, a vault's items are
counted by an audit. It is clean if

- every item that was sent was answered 200, and is there: no vault holds more or less;
- no command failed, and no audit found anything;
- memory is flat: of each process of the server the median over the last
  quarter is above that of the quarter that follows the warm-up by no more than
  8 MB or a tenth, whichever is more. What counts is memory of its own (anonymous and
  shared), not the pages of program files that the kernel keeps for all;
- so are descriptors: the fewest of the last quarter are no more than one above
  those of the first. (A vault has some while it is open, and two are open for
  a moment when the load moves on.)

Latencies are reported, not judged: they count from the moment an item was due.
A line is added to the ledger, ``docs/soak.jsonl``; exit code 1 if it was not clean.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import math
import os
import queue
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import msgspec

from benchmarks import load
from benchmarks.commands import Cost, run_command
from benchmarks.ingest import await_closed, processes, running
from benchmarks.open_loop import OK, OpenLoop, Target
from benchmarks.pods import Pod, make_body, make_pod
from tests.support.ports import free_port
from vault.undoing import on_failure

ROOT = Path(__file__).parents[1]
LEDGER = ROOT / "docs" / "soak.jsonl"
CONNECTIONS = 64
PART = 0.7
WARM_UP_SECONDS, HIGHEST_SECONDS = 5, 15
BYTES_AN_ITEM = 1_000
"""More than an item of the benchmark takes on disk in a batch of a loaded server."""
NICE = 10
"""How far the commands stand back, as a person who minds the server would run them."""
SAMPLE_SECONDS = 1.0
WARM_UP = 0.1
"""Part of the run before memory is expected to be flat: allocators and caches fill."""
FLAT_MB, FLAT_PART, FLAT_DESCRIPTORS = 8.0, 0.1, 1
COMMANDS = ("snapshot", "export", "audit")
ROLES = ("parent", "worker", "writer")


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


class Soak(msgspec.Struct):
    """A line of the ledger.

    Attributes:
        date: UTC, when it ended.
        commit: Of the program, with a plus where files were changed.
        minutes: How long items were due.
        lasted_minutes: Until all were answered, and the last command had ended.
        highest: Items a second of the short run before.
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


class Plan(NamedTuple):
    """How a soak is run.

    Attributes:
        minutes: How long the load lasts.
        per_second: The constant rate; None for 70 % of the highest.
        vault_mb: When the load moves on to the next pod.
        connections: How many the clients keep.
    """

    minutes: float
    per_second: float | None = None
    vault_mb: float = 1_000.0
    connections: int = CONNECTIONS


def size_of(pod: Pod) -> int:
    """Bytes of a vault and its write-ahead log."""
    return sum(path.stat().st_size for path in (pod.folder.vault, pod.folder.wal) if path.exists())


def highest_rate(folder: Path) -> float:
    """Items a second of a short run in which the clients wait for nothing but answers."""
    pod, port = make_pod(folder / "highest"), free_port()
    with running("ingest", port, str(pod.folder.path)):
        path, body = f"/v4/{pod.owner}/create_item", make_body(pod.key)
        load.run(port, path, body, connections=CONNECTIONS, seconds=WARM_UP_SECONDS)
        found = load.run(port, path, body, connections=CONNECTIONS, seconds=HIGHEST_SECONDS)
    shutil.rmtree(folder / "highest")
    return found.per_second


def soak(folder: Path, plan: Plan) -> Soak:
    """Load a server as planned, and look at it from all sides.

    Args:
        folder: Empty; what is made there is left.
        plan: How.
    """
    highest = 0.0 if plan.per_second else highest_rate(folder)
    rate = plan.per_second or PART * highest
    vaults = math.ceil(rate * plan.minutes * 60 * BYTES_AN_ITEM / (plan.vault_mb * 1e6)) + 1
    pods = [make_pod(folder / f"pod-{number}") for number in range(1, vaults + 1)]
    port = free_port()
    with running("ingest", port, *(str(pod.folder.path) for pod in pods)) as server:
        run = _Run(folder, pods, plan, server.pid, OpenLoop(port, _target(pods[0]), plan.connections))
        run.load(rate)
        run.count()
    return run.report(highest, rate)


def _target(pod: Pod) -> Target:
    return Target(pod.folder.path.parent.name, f"/v4/{pod.owner}/create_item", make_body(pod.key))


class _Run:
    """One server under load, those who work beside it, and what they see."""

    def __init__(self, folder: Path, pods: list[Pod], plan: Plan, server: int, client: OpenLoop) -> None:
        self._plan = plan
        self._pods = pods
        self._at = 0
        self._client = client
        self._jobs = Jobs(folder / "jobs", pods[0])
        self._watch = Watch(server)
        self._faults: list[str] = []
        self._told = 0
        self._lasted_minutes = 0.0
        (folder / "jobs").mkdir()

    def load(self, rate: float) -> None:
        """Send at a constant rate, with everything beside it, to the end."""
        began = time.monotonic()
        with ThreadPoolExecutor(2) as pool:
            working = pool.submit(self._jobs.run)
            sending = pool.submit(self._client.run, rate, self._plan.minutes * 60)
            try:
                # Or the pool would wait for the clients' hour.
                with on_failure(self._client.stop):
                    self._watch_until_done(sending, began)
            finally:
                self._jobs.stop()
            if stopped := sending.exception():
                self._faults.append(f"the clients stopped: {stopped}")
            working.result()
        self._lasted_minutes = (time.monotonic() - began) / 60

    def _watch_until_done(self, sending: Future[None], began: float) -> None:
        try:
            while not wait([sending], SAMPLE_SECONDS).done:
                self._watch.sample()
                self._move_on()
                self._tell(time.monotonic() - began)
        except FileNotFoundError as exc:
            self._faults.append(f"a process of the server ended: {exc}")

    def _tell(self, seconds: float) -> None:
        """Say once a minute how it goes."""
        minute = int(seconds // 60)
        if minute == self._told:
            return
        self._told = minute
        latencies, memory = self._client.latencies, self._watch.memory_mb
        used = ", ".join(f"{role} {samples[-1]:.0f} MB" for role, samples in memory.items())
        print(
            f"minute {minute}: {self._client.statuses[OK]:,} accepted of {self._client.sent:,}, "
            f"p99 so far {_ms(latencies.at(0.99))} ms; {used}; {len(self._jobs.faults)} commands failed",
            flush=True,
        )

    def _move_on(self) -> None:
        """Let the load go to the next pod when the vault is as large as it may be."""
        pod = self._pods[self._at]
        is_last = self._at + 1 == len(self._pods)
        if is_last or size_of(pod) < self._plan.vault_mb * 1e6:
            return
        self._at += 1
        self._jobs.pod = self._pods[self._at]
        self._client.target = _target(self._jobs.pod)
        self._jobs.finished.put(pod)

    def count(self) -> None:
        """Count what was not counted yet."""
        self._jobs.finished.put(self._pods[self._at])
        while not self._jobs.finished.empty():
            self._jobs.count(self._jobs.finished.get())

    def report(self, highest: float, rate: float) -> Soak:
        """What was seen."""
        client, jobs, latencies = self._client, self._jobs, self._client.latencies
        memory = {
            role: level_of(samples, statistics.median) for role, samples in self._watch.memory_mb.items()
        }
        open_files = {role: level_of(samples, min) for role, samples in self._watch.descriptors.items()}
        return Soak(
            date=datetime.now(UTC).isoformat(timespec="seconds"),
            commit=_commit(),
            minutes=self._plan.minutes,
            lasted_minutes=round(self._lasted_minutes, 2),
            highest=round(highest),
            per_second=round(rate),
            sent=client.sent,
            statuses={str(status): count for status, count in sorted(client.statuses.items())},
            stored=sum(jobs.stored.values()),
            p50_ms=_ms(latencies.at(0.5)),
            p99_ms=_ms(latencies.at(0.99)),
            p999_ms=_ms(latencies.at(0.999)),
            most_ms=_ms(latencies.most),
            worst_minute_p99_ms=_ms(max(minute.at(0.99) for minute in client.minutes)),
            late_seconds=round(client.late, 3),
            pods=self._at + 1,
            memory_mb=memory,
            descriptors=open_files,
            jobs={name: _job(costs) for name, costs in jobs.costs.items()},
            faults=[*self._faults, *jobs.faults, *losses(client, jobs.stored), *rises(memory, open_files)],
        )


def losses(client: OpenLoop, stored: Mapping[str, int]) -> Iterator[str]:
    """What was sent and not accepted, or accepted and not stored, or the reverse: a sentence each."""
    if refused := client.sent - client.statuses[OK]:
        yield f"{refused} of {client.sent} items were not accepted"
    for name, accepted in client.accepted.items():
        if stored[name] != accepted:
            yield f"{name}: {accepted} items were accepted, {stored[name]} are there"


def _job(costs: Sequence[Cost]) -> Job:
    seconds = [cost.seconds for cost in costs]
    return Job(
        runs=len(costs),
        seconds=round(statistics.median(seconds), 2),
        most_seconds=round(max(seconds), 2),
        peak_mb=round(max(cost.peak_mb for cost in costs)),
    )


def _ms(seconds: float) -> float:
    return round(seconds * 1e3, 2)


def _commit() -> str:
    described = ["git", "describe", "--always", "--dirty=+"]
    return subprocess.run(described, cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip()


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


def main() -> int:
    """Soak, print, and note it in the ledger.

    Returns:
        The exit code.
    """
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=60.0, help="how long the load lasts")
    parser.add_argument("--rate", type=float, help="items a second; else 70 %% of the highest is found")
    parser.add_argument("--vault-mb", type=float, default=1_000.0, help="when the load moves to another pod")
    parser.add_argument("--folder", type=Path, help="where pods are made; 4 times --vault-mb is used at most")
    parser.add_argument("--ledger", type=Path, default=LEDGER, help="where a line is added")
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="soak-", dir=given.folder or Path.cwd()))
    try:
        made = soak(folder, Plan(given.minutes, given.rate, given.vault_mb))
    finally:
        shutil.rmtree(folder)
    with given.ledger.open("ab") as ledger:
        ledger.write(msgspec.json.encode(made) + b"\n")
    for line in lines_of(made):
        print(line)
    return 1 if made.faults else 0


if __name__ == "__main__":
    sys.exit(main())
