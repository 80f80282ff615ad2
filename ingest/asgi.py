"""The ASGI 3.0 shapes the door uses, and the answers it sends.

Built once where they can be: an answer is two messages, and most answers
differ in nothing. Statuses come from ``ingest.problems``. Headers follow
FORMAT.md, "The wire", "CORS": any origin, never credentials.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, NamedTuple

import msgspec

from ingest.problems import NO_CONTENT, OK, Problem

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

RECEIPT_HEADER = b"pod-receipt"
PROMISE_HEADER = b"pod-promise"
PREFLIGHT_SECONDS = b"86400"
"""A day; browsers cap it lower (Chromium at 7,200 s)."""

_CORS = [
    (b"access-control-allow-origin", b"*"),
    (b"access-control-expose-headers", b"Pod-Promise, Pod-Receipt, Retry-After"),
]
_JSON = [(b"content-type", b"application/json"), *_CORS]
_TEXT = [(b"content-type", b"text/plain; charset=utf-8"), *_CORS]


class Reply(NamedTuple):
    """One answer, ready to send.

    Attributes:
        status: HTTP status, for the log.
        start: The ``http.response.start`` message.
        body: The ``http.response.body`` message.
    """

    status: int
    start: Message
    body: Message


def _reply(status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> Reply:
    start = {"type": "http.response.start", "status": status, "headers": headers}
    return Reply(status, start, {"type": "http.response.body", "body": body})


_ACCEPTED = _reply(OK, _JSON, b"").start

PREFLIGHT = _reply(
    NO_CONTENT,
    [
        *_CORS,
        (b"access-control-allow-methods", b"GET, POST"),
        (b"access-control-allow-headers", b"Content-Type, Pod-Receipt"),
        (b"access-control-max-age", PREFLIGHT_SECONDS),
    ],
    b"",
)
"""The answer to OPTIONS on both calls."""


def json_reply(content: object) -> Reply:
    """A 200 with ``content`` as JSON."""
    return _reply(OK, _JSON, msgspec.json.encode(content))


def id_reply(item_id: str, receipt: str | None, promise: str | None = None) -> Reply:
    """The 200 of create_item: one bare JSON string.

    Args:
        item_id: 6 to 36 characters that need no escape in JSON.
        receipt: Base64, or None when none was asked for or there is none.
        promise: Likewise; what a function gives in its place.
    """
    body = {"type": "http.response.body", "body": f'"{item_id}"'.encode()}
    if receipt is None and promise is None:
        return Reply(OK, _ACCEPTED, body)
    proofs = [(RECEIPT_HEADER, receipt), (PROMISE_HEADER, promise)]
    headers = [*_JSON, *((name, value.encode()) for name, value in proofs if value is not None)]
    return Reply(OK, {"type": "http.response.start", "status": OK, "headers": headers}, body)


def problem_reply(problem: Problem) -> Reply:
    """A refusal: ``Failure: `` and its sentence, or an empty body where it has none."""
    headers = list(_TEXT if problem.sentence else _CORS)
    if problem.retry_after is not None:
        headers.append((b"retry-after", str(problem.retry_after).encode()))
    if problem.allow is not None:
        headers.append((b"allow", problem.allow.encode()))
    if problem.is_closing:
        headers.append((b"connection", b"close"))
    body = f"Failure: {problem.sentence}".encode() if problem.sentence else b""
    headers.append((b"content-length", str(len(body)).encode()))
    return _reply(problem.status, headers, body)
