"""Run a server: ``python -m ingest [options] POD...``.

A parent that serves nothing, and one worker that serves: the parent starts the
worker again when it dies (twice within six seconds ends both), and the worker
dies with the parent. The parent does not import the framework or the store,
and touches no pod's files beyond finding them. ``shared-pod serve`` replaces itself with this
process. Exit code 0 after an orderly stop, 1 when the worker cannot run, 2 for
a wrong command line.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import math
import os
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import msgspec
from granian import Granian, loops
from granian.constants import HTTPModes, Interfaces, Loops
from granian.http import HTTP1Settings

from ingest.asgi import Application
from ingest.connections import LEAST_CONNECTIONS, affordable
from ingest.hardening import die_with_parent, keep_memory_private, raise_descriptor_limit
from ingest.settings import (
    DEFAULT_BODY_BYTES,
    MOST_BODY_BYTES,
    MOST_CONNECTIONS,
    MOST_WRITERS,
    THROTTLE_PER_SECOND,
    LocalAddress,
    Settings,
    find_pods,
    parse_local_address,
    parse_owners,
    parse_trusted,
)
from ingest.stopping import OneStopLoop, hold_signals_in_children, ignore_signals, stop_at_first_signal
from vault.errors import VaultError

Load = Callable[[Settings, int], Application]
"""Makes an application of settings and of the process id of the worker's parent."""

