"""Run a server that keeps nothing: ``python -m ingest.gateway --store URL ... POD...``.

The same server as ``python -m ingest``, with a function's way out: each item is
put into an object store, and no vault is touched. A pod's folder needs pod.toml
and slots.json alone, and a change of theirs counts within a second. A store
without a fresh verdict of ``store certify`` is refused. Exit codes as there.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import msgspec

from cloud.placing import Placing
from cloud.s3 import CONNECTIONS, make_clients
from cloud.secrets import read_log_key
from cloud.store_address import StoreAddress, parse_store_address
from cloud.trying import DEADLINE_SECONDS
from cloud.trying import Tools as TryingTools
from cloud.verdicts import require_certified
from ingest.__main__ import parse_settings, run, start_worker
from ingest.app import create_app, make_log
from ingest.asgi import Application
from ingest.depositor import Depositor, Tools
from ingest.logs import Log
from ingest.measures import Measures
from ingest.process import now_ms
from ingest.settings import Settings
from vault.depositing import require_functions
from vault.errors import VaultError
from vault.pod import PodFolder
from vault.policies import Policy


class WayOut(msgspec.Struct, frozen=True):
    """Where items go.

    Attributes:
        store: Where segments are put.
        key_place: Where the function's log key is read from.
    """

    store: StoreAddress
    key_place: str


class _Objects:
    """What is behind the door of a gateway: an object store, asked from threads of the worker.

    Args:
        way_out: Where to.
        log: Of this process.

    Raises:
        VaultError: The key cannot be read.
    """

    is_running = True

    def __init__(self, way_out: WayOut, log: Log, _: Measures) -> None:
        self._log_key = read_log_key(way_out.key_place)
        self._clients = make_clients(way_out.store)
        self._threads = ThreadPoolExecutor(max_workers=CONNECTIONS)
        trying = TryingTools(time.monotonic, time.sleep, os.urandom)
        self._tools = Tools(
            store=Placing(way_out.store, self._clients, trying),
            log_key=self._log_key,
            now_ms=now_ms,
            clock=time.monotonic,
            deadline_seconds=DEADLINE_SECONDS,
            entropy=os.urandom,
            scratch=Path(tempfile.gettempdir()),
            threads=self._threads,
            log=log,
        )

    async def ready(self) -> None:
        """It connects when it is asked first."""

    async def stop(self) -> None:
        """End the threads; what they have not begun with is answered 503."""
        await asyncio.to_thread(self._threads.shutdown, cancel_futures=True)
        for client in self._clients:
            client.close()

    def keep(self, _: PodFolder) -> Depositor:
        """The way of one pod's items."""
        return Depositor(self._tools)

    def accept(self, policy: Policy) -> None:
        """Refuse a policy that needs a vault, or does not list the key; see ``require_functions``."""
        require_functions(policy, self._log_key.public)


def _load(way_out: WayOut, settings: Settings, parent: int) -> Application:
    start_worker(parent)
    log = make_log(settings)
    try:
        return create_app(settings, log, partial(_Objects, way_out))
    except VaultError as exc:
        log.failure("cannot_start", exc)
        raise SystemExit(1) from None


def _parse(arguments: Sequence[str]) -> tuple[WayOut, Settings]:
    parser = argparse.ArgumentParser(prog="python -m ingest.gateway", add_help=False, allow_abbrev=False)
    parser.add_argument("--store", required=True, metavar="URL", help="where segments are put")
    parser.add_argument("--log-key", required=True, metavar="PLACE", help="where the function's key is")
    parser.add_argument("--verdict", required=True, type=Path, metavar="FILE", help="of `store certify`")
    given, others = parser.parse_known_args(arguments)
    try:
        address = parse_store_address(given.store)
        require_certified(given.verdict, address, now_ms())
    except VaultError as exc:
        parser.error(str(exc))
    return WayOut(address, given.log_key), parse_settings(others)


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until told to stop.

    Returns:
        The exit code.
    """
    way_out, settings = _parse(sys.argv[1:] if arguments is None else arguments)
    return run(settings, partial(_load, way_out))


if __name__ == "__main__":
    sys.exit(main())
