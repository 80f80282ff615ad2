"""A stop is passed on once, and is not lost before anybody listens."""

from __future__ import annotations

import os
import signal

from ingest.stopping import STOP_SIGNALS, OneStopLoop, heed_signals, hold_signals


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


def test_signals_wait_until_they_are_heeded() -> None:
    """One that comes before there is a loop is there when there is one."""
    found: list[int] = []
    before = {
        number: signal.signal(number, lambda number, _: found.append(number)) for number in STOP_SIGNALS
    }
    try:
        hold_signals()
        for number in STOP_SIGNALS:
            os.kill(os.getpid(), number)
        assert (found, signal.sigpending()) == ([], set(STOP_SIGNALS))
        heed_signals()
        assert set(found) == STOP_SIGNALS
    finally:
        heed_signals()
        for number, handler in before.items():
            signal.signal(number, handler)
