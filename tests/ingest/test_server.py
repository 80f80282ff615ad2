"""The server as processes: how it starts, stops, dies, starts again, and what it is made of."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tests.support.pods import TestPod, make_pod
from tests.support.raw_http import begin, post, read_all
from tests.support.server import ROOT, STOP_SECONDS, Response, Server, envelope, run_server, serving
from tests.support.waiting import eventually, is_running

NO_PODS = Path(__file__).parents[1] / "support"
"""A folder that is no pod and holds none."""


def _is_refused(server: Server) -> bool:
    """Whether nobody listens there any more."""
    try:
        server.connect().close()
    except ConnectionRefusedError:
        return True
    return False


def test_a_stop_answers_and_keeps_what_was_being_sent(pod: TestPod) -> None:
    """SIGTERM ends the server for new connections, not for a body that is on its way."""
    key = pod.invite().database_key.reveal().hex()
    body = envelope(key, {"type": "Note", "id": "on-its-way"})
    request = post(f"/v4/{pod.owner}/create_item", body, b"Expect: 100-continue")
    with serving(pod.folder.path) as server, contextlib.closing(server.connect()) as connection:
        begin(connection, request[:-20])
        server.process.send_signal(signal.SIGTERM)
        assert eventually(lambda: _is_refused(server))
        connection.sendall(request[-20:])
        answer = read_all(connection)

        assert answer.statuses == [200]
        assert server.process.wait(60) == 0
        assert server.wait_for("stopped")
    assert [item.id for item in pod.items()] == ["on-its-way"]
    assert not pod.folder.wal.exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_the_whole_group_is_an_orderly_stop(pod: TestPod, number: signal.Signals) -> None:
    """Ctrl-C and service managers signal parent and worker at once; that is no crash."""
    with serving(pod.folder.path) as server:
        assert server.stop_group(number) == 0
        assert server.wait_for("stopped")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("times", [2, 3, 5])
def test_signals_sent_again_change_nothing(pod: TestPod, number: signal.Signals, times: int) -> None:
    """Ctrl-C pressed twice is impatience: the stop is as orderly, and no slower."""
    with serving(pod.folder.path) as server:
        for _ in range(times - 1):
            os.killpg(server.process.pid, number)
            time.sleep(0.003)
        assert server.stop_group(number) == 0
        assert server.wait_for("stopped")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_without_end_change_nothing(pod: TestPod, number: signal.Signals) -> None:
    """A server that has stopped leaves by itself: up to its very last moment none of them ends it."""
    with serving(pod.folder.path) as server:
        deadline = time.monotonic() + STOP_SECONDS
        while server.process.poll() is None:
            server.process.send_signal(number)
            assert time.monotonic() < deadline, server.log
        assert server.wait() == 0
        assert server.wait_for("stopped")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("seconds", [0.0, 0.05, 0.2, 0.5])
def test_a_signal_before_it_listens_is_not_lost(pod: TestPod, number: signal.Signals, seconds: float) -> None:
    """A service that is stopped as it starts stops, long before anybody's patience ends."""
    command = [sys.executable, "-m", "ingest", "--port", "0", str(pod.folder.path)]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, start_new_session=True) as process:
        worker = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        try:
            assert eventually(lambda: bool(worker.read_text()))
            time.sleep(seconds)
            os.killpg(process.pid, number)
            assert process.wait(STOP_SECONDS) == 0
        finally:
            process.kill()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
def test_a_worker_dies_with_its_parent_however_that_dies(pod: TestPod, number: signal.Signals) -> None:
    """An orphan would keep the vault's lock and the port, and serve for nobody."""
    key = pod.invite().database_key.reveal().hex()
    with serving(pod.folder.path, options=["--idle-seconds", "60"]) as server:
        server.create_item(pod.owner, key, {"type": "Note"})
        worker = server.worker_pid
        assert pod.is_locked()
        server.process.send_signal(number)

        assert eventually(lambda: not is_running(worker))
        # The leader is gone first; the lock goes with the last thread.
        assert eventually(lambda: not pod.is_locked())
    assert len(pod.items()) == 1


