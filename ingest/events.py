"""Events of a function: HTTP requests as a cloud's front door hands them on, and answers as it takes them.

Payload format 2.0 of API Gateway's HTTP APIs and of function URLs. An event is
what whoever may invoke the function sent: it is decoded typed, and one that is
no request is answered, not raised, because an error of the handler would be
shown with its text. https://docs.aws.amazon.com/apigateway/, "Working with
AWS Lambda proxy integrations for HTTP APIs".
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from typing import Any, Literal

import msgspec

from ingest.asgi import Message, Receive, Scope, problem_reply
from ingest.problems import BAD_BASE64, NO_REQUEST, Problem, Refused

_LEFT_OUT = frozenset((b"connection", b"content-length"))
"""The front door's own."""


class _Http(msgspec.Struct):
    method: str


class _Context(msgspec.Struct):
    http: _Http


class _Event(msgspec.Struct):
    version: Literal["2.0"]
    path: str = msgspec.field(name="rawPath")
    context: _Context = msgspec.field(name="requestContext")
    headers: dict[str, str] = {}
    body: str | None = None
    is_base64: bool = msgspec.field(name="isBase64Encoded", default=False)


def _bytes_of(text: str) -> bytes:
    # A lone surrogate, which JSON can escape, becomes bytes that are no UTF-8 and are refused as such.
    return text.encode("utf-8", "surrogatepass")


def _body_of(event: _Event) -> bytes:
    if not event.is_base64:
        return _bytes_of(event.body or "")
    try:
        return base64.b64decode(event.body or "", validate=True)
    except (binascii.Error, ValueError):
        raise Refused(BAD_BASE64) from None


def request_of(event: object) -> tuple[Scope, Receive]:
    """The request in an event, as a server gives it to an application.

    Args:
        event: Untrusted, decoded JSON.

    Raises:
        Refused: 400; it is no HTTP request of payload format 2.0, or its body no base64.
    """
    try:
        read = msgspec.convert(event, _Event)
    except (msgspec.ValidationError, RecursionError):
        raise Refused(NO_REQUEST) from None
    body = _body_of(read)
    scope: Scope = {
        "type": "http",
        "method": read.context.http.method,
        "path": "",
        "raw_path": _bytes_of(read.path),
        "query_string": b"",
        "headers": [(_bytes_of(name.lower()), _bytes_of(value)) for name, value in read.headers.items()],
        "client": None,
    }
    return scope, _receiving(body)


def _receiving(body: bytes) -> Receive:
    waiting = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Message:
        return waiting.pop() if waiting else {"type": "http.disconnect"}

    return receive


def response_of(sent: Sequence[Message]) -> dict[str, Any]:
    """What an application sent, as a front door takes it.

    Args:
        sent: Its messages for one request: a start, and one or more of body.
    """
    start, *parts = sent
    headers = {
        name.decode("latin-1"): value.decode("latin-1")
        for name, value in start["headers"]
        if name not in _LEFT_OUT
    }
    return {
        "statusCode": start["status"],
        "headers": headers,
        "body": b"".join(part.get("body", b"") for part in parts).decode(),
        "isBase64Encoded": False,
    }


def refusal_of(problem: Problem) -> dict[str, Any]:
    """A problem as a front door takes it."""
    reply = problem_reply(problem)
    return response_of([reply.start, reply.body])
