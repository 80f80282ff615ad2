"""A front door for functions, as a cloud's API is: HTTP requests in, events out, one at a time to a process.

Each process is the real runtime client with the function in it. One that is
killed takes its request with it, which ends without an answer, and the next
request finds another process in its place.
"""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.support.runtime_api import Runtime, http_event

_WAIT_SECONDS = 10.0
_BUSY = 503


class _Request(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the library's name
        """Say nothing."""

    def do_POST(self) -> None:
        """Have a function answer it."""
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        headers = {name.lower(): value for name, value in self.headers.items()}
        event = http_event("POST", self.path, body, headers)
        try:
            place = self.server.idle.get(timeout=_WAIT_SECONDS)
        except queue.Empty:
            self._answer(_BUSY, {}, b"")
            return
        try:
            told = self.server.processes[place].ask(event)
        finally:
            self.server.idle.put(place)
        if told is None:
            self.close_connection = True
            return
        assert told.kind == "response", told
        answer = told.content
        self._answer(answer["statusCode"], answer["headers"], answer["body"].encode())

    def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response_only(status)
        for name, value in headers.items():
            if name.lower() != "content-length":
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, processes: list[Runtime]) -> None:
        super().__init__(("127.0.0.1", 0), _Request)
        self.processes = processes
        self.idle: queue.Queue[int] = queue.Queue()
        for place in range(len(processes)):
            self.idle.put(place)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a client that has gone."""


class Front:
    """A front door with so many processes behind it.

    Args:
        start: Starts the process of a place.
        count: How many places.

    Attributes:
        port: Where it listens.
    """

    def __init__(self, start: Callable[[int], Runtime], count: int) -> None:
        self._start = start
        self._server = _Server([start(place) for place in range(count)])
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()
        self.port = self._server.server_port

    def replace(self, place: int) -> None:
        """Kill the process of a place, with whatever it is doing, and start another there."""
        before = self._server.processes[place]
        before.end()
        self._server.processes[place] = self._start(place)

    def end(self) -> None:
        """End it, and its processes at once."""
        for process in self._server.processes:
            process.end()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@contextlib.contextmanager
def fronting(start: Callable[[int], Runtime], count: int) -> Iterator[Front | None]:
    """Run one for the length of a ``with`` block; none for no places."""
    front = Front(start, count) if count else None
    try:
        yield front
    finally:
        if front:
            front.end()
