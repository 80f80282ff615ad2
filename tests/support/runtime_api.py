"""The other side of a function's runtime: events in, answers out, and a process frozen and thawed.

The real runtime client (``awslambdaric``) asks this small server for the next
event, as it does in the cloud. Standard error is kept, since that is where a
function's log goes.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

from tests.support.server import ROOT, envelope

ANSWER_SECONDS = 60.0
VERSION = "/2018-06-01/runtime"
HOST = "function.test"
_IMPORTED_FIRST = (
    "import runpy, sys; import ingest.function; sys.argv[0] = 'awslambdaric'; "
    "runpy.run_module('awslambdaric', run_name='__main__', alter_sys=True)"
)
"""Its processes are forked; what they import is imported once."""
_POLL_SECONDS = 0.1


class Told(NamedTuple):
    """What the runtime said about one event.

    Attributes:
        kind: response or error.
        content: Decoded.
    """

    kind: str
    content: Any


class _Api(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # An answer in one piece: else each waits for an acknowledgement.
    wbufsize = -1
    disable_nagle_algorithm = True
    server: _Server

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the library's name
        """Say nothing."""

    def do_GET(self) -> None:
        """Hand out the next event, or thaw the process."""
        if self.path == f"{VERSION}/restore/next":
            self.server.frozen.set()
            self.server.thaw.wait(ANSWER_SECONDS)
            self._answer(200, b"")
            return
        self.server.waiting.release()
        event = self.server.events.get()
        if self.server.together:
            self.server.together.wait(ANSWER_SECONDS)
        self._answer(200, event, ("Lambda-Runtime-Aws-Request-Id", uuid.uuid4().hex))

    def do_POST(self) -> None:
        """Take an answer."""
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        kind = self.path.rpartition("/")[2]
        self.server.told.put(Told(kind, json.loads(body) if body else None))
        self._answer(202, b"{}")

    def _answer(self, status: int, body: bytes, *headers: tuple[str, str]) -> None:
        self.send_response_only(status)
        deadline = str(int((time.time() + ANSWER_SECONDS) * 1000))
        fixed = [
            ("Content-Length", str(len(body))),
            ("Content-Type", "application/json"),
            ("Lambda-Runtime-Deadline-Ms", deadline),
            ("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:us-east-1:1:function:f"),
            ("Lambda-Runtime-Trace-Id", "Root=1-0-0"),
        ]
        for name, value in [*fixed, *headers]:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Api)
        self.events: queue.Queue[bytes] = queue.Queue()
        self.told: queue.Queue[Told] = queue.Queue()
        self.frozen, self.thaw, self.waiting = threading.Event(), threading.Event(), threading.Semaphore(0)
        self.together: threading.Barrier | None = None

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a process that was killed while it was answered."""


