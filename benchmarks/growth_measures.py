"""What is measured of a vault, beside one that was just founded: commits, openings, deaths, service.

Both get the same, batch by batch in turn: the machine's noise meets both.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import shutil
import signal
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec

from benchmarks import load
from benchmarks.growth_record import BATCH_ITEMS, Sample, Served
from benchmarks.ingest import CLOSE_SECONDS, await_closed, running
from benchmarks.pods import Pod, make_body, make_pod
from ingest.vault_thread import OpenVault, Tools
from tests.support.ports import free_port
from vault.items import parse_item, server_id
from vault.judging import Outcome
from vault.keys import DatabaseKey
from vault.locks import Patience
from vault.policies import load_policy
from vault.slots import lookup_of, open_slot
from vault.submissions import Submission, submit
from vault.wal import FRAME_BYTES

BATCHES_A_ROUND = 16
SERVED_SECONDS, SERVED_CONNECTIONS = 2, 64
IDLE_SECONDS = 0.2
OK = 200


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _ordered_id() -> str:
    return server_id(_now_ms(), os.urandom(10))


def _random_id() -> str:
    return uuid.uuid4().hex


IDS: dict[str, Callable[[], str]] = {"ordered": _ordered_id, "random": _random_id}


class Depositor:
    """One pod's vault, worked as a server's writer works it.

    Args:
        pod: With its invite.
        make_id: Gives each item its id.
    """

    def __init__(self, pod: Pod, make_id: Callable[[], str]) -> None:
        self._make_id = make_id
        self._policy = load_policy(pod.folder)
        key, pod_id = DatabaseKey.from_hex(pod.key), self._policy.pod_id
        self._slot = open_slot(self._policy.slot_by_lookup[lookup_of(key, pod_id)], key, pod_id)
        patience = Patience(CLOSE_SECONDS, time.monotonic, time.sleep)
        self._vault = OpenVault(pod.folder, Tools(_now_ms, os.urandom, patience), _complain)
        self._payload = msgspec.json.decode(make_body(pod.key))["payload"]

    def batch(self) -> list[Submission]:
        """What the door hands over for one commit."""
        return [
            submit(self._slot, parse_item(self._payload, make_id=self._make_id)) for _ in range(BATCH_ITEMS)
        ]

    def commit(self, batch: Sequence[Submission]) -> None:
        """Make a batch durable."""
        answers = self._vault.commit(self._policy, self._slot.file_key, batch)
        if any(answer.outcome is not Outcome.STORED for answer in answers):
            raise ValueError(f"not every item was stored: {answers[0]}")

    def commit_all(self, batches: Sequence[Sequence[Submission]]) -> tuple[float, float]:
        """Commit one after the other: seconds, and seconds of processor."""
        began, cpu = time.perf_counter(), time.thread_time()
        for batch in batches:
            self.commit(batch)
        return time.perf_counter() - began, time.thread_time() - cpu

    def close(self) -> None:
        """Close the vault."""
        if not self._vault.close():
            raise ValueError("the vault stayed open: a snapshot is being taken of it")


def _complain(sentence: str) -> None:
    print(f"the vault warns: {sentence}", file=sys.stderr)


@contextlib.contextmanager
def depositing(pod: Pod, ids: str) -> Iterator[Depositor]:
    """Work a pod's vault for the length of a ``with`` block."""
    depositor = Depositor(pod, IDS[ids])
    try:
        yield depositor
    finally:
        depositor.close()


def take_sample(depositor: Depositor, items: int, beside: Path, *, ids: str, rounds: int) -> Sample:
    """Time the vault and one that is founded for it, in turn.

    Args:
        depositor: The vault.
        items: How many it holds.
        beside: Does not exist; the other pod is made there, and removed.
        ids: Which ids both get.
        rounds: How many.
    """
    spent = [0.0, 0.0, 0.0, 0.0]
    with depositing(make_pod(beside), ids) as other:
        # The first commit founds what a vault has only once: a slot's row, the log's first node.
        other.commit(other.batch())
        for number in range(rounds):
            pair = [(0, depositor), (2, other)]
            for at, each in pair if number % 2 else pair[::-1]:
                seconds, cpu = each.commit_all([each.batch() for _ in range(BATCHES_A_ROUND)])
                spent[at] += seconds
                spent[at + 1] += cpu
    shutil.rmtree(beside)
    return Sample(items, rounds * BATCHES_A_ROUND * BATCH_ITEMS, *spent)


@contextlib.contextmanager
def _asking(pod: Pod, port: int) -> Iterator[Callable[[], float]]:
    """Keep a connection to a server; what is given sends one item and waits: milliseconds to its 200."""
    path, body = f"/v4/{pod.owner}/create_item", make_body(pod.key)
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=CLOSE_SECONDS)

    def ask() -> float:
        began = time.perf_counter()
        connection.request("POST", path, body)
        response = connection.getresponse()
        response.read()
        if response.status != OK:
            raise ValueError(f"the server answered {response.status}")
        return (time.perf_counter() - began) * 1e3

    with contextlib.closing(connection):
        connection.connect()
        yield ask


def opening_ms(pod: Pod, beside: Path, openings: int) -> tuple[list[float], list[float]]:
    """How soon a running server answers the first item of a pod that it has closed; each try.

    Args:
        pod: Whose vault has grown.
        beside: Does not exist; another pod is founded there, asked in turn, and removed.
        openings: How many tries.

    Returns:
        Milliseconds of the pod, and of the other.
    """
    port, other = free_port(), make_pod(beside)
    options = ("--idle-seconds", str(IDLE_SECONDS))
    found: tuple[list[float], list[float]] = ([], [])
    with (
        running("ingest", port, *options, str(pod.folder.path), str(other.folder.path)),
        _asking(pod, port) as ask,
        _asking(other, port) as ask_other,
    ):
        for _ in range(openings):
            for each, answer_ms, times in ((pod, ask, found[0]), (other, ask_other, found[1])):
                await_closed(each.folder)
                times.append(answer_ms())
        await_closed(pod.folder)
    shutil.rmtree(beside)
    return found


def _die_with_a_log(pod: Pod, ids: str, frames: int) -> int:
    """Fill a write-ahead log in another process, kill that, and return the frames it left."""
    child = os.fork()
    if not child:
        depositor = Depositor(pod, IDS[ids])
        while not pod.folder.wal.exists() or pod.folder.wal.stat().st_size < frames * FRAME_BYTES:
            depositor.commit(depositor.batch())
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    return pod.folder.wal.stat().st_size // FRAME_BYTES


def after_death_ms(pod: Pod, ids: str, most_frames: int) -> tuple[float, int]:
    """How soon a server answers the first item of a pod whose writer was killed, and its log's frames."""
    frames, port = _die_with_a_log(pod, ids, most_frames), free_port()
    with running("ingest", port, str(pod.folder.path)), _asking(pod, port) as ask:
        return ask(), frames


def serve_both(pod: Pod, beside: Path, rounds: int) -> list[Served]:
    """Load one server with the pod and one that is founded for it, in turn."""
    other, port, found = make_pod(beside), free_port(), []
    pods = (str(pod.folder.path), str(other.folder.path))
    with running("ingest", port, *pods):
        for _ in range(rounds):
            rates = [
                load.run(
                    port,
                    f"/v4/{each.owner}/create_item",
                    make_body(each.key),
                    connections=SERVED_CONNECTIONS,
                    seconds=SERVED_SECONDS,
                ).per_second
                for each in (pod, other)
            ]
            found.append(Served(*rates))
    shutil.rmtree(beside)
    return found
