"""What a flood does to somebody else's items: ``make bench-overload``.

One good client sends items over one connection, one after the other, while
others flood the same server over sixty-four: with keys that are wrong, with a
right key and items as fast as they are answered, with the largest bodies. Each
flood is measured in turn beside a quiet server, interleaved, so that noise of
the machine meets all alike. As a control the same flood goes to a server that
has nothing to do with ours: what it does to the good client there, is the
machine's doing. Prints figures and ratios; the reader judges.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import multiprocessing
import os
import socket
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple

from benchmarks import load
from benchmarks.ingest import running
from benchmarks.pods import found_pod, key_of, make_body
from ingest.settings import DEFAULT_BODY_BYTES
from tests.support.ports import free_port
from vault.pod import PodFolder

CONNECTIONS = 64
LARGE_CONNECTIONS = 16
SETTLE_SECONDS = 0.3
"""Between the start of a flood and the first measured item."""
HEAD = "POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {size}\r\n\r\n"


class Flood(NamedTuple):
    """What somebody does.

    Attributes:
        name: Shown.
        port: Of the server.
        path: Of the call.
        body: Of every request; empty for nobody.
        connections: How many at once.
    """

    name: str
    port: int
    path: str
    body: bytes
    connections: int = CONNECTIONS


class Seen(NamedTuple):
    """What the good client saw, and the flood.

    Attributes:
        p50_ms: Median of the good client's times.
        p99_ms: 99th percentile.
        items: How many it had stored.
        flooded: Answers to the flood a second.
    """

    p50_ms: float
    p99_ms: float
    items: int
    flooded: float


def _send(port: int, request: bytes, seconds: float, told: Connection) -> None:
    """Send items one after the other; tell their times in seconds."""
    took = []
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        end = time.perf_counter() + seconds
        while (began := time.perf_counter()) < end:
            connection.sendall(request)
            answer = connection.recv(65_536)
            if not answer.startswith(b"HTTP/1.1 200"):
                raise ValueError(f"a good item was answered {answer[:60]!r}")
            took.append(time.perf_counter() - began)
    told.send(took)


def _good(port: int, request: bytes, seconds: float) -> list[float]:
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(
        target=_send, args=(port, request, seconds, theirs)
    )
    process.start()
    theirs.close()
    try:
        return sorted(ours.recv())
    finally:
        process.join()


@contextlib.contextmanager
def _flooding(flood: Flood, seconds: int) -> Iterator[list[load.Load]]:
    found: list[load.Load] = []
    if not flood.body:
        yield found
        return

    def run() -> None:
        found.append(
            load.run(flood.port, flood.path, flood.body, connections=flood.connections, seconds=seconds)
        )

    thread = threading.Thread(target=run)
    thread.start()
    time.sleep(SETTLE_SECONDS)
    try:
        yield found
    finally:
        thread.join()


def measure(port: int, request: bytes, flood: Flood, seconds: int) -> Seen:
    """Let the good client send for ``seconds`` while ``flood`` goes on."""
    # The client's process takes part of a second to start.
    with _flooding(flood, seconds + 2) as found:
        took = _good(port, request, seconds)
    p50_ms, p99_ms = (took[min(len(took) - 1, int(len(took) * part))] * 1e3 for part in (0.5, 0.99))
    answered = sum(run.accepted + run.refused for run in found) / max(sum(run.seconds for run in found), 1)
    return Seen(p50_ms, p99_ms, len(took), answered)


class Place(NamedTuple):
    """A new pod with two invites.

    Attributes:
        folder: The pod.
        path: Of create_item.
        good: One database key.
        other: Another.
    """

    folder: PodFolder
    path: str
    good: str
    other: str


def make_place(home: Path) -> Place:
    """Found a pod and issue two invites without limits."""
    founded = found_pod(home, "good", "other")
    path = f"/v4/{founded.keys.owner_key.hex}/create_item"
    return Place(founded.folder, path, *map(key_of, founded.invites))


def large_body(key: str) -> bytes:
    """A request body about as long as a server takes."""
    payload = {"type": "Observation", "note": "x" * (DEFAULT_BODY_BYTES - 1_000)}
    return json.dumps({"auth": {"type": "ClientAuth", "databaseKey": key}, "payload": payload}).encode()


def floods(place: Place, port: int, null_port: int) -> list[Flood]:
    """Nobody, the control, and everybody who floods."""
    wrong, path = "0" * 64, place.path
    return [
        Flood("nobody", port, path, b""),
        Flood("elsewhere", null_port, f"/mount{path}", make_body(place.other)),
        Flood("wrong keys", port, path, make_body(wrong)),
        Flood("no JSON", port, path, b"{"),
        Flood("no such path", port, "/v4/account", b"{}"),
        Flood("a right key", port, path, make_body(place.other)),
        Flood("large, right key", port, path, large_body(place.other), LARGE_CONNECTIONS),
        Flood("large, wrong key", port, path, large_body(wrong), LARGE_CONNECTIONS),
    ]


def _line(name: str, seen: list[Seen], quiet: list[Seen]) -> str:
    p50, p99 = (statistics.median(getattr(one, field) for one in seen) for field in ("p50_ms", "p99_ms"))
    ratio = statistics.median(one.p99_ms / other.p99_ms for one, other in zip(seen, quiet, strict=True))
    items = sum(one.items for one in seen)
    flooded = statistics.median(one.flooded for one in seen)
    return f"{name:<18}{p50:>9.2f}{p99:>9.2f}{ratio:>9.2f}{items:>9,}{flooded:>14,.0f}/s"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=int, default=4, help="length of each flood")
    parser.add_argument("--rounds", type=int, default=5, help="times each is measured")
    parser.add_argument("--only", nargs="*", help="names of floods; nobody is always there")
    parser.add_argument("--folder", type=Path, help="where the pod is made; a real disk tells most")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=given.folder or Path.cwd()) as name:
        _run(make_place(Path(name) / "home"), given.rounds, given.seconds, given.only)


def _run(place: Place, rounds: int, seconds: int, only: list[str] | None) -> None:
    port, null_port = free_port(), free_port()
    print(f"floods by {load.generator()}, {rounds} rounds of {seconds} s each, {os.cpu_count()} cores")
    with (
        running("ingest", port, str(place.folder.path)),
        running("benchmarks.null_server", null_port),
    ):
        body = make_body(place.good)
        request = HEAD.format(path=place.path, size=len(body)).encode() + body
        chosen = [
            flood for flood in floods(place, port, null_port) if not only or flood.name in {"nobody", *only}
        ]
        measure(port, request, chosen[0], 1)
        seen: dict[str, list[Seen]] = {flood.name: [] for flood in chosen}
        for _ in range(rounds):
            for flood in chosen:
                seen[flood.name].append(measure(port, request, flood, seconds))
    print(f"\n{'who floods':<18}{'p50 ms':>9}{'p99 ms':>9}{'ratio':>9}{'items':>9}{'flood':>14}")
    for name, runs in seen.items():
        print(_line(name, runs, seen["nobody"]))


if __name__ == "__main__":
    main()
