"""Wiring: the one place that knows all parts of a server and puts them together.

The framework routes and runs the lifespan; it neither reads nor decodes a
body, renders an error, nor logs. A worker that cannot start says why in the
log and ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import time
from collections.abc import AsyncIterator
from typing import cast

from litestar import Litestar

from ingest.asgi import Application
from ingest.door import Door, Tools
from ingest.edge import Edge
from ingest.handlers.create_item import create_item_route
from ingest.handlers.version import version_route
from ingest.logs import Log, write_stderr
from ingest.registry import Registry
from ingest.settings import Settings
from ingest.vault_thread import VaultThread
from vault.locks import Patience
from vault.pod import PodFolder
from vault.sqlcipher import assert_library

SUMMARY_SECONDS = 60.0
LISTEN_POLL_SECONDS = 0.01
GARBAGE_THRESHOLD = 50_000
"""Objects made and kept before the youngest are searched for cycles; 700 is Python's default."""
OPENING_SECONDS = 3.0
"""How long items wait for a snapshot to let their vault be opened; a reflink takes milliseconds."""


def now_ms() -> int:
    """UTC milliseconds since 1970."""
    return time.time_ns() // 1_000_000


def make_log(settings: Settings) -> Log:
    """The log of this process, on standard error."""
    return Log(
        write_stderr,
        now_ms=now_ms,
        entropy=os.urandom,
        is_logging_requests=settings.is_logging_requests,
        pods=settings.pods,
    )


async def _announce(settings: Settings, log: Log) -> None:
    """Log that the server is listening, once it is: connect to it as a client would."""
    while True:
        try:
            _, writer = await asyncio.open_connection(settings.host, settings.port)
        except OSError:
            await asyncio.sleep(LISTEN_POLL_SECONDS)
        else:
            writer.close()
            log.event("listening", host=settings.host, port=settings.port, pods=len(settings.pods))
            return


async def _summarize(log: Log) -> None:
    while True:
        await asyncio.sleep(SUMMARY_SECONDS)
        log.summary()


def _collect_rarely() -> None:
    # A request leaves next to no cycles, but makes objects the collector counts: at its
    # defaults it took 7 % of a loaded worker's time. Measured with `make bench`.
    gc.collect()
    gc.freeze()
    gc.set_threshold(GARBAGE_THRESHOLD, *gc.get_threshold()[1:])


def _make_vault(folder: PodFolder, log: Log) -> VaultThread:
    return VaultThread(
        folder,
        now_ms=now_ms,
        entropy=os.urandom,
        patience=Patience(OPENING_SECONDS, time.monotonic, time.sleep),
        warn=lambda sentence: log.event("vault_warning", sentence=sentence),
    )


def create_app(settings: Settings, log: Log) -> Application:
    """Build the ASGI application of one worker.

    Raises:
        ImportError: sqlcipher3 is not the one that was tested.
    """
    assert_library()
    registry = Registry(settings, lambda folder: _make_vault(folder, log), log=log, clock=time.monotonic)
    door = Door(settings, registry, Tools(now_ms, time.monotonic, os.urandom, log))

    @contextlib.asynccontextmanager
    async def run(_: Litestar) -> AsyncIterator[None]:
        await registry.load()
        _collect_rarely()
        running = [
            asyncio.create_task(task)
            for task in (registry.watch(), _summarize(log), _announce(settings, log))
        ]
        yield
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        await registry.stop()
        log.summary()
        log.event("stopped")

    app = Litestar(
        route_handlers=[create_item_route(door), version_route(door)],
        lifespan=[run],
        openapi_config=None,
        logging_config=None,
    )
    # The framework types ASGI's dictionaries more narrowly than ASGI does.
    return Edge(cast(Application, app), log=log, clock=time.monotonic)