OWNERS_VARIABLE = "POD_OWNER_HASHES"
MOST_HEAD_BYTES = 16_384
"""Largest request head; also how much of a body is buffered at once, for each connection."""
BACKLOG = 4_096
"""Connections the kernel holds until they are taken; it has a bound of its own, net.core.somaxconn."""
STOP_SECONDS = 30
"""Beyond the body deadline: how long a stopping worker may take to commit and close."""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m ingest", description="Serve pods.")
    parser.add_argument(
        "pods", nargs="+", type=Path, metavar="POD", help="a pod's folder, or a folder of pods"
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen at")
    parser.add_argument("--port", type=int, default=3030, help="port to listen at; 0 takes a free one")
    parser.add_argument(
        "--owners",
        default=os.environ.get(OWNERS_VARIABLE),
        help=f"SHA-256 hashes of owner keys to serve, comma-separated, or ANY [{OWNERS_VARIABLE}]",
    )
    parser.add_argument("--max-body", type=int, default=DEFAULT_BODY_BYTES, help="largest body in bytes")
    parser.add_argument("--body-seconds", type=float, default=10.0, help="how long a body may take")
    parser.add_argument(
        "--header-seconds", type=float, default=5.0, help="how long a request's head may take"
    )
    parser.add_argument("--idle-seconds", type=float, default=1.0, help="when an unused vault is closed")
    parser.add_argument("--max-open-vaults", type=int, default=64, help="most vaults open at once")
    parser.add_argument(
        "--writers", type=int, default=1, help="processes that write vaults; each pod has one of them"
    )
    parser.add_argument(
        "--max-connections", type=int, default=MOST_CONNECTIONS, help="most connections taken at once"
    )
    parser.add_argument(
        "--throttle",
        type=float,
        default=THROTTLE_PER_SECOND,
        help="answers a second to one network that no key vouches for; 0 for no bound",
    )
    parser.add_argument(
        "--trust-forwarded",
        action="append",
        default=[],
        metavar="ADDRESS|CIDR",
        help="a proxy whose X-Forwarded-For or Forwarded is believed; several times for several",
    )
    parser.add_argument("--log-requests", action="store_true", help="log accepted requests too")
    parser.add_argument(
        "--metrics",
        metavar="ADDRESS",
        help="serve /metrics, /live and /ready at a loopback HOST:PORT or unix:PATH; nowhere unless given",
    )
    return parser


def parse_settings(arguments: Sequence[str]) -> Settings:
    """Read a command line.

    Raises:
        SystemExit: 2; it is wrong, and standard error says how.
    """
    parser = _parser()
    given = parser.parse_args(arguments)
    if not 1 <= given.max_body <= MOST_BODY_BYTES:
        parser.error(f"--max-body: 1 to {MOST_BODY_BYTES} bytes were expected")
    if min(given.body_seconds, given.header_seconds, given.idle_seconds, given.max_open_vaults) <= 0:
        parser.error("seconds and --max-open-vaults must be above 0")
    if not 1 <= given.writers <= MOST_WRITERS:
        parser.error(f"--writers: 1 to {MOST_WRITERS} processes were expected")
    if not 0 <= given.throttle < math.inf:
        parser.error("--throttle: 0 or more answers a second were expected")
    if given.max_connections < LEAST_CONNECTIONS:
        parser.error(f"--max-connections: at least {LEAST_CONNECTIONS} were expected")
    try:
        pods, owners = find_pods(given.pods), parse_owners(given.owners)
        trusted = parse_trusted(given.trust_forwarded)
        metrics = parse_local_address(given.metrics) if given.metrics else None
    except VaultError as exc:
        parser.error(str(exc))
    return Settings(
        pods=pods,
        owners=owners,
        host=given.host,
        port=given.port,
        max_body_bytes=given.max_body,
        body_seconds=given.body_seconds,
        header_seconds=given.header_seconds,
        idle_seconds=given.idle_seconds,
        max_open_vaults=given.max_open_vaults,
        writers=given.writers,
        max_connections=given.max_connections,
        throttle=given.throttle,
        trusted=trusted,
        is_logging_requests=given.log_requests,
        metrics=metrics,
    )


def start_worker(parent: int) -> None:
    """Turn this process into a worker, before it loads what it serves with.

    Args:
        parent: The process id of the one that started it.
    """
    die_with_parent(parent)
    keep_memory_private()


def _load(settings: Settings, parent: int) -> Application:
    """Make the application of a worker. The framework is imported here, and only here."""
    start_worker(parent)
    from ingest.app import create_app, make_log  # noqa: PLC0415  # the parent stays small and does not import it

    return create_app(settings, make_log(settings))


def _reserve(host: str, port: int) -> socket.socket:
    """Hold an address and port while the server listens there.

    The server binds with SO_REUSEPORT, with which a second server would
    silently share the port and take half of the requests. A plain bind sees it.

    Raises:
        OSError: The address is not of this machine, or the port is in use.
    """
    family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    held = socket.socket(family, kind)
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        held.bind(address)
    except OSError:
        held.close()
        raise
    return held


def _ignore_reload() -> None:
    # A reload runs two workers at once, and one vault has one writer.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)


@loops.register(Loops.auto)
def _make_loop() -> OneStopLoop:
    loop = OneStopLoop()
    asyncio.set_event_loop(loop)
    return loop


def _serve(settings: Settings, load: Load) -> int:
    hold_signals_in_children()
    server = Granian(
        "ingest",
        address=settings.host,
        port=settings.port,
        interface=Interfaces.ASGI,
        loop=Loops.auto,
        http=HTTPModes.http1,
        websockets=False,
        http1_settings=HTTP1Settings(
            header_read_timeout=round(settings.header_seconds * 1000), max_buffer_size=MOST_HEAD_BYTES
        ),
        backlog=BACKLOG,
        backpressure=settings.max_connections,
        log_enabled=False,
        respawn_failed_workers=True,
        workers_kill_timeout=round(settings.body_seconds) + STOP_SECONDS,
    )
    server.on_startup(_ignore_reload)
    # After the server's own handlers were set, and before there is a worker.
    server.on_startup(partial(stop_at_first_signal, server))
    try:
        server.serve(target_loader=partial(load, settings, os.getpid()), wrap_loader=False)
    except SystemExit:
        # A worker that got the stop signal before its parent did counts as crashed there.
        return 0 if server.interrupt_signal else 1
    finally:
        ignore_signals()
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until told to stop.

    Returns:
        The exit code.
    """
    return run(parse_settings(sys.argv[1:] if arguments is None else arguments), _load)


def run(settings: Settings, load: Load) -> int:
    """Serve until told to stop.

    Args:
        settings: How.
        load: Makes the application, in the worker.

    Returns:
        The exit code.
    """
    keep_memory_private()
    descriptors = raise_descriptor_limit()
    connections = affordable(settings.max_connections, descriptors, settings.max_open_vaults)
    settings = msgspec.structs.replace(settings, max_connections=connections)
    with contextlib.ExitStack() as holding:
        try:
            return _serve(_hold_addresses(settings, holding), load)
        except _AddressError as exc:
            sys.stderr.write(f"error: {exc}\n")
            return 1


class _AddressError(Exception):
    """An address to listen at cannot be had."""


def _hold_addresses(settings: Settings, holding: contextlib.ExitStack) -> Settings:
    """Hold the addresses a server listens at; returns the settings with the ports it got.

    Raises:
        _AddressError: One cannot be had.
    """
    host, port = _hold(settings.host, settings.port, holding)
    metrics = settings.metrics
    if metrics is not None and metrics.path is None:
        metrics = LocalAddress(*_hold(metrics.host, metrics.port, holding))
    return msgspec.structs.replace(settings, host=host, port=port, metrics=metrics)


def _hold(host: str, port: int, holding: contextlib.ExitStack) -> tuple[str, int]:
    try:
        held = holding.enter_context(_reserve(host, port))
    except OSError as exc:
        raise _AddressError(f"cannot listen at {host} port {port}: {exc.strerror}") from exc
    got: tuple[str, int] = held.getsockname()[:2]
    return got


if __name__ == "__main__":
    sys.exit(main())
