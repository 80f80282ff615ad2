"""The wire's `create_item` from a contributor's side, over one kept connection.

A request is repeated until it is decided. The id in the payload makes that
safe: the same item again is answered 200 and stored once. What is not here:
files, types, many connections at once (`contributor_tools.delivery`), and
checking receipts. The database key goes into the request's body and nowhere
else: no error, repr or log holds it.
"""

from __future__ import annotations

import http.client
import ssl
from collections.abc import Callable, Mapping
from contextlib import suppress
from types import TracebackType
from typing import Self

import msgspec

from contributor_tools.address import Address
from contributor_tools.answers import Accepted, Refused, Reply, TryLater, judge
from contributor_tools.patience import Patience, backoff_seconds
from vault.links import Invite
from vault.properties import Scalar

MAX_ANSWER_BYTES = 65_536
"""Most bytes read of an answer's body; the wire's are an id or a sentence."""

Payload = Mapping[str, Scalar | None]


class NotSent(msgspec.Struct, frozen=True):
    """Nobody decided; the same item can be sent later, nothing is lost.

    Attributes:
        sentence: What stood in the way. Untrusted.
    """

    sentence: str


class Client:
    """One connection to one pod. Not shared between threads.

    Args:
        address: Where, from `parse_address`, which refuses unsafe ones.
        invite: Owner key and database key.
        tls: Verifies certificates. Shared: it is slow to make.
        patience: Shared by all clients of a run.
        wait: Sleeps so many seconds; true if the run was stopped meanwhile.
    """

    __slots__ = ("_connection", "_invite", "_path", "_patience", "_wait")

    def __init__(
        self,
        address: Address,
        invite: Invite,
        *,
        tls: ssl.SSLContext,
        patience: Patience,
        wait: Callable[[float], bool],
    ) -> None:
        self._connection = address.connection(tls)
        self._path = f"{address.path}/v4/{invite.owner_key.hex}/create_item"
        self._invite = invite
        self._patience = patience
        self._wait = wait

    def __repr__(self) -> str:
        return f"Client({self._connection.host}, **redacted**)"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()

    def send_item(self, payload: Payload, *, wants_receipt: bool = False) -> Accepted | Refused | NotSent:
        """Send one item until it is decided.

        Args:
            payload: As the wire has it. Without an id, an answer that is lost
                on its way makes a second item; so give it one.
            wants_receipt: Whether to ask for a receipt.

        Returns:
            Accepted, Refused, or NotSent when the run's patience ended, the
            run was stopped, or the server's certificate is not valid.
        """
        failures = 0
        while True:
            outcome = self._try(payload, wants_receipt=wants_receipt)
            if not isinstance(outcome, TryLater):
                return outcome
            failures += 1
            delay = max(outcome.retry_after_seconds or 0.0, backoff_seconds(failures))
            if not self._patience.allows(delay) or self._wait(delay):
                return NotSent(outcome.sentence)

    def _try(self, payload: Payload, *, wants_receipt: bool) -> Accepted | Refused | NotSent | TryLater:
        try:
            reply = self._exchange(self._body(payload), wants_receipt=wants_receipt)
        except ssl.SSLCertVerificationError as exc:
            self._connection.close()
            return NotSent(f"the server's certificate is not valid: {exc.verify_message}")
        except (OSError, http.client.HTTPException) as exc:
            self._connection.close()
            return TryLater(f"the server cannot be reached: {_reason(exc)}")
        outcome = judge(reply, _text_or_none(payload.get("id")))
        if isinstance(outcome, TryLater):
            self._patience.answered()
        else:
            self._patience.progressed()
        return outcome

    def _body(self, payload: Payload) -> bytes:
        key = self._invite.database_key.reveal().hex()
        return msgspec.json.encode({"auth": {"type": "ClientAuth", "databaseKey": key}, "payload": payload})

    def _exchange(self, body: bytes, *, wants_receipt: bool) -> Reply:
        is_kept = self._connection.sock is not None
        try:
            return self._exchange_once(body, wants_receipt=wants_receipt)
        except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
            # A kept connection may have been closed while it was idle; that says nothing about the server.
            if not is_kept:
                raise
        self._connection.close()
        return self._exchange_once(body, wants_receipt=wants_receipt)

    def _exchange_once(self, body: bytes, *, wants_receipt: bool) -> Reply:
        headers = {"Content-Type": "application/json", **({"Pod-Receipt": "1"} if wants_receipt else {})}
        # A body that is too large is answered, and the connection closed, before all of it was sent.
        with suppress(BrokenPipeError, ConnectionResetError):
            self._connection.request("POST", self._path, body, headers)
        response = self._connection.getresponse()
        content = response.read(MAX_ANSWER_BYTES)
        if response.length and len(content) < MAX_ANSWER_BYTES:
            raise http.client.IncompleteRead(content, response.length)
        if not response.isclosed():
            # What was not read would be taken for the next answer.
            self._connection.close()
        return Reply(
            response.status,
            content,
            response.getheader("Retry-After"),
            response.getheader("Pod-Receipt"),
            response.getheader("Pod-Promise"),
        )


def _text_or_none(value: Scalar | None) -> str | None:
    return value if isinstance(value, str) else None


def _reason(exc: Exception) -> str:
    if isinstance(exc, OSError) and exc.strerror:
        return exc.strerror
    return "it took too long" if isinstance(exc, TimeoutError) else "the connection broke"
