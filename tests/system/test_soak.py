"""A small soak, and that its rules and its client would see what a soak is looking for."""

from __future__ import annotations

import itertools
import os
import signal
import socket
import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from benchmarks.ingest import processes
from benchmarks.open_loop import ANSWER_SECONDS, Latencies, OpenLoop, Target
from benchmarks.pods import make_pod
from benchmarks.soak import Plan, highest_rate, losses, soak
from benchmarks.soak_jobs import Jobs
from benchmarks.soak_record import lines_of
from benchmarks.soak_watch import Level, descriptors, level_of, own_memory_mb, rises

TARGET = Target("pod-1", "/", b"{}")


@pytest.mark.timeout(400)
def test_a_small_soak_is_clean(tmp_path: Path) -> None:
    """`make soak` does the same for an hour. The load moves on to another vault on the way."""
    made = soak(tmp_path, Plan(minutes=0.1, per_second=150, vault_mb=0.4, connections=8))

    assert made.faults == []
    assert made.sent == made.stored == 900
    assert made.statuses == {"200": 900}
    assert made.pods > 1
    assert made.jobs.keys() == {"snapshot", "export", "audit"}
    assert made.memory_mb.keys() == made.descriptors.keys() == {"parent", "worker", "writer"}
    assert 0 < made.p50_ms <= made.p99_ms <= made.p999_ms <= made.most_ms
    assert [*lines_of(made)][-1] == "  clean"


@pytest.mark.timeout(400)
def test_the_highest_rate_is_found_beside_the_commands(tmp_path: Path) -> None:
    """Something is always due while they run; nothing of it is left."""
    assert highest_rate(tmp_path, connections=8, warm_up_seconds=0.5, seconds=1) > 0
    assert [*tmp_path.iterdir()] == []


def _kill_the_writer(folder: Path) -> None:
    """Of the server that a soak has started in this process, once it has stored something."""
    log = folder / "pod-1" / "pod" / "vault.db-wal"
    while not log.exists() or not log.stat().st_size:
        time.sleep(0.05)
    for pid in processes(os.getpid()):
        if b"ingest.writer" in Path(f"/proc/{pid}/cmdline").read_bytes():
            os.kill(pid, signal.SIGKILL)


@pytest.mark.timeout(400)
def test_a_writer_that_dies_is_seen(tmp_path: Path) -> None:
    """Its worker starts another, and items go on; but some were not accepted, and it says so."""
    killing = threading.Thread(target=_kill_the_writer, args=(tmp_path,), daemon=True)
    killing.start()
    made = soak(tmp_path, Plan(minutes=0.1, per_second=100, connections=4))
    killing.join()

    assert any(fault.startswith("a process of the server ended: ") for fault in made.faults)
    assert made.statuses.keys() <= {"200", "503"}
    assert [*lines_of(made)][-1].startswith("  NOT CLEAN: ")


def _client(sent: int, accepted: int) -> OpenLoop:
    client = OpenLoop(0, TARGET, 1)
    client.sent = sent
    client.statuses.update({200: accepted})
    client.accepted.update({TARGET.name: accepted})
    return client


@pytest.mark.parametrize("stored", [89, 91])
def test_a_vault_that_holds_less_or_more_is_seen(stored: int) -> None:
    """An item that was accepted and is not there is what all of it is for."""
    assert [*losses(_client(90, 90), {"pod-1": 90})] == []
    assert [*losses(_client(90, 90), {"pod-1": stored})] == [
        f"pod-1: 90 items were accepted, {stored} are there"
    ]


def test_an_item_that_was_not_accepted_is_seen() -> None:
    """Whatever was answered instead, or nothing."""
    assert [*losses(_client(90, 88), {"pod-1": 88})] == ["2 of 90 items were not accepted"]


def test_a_command_that_fails_is_not_clean(tmp_path: Path) -> None:
    """Its sentence stands in the summary."""
    pod = make_pod(tmp_path / "home")
    pod.folder.vault.unlink()
    jobs = Jobs(tmp_path, pod)
    threading.Timer(0.5, jobs.stop).start()
    jobs.run()

    assert jobs.costs == {}
    assert "there is nothing to copy" in jobs.faults[0]


@pytest.mark.parametrize(
    ("samples", "is_flat"),
    [
        ([50.0] * 100, True),
        ([50.0 + (number % 7) for number in range(100)], True),
        ([20.0 + 3 * number for number in range(10)] + [50.0] * 90, True),  # warming up
        ([50.0] * 60 + [500.0] * 5 + [50.0] * 35, True),  # once, and given back
        ([50.0 + number / 5 for number in range(100)], False),
        ([50.0] * 50 + [70.0] * 50, False),
    ],
)
def test_memory_that_rises_is_seen(samples: list[float], *, is_flat: bool) -> None:
    """Noise and one peak are no rise; a slow leak and a step are."""
    level = level_of(samples, statistics.median)

    assert [*rises({"writer": level}, {})] == (
        [] if is_flat else [f"the writer's memory rose from {level.first:.1f} to {level.last:.1f} MB"]
    )


