"""The writer process: dies with its worker, is started again if it died alone, says why it cannot start."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest

from ingest.writer_process import WriterProcess, _end
from tests.support.pods import TestPod, new_pod
from tests.support.server import Server, envelope, serving
from tests.support.waiting import eventually, is_running, stop
from vault.errors import LockedError, StorageError
from vault.links import Invite
from vault.locks import Lock, hold_vault

OLD_LIBRARY = "import vault.sqlcipher\nvault.sqlcipher.LIBRARY_VERSION = (99,)\n"
"""Run by Python itself at start: every process of the server believes it needs a later library."""


def _send(server: Server, pod: TestPod, invite: Invite, text: str) -> int:
    key = invite.database_key.reveal().hex()
    return server.create_item(pod.owner, key, {"type": "Note", "text": text}).status


def test_a_writer_that_died_is_started_by_the_next_item(pod: TestPod, invite: Invite, server: Server) -> None:
    """The worker serves on; what was acknowledged is there."""
    time.sleep(1.0)
    assert _send(server, pod, invite, "before") == 200
    worker, writer = server.worker_pid, server.writer_pid
    os.kill(writer, signal.SIGKILL)
    assert eventually(lambda: not is_running(writer))

    statuses = [_send(server, pod, invite, "after")]
    while statuses[-1] == 503 and len(statuses) < 100:
        time.sleep(0.05)
        statuses.append(_send(server, pod, invite, "after"))
    assert statuses[-1] == 200
    assert server.worker_pid == worker
    assert server.writer_pid != writer
    assert server.stop() == 0
    assert sorted(str(item.members["text"]) for item in pod.items()) == ["after", "before"]


def test_items_on_their_way_when_the_writer_dies_are_told_to_try_again(
    pod: TestPod, invite: Invite, server: Server
) -> None:
    """Stored or not, nobody knows: 503, and the same id again is safe."""
    assert _send(server, pod, invite, "before") == 200
    stop(server.writer_pid)
    key = invite.database_key.reveal().hex()
    body = envelope(key, {"type": "Note", "id": "item-1", "text": "caught"})
    with server.connect() as connection:
        head = (
            f"POST /v4/{pod.owner}/create_item HTTP/1.1\r\nHost: pod\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        connection.sendall(head.encode() + body)
        time.sleep(1.0)
        os.kill(server.writer_pid, signal.SIGKILL)
        answer = connection.recv(65536)

    assert answer.startswith(b"HTTP/1.1 503 ")
    assert re.search(rb"retry-after: [1-5]\r\n", answer.lower())
    assert server.wait_for("commit_failed")["error"] == "OutcomeUnknownError"


def test_a_writer_ends_with_its_worker(pod: TestPod, invite: Invite, server: Server) -> None:
    """Nobody else would close its vaults; an orphan would hold their locks."""
    writer = server.writer_pid
    assert _send(server, pod, invite, "x") == 200
    os.kill(server.worker_pid, signal.SIGKILL)

    assert eventually(lambda: not is_running(writer))
    # Its last thread ends a moment after the process looks ended.
    _hold_soon(pod).close()


def test_of_two_writers_each_has_its_own_pods(tmp_path: Path) -> None:
    """One that hangs or dies is no other pod's matter; what was acknowledged is in the pod it was sent to."""
    homes = [tmp_path / name for name in ("one", "two")]
    for home in homes:
        home.mkdir()
    pods = [new_pod(home, seed=number) for number, home in enumerate(homes, start=1)]
    invites = [pod.invite() for pod in pods]
    paths = [pod.folder.path for pod in pods]
    with serving(*paths, options=["--writers", "2", "--idle-seconds", "60"]) as server:
        for pod, invite in zip(pods, invites, strict=True):
            assert _send(server, pod, invite, "before") == 200
        assert len(server.writer_pids) == 2
        stop(server.writer_pids[0])

        taken = [_answers_soon(server, pod, invite) for pod, invite in zip(pods, invites, strict=True)]

        os.kill(server.writer_pids[0], signal.SIGKILL)
    assert sorted(taken) == [False, True]
    for pod, is_taken in zip(pods, taken, strict=True):
        texts = [str(item.members["text"]) for item in pod.items()]
        assert texts == (["before", "during"] if is_taken else ["before"])


