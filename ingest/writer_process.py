"""The writer process as its worker sees it: started, asked for vaults, started again, ended.

A process, because the worker's event loop and the vault's work would share one
interpreter lock, and because what speaks HTTP then holds no database. It dies
with its worker. docs/decisions/a-process-that-writes.md.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from ingest.messages import READY, WANTED
from vault.errors import StorageError

START_SECONDS = 30.0
STOP_SECONDS = 5.0
END_SECONDS = 0.2
RESTART_SECONDS = 1.0
"""Least time between two starts: a process that cannot start must not be started for every item."""


class _Running(NamedTuple):
    process: subprocess.Popen[bytes]
    control: socket.socket


def _environment() -> dict[str, str]:
    # With -P, our own place: a folder `ingest` in the current directory is not ours.
    places = [str(Path(__file__).resolve().parents[1]), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, places))}


def _hear(control: socket.socket) -> bytes:
    control.settimeout(START_SECONDS)
    try:
        return control.recv(len(READY))
    except TimeoutError:
        return b""


def _end(running: _Running) -> None:
    """Make sure of one that has let go of its socket: half ended, it may hold a vault's lock."""
    running.control.close()
    running.process.kill()
    # It has nothing left to do but to end; one that waits for a disk is reaped by the next start.
    with contextlib.suppress(subprocess.TimeoutExpired):
        running.process.wait(END_SECONDS)


class WriterProcess:
    """One process that has the vaults of this worker open. Used from the event loop only.

    Args:
        clock: Monotone seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._started_at = 0.0
        self._running: _Running | None = None

    def start(self) -> None:
        """Start it, and do not wait.

        Raises:
            StorageError: The operating system refused.
        """
        self._started_at = self._clock()
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                process = subprocess.Popen(  # noqa: S603  # our own program, and two numbers
                    [sys.executable, "-P", "-m", "ingest.writer", str(theirs.fileno()), str(os.getpid())],
                    env=_environment(),
                    pass_fds=[theirs.fileno()],
                    stdin=subprocess.DEVNULL,
                )
            except OSError as exc:
                ours.close()
                raise StorageError(
                    f"the process that writes vaults cannot be started: {exc.strerror}"
                ) from exc
        if self._running:
            _end(self._running)
        self._running = _Running(process, ours)

    @property
    def is_running(self) -> bool:
        """Whether it runs; the next item starts one that has ended."""
        return self._running is not None and self._running.process.poll() is None

    async def ready(self) -> None:
        """Wait until it has started.

        Raises:
            StorageError: It has not; standard error says why.
        """
        if not self._running or await asyncio.to_thread(_hear, self._running.control) != READY:
            raise StorageError("the process that writes vaults did not start; its reason stands above")

    def connect(self, theirs: socket.socket) -> None:
        """Have it serve a pod's vault on ``theirs``; started again if it has ended.

        Raises:
            StorageError: It has ended, and a moment ago too; or cannot be started.
        """
        if not self._pass_on(theirs):
            if self._clock() - self._started_at < RESTART_SECONDS:
                raise StorageError(
                    "the process that writes vaults has ended; it is started again in a second"
                )
            self.start()
            self._pass_on(theirs)

    def _pass_on(self, theirs: socket.socket) -> bool:
        if not self._running or self._running.process.poll() is not None:
            return False
        try:
            socket.send_fds(self._running.control, [WANTED], [theirs.fileno()])
        except OSError:
            return False
        return True

    async def stop(self) -> None:
        """Let it end: every vault is closed."""
        if not self._running:
            return
        self._running.control.close()
        try:
            await asyncio.to_thread(self._running.process.wait, STOP_SECONDS)
        except subprocess.TimeoutExpired:
            # It waits for a disk; it dies with this process, and the next opening settles the log.
            return
