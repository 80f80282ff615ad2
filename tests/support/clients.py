"""Clients that load a server, remember every promise it made, and send again what it left open.

Each runs in a thread of its own with a kept connection. An item is *acknowledged*
once 200 was read; one whose answer never came is sent again, the same, to the
next server.
"""

from __future__ import annotations

import contextlib
import http.client
import itertools
import threading
from dataclasses import dataclass, field

from tests.support.server import envelope
from vault.links import Invite

OK = 200


@dataclass
class Promises:
    """What servers answered, over all clients and restarts.

    Attributes:
        sent: Id to text of everything that was ever sent.
        acknowledged: Ids that were answered 200.
        receipts: Id to receipt, of those that asked.
        refused: Statuses other than 200 and 503.
    """

    sent: dict[str, str] = field(default_factory=dict)
    acknowledged: set[str] = field(default_factory=set)
    receipts: dict[str, str] = field(default_factory=dict)
    refused: list[int] = field(default_factory=list)


class Client(threading.Thread):
    """Sends items until told to stop or until the connection ends.

    Args:
        number: Distinguishes its ids.
        invite: Whom it sends as.
        promises: Shared; each key is written by one client only.
    """

    def __init__(self, number: int, invite: Invite, promises: Promises) -> None:
        super().__init__(daemon=True)
        self._path = f"/v4/{invite.owner_key.hex}/create_item"
        self._key = invite.database_key.reveal().hex()
        self._promises = promises
        self._ids = (f"client-{number}-{i:06d}" for i in itertools.count())
        self._open: str | None = None
        self._port = 0
        self._stopping = threading.Event()

    def against(self, port: int) -> Client:
        """Return a fresh thread that goes on where this one stopped, at another port."""
        thread = Client.__new__(Client)
        threading.Thread.__init__(thread, daemon=True)
        thread.__dict__.update(
            {name: value for name, value in self.__dict__.items() if name in _KEPT},
            _port=port,
            _stopping=threading.Event(),
        )
        return thread

    def stop(self) -> None:
        """End after the item that is under way."""
        self._stopping.set()

    def run(self) -> None:
        """Send until stopped or cut off."""
        with contextlib.suppress(OSError, http.client.HTTPException):
            self._send_all()

    def _send_all(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=20)
        with contextlib.closing(connection):
            while not self._stopping.is_set():
                self._open = self._open or next(self._ids)
                self._send(connection, self._open)
                self._open = None

    def _send(self, connection: http.client.HTTPConnection, item_id: str) -> None:
        text = f"text of {item_id}"
        self._promises.sent[item_id] = text
        asks = {"Pod-Receipt": "1"} if item_id.endswith("0") else {}
        body = envelope(self._key, {"type": "Note", "id": item_id, "text": text})
        connection.request("POST", self._path, body, asks)
        response = connection.getresponse()
        response.read()
        if response.status == OK:
            self._promises.acknowledged.add(item_id)
            receipt = response.getheader("Pod-Receipt")
            if receipt:
                self._promises.receipts[item_id] = receipt
        else:
            self._promises.refused.append(response.status)


_KEPT = frozenset(("_path", "_key", "_promises", "_ids", "_open"))
