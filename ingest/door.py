"""The outer door: every request to a known call passes here, and gets one answer.

What a handler refuses becomes a problem's bytes; what it did not foresee
becomes a 500 that names a line of the log and nothing else. The door holds the
services the handlers use, and knows no path and no item. FORMAT.md, "The
wire".
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import NamedTuple

import msgspec

from ingest.admission import Admission, Admissions
from ingest.asgi import Receive, Reply, Scope, Send, problem_reply
from ingest.body import Bodies, drain
from ingest.logs import Log
from ingest.origins import Origins
from ingest.problems import RATE_OVER_LIMIT, Problem, Refused, ending, spread, too_fast, unexpected
from ingest.registry import Registry
from ingest.settings import Settings
from ingest.throttle import Throttle
from vault.keys import DatabaseKey

CALL_KEY = "shared_pod.call"
"""Where the edge leaves a request's ``Call`` in its ASGI scope."""


class Call(msgspec.Struct):
    """What the edge learned from a request's head.

    Attributes:
        unverified_owner: The path's owner segment, not percent-decoded; empty for version.
        expected_bytes: Content-Length; None without one.
        wants_receipt: Whether ``Pod-Receipt: 1`` was sent.
        began: Monotone seconds.
        owner: The owner key's 32 bytes, or zeros; empty until known.
        body_bytes: Length of the body once it was read.
        is_vouched: Whether its key opened a slot.
    """

    unverified_owner: bytes
    expected_bytes: int | None
    wants_receipt: bool
    began: float
    owner: bytes = b""
    body_bytes: int = 0
    is_vouched: bool = False


class Tools(NamedTuple):
    """What the door works with; clocks and randomness are passed in.

    Attributes:
        now_ms: UTC milliseconds.
        clock: Monotone seconds.
        entropy: Source of randomness.
        log: The server's.
    """

    now_ms: Callable[[], int]
    clock: Callable[[], float]
    entropy: Callable[[int], bytes]
    log: Log


Handle = Callable[["Door", Call, Receive], Awaitable[Reply]]


class Door:
    """The services of one server, and the way requests pass through them.

    Args:
        settings: Limits.
        registry: The pods.
        tools: Clocks, randomness and the log.

    Attributes:
        registry: The pods.
        bodies: Reads bodies within the limits.
        admissions: Decides who may write.
        throttle: What no key vouches for waits there.
        tools: Clocks, randomness and the log.
    """

    def __init__(self, settings: Settings, registry: Registry, tools: Tools) -> None:
        self.registry = registry
        self.tools = tools
        self.bodies = Bodies(settings.max_body_bytes, settings.body_seconds)
        self.admissions = Admissions(registry.by_owner, tools.entropy(32))
        self.throttle = Throttle(settings.throttle, Origins(settings.trusted), tools.clock)

    def admit(self, call: Call, key: DatabaseKey) -> Admission:
        """Decide whether a key may write, and charge the request to its slot's rate.

        Args:
            call: With the owner and the length of the body; the key vouches for it from then on.
            key: The database key the client presented.

        Raises:
            Refused: The constant 403; 429 or 403 by the slot's rate; 503 when
                the pod cannot be used.
        """
        self.registry.check_usable(call.owner)
        admission = self.admissions.admit(call.owner, key, self.tools.now_ms())
        call.is_vouched = True
        self._charge(admission, call.body_bytes)
        self.registry.use(admission.pod)
        return admission

    def _charge(self, admission: Admission, body_bytes: int) -> None:
        rate = admission.slot.caveats.rate
        if rate is None:
            return
        if body_bytes > rate[1]:
            raise Refused(RATE_OVER_LIMIT)
        now = self.tools.clock()
        wait_seconds = admission.pod.meter(admission.slot.number, rate, now).charge(body_bytes, now)
        if wait_seconds:
            raise Refused(too_fast(wait_seconds))

    async def answer(self, handle: Handle, scope: Scope, receive: Receive, send: Send) -> None:
        """Run a handler and send its one answer.

        Args:
            handle: Returns the accepted answer, or raises ``Refused``.
            scope: Holds the edge's ``Call``.
            receive: ASGI.
            send: ASGI.
        """
        call: Call = scope[CALL_KEY]
        try:
            reply = await handle(self, call, receive)
        except Refused as refused:
            await self._refuse(refused.problem, scope, receive, send)
        except Exception as exc:  # noqa: BLE001  # the outer door: nothing a client sends ends a worker
            error_id = self.tools.log.failure("unexpected", exc)
            await self._refuse(unexpected(error_id), scope, receive, send)
        else:
            if not call.is_vouched:
                await self.throttle.hold(scope)
            await send(reply.start)
            await send(reply.body)
            self.tools.log.stored(call.owner, reply.status, call.body_bytes, self.tools.clock() - call.began)

    async def _refuse(self, problem: Problem, scope: Scope, receive: Receive, send: Send) -> None:
        call: Call = scope[CALL_KEY]
        self.tools.log.refused(call.owner, problem.status, call.body_bytes, self.tools.clock() - call.began)
        if not (call.is_vouched or await self.throttle.hold(scope)):
            problem = ending(problem)
        await send_problem(spread(problem, self.tools.entropy), receive, send)


async def send_problem(problem: Problem, receive: Receive, send: Send) -> None:
    """Send a problem; one that ends the connection waits a while for a client that is still sending."""
    reply = problem_reply(problem)
    await send(reply.start)
    if not problem.is_closing:
        await send(reply.body)
        return
    await send({**reply.body, "more_body": True})
    await drain(receive)
    await send({"type": "http.response.body", "body": b""})
