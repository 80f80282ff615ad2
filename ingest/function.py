"""A function: the same door as a server's, without a server; each item goes into an object store.

The runtime calls ``handler`` with one event at a time. Importing this module
draws nothing at random, reads no secret and opens no connection: a process may
be frozen after it and thawed many times, and what it had drawn would be the
same in all of them. That is done by the first event, or by the runtime when it
thaws a process. A function that cannot start answers 503, its log says why,
and the next event tries again.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from cloud.placing import Placing
from cloud.s3 import make_clients
from cloud.secrets import read_log_key
from cloud.trying import DEADLINE_SECONDS
from cloud.trying import Tools as TryingTools
from ingest.asgi import Application, Message, Receive, Scope, Send
from ingest.deployment import read_deployment
from ingest.depositor import Depositor
from ingest.depositor import Tools as DepositTools
from ingest.door import Door, Tools
from ingest.edge import Edge
from ingest.events import refusal_of, request_of, response_of
from ingest.handlers import create_item, version
from ingest.logs import Log, write_stderr
from ingest.problems import UNAVAILABLE, Refused, unexpected
from ingest.process import now_ms
from ingest.registry import Registry
from vault.depositing import require_functions
from vault.undoing import on_failure

try:
    from snapshot_restore_py import register_after_restore
except ImportError:
    # A runtime that does not freeze processes has no hooks.
    def register_after_restore(start: Callable[[], None]) -> Callable[[], None]:
        """Leave it to the first event."""
        return start


def _routed(calls: Mapping[str, Application]) -> Application:
    """What the framework does in a server, of which two calls need nothing."""

    async def route(scope: Scope, receive: Receive, send: Send) -> None:
        await calls[scope["path"]](scope, receive, send)

    return route


class _Started:
    """A function that can take items in.

    Args:
        environment: See ``ingest.deployment``.
        log: Of this process.

    Raises:
        VaultError: It cannot: what it was deployed with, or its key, is not as it should be.
    """

    def __init__(self, environment: Mapping[str, str], log: Log) -> None:
        deployment = read_deployment(environment)
        log_key = read_log_key(deployment.key_place)
        self._clients = make_clients(deployment.store)
        self._threads = ThreadPoolExecutor(max_workers=1)
        tools = DepositTools(
            store=Placing(
                deployment.store, self._clients, TryingTools(time.monotonic, time.sleep, os.urandom)
            ),
            log_key=log_key,
            now_ms=now_ms,
            clock=time.monotonic,
            deadline_seconds=DEADLINE_SECONDS,
            entropy=os.urandom,
            scratch=Path(tempfile.gettempdir()),
            threads=self._threads,
            log=log,
        )
        self._registry = Registry(
            deployment.settings,
            lambda _: Depositor(tools),
            log=log,
            clock=time.monotonic,
            now_ms=now_ms,
            accept=lambda policy: require_functions(policy, log_key.public),
        )
        door = Door(deployment.settings, self._registry, Tools(now_ms, time.monotonic, os.urandom, log))
        calls = {
            create_item.PATH: create_item.create_item_call(door),
            version.PATH: version.version_call(door),
        }
        app = _routed(calls)
        self._app = Edge(app, app, log=log, clock=time.monotonic, throttle=door.throttle)
        self._runner = asyncio.Runner()
        with on_failure(self.end):
            self._runner.run(self._registry.load())

    def end(self) -> None:
        """Close what is open."""
        self._runner.close()
        self._threads.shutdown()
        for client in self._clients:
            client.close()

    def ask(self, scope: Scope, receive: Receive) -> dict[str, Any]:
        """Answer one request; no key stays once it is answered."""
        sent: list[Message] = []

        async def send(message: Message) -> None:
            sent.append(message)

        try:
            self._runner.run(_ask(self._app, scope, receive, send))
        finally:
            for pod in self._registry.by_owner.values():
                pod.opened.clear()
        return response_of(sent)


async def _ask(app: Application, scope: Scope, receive: Receive, send: Send) -> None:
    await app(scope, receive, send)


class Function:
    """A function before and after its start.

    Args:
        environment: What it was deployed with.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self._started: _Started | None = None
        self._log: Log | None = None

    def _own_log(self) -> Log:
        if self._log is None:
            self._log = Log(write_stderr, now_ms=now_ms, entropy=os.urandom)
        return self._log

    def start(self) -> None:
        """Read the key and the policies. What fails is logged, and tried again by the next event."""
        log = self._own_log()
        try:
            self._started = _Started(self._environment, log)
        except Exception as exc:  # noqa: BLE001  # whatever is wrong, the runtime must not print it
            log.failure("cannot_start", exc)

    def end(self) -> None:
        """Close what a start opened. A runtime ends its processes without it, and loses nothing."""
        started, self._started = self._started, None
        if started:
            started.end()

    def answer(self, event: object) -> dict[str, Any]:
        """Answer one event.

        Args:
            event: Untrusted, decoded JSON.
        """
        try:
            scope, receive = request_of(event)
        except Refused as refused:
            return refusal_of(refused.problem)
        if self._started is None:
            self.start()
        if self._started is None:
            return refusal_of(UNAVAILABLE)
        try:
            return self._started.ask(scope, receive)
        except Exception as exc:  # noqa: BLE001  # the outer door: what is raised would be shown with its text
            return refusal_of(unexpected(self._own_log().failure("unexpected", exc)))


FUNCTION = Function(os.environ)
register_after_restore(FUNCTION.start)


def handler(event: object, _context: object) -> dict[str, Any]:
    """What the runtime calls: ``ingest.function.handler``.

    Args:
        event: An HTTP request of payload format 2.0; anything else is answered 400.
        _context: The runtime's; not used.
    """
    return FUNCTION.answer(event)