def _answers_soon(server: Server, pod: TestPod, invite: Invite) -> bool:
    """Send one more item; False if nothing is answered for two seconds."""
    body = envelope(invite.database_key.reveal().hex(), {"type": "Note", "text": "during"})
    head = f"POST /v4/{pod.owner}/create_item HTTP/1.1\r\nHost: pod\r\nContent-Length: {len(body)}\r\n\r\n"
    with server.connect(2.0) as connection:
        connection.sendall(head.encode() + body)
        try:
            answer = connection.recv(65536)
        except TimeoutError:
            return False
    return answer.startswith(b"HTTP/1.1 200 ")


def _hold_soon(pod: TestPod) -> Lock:
    deadline = time.monotonic() + 60
    while True:
        try:
            return hold_vault(pod.folder.path)
        except LockedError:
            assert time.monotonic() < deadline, "the vault is still held"
            time.sleep(0.01)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_writer_outlives_the_signals_that_stop_a_server(
    pod: TestPod, invite: Invite, server: Server, number: signal.Signals
) -> None:
    """Sent to the whole group, they must not take it from its worker, which still commits."""
    assert _send(server, pod, invite, "before") == 200
    writer = server.writer_pid
    os.kill(writer, number)
    time.sleep(0.2)

    assert _send(server, pod, invite, "after") == 200
    assert server.writer_pid == writer


def test_a_server_leaves_no_writer_behind(pod: TestPod, invite: Invite, server: Server) -> None:
    """After an orderly stop, its vaults closed."""
    assert _send(server, pod, invite, "x") == 200
    writer = server.writer_pid
    assert server.stop() == 0

    assert not Path(f"/proc/{writer}").exists()
    assert not pod.folder.wal.exists()


def test_a_server_with_another_library_does_not_start(pod: TestPod, tmp_path: Path) -> None:
    """Before the first item, not with it; the log says which is needed."""
    (tmp_path / "sitecustomize.py").write_text(OLD_LIBRARY)
    with pytest.raises(AssertionError, match="sqlcipher3 99 or later is needed"):
        Server([pod.folder.path], environment={"PYTHONPATH": f"{tmp_path}:{Path.cwd()}"})


async def test_a_writer_that_cannot_start_is_not_started_for_every_item(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A start costs a tenth of a second of a processor; a minute of items would be a thousand."""
    now = 100.0
    writer = WriterProcess(lambda: now)
    monkeypatch.setattr("sys.executable", "/bin/false")
    starts = 0
    start = writer.start

    def counted() -> None:
        nonlocal starts
        starts += 1
        start()

    monkeypatch.setattr(writer, "start", counted)
    writer.start()
    with pytest.raises(StorageError, match="did not start"):
        await writer.ready()
    for _ in range(10):
        with pytest.raises(StorageError, match="has ended"):
            _connect(writer)
    assert starts == 1
    now += 2
    _connect(writer)
    assert starts == 2
    await writer.stop()


def _connect(writer: WriterProcess) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        writer.connect(theirs)


async def test_one_that_let_go_of_its_socket_is_ended_before_another_is_started(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It has closed its end and still runs: two would be in each other's way, and a dead one is no zombie."""
    program = "import os, sys, time; os.close(int(sys.argv[-2])); time.sleep(60)"
    popen = subprocess.Popen
    monkeypatch.setattr(
        "ingest.writer_process.subprocess.Popen",
        lambda command, **named: popen([command[0], "-c", program, *command[-2:]], **named),
    )
    now = 100.0
    writer = WriterProcess(lambda: now)
    writer.start()
    with pytest.raises(StorageError, match="did not start"):
        await writer.ready()
    assert writer._running
    first = writer._running.process
    now += 2
    _connect(writer)

    assert first.returncode == -signal.SIGKILL
    assert writer._running.process.pid != first.pid
    _end(writer._running)
    assert not writer.is_running


async def test_a_program_that_is_not_there_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """The operating system's reason, without a path."""
    monkeypatch.setattr("sys.executable", "/nowhere/python")
    writer = WriterProcess(lambda: 0.0)
    with pytest.raises(StorageError, match="cannot be started: No such file"):
        writer.start()
    with pytest.raises(StorageError, match="did not start"):
        await writer.ready()
    await writer.stop()
