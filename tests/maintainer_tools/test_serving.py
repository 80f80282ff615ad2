"""`serve` and `demo`: a server in a process of its own, and a line to paste."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import shlex
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.maintaining import run, succeed
from tests.support.pods import TestPod, make_pod
from tests.support.ports import free_port

ROOT = Path(__file__).parents[2]
SECONDS = 60.0


class _Running:
    """``shared-pod`` that has become a server."""

    def __init__(self, *arguments: str | Path, port: int) -> None:
        self.port = port
        self.said: list[str] = []
        self.process = subprocess.Popen(
            [sys.executable, "-m", "maintainer_tools", *map(str, arguments), "--port", str(port)],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stderr=subprocess.PIPE,
            text=True,
        )

    def wait_until_ready(self) -> None:
        assert self.process.stderr
        for line in self.process.stderr:
            self.said.append(line.rstrip("\n"))
            if '"listening"' in line:
                return
        raise AssertionError(f"it never listened: {self.said}")

    def request(self, method: str, path: str, body: bytes | None = None) -> tuple[int, bytes]:
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)) as connection:
            connection.request(method, path, body)
            response = connection.getresponse()
            return response.status, response.read()

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        self.process.communicate(timeout=SECONDS)
        return self.process.returncode


@contextlib.contextmanager
def _running(*arguments: str | Path) -> Iterator[_Running]:
    running = _Running(*arguments, port=free_port())
    try:
        running.wait_until_ready()
        yield running
    finally:
        if running.process.poll() is None:
            running.process.kill()
        running.process.communicate(timeout=SECONDS)


def test_serve_becomes_the_server(pod: TestPod) -> None:
    """One process, not a child: who stops the command stops the server. No code of ours stays in it."""
    with _running("serve", "plants", "--max-body", "2048") as running:
        status, body = running.request("GET", "/version")
        command = Path(f"/proc/{running.process.pid}/cmdline").read_bytes().split(b"\0")
        assert running.stop() == 0

    assert status == 200
    assert "2048" in json.dumps(json.loads(body))
    assert b"ingest" in command
    assert b"maintainer_tools" not in command
    assert str(pod.folder.path.resolve()).encode() in command
    assert running.said[0].startswith("Serving 1 pod at 127.0.0.1 port")


def test_a_folder_of_homes_is_served_whole(pod: TestPod) -> None:
    """Homes, pod folders, or folders of either; what is no pod stands beside them."""
    many = Path("many")
    many.mkdir()
    for name in ("one", "two"):
        make_pod(many / name)
    (many / "notes").mkdir()
    (many / "README").touch()

    with _running("serve", "many", pod.folder.path) as running:
        assert running.said[0].startswith("Serving 3 pods")


def test_a_folder_named_ingest_is_not_run(pod: TestPod) -> None:
    """`python -m` looks into the current folder first: anybody could have put a file there."""
    Path("ingest").mkdir()
    Path("ingest/__init__.py").write_text("raise SystemExit('not ours')")
    Path("ingest/__main__.py").write_text("raise SystemExit('not ours')")

    with _running("serve", pod.folder.path) as running:
        assert running.request("GET", "/version")[0] == 200


def test_options_reach_the_server(pod: TestPod) -> None:
    """An allow-list without this pod: it is there, and takes nothing."""
    limits = ("--idle-seconds", "2", "--max-connections", "64", "--throttle", "5")
    trust = ("--trust-forwarded", "10.0.0.1", "--trust-forwarded", "fd00::/8")
    with _running("serve", "plants", "--owners", "0" * 64, "--log-requests", *limits, *trust) as running:
        body = json.dumps({"auth": {"type": "ClientAuth", "databaseKey": "0" * 64}, "payload": {}}).encode()
        assert running.request("POST", f"/v4/{pod.owner}/create_item", body)[0] in {400, 403}
        command = Path(f"/proc/{running.process.pid}/cmdline").read_bytes()

    options = [b"--owners", b"--log-requests", b"--idle-seconds\x002", b"--max-connections\x0064"]
    for option in (
        *options,
        b"--throttle\x005",
        b"--trust-forwarded=10.0.0.1",
        b"--trust-forwarded=fd00::/8",
    ):
        assert option in command


def test_without_the_servers_packages_it_says_what_to_install(
    pod: TestPod, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A contributor's installation reads and sends; it has no server."""
    monkeypatch.setitem(sys.modules, "granian", None)

    ended = run("serve", pod.home)

    assert ended.code == 1
    assert "install shared-pod[serve]" in ended.err