def test_a_worker_that_dies_alone_is_started_again(pod: TestPod) -> None:
    """The maintainer need not be there; what was acknowledged is there all the same."""
    key = pod.invite().database_key.reveal().hex()
    with serving(pod.folder.path, options=["--idle-seconds", "60"]) as server:
        first = server.create_item(pod.owner, key, {"type": "Note", "id": "before"})
        os.kill(server.worker_pid, signal.SIGKILL)
        server.wait_for("listening", count=2)
        second = server.create_item(pod.owner, key, {"type": "Note", "id": "afterwards"})
        server.stop()

    assert (first.status, second.status) == (200, 200)
    assert [item.id for item in pod.items()] == ["before", "afterwards"]


def test_a_worker_that_dies_at_once_again_ends_the_server(pod: TestPod) -> None:
    """Starting it for ever would hide that it cannot run; a service manager sees the exit code."""
    with serving(pod.folder.path) as server:
        for listening in (1, 2):
            server.wait_for("listening", count=listening)
            os.kill(server.worker_pid, signal.SIGKILL)

        assert server.wait() == 1


def test_a_reload_signal_changes_nothing(pod: TestPod) -> None:
    """A reload would run two workers at once, and a vault has one writer."""
    with serving(pod.folder.path) as server:
        workers = server.worker_pids
        server.process.send_signal(signal.SIGHUP)
        time.sleep(0.5)

        assert server.worker_pids == workers
        assert len(workers) == 1
        assert server.request("GET", "/version").status == 200


def test_a_port_in_use_is_said_and_not_shared(pod: TestPod) -> None:
    """The server binds with SO_REUSEPORT: a second one would get half of the requests."""
    with serving(pod.folder.path) as server:
        second = run_server("--port", str(server.port), str(pod.folder.path))

    assert second.returncode == 1
    assert second.stderr == f"error: cannot listen at 127.0.0.1 port {server.port}: Address already in use\n"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["no/such/folder"], "is no folder"),
        ([str(NO_PODS)], "holds no pod.toml"),
        (["--max-body", "5242881", str(NO_PODS)], "--max-body"),
        (["--body-seconds", "0", str(NO_PODS)], "above 0"),
        ([], "POD"),
    ],
)
def test_a_wrong_command_line_ends_with_2_and_says_why(arguments: list[str], sentence: str) -> None:
    """Before anything listens."""
    ran = run_server(*arguments)

    assert ran.returncode == 2
    assert sentence in ran.stderr


def test_a_wrong_list_of_owners_ends_with_2(pod: TestPod) -> None:
    """A typing error in an allow-list must not open the server to everyone."""
    ran = run_server("--owners", "abc", str(pod.folder.path))

    assert ran.returncode == 2
    assert "owners: 64 hexadecimal digits were expected" in ran.stderr


def test_a_folder_of_pods_is_served_whole(tmp_path: Path) -> None:
    """A server with many pods names one folder."""
    pods = [make_pod(tmp_path / name) for name in ("one", "two")]
    shelf = tmp_path / "shelf"
    shelf.mkdir()
    for pod in pods:
        key = pod.invite().database_key.reveal().hex()
        pod.folder.path.rename(shelf / pod.home.name)
        (pod.home / "pod").symlink_to(shelf / pod.home.name)
        (pod.home / "key").write_text(key)
    with serving(shelf) as server:
        statuses = [
            server.create_item(pod.owner, (pod.home / "key").read_text(), {"type": "Note"}).status
            for pod in pods
        ]

    assert statuses == [200, 200]


