"""A stop is passed on once, and is not lost before anybody listens."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator

from ingest.stopping import STOP_SIGNALS, OneStopLoop, heed_signals, hold_signals, stop_at_first_signal
from tests.support.waiting import PATIENCE_SECONDS


def test_the_first_signal_is_passed_on_and_no_other() -> None:
    """Whichever it is, and however often it comes again."""
    loop = OneStopLoop()
    told: list[str] = []
    try:
        for number in (signal.SIGUSR1, signal.SIGUSR2):
            loop.add_signal_handler(number, told.append, number.name)
        for delay, number in enumerate((signal.SIGUSR2, signal.SIGUSR1, signal.SIGUSR2)):
            loop.call_later(delay / 100, os.kill, os.getpid(), number)
        loop.call_later(0.1, loop.stop)
        loop.run_forever()
    finally:
        loop.close()

    assert told == ["SIGUSR2"]


@contextlib.contextmanager
def _handlers_put_back() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in STOP_SIGNALS}
    try:
        yield
    finally:
        heed_signals()
        for number, handler in before.items():
            signal.signal(number, handler)


def test_signals_wait_until_they_are_heeded() -> None:
    """One that comes before there is a loop is there when there is one."""
    found: list[int] = []
    with _handlers_put_back():
        for number in STOP_SIGNALS:
            signal.signal(number, lambda number, _: found.append(number))
        hold_signals()
        # To this thread: one sent to the process may go to another thread, which does not hold it.
        for number in STOP_SIGNALS:
            signal.raise_signal(number)
        assert (found, signal.sigpending()) == ([], set(STOP_SIGNALS))
        heed_signals()
        assert set(found) == STOP_SIGNALS


class _Parent:
    """Wakes as the server's parent does: its handler takes a lock that its main thread takes too."""

    def __init__(self) -> None:
        self.interrupt_signal = False
        self.lock = threading.Lock()
        self.told = 0
        self.is_told = threading.Event()

    def signal_handler_interrupt(self) -> None:
        with self.lock:
            self.told += 1
            self.is_told.set()


def test_a_parent_is_told_once_and_never_waits_for_itself() -> None:
    """A handler runs in the main thread, wherever that is: here while it holds the lock."""
    parent = _Parent()
    with _handlers_put_back():
        stop_at_first_signal(parent)
        with parent.lock:
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGTERM):
                signal.raise_signal(number)
            assert (parent.interrupt_signal, parent.told) == (True, 0)
        assert parent.is_told.wait(PATIENCE_SECONDS)
        signal.raise_signal(signal.SIGTERM)

    assert parent.told == 1