@pytest.mark.parametrize(
    ("named", "sentence"),
    [("nowhere", "does not exist"), ("empty", "holds no pod"), ("file", "is a file")],
)
def test_serve_says_what_is_no_pod(pod: TestPod, named: str, sentence: str) -> None:
    """Before a server starts that would serve nothing."""
    Path("empty").mkdir()
    Path("file").touch()

    ended = run("serve", pod.home, named)

    assert ended.code == 10
    assert sentence in ended.err


def test_a_pod_that_cannot_take_items_is_mentioned(pod: TestPod) -> None:
    """A copy without its log key, or an edit nobody signed: the server would answer 503 to all."""
    pod.folder.pod_toml.write_text(pod.folder.pod_toml.read_text() + "# edited\n")
    make_pod(Path("copy")).folder.log_key.unlink()

    with _running("serve", "plants", "copy") as running:
        warnings = [line for line in running.said if line.startswith("warning: ")]

    assert len(warnings) == 2
    assert "plants/pod cannot take items in: pod.toml is not the one slots.json signs" in warnings[0]
    assert "copy/pod cannot take items in: log.key" in warnings[1]


def test_what_a_server_stands_on_is_said_before_it_serves(pod: TestPod) -> None:
    """A line each: what runs, who may read the files and overhear, how the disk syncs."""
    make_pod(Path("open")).folder.log_key.chmod(0o644)

    with _running("serve", pod.home, "open", "--host", "0.0.0.0") as running:  # noqa: S104  # what is warned of
        said = "\n".join(running.said)

    assert "ok    versions" in said
    assert "ok    clock      as it should be, for 2 pods" in said
    assert "warn  listening  at 0.0.0.0, in clear" in said
    assert "FAIL  modes      pod: others on this machine may read log.key" in said
    assert "-> chmod go= " in said
    assert "sync " in said


def test_demo_prints_a_line_that_works_and_serves_again() -> None:
    """Paste, list: no key on a command line, and the same pod the next day."""
    with _running("demo", "demo-pod") as running:
        (line,) = [line.strip() for line in running.said if line.strip().startswith("curl ")]
        item, url = shlex.split(line)[2:]
        assert url.startswith(f"http://127.0.0.1:{running.port}/v4/")
        body = Path(item.removeprefix("@")).read_bytes()
        status, answer = running.request("POST", url.partition(str(running.port))[2], body)
        assert running.stop() == 0
    with _running("demo", "demo-pod") as again:
        assert again.request("GET", "/version")[0] == 200

    key = json.loads(body)["auth"]["databaseKey"]
    assert status == 200
    assert key not in line + "".join(running.said)
    assert succeed("ls", "demo-pod").out.startswith(f"demo-1/{json.loads(answer)}\tPlant\t")
    assert stat.S_IMODE(Path("demo-pod/item.json").stat().st_mode) == 0o600
    assert sorted(os.listdir("demo-pod")) == ["demo.invite", "identity", "item.json", "pod"]
    assert len(succeed("invite", "ls", "demo-pod").lines) == 1


def test_demo_mends_what_an_interruption_left(pod: TestPod) -> None:
    """A home without the invite or the item, stopped between two steps."""
    Path("plants/item.json").unlink(missing_ok=True)

    with _running("demo", pod.home) as running:
        assert any("curl" in line for line in running.said)

    assert Path("plants/item.json").exists()
    assert Path("plants/demo.invite").exists()


def test_demo_leaves_a_folder_alone_that_is_no_pod() -> None:
    """Someone's folder of that name."""
    Path("demo-pod").mkdir()
    Path("demo-pod/mine").touch()

    ended = run("demo", "demo-pod")

    assert ended.code == 10
    assert os.listdir("demo-pod") == ["mine"]


def test_a_revoked_invite_is_refused_by_a_running_server_within_a_second(pod: TestPod) -> None:
    """Taken back means now."""
    with _running("serve", "plants") as running:
        url = f"http://127.0.0.1:{running.port}"
        succeed("invite", "new", "plants", "--name", "x", "--url", url)
        found = succeed("invite", "show", "x.invite", "--memri", "--json").json
        body = json.dumps(
            {
                "auth": {"type": "ClientAuth", "databaseKey": found["database_key"]},
                "payload": {"type": "Plant"},
            }
        ).encode()
        path = f"/v4/{found['owner_key']}/create_item"
        deadline = time.monotonic() + 60
        while running.request("POST", path, body)[0] != 200:
            assert time.monotonic() < deadline

        succeed("invite", "revoke", "plants", "x")
        time.sleep(1)

        assert running.request("POST", path, body)[0] == 403
    assert pod.home.exists()
