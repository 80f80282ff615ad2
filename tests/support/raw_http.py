"""HTTP by hand: bytes out, bytes in, for requests that no client library would send."""

from __future__ import annotations

import contextlib
import re
import socket
from typing import NamedTuple

from tests.support.server import Server


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


def read_all(connection: socket.socket, seconds: float) -> Raw:
    """Read until the server ends the connection, or is silent for ``seconds``."""
    connection.settimeout(seconds)
    data = b""
    try:
        while chunk := connection.recv(65_536):
            data += chunk
    except TimeoutError:
        return Raw(data, is_closed=False)
    except ConnectionResetError:
        return Raw(data, is_closed=True)
    return Raw(data, is_closed=True)


def exchange(server: Server, request: bytes, seconds: float = 0.5) -> Raw:
    """Send bytes on a connection of their own, and read what comes back."""
    with contextlib.closing(server.connect()) as connection:
        connection.sendall(request)
        return read_all(connection, seconds)


def post(path: str, body: bytes, *headers: bytes, host: bytes = b"Host: pod.test\r\n") -> bytes:
    """A POST with Content-Length; ``headers`` without line ends."""
    head = b"POST %s HTTP/1.1\r\n%sContent-Length: %d\r\n" % (path.encode(), host, len(body))
    return head + b"".join(header + b"\r\n" for header in headers) + b"\r\n" + body


def chunked(path: str, *chunks: bytes, end: bytes = b"0\r\n\r\n") -> bytes:
    """A POST in chunks."""
    head = b"POST %s HTTP/1.1\r\nHost: pod.test\r\nTransfer-Encoding: chunked\r\n\r\n" % path.encode()
    return head + b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks) + end
