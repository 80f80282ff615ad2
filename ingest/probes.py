"""The second address: what the machine's own keepers may ask, never on the public port.

``/live``, ``/ready`` and ``/metrics``, on a loopback address or a Unix socket of
mode 0600. One GET a connection, a small head, a deadline, few connections at
once; on TCP a Host that is no loopback name is refused, so that a web page
that was pointed here by its DNS reads nothing. Knows no pod.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import stat
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import NamedTuple

from ingest.problems import NOT_FOUND, ONE_HOST, wrong_method
from ingest.settings import LocalAddress

MOST_HEAD_BYTES = 8_192
MOST_CONNECTIONS = 16
SECONDS = 5.0
"""How long one question and its answer may take."""
TEXT = "text/plain; charset=utf-8"
METRICS_TEXT = "text/plain; version=0.0.4; charset=utf-8"
"""Prometheus' text format, as ``ingest.exposition`` writes it."""

_END = b"\r\n\r\n"
_PRIVATE_SOCKET = 0o600


class Told(NamedTuple):
    """One answer.

    Attributes:
        status: HTTP status.
        body: The whole of it.
        content_type: Of the body.
    """

    status: int
    body: bytes
    content_type: str = TEXT


Ask = Callable[[], Awaitable[Told]]


def listen_at(address: LocalAddress) -> socket.socket:
    """Bind a local address.

    A socket file that a killed server left is replaced; another file is not.

    Raises:
        OSError: The address is in use, or the operating system refuses.
    """
    if address.path is None:
        family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
        listening = socket.socket(family, socket.SOCK_STREAM)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        target: object = (address.host, address.port)
    else:
        with contextlib.suppress(FileNotFoundError):
            if stat.S_ISSOCK(address.path.lstat().st_mode):
                address.path.unlink()
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        target = str(address.path)
    try:
        listening.bind(target)  # type: ignore[arg-type]  # an address of its family
        if address.path is not None:
            # Before anybody can connect: nobody listens yet.
            address.path.chmod(_PRIVATE_SOCKET)
    except OSError:
        listening.close()
        raise
    return listening


class Probes:
    """Answers questions at a local address.

    Args:
        address: Where.
        answers: Path to what is told there.
        failed: Told of an error that should not happen.
    """

    def __init__(
        self, address: LocalAddress, answers: Mapping[str, Ask], failed: Callable[[Exception], object]
    ) -> None:
        self._address = address
        self._answers = answers
        self._failed = failed
        self._server: asyncio.Server | None = None
        self._connections = 0

    async def start(self) -> None:
        """Listen.

        Raises:
            OSError: As ``listen_at``.
        """
        listening = listen_at(self._address)
        if self._address.path is None:
            self._server = await asyncio.start_server(self._serve, sock=listening, limit=MOST_HEAD_BYTES)
        else:
            self._server = await asyncio.start_unix_server(self._serve, sock=listening, limit=MOST_HEAD_BYTES)

    def stop(self) -> None:
        """Listen no more."""
        if self._server is None:
            return
        self._server.close()
        if self._address.path is not None:
            with contextlib.suppress(OSError):
                os.unlink(self._address.path)  # noqa: PTH108  # asyncio may have done it

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections += 1
        try:
            if self._connections <= MOST_CONNECTIONS:
                await self._exchange(reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            # Too slow, too long, or gone: nobody is left to tell. TimeoutError is an OSError.
            return
        except Exception as exc:  # noqa: BLE001  # an outer door
            self._failed(exc)
        finally:
            self._connections -= 1
            writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with asyncio.timeout(SECONDS):
            told = await self._answer(await reader.readuntil(_END))
            writer.write(_response(told))
            await writer.drain()

    async def _answer(self, head: bytes) -> Told:
        first, *headers = head.decode("latin-1").split("\r\n")
        method, _, rest = first.partition(" ")
        path = rest.partition(" ")[0].partition("?")[0]
        if not self._is_local(headers):
            return Told(ONE_HOST.status, b"")
        if path not in self._answers:
            return Told(NOT_FOUND.status, b"")
        if method != "GET":
            return Told(wrong_method("GET").status, b"")
        return await self._answers[path]()

    def _is_local(self, headers: list[str]) -> bool:
        if self._address.path is not None:
            return True
        pairs = (header.partition(":") for header in headers)
        hosts = [value.strip().lower() for name, _, value in pairs if name.lower() == "host"]
        return len(hosts) == 1 and _name_of(hosts[0]) in {"localhost", self._address.host}


def _name_of(host: str) -> str:
    """A Host header's value without its port and brackets."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]


def _response(told: Told) -> bytes:
    head = (
        f"HTTP/1.1 {told.status} {HTTPStatus(told.status).phrase}\r\n"
        f"Content-Type: {told.content_type}\r\nContent-Length: {len(told.body)}\r\n"
        "Cache-Control: no-store\r\nConnection: close\r\n\r\n"
    )
    return head.encode("ascii") + told.body
