"""A real server for tests: ``python -m ingest`` on a free port, and its log.

Ready when its log says ``listening``. Standard error is read by a thread, so
that the server never waits for the test. Whatever happens, no process is left.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vault.undoing import on_failure

ROOT = Path(__file__).parents[2]
START_SECONDS = 60.0
STOP_SECONDS = 60.0


@dataclass(frozen=True)
class Response:
    """One answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body, decoded."""
        return json.loads(self.body)


def envelope(key: str, payload: object) -> bytes:
    """The body of a create_item request."""
    auth = {"type": "ClientAuth", "databaseKey": key}
    return json.dumps({"auth": auth, "payload": payload}).encode()


def run_server(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run ``python -m ingest`` to its end: what it cannot serve."""
    return subprocess.run(
        [sys.executable, "-m", "ingest", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=2 * START_SECONDS,
        check=False,
    )


class Server:
    """A running server.

    Args:
        pods: What it serves.
        options: Further command line.
        environment: Added to this process's.
        prefix: Put before the command, such as what changes the file systems it sees.
        module: The program.

    Attributes:
        process: The parent; its worker is ``worker_pid``, and that one's child ``writer_pid``.
        port: Where it listens.
    """

    def __init__(
        self,
        pods: Sequence[Path],
        *options: str,
        environment: Mapping[str, str] | None = None,
        prefix: Sequence[str] = (),
        module: str = "ingest",
    ) -> None:
        self._lines: list[str] = []
        self._changed = threading.Condition()
        self.process = subprocess.Popen(
            [*prefix, sys.executable, "-m", module, "--port", "0", *options, *map(str, pods)],
            cwd=ROOT,
            env={**os.environ, **(environment or {})},
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        with on_failure(self.kill):
            self.port = int(self.wait_for("listening")["port"])

    def _read(self) -> None:
        assert self.process.stderr
        with self.process.stderr as lines:
            for line in lines:
                with self._changed:
                    self._lines.append(line.decode())
                    self._changed.notify_all()

    @property
    def log(self) -> str:
        """Everything on standard error so far."""
        return "".join(self._lines)

    @property
    def events(self) -> list[dict[str, Any]]:
        """Its log lines so far."""
        return [json.loads(line) for line in list(self._lines) if line.startswith("{")]

    def wait_for(self, event: str, count: int = 1, seconds: float = START_SECONDS) -> dict[str, Any]:
        """Wait until the log holds ``count`` lines of ``event``; return the last of them."""
        deadline = time.monotonic() + seconds
        with self._changed:
            while True:
                found = [line for line in self.events if line["event"] == event]
                if len(found) >= count:
                    return found[count - 1]
                if not self._reader.is_alive() or time.monotonic() > deadline:
                    raise AssertionError(f"no {event!r} in the server's log:\n{self.log}")
                self._changed.wait(0.1)

    @property
    def worker_pids(self) -> list[int]:
        """The process ids of the parent's children."""
        path = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [int(pid) for pid in path.read_text().split()]

    @property
    def worker_pid(self) -> int:
        """The process id of the worker that serves now."""
        return self.worker_pids[0]

    @property
    def writer_pids(self) -> list[int]:
        """The process ids of the worker's writers."""
        path = Path(f"/proc/{self.worker_pid}/task/{self.worker_pid}/children")
        return [int(pid) for pid in path.read_text().split()]

    @property
    def writer_pid(self) -> int:
        """The process id of the worker's one writer."""
        (pid,) = self.writer_pids
        return pid

    def connect(self, seconds: float = 30.0) -> socket.socket:
        """A raw connection."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=seconds)

    def request(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        """Send one request on a connection of its own."""
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)) as connection:
            connection.request(method, path, body, dict(headers or {}))
            response = connection.getresponse()
            answer = {name.lower(): value for name, value in response.getheaders()}
            return Response(response.status, answer, response.read())

    def probe(self, path: str, host: str = "localhost", method: str = "GET") -> Response:
        """Ask at the second address, which the log names."""
        where = self.wait_for("metrics")
        with contextlib.closing(
            http.client.HTTPConnection(where["host"], where["port"], timeout=30)
        ) as asked:
            asked.request(method, path, headers={"Host": host})
            answer = asked.getresponse()
            return Response(answer.status, dict(answer.getheaders()), answer.read())

    def create_item(
        self, owner: str, key: str, payload: object, headers: Mapping[str, str] | None = None
    ) -> Response:
        """Send one item."""
        return self.request("POST", f"/v4/{owner}/create_item", envelope(key, payload), headers)

    def stop(self) -> int:
        """Stop it, parent first; return the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.wait()

    def stop_group(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Signal every process of it at once, as Ctrl-C and service managers do; return the exit code."""
        os.killpg(self.process.pid, number)
        return self.wait()

    def wait(self) -> int:
        """Wait for its end; return the exit code."""
        try:
            code = self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"the server does not end:\n{self.log}") from None
        self._reader.join(STOP_SECONDS)
        return code

    def kill(self) -> None:
        """End it at once, if it still runs; worker and writer die with it."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(STOP_SECONDS)
        self._reader.join(STOP_SECONDS)


@contextlib.contextmanager
def serving(
    *pods: Path,
    options: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
    prefix: Sequence[str] = (),
    module: str = "ingest",
) -> Iterator[Server]:
    """Run a server for the length of a ``with`` block."""
    server = Server(pods, *options, environment=environment, prefix=prefix, module=module)
    try:
        yield server
    finally:
        server.kill()