def test_descriptors_that_rise_are_seen() -> None:
    """Two more that stay are a leak; a vault that was open for a moment is none."""
    assert level_of([11.0] * 90 + [18.0, 18.0, 11.0] * 4, min) == Level(11, 11, 18)
    assert [*rises({}, {"worker": Level(90, 91, 99)})] == []
    assert [*rises({}, {"worker": Level(90, 92, 92)})] == ["the worker's open descriptors rose from 90 to 92"]


def test_a_process_is_measured_as_it_is() -> None:
    """The measures grow with what they measure."""
    memory, files = own_memory_mb(os.getpid()), descriptors(os.getpid())
    held = bytearray(os.urandom(1 << 20) * 32)
    with socket.socket():
        assert descriptors(os.getpid()) == files + 1
    assert own_memory_mb(os.getpid()) > memory + 0.9 * len(held) / 1e6


def test_descriptors_of_another_users_process_are_counted_roughly(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server's processes let nobody but root look; the size of their table shows to all."""

    def refuse(_: str) -> list[str]:
        raise PermissionError

    exact = descriptors(os.getpid())
    monkeypatch.setattr(os, "listdir", refuse)

    assert exact <= descriptors(os.getpid()) <= 1 << 20


def test_latencies_keep_their_parts() -> None:
    """To a little more than one in a hundred, whatever their number."""
    latencies = Latencies()
    for number in range(1, 10_001):
        latencies.add(number / 1e4)

    assert latencies.count == 10_000
    assert latencies.at(0.5) == pytest.approx(0.5, rel=0.012)
    assert latencies.at(0.99) == pytest.approx(0.99, rel=0.012)
    assert latencies.at(1.0) == latencies.most == 1.0
    assert Latencies().at(0.99) == 0.0


@contextmanager
def _answering(answers: Iterator[tuple[float, bytes]]) -> Iterator[int]:
    """A server of one connection after the other that waits, then answers; gives its port."""
    listening = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with connection:
                while connection.recv(1 << 16):
                    seconds, answer = next(answers)
                    time.sleep(seconds)
                    if not answer:
                        break
                    for part in (answer[:20], answer[20:]):
                        connection.sendall(part)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield listening.getsockname()[1]
    finally:
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        thread.join(ANSWER_SECONDS)


def _answer(status: int, body: bytes = b"") -> bytes:
    return f"HTTP/1.1 {status} X\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body


def test_a_stall_is_measured_by_all_who_waited_for_it() -> None:
    """Thirty items were due while the server slept; a client that waits would have measured one."""
    stalls = itertools.chain([(0.0, _answer(200, b"id"))] * 50, [(0.3, _answer(200))])
    with _answering(itertools.chain(stalls, itertools.repeat((0.0, _answer(200))))) as port:
        client = OpenLoop(port, TARGET, 1)
        client.run(100, 1.0)

    assert client.sent == client.statuses[200] == client.accepted["pod-1"] == 100
    assert client.latencies.most > 0.3
    assert client.latencies.at(0.85) > 0.1
    assert client.late > 0.25
    assert client.latencies.at(0.4) < 0.1


def test_a_client_that_is_stopped_ends_with_its_answers() -> None:
    """Who interrupts a soak of an hour does not wait for it."""
    with _answering(itertools.repeat((0.0, _answer(200)))) as port:
        client = OpenLoop(port, TARGET, 1)
        threading.Timer(0.3, client.stop).start()
        client.run(100, 3_600)

    assert 0 < client.sent == client.statuses[200] < 3_600


def test_what_is_not_accepted_is_counted() -> None:
    """By status; a connection that ends without an answer is one too, and is made again."""
    script = [(0.0, _answer(200)), (0.0, _answer(503, b"busy")), (0.0, b""), (0.0, _answer(200))]
    with _answering(iter(script)) as port:
        client = OpenLoop(port, TARGET, 1)
        client.run(40, 0.1)

    assert client.statuses == {200: 2, 503: 1, 0: 1}
    assert client.accepted == {"pod-1": 2}


def test_a_connection_that_was_closed_while_idle_costs_nothing() -> None:
    """Servers close kept connections; nothing was under way."""
    script = iter([(0.0, _answer(200))] * 3)
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            for _ in range(3):
                connection, _ = listening.accept()
                with connection:
                    connection.recv(1 << 16)
                    connection.sendall(next(script)[1])

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        client = OpenLoop(listening.getsockname()[1], TARGET, 1)
        client.run(10, 0.3)
        thread.join(ANSWER_SECONDS)

    assert client.statuses == {200: 3}
