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
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Protocol, cast

from litestar import Litestar, asgi

from ingest.asgi import Application
from ingest.connections import Usher, arrange_listening
from ingest.door import Door, Tools
from ingest.edge import Edge
from ingest.handlers import create_item, version
from ingest.logs import Log, write_stderr
from ingest.measures import Measures
from ingest.pods import KeepsItems
from ingest.probes import METRICS_TEXT, Ask, Probes, Told
from ingest.problems import OK, UNAVAILABLE
from ingest.process import collect_rarely, now_ms
from ingest.registry import Registry
from ingest.settings import LocalAddress, Settings
from ingest.stopping import heed_signals
from ingest.vaults import Vaults
from vault.pod import PodFolder
from vault.policies import Policy

SUMMARY_SECONDS = 60.0
LISTEN_POLL_SECONDS = 0.01
CONNECT_SECONDS = 2.0


def make_log(settings: Settings) -> Log:
    """The log of this process, on standard error."""
    return Log(
        write_stderr,
        now_ms=now_ms,
        entropy=os.urandom,
        is_logging_requests=settings.is_logging_requests,
        pods=settings.pods,
    )


async def _is_listening(settings: Settings) -> bool:
    """Whether new connections are taken: connect as a client would. A server that stops takes none."""
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            _, writer = await asyncio.open_connection(settings.host, settings.port)
    except OSError:
        return False
    writer.close()
    return True


async def _announce(settings: Settings, log: Log) -> None:
    """Log that the server is listening, once it is; from then on it can be told to stop."""
    while not await _is_listening(settings):  # noqa: ASYNC110  # what listens is not ours and tells nobody
        await asyncio.sleep(LISTEN_POLL_SECONDS)
    # An answer may take as long as a body.
    arrange_listening(settings.port, settings.body_seconds)
    heed_signals()
    log.event(
        "listening",
        host=settings.host,
        port=settings.port,
        pods=len(settings.pods),
        connections=settings.max_connections,
    )


async def _summarize(log: Log) -> None:
    while True:
        await asyncio.sleep(SUMMARY_SECONDS)
        log.summary()


class _Keeping:
    """What the machine's keepers are told about one worker.

    Args:
        settings: Where it listens.
        log: Counts requests and failures.
        measures: Counts batches.
        door: Its pods, and what waits there.
        behind: What keeps the items.
    """

    def __init__(self, settings: Settings, log: Log, measures: Measures, door: Door, behind: Behind) -> None:
        self._settings = settings
        self._parts = log, measures, door
        self._registry = door.registry
        self._behind = behind

    async def live(self) -> Told:
        return Told(OK, b"live\n")

    async def ready(self) -> Told:
        # Not the writer process: the next item starts one that has ended, and must be let in for that.
        if not await _is_listening(self._settings):
            return Told(UNAVAILABLE.status, b"not listening: it starts or stops\n")
        if not self._registry.by_owner:
            return Told(UNAVAILABLE.status, b"no pod can be asked; the log says why\n")
        return Told(OK, b"ready\n")

    async def metrics(self) -> Told:
        # A library that a server without metrics, or that nobody asks, does without.
        from ingest.exposition import expose, take_standing  # noqa: PLC0415

        standing = take_standing(*self._parts, is_writer_running=self._behind.is_running)
        return Told(OK, await asyncio.to_thread(expose, standing), METRICS_TEXT)

    def answers(self) -> dict[str, Ask]:
        return {"/live": self.live, "/ready": self.ready, "/metrics": self.metrics}


@contextlib.asynccontextmanager
async def _probed(address: LocalAddress | None, keeping: _Keeping, log: Log) -> AsyncIterator[None]:
    """Answer the machine's keepers, if an address was given for them."""
    if address is None:
        yield
        return
    probes = Probes(address, keeping.answers(), lambda exc: log.failure("probe_failed", exc))
    try:
        await probes.start()
    except OSError as exc:
        log.event("cannot_start", sentence=f"--metrics: cannot listen there: {exc.strerror}")
        raise
    # The path of a Unix socket is known to who gave it; a log holds none.
    log.event("metrics", host=address.host, port=address.port)
    try:
        yield
    finally:
        probes.stop()


class Behind(Protocol):
    """What is behind the door: where items go."""

    @property
    def is_running(self) -> bool:
        """Whether it works, as far as is known."""

    async def ready(self) -> None:
        """Wait until it can be asked."""

    async def stop(self) -> None:
        """End it; nothing waits any more."""

    def keep(self, folder: PodFolder, /) -> KeepsItems:
        """Where the items of one pod go."""

    def accept(self, policy: Policy, /) -> None:
        """Raise PolicyError at a policy under which nothing can be taken in."""


def create_app(
    settings: Settings, log: Log, make_behind: Callable[[Log, Measures], Behind] | None = None
) -> Application:
    """Build the ASGI application of one worker.

    Args:
        settings: How it serves.
        log: The server's.
        make_behind: Starts what keeps the items: writer processes with the vaults, unless given.
    """
    measures = Measures()
    behind = (make_behind or partial(Vaults, settings.writers))(log, measures)
    registry = Registry(
        settings, behind.keep, log=log, clock=time.monotonic, now_ms=now_ms, accept=behind.accept
    )
    door = Door(settings, registry, Tools(now_ms, time.monotonic, os.urandom, log))
    keeping = _Keeping(settings, log, measures, door, behind)

    def tell_ended(ended: int) -> None:
        measures.ended_connections += ended
        log.event("connections_ended", connections=ended)

    usher = Usher(settings.port, settings.max_connections, tell_ended)

    @contextlib.asynccontextmanager
    async def run(_: Litestar) -> AsyncIterator[None]:
        await behind.ready()
        await registry.load()
        collect_rarely()
        running = [
            asyncio.create_task(task)
            for task in (registry.watch(), usher.watch(), _summarize(log), _announce(settings, log))
        ]
        async with _probed(settings.metrics, keeping, log):
            yield
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)
            await registry.stop()
            await behind.stop()
        log.summary()
        log.event("stopped")

    storing = create_item.create_item_call(door)
    calls = {create_item.PATH: storing, version.PATH: version.version_call(door)}
    app = Litestar(
        # Mounts, so that the framework neither reads nor decodes a body.
        route_handlers=[asgi(path, is_mount=True, copy_scope=False)(call) for path, call in calls.items()],
        lifespan=[run],
        openapi_config=None,
        logging_config=None,
    )
    # The framework types ASGI's dictionaries more narrowly than ASGI does.
    return Edge(cast(Application, app), storing, log=log, clock=time.monotonic, throttle=door.throttle)
