"""The sending half of `send`: declare, deliver, and account for every row.

It begins when the contributor has agreed. Nothing here asks or reads options.
"""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Callable, Iterator

import msgspec

from contributor_tools.address import Address
from contributor_tools.answers import Refused
from contributor_tools.client import Client
from contributor_tools.console import say
from contributor_tools.declaring import declare
from contributor_tools.delivery import Delivery
from contributor_tools.patience import FIRST_SECONDS, Patience
from contributor_tools.payloads import Outgoing, Rejected, payloads
from contributor_tools.preview import Survey
from contributor_tools.progress import progress
from contributor_tools.receipt_folder import ReceiptFolder
from contributor_tools.summary import ReceiptTally, Summary
from contributor_tools.tables import Table
from vault.columns import Column
from vault.links import Invite


class Source(msgspec.Struct, frozen=True):
    """An open file and how its rows become items.

    Attributes:
        table: Its rows.
        columns: With the types they are sent as.
        id_key: D(K,"id"), 32 bytes. Never shown.
    """

    table: Table
    columns: list[Column]
    id_key: bytes

    def rows(self) -> Iterator[Outgoing | Rejected]:
        """Yield all rows from the beginning."""
        return payloads(self.table, self.columns, self.id_key)

    def with_columns(self, columns: list[Column]) -> Source:
        """The same file, its columns of other types."""
        return Source(self.table, columns, self.id_key)


class Run:
    """One run over one file.

    Args:
        address: Where to.
        invite: With what key.
        connections: How many at most.
        first_seconds: Longest wait for the server's first answer of any kind.
        receipts: Where to keep receipts; None to ask for none.
        clock: Monotonic seconds.

    Attributes:
        rejected: Why, by line, of rows refused here or by the pod for what they are.
        left: Likewise of rows another invite must send, because the pod has the others already.
    """

    def __init__(
        self,
        address: Address,
        invite: Invite,
        *,
        connections: int,
        first_seconds: float = FIRST_SECONDS,
        receipts: ReceiptFolder | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.rejected: dict[int, str] = {}
        self.left: dict[int, str] = {}
        self._address = address
        self._invite = invite
        self._connections = connections
        self._receipts = receipts
        self._clock = clock
        self._started = clock()
        self._stop = threading.Event()
        self._patience = Patience(clock, first_seconds=first_seconds)
        self._tls = ssl.create_default_context()

    def send(self, source: Source, found: Survey) -> Summary:
        """Declare, then send every row that can be sent.

        Args:
            source: The file.
            found: What it comes to; at least one row.

        Returns:
            What became of the rows. Ctrl-C is one of the ways a run ends.

        Raises:
            MalformedError: The file changed meanwhile.
            StorageError: A receipt could not be written.
        """
        delivery = Delivery(self._client, self._stop, self._receipts)
        is_interrupted = False
        try:
            self._declare_and_deliver(delivery, source, found)
        except KeyboardInterrupt:
            is_interrupted = True
        self.rejected.update(delivery.rejected)
        accepted = len(delivery.accepted)
        if isinstance(delivery.stopped, Refused) and accepted:
            self._note_what_is_left(delivery, source)
        return Summary(
            accepted=accepted,
            rejected=len(self.rejected),
            not_sent=found.count + len(found.rejected) - accepted - len(self.rejected),
            seconds=self._clock() - self._started,
            stopped=delivery.stopped,
            is_interrupted=is_interrupted,
            receipts=None if self._receipts is None else _tally(self._receipts),
        )

    def _client(self) -> Client:
        return Client(
            self._address, self._invite, tls=self._tls, patience=self._patience, wait=self._stop.wait
        )

    def _declare_and_deliver(self, delivery: Delivery, source: Source, found: Survey) -> None:
        ((item_type, _),) = found.types.most_common(1)
        with self._client() as client:
            declared = declare(client, source.columns, found.used, item_type)
        for note in declared.notes:
            say(f"note: {note}")
        delivery.stopped = declared.stopped
        if declared.stopped is None:
            self._deliver(delivery, source.with_columns(declared.columns), found.count)
        if declared.advice is not None and delivery.rejected:
            say(f"note: {declared.advice}")

    def _deliver(self, delivery: Delivery, source: Source, count: int) -> None:
        with progress(count, self._clock) as report:
            delivery.run(
                self._sendable(source), min(self._connections, count), lambda: report(delivery.decided)
            )

    def _note_what_is_left(self, delivery: Delivery, source: Source) -> None:
        # A new invite has other ids: it would store again what this one stored.
        for row in source.table.rows():
            if row.line not in delivery.accepted and row.line not in self.rejected:
                self.left[row.line] = "not sent with the invite that was refused"

    def _sendable(self, source: Source) -> Iterator[Outgoing]:
        for row in source.rows():
            if isinstance(row, Outgoing):
                yield row
            else:
                self.rejected[row.line] = row.reason


def _tally(receipts: ReceiptFolder) -> ReceiptTally:
    faults = receipts.faults
    first = min(faults, default=None)
    return ReceiptTally(
        folder=str(receipts.path),
        kept=len(receipts.kept),
        lacking=len(faults),
        fault=None if first is None else f"line {first}: {faults[first]}",
    )
