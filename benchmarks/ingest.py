"""How fast items are accepted, beside handlers that store nothing: ``make bench``.

Starts a real server with a new pod on this disk, everything on (admission,
caveats, views, sealing, log, fsync), and two null handlers; loads them in turn,
interleaved, so that noise of the machine meets all three; prints figures and
ratios of this one run. It asserts nothing: the reader judges. What the goals
are, and why, is in docs/performance.md.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import platform
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from benchmarks import load
from benchmarks.pods import ITEM_BYTES, Pod, make_body, make_pod
from tests.support.ports import free_port
from vault.errors import LockedError
from vault.locks import hold_vault
from vault.pod import PodFolder

CONNECTIONS = (1, 16, 64)
FSYNC_SAMPLES = 300
CLOSE_SECONDS = 60.0


class Target(NamedTuple):
    """Something to load: a name, a port, a path, a request body, and the process that serves it."""

    name: str
    port: int
    path: str
    body: bytes
    pid: int


class Run(NamedTuple):
    """One load of one target, and the processor time its server took an accepted item."""

    load: load.Load
    cpu_us: float


def await_listening(port: int) -> None:
    """Wait until somebody listens at ``port`` of 127.0.0.1.

    Raises:
        TimeoutError: Nobody does after 30 seconds.
    """
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return
        time.sleep(0.05)
    raise TimeoutError(f"nothing listens at port {port} after 30 seconds")


@contextlib.contextmanager
def running(module: str, port: int, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run ``python -m module --port port`` for the length of a ``with`` block."""
    command = [sys.executable, "-m", module, "--port", str(port), *arguments]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        try:
            await_listening(port)
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)


def await_closed(folder: PodFolder) -> None:
    """Wait until a server has let go of the vault."""
    deadline = time.monotonic() + CLOSE_SECONDS
    while time.monotonic() < deadline:
        with contextlib.suppress(LockedError):
            hold_vault(folder.path).close()
            return
        time.sleep(0.05)
    raise TimeoutError(f"{folder.vault} is open {CLOSE_SECONDS:g} s after the last item")


def fdatasync_ms(folder: Path) -> float:
    """Median time of a 4 KiB append and fdatasync in ``folder``, in milliseconds."""
    samples = []
    with (folder / "probe").open("wb") as file:
        for _ in range(FSYNC_SAMPLES):
            file.write(bytes(4096))
            began = time.perf_counter()
            file.flush()
            os.fdatasync(file.fileno())
            samples.append((time.perf_counter() - began) * 1e3)
    return statistics.median(samples)


def processes(root: int) -> list[int]:
    """A process and all below it: of a server its parent, its worker, the worker's writer."""
    children = Path(f"/proc/{root}/task/{root}/children").read_text().split()
    return [root, *(pid for child in children for pid in processes(int(child)))]


def cpu_seconds(root: int) -> float:
    """Processor time a process and its children have taken, in seconds."""
    ticks = 0
    for pid in processes(root):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])  # utime and stime, proc(5)
    return ticks / os.sysconf("SC_CLK_TCK")


def memory_mb(root: int) -> dict[str, float]:
    """Memory of a process and its children in MB: ``rss`` counts shared pages twice, ``pss`` once."""
    found = {"rss": 0.0, "pss": 0.0}
    for pid in processes(root):
        with contextlib.suppress(OSError):  # not ours to read: the server is not dumpable
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                name, _, rest = line.partition(":")
                if name.lower() in found:
                    found[name.lower()] += int(rest.split()[0]) * 1024 / 1e6
    return found


def _measure_one(target: Target, connections: int, seconds: int) -> Run:
    before = cpu_seconds(target.pid)
    found = load.run(target.port, target.path, target.body, connections=connections, seconds=seconds)
    return Run(found, (cpu_seconds(target.pid) - before) / max(found.accepted, 1) * 1e6)


