"""Reading a request's body within limits of size, time and memory.

The end of a body is a message that says so. A disconnect is never one: what
arrived before it is dropped. FORMAT.md, "The wire", "Errors".
"""

from __future__ import annotations

import asyncio

from ingest.asgi import Message, Receive
from ingest.deadline import Deadline
from ingest.problems import BODIES_FULL, CUT_OFF, TOO_SLOW, Refused, too_large

FREE_BYTES = 4 << 10
"""Of each body this much is not counted against the budget, so that small items pass
while large ones fill it; the number of connections bounds the sum."""
BUDGET_BYTES = 64 << 20
"""Bytes of large bodies held at once: 64 bodies of the default limit."""
LINGER_SECONDS = 1.0
LINGER_BYTES = 16 << 20
"""How long and how far a body that was refused unread is still drained. Closing at
once would reset the connection under a client that is still sending, which then
never reads why."""


def _chunk(message: Message) -> tuple[bytes, bool]:
    if message["type"] != "http.request":
        raise Refused(CUT_OFF)
    return message.get("body", b""), message.get("more_body", False)


class Bodies:
    """Reads the bodies of one server.

    Args:
        max_bytes: Largest body.
        seconds: How long one body may take.
    """

    __slots__ = ("_deadline", "_held_bytes", "max_bytes")

    def __init__(self, max_bytes: int, seconds: float) -> None:
        self.max_bytes = max_bytes
        self._deadline = Deadline(seconds)
        self._held_bytes = 0

    async def read(self, receive: Receive, expected_bytes: int | None) -> bytes:
        """Read one body.

        Args:
            receive: The request's ASGI callable.
            expected_bytes: Its Content-Length, or None when it has none.

        Raises:
            Refused: 413 over the limit (before reading, where Content-Length
                says so), 408 too slow, 503 too many large bodies at once, 400
                when the client is gone.
        """
        if expected_bytes is not None and expected_bytes > self.max_bytes:
            raise Refused(too_large(self.max_bytes))
        try:
            with self._deadline:
                first, is_more = _chunk(await receive())
                if is_more and len(first) != expected_bytes:
                    return await self._read_on(receive, first, expected_bytes)
        except TimeoutError:
            raise Refused(TOO_SLOW) from None
        return self._checked(first)

    def _checked(self, body: bytes) -> bytes:
        if len(body) > self.max_bytes:
            raise Refused(too_large(self.max_bytes))
        return body

    async def _read_on(self, receive: Receive, first: bytes, expected_bytes: int | None) -> bytes:
        chunks, size, held, is_more = [first], len(first), 0, True
        try:
            while is_more and size != expected_bytes:
                if size > self.max_bytes:
                    raise Refused(too_large(self.max_bytes))
                held = self._hold(held, size - FREE_BYTES)
                chunk, is_more = _chunk(await receive())
                chunks.append(chunk)
                size += len(chunk)
            return self._checked(b"".join(chunks))
        finally:
            self._held_bytes -= held

    def _hold(self, held: int, wanted: int) -> int:
        more = max(wanted, 0) - held
        if self._held_bytes + more > BUDGET_BYTES:
            raise Refused(BODIES_FULL)
        self._held_bytes += more
        return held + more


async def drain(receive: Receive) -> None:
    """Discard what is left of a body that was refused unread, within bounds."""
    size, is_more = 0, True
    try:
        async with asyncio.timeout(LINGER_SECONDS):
            while is_more and size < LINGER_BYTES:
                chunk, is_more = _chunk(await receive())
                size += len(chunk)
    except (TimeoutError, Refused):
        return
