"""A real application in this process, spoken to in ASGI: no socket, no server, no other process."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from types import SimpleNamespace

import pytest

from ingest.app import create_app
from ingest.asgi import Application, Message, Receive, Scope
from ingest.logs import Log
from ingest.remote_vault import Connect
from ingest.settings import Settings
from tests.support.pods import TestPod, seeded_entropy
from tests.support.vaults import connect_to_thread


class Lifespan:
    """Runs an application's lifespan around a test."""

    def __init__(self, app: Application) -> None:
        self._app = app
        self._events: asyncio.Queue[Message] = asyncio.Queue()
        self.sent: asyncio.Queue[Message] = asyncio.Queue()

    async def __aenter__(self) -> None:
        self._running = asyncio.ensure_future(
            self._app({"type": "lifespan", "state": {}}, self._events.get, self.sent.put)
        )
        await self._events.put({"type": "lifespan.startup"})
        assert (await self.sent.get())["type"] == "lifespan.startup.complete"

    async def __aexit__(self, *_: object) -> None:
        await self._events.put({"type": "lifespan.shutdown"})
        assert (await self.sent.get())["type"] == "lifespan.shutdown.complete"
        await self._running


def scope_of(method: str, path: str, *headers: tuple[str, str]) -> Scope:
    """A request's head, as a server gives it to an application."""
    return {
        "type": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "headers": [(b"host", b"pod.test"), *((name.encode(), value.encode()) for name, value in headers)],
        "query_string": b"",
    }


async def nothing_to_receive() -> Message:
    """The client is gone."""
    return {"type": "http.disconnect"}


def receiving(body: bytes) -> Receive:
    """A client that sends a whole body."""

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    return receive


async def ask(app: Application, scope: Scope, receive: Receive = nothing_to_receive) -> list[Message]:
    """Everything an application sends for one request."""
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    await app(scope, receive, send)
    return sent


class _ThreadForProcess:
    """Stands where the writer's process does; its vaults are served by threads of this process."""

    def __init__(self, connect: Connect) -> None:
        self.connect = connect

    def start(self) -> None:
        """Nothing starts before it is needed."""

    async def ready(self) -> None:
        """Threads are."""

    async def stop(self) -> None:
        """They end with their connections."""


@contextlib.asynccontextmanager
async def application(pod: TestPod, write: Callable[[bytes], None]) -> AsyncIterator[Application]:
    """The application that serves a pod, its clocks standing still at the pod's.

    Args:
        pod: What it serves.
        write: Takes the lines of its log.
    """
    writer = _ThreadForProcess(connect_to_thread(pod.clock))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ingest.vaults.WriterProcess", lambda _: writer)
        patch.setattr("ingest.app.now_ms", pod.clock)
        patch.setattr("ingest.app.time", SimpleNamespace(monotonic=lambda: 0.0))
        patch.setattr("ingest.app.collect_rarely", lambda: None)
        log = Log(write, now_ms=pod.clock, entropy=seeded_entropy())
        app = create_app(Settings(pods=(pod.folder.path,), port=1, throttle=0), log)
        async with Lifespan(app):
            yield app
