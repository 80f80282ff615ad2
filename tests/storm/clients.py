"""Clients of a storm: they send good items, bad ones and conflicts, and send again what was not answered.

A client outlives the server it talks to: it waits for the next one and goes on
with the item whose answer it never read, the same bytes under the same id.
"""

from __future__ import annotations

import contextlib
import http.client
import random
import threading
import time
from collections.abc import Callable, Mapping

from tests.storm.promises import Promises, Traffic
from tests.support.server import envelope
from vault.links import Invite

OK, BAD_REQUEST, CONFLICT, BUSY = 200, 400, 409, 503
LONGEST_TEXT = 3_000
RECEIPTS_EVERY = 7
TIMEOUT_SECONDS = 20.0
RETRY_SECONDS = (0.03, 0.15)


class StormClient(threading.Thread):
    """Sends until told to stop.

    Args:
        name: Distinguishes its ids.
        invite: Whom it sends as.
        promises: Shared.
        traffic: Shared.
        port: Where the server listens now; None while there is none.
        seed: Of its choices.
        receipts_every: Of how many items one asks for a receipt.
        pause_seconds: Between two items.
    """

    def __init__(
        self,
        name: str,
        invite: Invite,
        promises: Promises,
        traffic: Traffic,
        *,
        port: Callable[[], int | None],
        seed: str,
        receipts_every: int = RECEIPTS_EVERY,
        pause_seconds: float = 0.0,
    ) -> None:
        super().__init__(name=name, daemon=True)
        self._path = f"/v4/{invite.owner_key.hex}/create_item"
        self._key = invite.database_key.reveal().hex()
        self._promises = promises
        self._traffic = traffic
        self._receipts_every = receipts_every
        self._pause_seconds = pause_seconds
        self._port = port
        self._chance = random.Random(seed)  # noqa: S311  # a storm must repeat itself
        self._count = 0
        self._said = b""
        self._stopping = threading.Event()

    def stop(self) -> None:
        """End after the item that is under way."""
        self._stopping.set()

    def run(self) -> None:
        """Send one item after the other, each until it is answered."""
        while not self._stopping.wait(self._pause_seconds):
            self._count += 1
            self._deliver(f"{self.name}-{self._count:07d}")

    def _deliver(self, item_id: str) -> None:
        text = f"{item_id} {'x' * self._chance.randrange(LONGEST_TEXT)}"
        self._promises.texts[item_id] = text
        headers = {} if self._count % self._receipts_every else {"Pod-Receipt": "1"}
        payload = {"type": "Note", "id": item_id, "text": text}
        response = self._until_answered(payload, headers)
        if response is None:
            return
        self._promises.acknowledged.add(item_id)
        # A function gives a promise in its place.
        if receipt := response.getheader("Pod-Receipt") or response.getheader("Pod-Promise"):
            self._promises.receipts[item_id] = receipt
        if self._chance.random() < 0.1:  # a tenth is followed by something that must be refused
            self._be_refused(item_id)

    def _be_refused(self, item_id: str) -> None:
        """Send other content under an id that is taken, or a value of another type."""
        forbidden = f"forbidden {item_id} {self._chance.random()}"
        self._promises.forbidden.add(forbidden)
        is_conflict = self._chance.random() < 0.5  # half and half
        payload: dict[str, object] = {"type": "Note", "text": forbidden}
        payload |= {"id": item_id} if is_conflict else {"deleted": 7}
        expected = CONFLICT if is_conflict else BAD_REQUEST
        self._until_answered(payload, {}, accepted=expected)

    def _until_answered(
        self, payload: Mapping[str, object], headers: Mapping[str, str], accepted: int = OK
    ) -> http.client.HTTPResponse | None:
        """Send the same bytes until they are answered for good; None if the storm ended first.

        Another answer than ``accepted``, a 503 or none is a fault, and ends this client.
        """
        body = envelope(self._key, payload)
        while not self._stopping.is_set():
            response = self._ask(body, headers)
            if response is not None:
                self._traffic.statuses[response.status] += 1
                if response.status == accepted:
                    return response
                if response.status != BUSY:
                    fault = f"{self.name}: {response.status} instead of {accepted}: {self._said!r}"
                    self._promises.faults.append(fault)
                    self.stop()
            time.sleep(self._chance.uniform(*RETRY_SECONDS))
        return None

    def _ask(self, body: bytes, headers: Mapping[str, str]) -> http.client.HTTPResponse | None:
        port = self._port()
        if port is None:
            return None
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_SECONDS)
        with contextlib.closing(connection):
            try:
                connection.request("POST", self._path, body, dict(headers))
                response = connection.getresponse()
                self._said = response.read()
            except (OSError, http.client.HTTPException):
                self._traffic.unanswered += 1
                return None
            return response
