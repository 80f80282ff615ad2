"""An HTTP server on a real socket that answers as a test's script says.

It stands for everything our own server does not do on purpose: to be down, to
be a proxy, to drop a connection in the middle, to lie.
"""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from vault.items import SCHEMA_TYPE


@dataclass(frozen=True)
class Request:
    """What a client sent.

    Attributes:
        path: The request target.
        headers: Names in lower case.
        body: As it came.
        connection: Which connection it came on; equal for requests on one.
    """

    path: str
    headers: dict[str, str]
    body: bytes
    connection: int

    @property
    def payload(self) -> dict[str, Any]:
        """The item in it."""
        payload: dict[str, Any] = json.loads(self.body)["payload"]
        return payload


@dataclass(frozen=True)
class Reply:
    """What to answer.

    Attributes:
        status: HTTP status.
        body: Of the answer.
        headers: Beside Content-Length.
        is_cut: Whether to close the connection in the middle of the body.
        closes: Whether to close it after the answer.
    """

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    is_cut: bool = False
    closes: bool = False


DROP = Reply(status=0)
"""Close the connection without a word."""

Answer = Callable[[Request], Reply]


def accept(request: Request) -> Reply:
    """Answer as a pod that keeps the item."""
    item_id = request.payload.get("id") or "0123456789abcdef0123456789abcdef"
    return Reply(200, json.dumps(item_id).encode(), {"Content-Type": "application/json"})


def fail(status: int, sentence: str, **headers: str) -> Reply:
    """A refusal as the wire has it."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(status, f"Failure: {sentence}".encode(), named)


def script(*replies: Reply | Answer) -> Answer:
    """Answer with each in turn, then accept everything."""
    left = list(replies)

    def answer(request: Request) -> Reply:
        reply = left.pop(0) if left else accept
        return reply if isinstance(reply, Reply) else reply(request)

    return answer


class ScriptedServer:
    """Serves on 127.0.0.1 and a free port until the context is left.

    Args:
        answer: Called for every request, one at a time.
        max_body_bytes: A longer body is not read: 413 at once, and the connection is closed.

    Attributes:
        url: Without a trailing slash.
        requests: All that came, in order.
    """

    def __init__(self, answer: Answer = accept, *, max_body_bytes: int = 2**30) -> None:
        self.max_body_bytes = max_body_bytes
        self.requests: list[Request] = []
        self._answer = answer
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def items(self) -> list[Request]:
        """Those requests that were no declarations."""
        return [request for request in self.requests if request.payload["type"] != SCHEMA_TYPE]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def use_tls(self, certificate: Path) -> None:
        """Speak TLS from now on.

        Args:
            certificate: PEM, its private key with it.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.url = self.url.replace("http:", "https:")

    def decide(self, request: Request) -> Reply:
        """Record a request and ask the script."""
        with self._lock:
            self.requests.append(request)
            return self._answer(request)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        class Handler(_Handler):
            scripted = self

        return Handler


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    # Kept connections outlive a test; leaving must not wait for them.
    block_on_close = False
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: clients that go away are what these tests are about."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Headers and body are written apart; without this the body waits 40 ms for an acknowledgement.
    disable_nagle_algorithm = True

    scripted: ScriptedServer

    def do_POST(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        length = int(headers.get("content-length", "0"))
        if length > self.scripted.max_body_bytes:
            self._send(Reply(413, b"Failure: the body is too large", closes=True))
            return
        body = self.rfile.read(length)
        self._send(self.scripted.decide(Request(self.path, headers, body, self.client_address[1])))

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class names it
        """Keep the tests' output quiet."""

    def _send(self, reply: Reply) -> None:
        if reply is DROP:
            self.close_connection = True
            return
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(reply.body)))
        self.end_headers()
        self.wfile.write(reply.body[: len(reply.body) // 2] if reply.is_cut else reply.body)
        self.close_connection = self.close_connection or reply.is_cut or reply.closes
