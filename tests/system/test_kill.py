"""kill -9 of a loaded server: what was acknowledged is there, once, whole."""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.support.clients import Client, Promises
from tests.support.pods import TestPod, new_pod
from tests.support.server import Server
from tests.support.waiting import is_running
from vault.receipts import decode_receipt, verify_receipt

ROUNDS = 50
CLIENTS = 8
SEED = 20_261_121
LOAD_SECONDS = (0.02, 0.35)
"""Short and long: some rounds end in the first commits, some in the thick of it."""


def _kill_parent(server: Server) -> None:
    server.process.kill()


def _kill_worker(server: Server) -> None:
    os.kill(server.worker_pid, signal.SIGKILL)


def _kill_writer(server: Server) -> None:
    os.kill(server.writer_pid, signal.SIGKILL)


def _kill_group(server: Server) -> None:
    os.killpg(server.process.pid, signal.SIGKILL)


KILLS = (_kill_parent, _kill_worker, _kill_writer, _kill_group)


def _await_end(pid: int) -> None:
    deadline = time.monotonic() + 60
    while is_running(pid):
        assert time.monotonic() < deadline, "a process outlived its killed parent"
        time.sleep(0.01)


def _round(pod: TestPod, clients: list[Client], number: int, chance: random.Random) -> list[Client]:
    server = Server([pod.folder.path])
    try:
        victims = {server.worker_pid, server.writer_pid}
        running = [client.against(server.port) for client in clients]
        for client in running:
            client.start()
        time.sleep(chance.uniform(*LOAD_SECONDS))
        kill = KILLS[number % len(KILLS)]
        if kill is _kill_writer:
            # The worker lives on; it starts another.
            victims = {server.writer_pid}
        kill(server)
        for victim in victims:
            _await_end(victim)
    finally:
        server.kill()
    for client in running:
        client.stop()
        client.join(60)
        assert not client.is_alive()
    return running


def _check(pod: TestPod, promises: Promises) -> None:
    report = pod.check()
    assert report.findings == []
    stored = Counter(item.id for item in pod.items())
    assert promises.acknowledged <= stored.keys()
    assert stored.keys() <= promises.sent.keys()
    assert set(stored.values()) == {1}
    assert {item.id: item.members["text"] for item in pod.items()} == {
        item_id: promises.sent[item_id] for item_id in stored
    }


@pytest.mark.timeout(600)
def test_acknowledged_items_survive_kill_minus_nine(tmp_path: Path) -> None:
    """Parent, worker, writer and group are killed in turn, under load: nothing acknowledged is lost."""
    pod, promises = new_pod(tmp_path), Promises()
    chance = random.Random(SEED)  # noqa: S311  # a test must repeat itself
    invite = pod.invite()
    clients = [Client(number, invite, promises) for number in range(CLIENTS)]
    for number in range(ROUNDS):
        clients = _round(pod, clients, number, chance)
    _check(pod, promises)
    assert len(promises.acknowledged) > ROUNDS
    assert set(promises.refused) <= {503}
    for item_id, receipt in promises.receipts.items():
        verified = verify_receipt(
            decode_receipt(receipt), pod_id=pod.policy.pod_id, log_keys=pod.policy.vault_logs
        )
        assert verified.epoch == 1, item_id