class Runtime:
    """One environment of a deployed function, with one process, or several that are asked at once.

    Args:
        environment: What it is deployed with, its keys among it.
        log: Where its standard error goes.
        frozen: Whether it is frozen once it was imported, until ``thaw``.
        processes: How many there are.
        code: The folder that was deployed.

    Attributes:
        process: It, or the one that started the others.
    """

    def __init__(
        self,
        environment: Mapping[str, str],
        log: Path,
        *,
        frozen: bool = False,
        processes: int = 1,
        code: Path = ROOT,
    ) -> None:
        self._server = _Server()
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()
        self._log = log
        self._processes = processes
        program = ["-m", "awslambdaric"] if processes == 1 else ["-c", _IMPORTED_FIRST]
        more = {
            **({} if processes == 1 else {"AWS_LAMBDA_MAX_CONCURRENCY": str(processes)}),
            "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{self._server.server_port}",
            "AWS_LAMBDA_INITIALIZATION_TYPE": "snap-start" if frozen else "on-demand",
            "AWS_LAMBDA_FUNCTION_NAME": "f",
            "AWS_LAMBDA_FUNCTION_VERSION": "1",
            "LAMBDA_TASK_ROOT": str(code),
            "PYTHONPATH": str(code),
            "PATH": os.environ["PATH"],
        }
        with log.open("wb") as file:
            self.process = subprocess.Popen(
                [sys.executable, *program, "ingest.function.handler"],
                cwd=code,
                env={**more, **environment},
                stdout=file,
                stderr=file,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )

    @property
    def log(self) -> str:
        """Everything it wrote so far."""
        return self._log.read_text()

    def wait_until_frozen(self) -> None:
        """Wait until it was imported and would be frozen."""
        assert self._server.frozen.wait(ANSWER_SECONDS), self.log

    def wait_until_ready(self) -> None:
        """Wait until each of its processes asks for an event."""
        for _ in range(self._processes):
            assert self._server.waiting.acquire(timeout=ANSWER_SECONDS), self.log

    def thaw(self) -> None:
        """Let it go on."""
        self._server.thaw.set()

    def invoke(self, event: object) -> Told:
        """Send one event; what the runtime answers."""
        self.invoke_raw(json.dumps(event).encode())
        return self.told()

    def invoke_raw(self, event: bytes) -> None:
        """Send bytes that may be no event."""
        self._server.events.put(event)

    def told(self) -> Told:
        """Wait for the next answer."""
        try:
            return self._server.told.get(timeout=ANSWER_SECONDS)
        except queue.Empty:
            raise AssertionError(f"no answer:\n{self.log}") from None

    def invoke_at_once(self, events: Sequence[object]) -> list[Told]:
        """Send as many events as it has processes: each has one before any may begin; the answers."""
        self.hand_out(events, threading.Barrier(self._processes))
        return [self.told() for _ in events]

    def hand_out(self, events: Sequence[object], together: threading.Barrier) -> None:
        """The same, and do not wait; the barrier may be one for several environments."""
        assert len(events) == self._processes
        self._server.together = together
        for event in events:
            self.invoke_raw(json.dumps(event).encode())

    def ask(self, event: object) -> Told | None:
        """Send one event; None if the process ends in place of an answer."""
        self.invoke_raw(json.dumps(event).encode())
        while True:
            with contextlib.suppress(queue.Empty):
                return self._server.told.get(timeout=_POLL_SECONDS)
            if self.process.poll() is not None:
                return None

    def end(self) -> None:
        """End it at once."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@contextlib.contextmanager
def deployed(
    environment: Mapping[str, str],
    log: Path,
    *,
    frozen: bool = False,
    processes: int = 1,
    code: Path = ROOT,
) -> Iterator[Runtime]:
    """Run a function for the length of a ``with`` block."""
    runtime = Runtime(environment, log, frozen=frozen, processes=processes, code=code)
    try:
        yield runtime
    finally:
        runtime.end()


def http_event(
    method: str, path: str, body: str | None = None, headers: Mapping[str, str] | None = None, **more: Any
) -> dict[str, Any]:
    """A request as the front door of an HTTP API hands it on."""
    return {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": "",
        "headers": {"host": HOST, "x-forwarded-for": "203.0.113.9", **(headers or {})},
        "requestContext": {
            "accountId": "1",
            "domainName": HOST,
            "http": {"method": method, "path": path, "protocol": "HTTP/1.1", "sourceIp": "203.0.113.9"},
            "requestId": "r",
            "stage": "$default",
        },
        "body": body,
        "isBase64Encoded": False,
        **more,
    }


def item_event(
    owner: str, key: str, payload: object, headers: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """One item as an event."""
    return http_event("POST", f"/v4/{owner}/create_item", envelope(key, payload).decode(), headers)


class _FrontDoor(BaseHTTPRequestHandler):
    """One request over HTTP, handed on as an event."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1
    disable_nagle_algorithm = True
    server: _Front

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the library's name
        """Say nothing."""

    def _pass(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        event = http_event(self.command, self.path, self.rfile.read(length).decode(), headers)
        with self.server.one_at_a_time:
            told = self.server.runtime.invoke(event)
        assert told.kind == "response", told
        body = told.content["body"].encode()
        self.send_response_only(told.content["statusCode"])
        for name, value in [*told.content["headers"].items(), ("Content-Length", str(len(body)))]:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_OPTIONS = _pass  # noqa: N815  # the library's names


class _Front(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, runtime: Runtime) -> None:
        super().__init__(("127.0.0.1", 0), _FrontDoor)
        self.runtime = runtime
        self.one_at_a_time = threading.Lock()


@contextlib.contextmanager
def front_door(runtime: Runtime) -> Iterator[str]:
    """Stand before a function as an HTTP API does, for whoever speaks HTTP; its URL."""
    front = _Front(runtime)
    thread = threading.Thread(target=front.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{front.server_port}"
    finally:
        front.shutdown()
        front.server_close()
        thread.join()
