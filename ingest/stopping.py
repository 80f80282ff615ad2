"""How a server is told to stop: once, however often and however early it is told.

The server below answers a third stop signal by waiting, with the interpreter
lock held, for room in a channel of one; a signal that comes before its loop
runs is lost. Ctrl-C pressed twice, or a stop in the first second, then took as
long as the parent's patience. So signals wait from a worker's fork until it
listens, and its loop passes on the first only. Its parent's handler waits for a
lock that the main thread, which runs it, may hold; there too only the first
signal counts, and another thread waits. Once it has stopped, a signal that comes
while the interpreter ends does nothing: it would be an end by a signal.
"""

from __future__ import annotations

import _thread
import os
import signal
from collections.abc import Callable
from typing import Protocol

import uvloop

STOP_SIGNALS = frozenset({signal.SIGINT, signal.SIGTERM})


def hold_signals() -> None:
    """Let stop signals wait; called from the main thread. Children start with them waiting too."""
    signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)


def heed_signals() -> None:
    """Take stop signals, and those that waited; called from the main thread."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)


def hold_signals_in_children() -> None:
    """Have every process this one forks from now on begin as after ``hold_signals``."""
    os.register_at_fork(before=hold_signals, after_in_parent=heed_signals)


class Stoppable(Protocol):
    """The parent of workers, as far as stopping it goes."""

    interrupt_signal: bool
    """Whether it was told to stop."""

    def signal_handler_interrupt(self) -> None:
        """Wake it, so that it sees that it was told; may wait for a lock of its main thread."""


def stop_at_first_signal(parent: Stoppable) -> None:
    """Have the first stop signal stop a parent, and the others do nothing; called from the main thread."""

    def tell(*_: object) -> None:
        if not parent.interrupt_signal:
            parent.interrupt_signal = True
            # Not threading.Thread, whose start waits for locks too.
            _thread.start_new_thread(parent.signal_handler_interrupt, ())

    for number in STOP_SIGNALS:
        signal.signal(number, tell)


def ignore_signals() -> None:
    """Let stop signals do nothing from now on; called from the main thread."""
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)


class OneStopLoop(uvloop.Loop):
    """An event loop that passes on the first signal it is given a handler for, and no other."""

    _is_told = False

    def add_signal_handler(self, sig: int, callback: Callable[..., object], *args: object) -> None:
        """Call ``callback(*args)`` at signal ``sig``, unless any signal was passed on before."""
        super().add_signal_handler(sig, self._tell, callback, *args)

    def _tell(self, callback: Callable[..., object], *args: object) -> None:
        if not self._is_told:
            self._is_told = True
            callback(*args)
