"""Asking the server at a pod's url who it is."""

from __future__ import annotations

import http.server
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest

from maintainer_tools.findings import Mark
from maintainer_tools.reach import examine_reach
from tests.support.certificates import self_signed
from tests.support.pods import TestPod
from tests.support.server import serving

NOW = 1_790_000_000.0


class _Said(http.server.BaseHTTPRequestHandler):
    """Answers with what the test put into the server."""

    def do_GET(self) -> None:
        body, date = self.server.said  # type: ignore[attr-defined]
        self.send_response_only(200)
        if date is not None:
            self.send_header("Date", date)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@contextmanager
def _answering(body: bytes, date: str | None, pem: Path | None = None) -> Iterator[int]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Said)
    server.said = body, date  # type: ignore[attr-defined]
    if pem:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pem)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _reached(url: str, now: float = NOW) -> dict[str, Mark]:
    return {finding.matter: finding.mark for finding in examine_reach(url, now)}


OURS = b'{"service": "shared-pod", "cargo": "1"}'


def test_a_real_server_answers(pod: TestPod) -> None:
    """At the url of pod.toml, with a clock that agrees."""
    with serving(pod.folder.path.resolve()) as server:
        found = _reached(f"http://127.0.0.1:{server.port}", time.time())

    assert found["url"] is found["server"] is Mark.OK
    assert found.get("clocks", Mark.OK) is Mark.OK


@pytest.mark.parametrize(
    ("body", "mark"),
    [
        (OURS, Mark.OK),
        (b"<html>", Mark.FAIL),
        (b"[]", Mark.FAIL),
        (b"[" * 60_000, Mark.FAIL),
        (b"{}", Mark.FAIL),
    ],
)
def test_what_answers_may_be_anything(body: bytes, mark: Mark) -> None:
    """Another program's page, or a bomb."""
    with _answering(body, None) as port:
        assert _reached(f"http://127.0.0.1:{port}") == {"url": Mark.OK, "server": mark}


@pytest.mark.parametrize(
    ("date", "mark"),
    [
        (formatdate(NOW + 5, usegmt=True), Mark.OK),
        (formatdate(NOW - 3600, usegmt=True), Mark.WARN),
        ("x", None),
    ],
)
def test_two_clocks_are_compared(date: str, mark: Mark | None) -> None:
    """By the Date header, where there is a good one."""
    with _answering(OURS, date) as port:
        assert _reached(f"http://localhost:{port}").get("clocks") is mark


def test_a_certificate_nobody_trusts(tmp_path: Path) -> None:
    """TLS that anybody could have set up is none."""
    with _answering(OURS, None, self_signed(tmp_path / "both.pem")) as port:
        assert _reached(f"https://localhost:{port}") == {"url": Mark.OK, "tls": Mark.FAIL}


def test_a_certificate_that_ends_soon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Good for a day: whoever renews it has stopped."""
    pem = self_signed(tmp_path / "both.pem")
    trusting = ssl.create_default_context(cafile=pem)
    trusting.check_hostname = False
    monkeypatch.setattr(ssl, "create_default_context", lambda: trusting)
    with _answering(OURS, None, pem) as port:
        assert _reached(f"https://localhost:{port}", time.time())["tls"] is Mark.WARN
        assert _reached(f"https://localhost:{port}", time.time() - 60 * 86_400)["tls"] is Mark.OK


def test_nobody_answers_and_nobody_is_named() -> None:
    """Refused connections, and pods without a url; a name in clear is a fault of its own."""
    with _answering(OURS, None) as port:
        pass
    assert _reached(f"http://127.0.0.1:{port}")["server"] is Mark.FAIL
    assert _reached("") == {"url": Mark.WARN}
    assert _reached("http://pod.invalid") == {"url": Mark.FAIL, "server": Mark.FAIL}
