"""HTTP by hand: bytes out, bytes in, for requests that no client library would send."""

from __future__ import annotations

import contextlib
import re
import socket
from typing import NamedTuple

from tests.support.server import Server

PATIENCE_SECONDS = 20.0
"""For an answer that is to come."""
QUIET_SECONDS = 0.2
"""For one that is not."""


class Raw(NamedTuple):
    """What came back on one connection.

    Attributes:
        data: Every byte.
        is_closed: Whether the server ended the connection.
    """

    data: bytes
    is_closed: bool

    @property
    def statuses(self) -> list[int]:
        """The status of each answer, in order."""
        return [int(status) for status in re.findall(rb"HTTP/1\.[01] ([0-9]{3}) [^\r\n]*\r\n", self.data)]


def read_all(connection: socket.socket, answers: int | None = None) -> Raw:
    """Read until the server ends the connection, or was silent for long.

    Args:
        connection: To it.
        answers: After so many, a short silence is enough.
    """
    read = Raw(b"", is_closed=False)
    try:
        while True:
            is_all = answers is not None and len(read.statuses) >= answers
            connection.settimeout(QUIET_SECONDS if is_all else PATIENCE_SECONDS)
            if not (chunk := connection.recv(65_536)):
                return read._replace(is_closed=True)
            read = read._replace(data=read.data + chunk)
    except TimeoutError:
        return read
    except ConnectionResetError:
        return read._replace(is_closed=True)


def exchange(server: Server, request: bytes, answers: int | None = None) -> Raw:
    """Send bytes on a connection of their own, and read what comes back; see ``read_all``."""
    with contextlib.closing(server.connect()) as connection:
        connection.sendall(request)
        return read_all(connection, answers)


def begin(connection: socket.socket, request: bytes) -> None:
    """Send the beginning of a request that says ``Expect: 100-continue``, until its body is being read."""
    connection.sendall(request)
    connection.settimeout(PATIENCE_SECONDS)
    assert connection.recv(65_536).startswith(b"HTTP/1.1 100 ")


def post(path: str, body: bytes, *headers: bytes, host: bytes = b"Host: pod.test\r\n") -> bytes:
    """A POST with Content-Length; ``headers`` without line ends."""
    head = b"POST %s HTTP/1.1\r\n%sContent-Length: %d\r\n" % (path.encode(), host, len(body))
    return head + b"".join(header + b"\r\n" for header in headers) + b"\r\n" + body


def chunked(path: str, *chunks: bytes, end: bytes = b"0\r\n\r\n") -> bytes:
    """A POST in chunks."""
    head = b"POST %s HTTP/1.1\r\nHost: pod.test\r\nTransfer-Encoding: chunked\r\n\r\n" % path.encode()
    return head + b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks) + end