def measure(targets: list[Target], connections: int, *, rounds: int, seconds: int) -> dict[str, list[Run]]:
    """Load every target in turn, ``rounds`` times."""
    results: dict[str, list[Run]] = {target.name: [] for target in targets}
    for _ in range(rounds):
        for target in targets:
            results[target.name].append(_measure_one(target, connections, seconds))
    return results


def _median(runs: list[Run], field: str) -> float:
    return statistics.median(float(getattr(run.load, field)) for run in runs)


def _ratio(runs: list[Run], base: list[Run]) -> float:
    """Median over the rounds of each round's own ratio: the machine's noise meets both alike."""
    pairs = zip(runs, base, strict=True)
    return statistics.median(run.load.per_second / other.load.per_second for run, other in pairs)


def _row(name: str, runs: list[Run], base: list[Run]) -> str:
    cpu_us = statistics.median(run.cpu_us for run in runs)
    refused = sum(run.load.refused for run in runs)
    return (
        f"  {name:<12}{_median(runs, 'per_second'):>10,.0f}/s{_ratio(runs, base):>8.2f}"
        f"{_median(runs, 'p50_ms'):>10.2f}{_median(runs, 'p99_ms'):>10.2f}{cpu_us:>10.0f}{refused:>9}"
    )


def machine() -> str:
    """What all that is measured runs on, as far as a program can tell."""
    return f"{os.cpu_count()} cores, Python {platform.python_version()} at {sys.base_prefix}"


def report(connections: int, results: dict[str, list[Run]], base: str) -> None:
    """Print one table; ratios are to the target ``base``."""
    print(f"\n{connections:>2} connections   accepted   ratio    p50 ms    p99 ms    cpu us  refused")
    for name, runs in results.items():
        print(_row(name, runs, results[base]))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=int, default=3, help="length of each load")
    parser.add_argument("--rounds", type=int, default=5, help="times each is loaded")
    parser.add_argument("--folder", type=Path, help="where the pod is made; a real disk tells most")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=given.folder or Path.cwd()) as name:
        _run(Path(name), given.rounds, given.seconds)


def _run(folder: Path, rounds: int, seconds: int) -> None:
    pod = make_pod(folder / "home")
    body, port, null_port = make_body(pod.key), free_port(), free_port()
    path = f"/v4/{pod.owner}/create_item"
    sync_ms = fdatasync_ms(folder)
    print(f"load by {load.generator()}, {rounds} rounds of {seconds:g} s each, {machine()}")
    print(f"item {ITEM_BYTES} bytes; fdatasync of 4 KiB here: {sync_ms:.2f} ms")
    with (
        running("ingest", port, str(pod.folder.path)) as server,
        running("benchmarks.null_server", null_port) as null,
    ):
        targets = [
            Target("pod", port, path, body, server.pid),
            Target("null @post", null_port, f"/post{path}", body, null.pid),
            Target("null @asgi", null_port, f"/mount{path}", body, null.pid),
        ]
        load.run(port, path, body, connections=16, seconds=1)
        for connections in CONNECTIONS:
            before = pod.folder.vault.stat().st_size
            results = measure(targets, connections, rounds=rounds, seconds=seconds)
            report(connections, results, "null @post")
            if connections == 1:
                _report_latency(results, sync_ms)
            _report_bytes(pod, before, sum(run.load.accepted for run in results["pod"]))
        used = memory_mb(server.pid)
        print(
            f"\nserver's memory: {used['rss']:.0f} MB resident, {used['pss']:.0f} MB with shared pages once"
        )


def _report_latency(results: dict[str, list[Run]], sync_ms: float) -> None:
    pod, null = (_median(results[name], "p50_ms") for name in ("pod", "null @post"))
    print(f"  p50 of one connection: {pod / (null + sync_ms):.2f} x (fdatasync + null @post)")


def _report_bytes(pod: Pod, before: int, accepted: int) -> None:
    time.sleep(2)  # the idle vault is closed: all of it is in vault.db
    print(f"  bytes on disk an item: {(pod.folder.vault.stat().st_size - before) / accepted:.0f}")


if __name__ == "__main__":
    main()
