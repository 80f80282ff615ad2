"""Many connections that send one file's rows, and stop together.

Every worker takes the next row when its last one is decided, so nothing is
read far ahead. A run stops when the server is out of reach, when it refuses
the invite rather than the item, or when the contributor interrupts; rows on
their way are finished first, and what was not decided is simply sent next time.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from http import HTTPStatus

from contributor_tools.answers import Accepted, Refused
from contributor_tools.client import Client, NotSent
from contributor_tools.console import say
from contributor_tools.payloads import Outgoing
from contributor_tools.receipt_folder import ReceiptFolder

STOP_AFTER_FORBIDDEN = 20
"""Rows refused with 403 in a row that end a run. One alone may be about that row (its
size); so many are about the invite (revoked, expired, used up)."""

_TICK_SECONDS = 0.1


class Delivery:
    """One run over one file.

    Args:
        make_client: Called once a worker.
        stop: Set to end the run; the clients' waiting ends with it.
        receipts: Where to keep them; None to ask for none.

    Attributes:
        accepted: Lines of the rows the pod keeps.
        rejected: Why, by line, of rows that were refused for what they are.
        stopped: What ended the run before the last row; None if nothing did.
    """

    def __init__(
        self, make_client: Callable[[], Client], stop: threading.Event, receipts: ReceiptFolder | None = None
    ) -> None:
        self.accepted: set[int] = set()
        self.rejected: dict[int, str] = {}
        self.stopped: Refused | NotSent | None = None
        self._outgoing: Iterator[Outgoing] = iter(())
        self._make_client = make_client
        self._stop = stop
        self._receipts = receipts
        self._lock = threading.Lock()
        # Refused with 403: about their rows, unless the same sentence ends the run.
        self._forbidden: dict[int, str] = {}
        self._forbidden_in_a_row = 0
        self._failure: BaseException | None = None

    @property
    def decided(self) -> int:
        """Rows accepted or rejected so far."""
        return len(self.accepted) + len(self.rejected) + len(self._forbidden)

    def run(self, outgoing: Iterator[Outgoing], connections: int, tick: Callable[[], None]) -> None:
        """Send until done or stopped; in-flight rows are finished either way.

        Args:
            outgoing: The rows; taken under a lock, so it need not be thread-safe.
            connections: Workers, each with a connection of its own.
            tick: Called about ten times a second, in this thread.

        Raises:
            KeyboardInterrupt: Ctrl-C, once: after what was on its way; twice: at once.
            MalformedError: The file changed meanwhile.
            StorageError: A receipt could not be written.
        """
        self._outgoing = outgoing
        # Daemons: the second Ctrl-C must not wait for a server that is silent.
        workers = [threading.Thread(target=self._work, daemon=True) for _ in range(connections)]
        try:
            for worker in workers:
                worker.start()
            self._join(workers, tick)
        except KeyboardInterrupt:
            self._stop.set()
            say("interrupted: finishing what is on its way; Ctrl-C again stops at once")
            self._join(workers, tick)
            raise
        finally:
            with self._lock:
                self._settle()
        if self._failure is not None:
            raise self._failure

    def _join(self, workers: list[threading.Thread], tick: Callable[[], None]) -> None:
        for worker in workers:
            while worker.is_alive():
                worker.join(_TICK_SECONDS)
                tick()

    def _work(self) -> None:
        try:
            with self._make_client() as client:
                while (row := self._next()) is not None:
                    result = client.send_item(row.payload, wants_receipt=self._receipts is not None)
                    if isinstance(result, Accepted) and self._receipts is not None:
                        self._receipts.keep(row, result.receipt, result.promise)
                    self._record(row, result)
        except BaseException as exc:  # noqa: BLE001  # carried to the thread that called run, and raised there
            self._failure = exc
            self._stop.set()

    def _next(self) -> Outgoing | None:
        with self._lock:
            return None if self._stop.is_set() else next(self._outgoing, None)

    def _record(self, row: Outgoing, result: Accepted | Refused | NotSent) -> None:
        with self._lock:
            if isinstance(result, Accepted):
                self.accepted.add(row.line)
                self._forbidden_in_a_row = 0
            elif isinstance(result, Refused) and result.is_about_item:
                self.rejected[row.line] = result.sentence
            elif isinstance(result, Refused) and result.is_about_permission:
                self._forbidden[row.line] = result.sentence
                self._forbidden_in_a_row += 1
                if self._forbidden_in_a_row >= STOP_AFTER_FORBIDDEN:
                    self._end(result)
            else:
                self._end(result)

    def _end(self, result: Refused | NotSent) -> None:
        if not self._stop.is_set():
            self.stopped = result
            self._stop.set()

    def _settle(self) -> None:
        if self._forbidden and not self.accepted and self.stopped is None:
            sentence = next(iter(self._forbidden.values()))
            self.stopped = Refused(HTTPStatus.FORBIDDEN, sentence)
        ending = self.stopped.sentence if isinstance(self.stopped, Refused) else None
        self.rejected |= {line: reason for line, reason in self._forbidden.items() if reason != ending}
        self._forbidden.clear()
