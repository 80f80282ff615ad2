"""Wiring: the one place that knows all parts of a server and puts them together.

The framework routes and runs the lifespan; it neither reads nor decodes a
body, renders an error, nor logs. A worker that cannot start says why in the
log and ends.
"""

from __future__ import annotations

import asyncio
import contextlib
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
from ingest.process import collect_rarely, now_ms
from ingest.registry import Registry
from ingest.remote_vault import RemoteVault
from ingest.settings import Settings
from ingest.writer_process import WriterProcess
from vault.pod import PodFolder

SUMMARY_SECONDS = 60.0
LISTEN_POLL_SECONDS = 0.01


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


def create_app(settings: Settings, log: Log) -> Application:
    """Build the ASGI application of one worker.

    Starts the writer process, which opens the vaults.
    """
    writer = WriterProcess(time.monotonic)
    writer.start()

    def make_vault(folder: PodFolder) -> RemoteVault:
        return RemoteVault(
            folder, writer.connect, lambda sentence: log.event("vault_warning", sentence=sentence)
        )

    registry = Registry(settings, make_vault, log=log, clock=time.monotonic, now_ms=now_ms)
    door = Door(settings, registry, Tools(now_ms, time.monotonic, os.urandom, log))

    @contextlib.asynccontextmanager
    async def run(_: Litestar) -> AsyncIterator[None]:
        await writer.ready()
        await registry.load()
        collect_rarely()
        running = [
            asyncio.create_task(task)
            for task in (registry.watch(), _summarize(log), _announce(settings, log))
        ]
        yield
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        await registry.stop()
        await writer.stop()
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