def test_no_process_may_write_a_core_dump(pod: TestPod) -> None:
    """A core file would hold keys and items in flight."""
    with serving(pod.folder.path) as server:
        for pid in (server.process.pid, server.worker_pid, server.writer_pid):
            limits = Path(f"/proc/{pid}/limits").read_text()
            (line,) = [line for line in limits.splitlines() if line.startswith("Max core file size")]
            assert line.split()[4:6] == ["0", "0"]


def test_a_process_that_keeps_its_memory_private_is_not_dumpable() -> None:
    """Not even a debugger of the same user reads it."""
    program = (
        "import ctypes; from ingest.hardening import keep_memory_private; keep_memory_private();"
        "print(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))"  # PR_GET_DUMPABLE
    )
    ran = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )

    assert ran.stdout == "0\n"


def test_a_worker_whose_parent_is_gone_already_does_not_start() -> None:
    """The kernel is asked after the fork; the parent may have died in between."""
    program = "from ingest.hardening import die_with_parent; die_with_parent(1); print('serving')"
    ran = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert (ran.returncode, ran.stdout) == (1, "")


def test_the_log_names_no_key_no_id_and_no_value(pod: TestPod) -> None:
    """Whatever is refused or accepted, the log holds digests, numbers and our own sentences."""
    invite = pod.invite()
    key = invite.database_key.reveal().hex()
    with serving(pod.folder.path, options=["--log-requests"]) as server:
        answers = [
            server.create_item(pod.owner, key, {"type": "Canary", "id": "canary-id"}),
            server.create_item(pod.owner, key, {"type": "Other", "id": "canary-id"}),
            server.create_item(pod.owner, key, {"type": "Canary", "canaryName": "canary-value"}),
            server.create_item(pod.owner, "c" * 64, {"type": "Canary"}),
            server.create_item("canary-owner", key, {"type": "Canary"}),
            server.request("POST", f"/v4/{pod.owner}/create_item?canary-query", b'{"canary'),
            server.request("POST", "/v4/canary-path", envelope(key, {})),
        ]
        server.stop()
    lines = [event for event in server.events if event["event"] == "request"]

    assert [answer.status for answer in answers] == [200, 409, 400, 403, 403, 400, 404]
    assert [line["status"] for line in lines] == [200, 409, 400, 403, 403, 400]
    assert "anary" not in server.log
    for secret in (key, pod.owner, "c" * 64, str(pod.home)):
        assert secret not in server.log.lower()


def test_accepted_requests_are_counted_not_listed(pod: TestPod) -> None:
    """A line a request costs throughput; a minute's summary does not."""
    key = pod.invite().database_key.reveal().hex()
    with serving(pod.folder.path) as server:
        for _ in range(5):
            server.create_item(pod.owner, key, {"type": "Note"})
        server.stop()

    assert not [event for event in server.events if event["event"] == "request"]
    assert server.wait_for("summary")["status_200"] == 5


def test_many_connections_at_once_are_all_answered(pod: TestPod) -> None:
    """What they send waits together and is stored once each, whole."""
    key = pod.invite().database_key.reveal().hex()
    answers: list[Response] = []

    def send(server: Server, client: int) -> None:
        answers.extend(
            server.create_item(pod.owner, key, {"type": "Note", "id": f"client-{client}-{i}"})
            for i in range(20)
        )

    with serving(pod.folder.path) as server:
        clients = [threading.Thread(target=send, args=(server, client)) for client in range(16)]
        for client in clients:
            client.start()
        for client in clients:
            client.join()
        server.stop()

    assert [answer.status for answer in answers] == [200] * 320
    assert {item.id for item in pod.items()} == {answer.json for answer in answers}
    assert len(pod.items()) == 320


def test_a_free_port_is_taken_where_none_is_named(pod: TestPod) -> None:
    """Tests and demos need no number that is free everywhere; the log says which it is."""
    with serving(pod.folder.path) as server, contextlib.closing(socket.socket()) as other:
        with pytest.raises(OSError, match="in use"):
            other.bind(("127.0.0.1", server.port))
        assert server.port > 0
