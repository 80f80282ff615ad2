"""A server for an hour: ``make soak MINUTES=60``.

A real server is loaded at a constant rate, while `snapshot`, `export` and
`audit` are run one after the other beside it, over and over. The rate is 70 % of
the highest: what it accepted in a short run just before, from the same clients,
with the same commands beside it. At the end, or as soon as a vault has grown
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
import math
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import msgspec

from benchmarks.ingest import running
from benchmarks.open_loop import OK, OpenLoop, Target
from benchmarks.pods import Pod, make_body, make_pod
from benchmarks.soak_jobs import Jobs, job_of
from benchmarks.soak_record import Soak, lines_of
from benchmarks.soak_watch import Watch, level_of, rises
from tests.support.ports import free_port
from vault.undoing import on_failure

ROOT = Path(__file__).parents[1]
LEDGER = ROOT / "docs" / "soak.jsonl"
CONNECTIONS = 64
PART = 0.7
WARM_UP_SECONDS, HIGHEST_SECONDS = 15.0, 60.0
ALWAYS_DUE = 1e6
"""Items a second that no server keeps up with: a client then waits for nothing but answers."""
BYTES_AN_ITEM = 1_000
"""More than an item of the benchmark takes on disk in a batch of a loaded server."""
SAMPLE_SECONDS = 1.0


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


def highest_rate(folder: Path, connections: int, warm_up_seconds: float, seconds: float) -> float:
    """Items a second that are accepted where another is always due, with the commands beside it.

    Args:
        folder: What is made there is removed.
        connections: How many the clients keep.
        warm_up_seconds: Before it is measured.
        seconds: How long it is measured.

    Raises:
        ChildProcessError: A command failed.
    """
    pod, port = make_pod(folder / "highest"), free_port()
    client, jobs = OpenLoop(port, _target(pod), connections), Jobs(folder / "highest", pod)
    with running("ingest", port, str(pod.folder.path)), ThreadPoolExecutor(2) as pool:
        working = pool.submit(jobs.run)
        sending = pool.submit(client.run, ALWAYS_DUE, warm_up_seconds + 2 * seconds)
        try:
            time.sleep(warm_up_seconds)
            began, before = time.monotonic(), client.statuses[OK]
            time.sleep(seconds)
            found = (client.statuses[OK] - before) / (time.monotonic() - began)
        finally:
            client.stop()
            jobs.stop()
        sending.result()
        working.result()
    shutil.rmtree(folder / "highest")
    if jobs.faults:
        raise ChildProcessError(jobs.faults[0])
    return found


def soak(folder: Path, plan: Plan) -> Soak:
    """Load a server as planned, and look at it from all sides.

    Args:
        folder: Empty; what is made there is left.
        plan: How.
    """
    highest = 0.0
    if not plan.per_second:
        highest = highest_rate(folder, plan.connections, WARM_UP_SECONDS, HIGHEST_SECONDS)
        print(f"highest rate: {highest:,.0f} items a second", flush=True)
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
            jobs={name: job_of(costs) for name, costs in jobs.costs.items()},
            faults=[*self._faults, *jobs.faults, *losses(client, jobs.stored), *rises(memory, open_files)],
        )


def losses(client: OpenLoop, stored: Mapping[str, int]) -> Iterator[str]:
    """What was sent and not accepted, or accepted and not stored, or the reverse: a sentence each."""
    if refused := client.sent - client.statuses[OK]:
        yield f"{refused} of {client.sent} items were not accepted"
    for name, accepted in client.accepted.items():
        if stored[name] != accepted:
            yield f"{name}: {accepted} items were accepted, {stored[name]} are there"


def _ms(seconds: float) -> float:
    return round(seconds * 1e3, 2)


def _commit() -> str:
    described = ["git", "describe", "--always", "--dirty=+"]
    return subprocess.run(described, cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip()


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
