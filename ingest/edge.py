"""The edge: what can be decided from a request's head, before anything else sees it.

Two paths are known; everything else is an empty 404, answered without reading
the body. Paths are compared as they were sent: percent-escapes are not
decoded, so that ``%2F`` parts nothing and ``%00`` ends nothing. Exactly one
Host, no Content-Encoding. OPTIONS is answered here for both calls. Query
strings are ignored. FORMAT.md, "The wire".

An item is handed to its route's handler at once: the framework would match its
path again and guard against errors the door answers itself, in a fifth of the
time the event loop has for a request.
docs/decisions/an-item-takes-the-short-way.md.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import NamedTuple

from ingest.asgi import PREFLIGHT, RECEIPT_HEADER, Application, Receive, Scope, Send
from ingest.door import CALL_KEY, Call, send_problem
from ingest.logs import Log
from ingest.problems import (
    BAD_LENGTH,
    NO_ENCODING,
    NOT_FOUND,
    ONE_HOST,
    Problem,
    Refused,
    ending,
    wrong_method,
)
from ingest.throttle import Throttle

# A superset of RFC 3986 host and port; the framework refuses a few more with answers of its own.
_HOST = re.compile(rb"\A[A-Za-z0-9._~:%\[\]-]{1,300}\Z")
MOST_LENGTH_DIGITS = 15
_BEFORE_OWNER, _AFTER_OWNER = b"/v4/", b"/create_item"
ITEM_MOUNT = "/v4"
"""Where the framework has the route of create_item."""


class _Route(NamedTuple):
    mount: str
    method: str


_ITEM, _VERSION = _Route(ITEM_MOUNT, "POST"), _Route("/version", "GET")


def _find(raw_path: bytes) -> tuple[_Route, bytes]:
    """The route of a path, and the owner segment in it.

    Raises:
        Refused: 404; no path that is known.
    """
    path = raw_path.removesuffix(b"/")
    if path.startswith(_BEFORE_OWNER) and path.endswith(_AFTER_OWNER):
        owner = path[len(_BEFORE_OWNER) : -len(_AFTER_OWNER)]
        if owner and b"/" not in owner:
            return _ITEM, owner
    elif path == b"/version":
        return _VERSION, b""
    raise Refused(NOT_FOUND)


def _length(value: bytes) -> int:
    # Of bytes, these are 0 to 9 only.
    if not value.isdigit() or len(value) > MOST_LENGTH_DIGITS:
        raise Refused(BAD_LENGTH)
    return int(value)


def _call(owner: bytes, headers: Iterable[tuple[bytes, bytes]], began: float) -> Call:
    """Read the headers that matter, in one pass.

    Raises:
        Refused: Not exactly one Host, a Content-Encoding, or a length that is no number.
    """
    hosts, length, wants_receipt = [], None, False
    for name, value in headers:
        if name == b"host":
            hosts.append(value)
        elif name == b"content-length":
            length = _length(value)
        elif name == RECEIPT_HEADER:
            wants_receipt = value == b"1"
        elif name == b"content-encoding" and value.lower() != b"identity":
            raise Refused(NO_ENCODING)
    if len(hosts) != 1 or not _HOST.match(hosts[0]):
        raise Refused(ONE_HOST)
    return Call(owner, length, wants_receipt, began)


class Edge:
    """The outermost ASGI application.

    Args:
        app: Gets all but items: requests to known paths, with their ``Call`` in the scope.
        store: Gets items likewise: what the route of create_item leads to.
        log: Counts what is answered here.
        clock: Monotone seconds.
        throttle: What is answered here waits there.
    """

    def __init__(
        self,
        app: Application,
        store: Application,
        *,
        log: Log,
        clock: Callable[[], float],
        throttle: Throttle,
    ) -> None:
        self._app = app
        self._store = store
        self._log = log
        self._clock = clock
        self._throttle = throttle

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or hand it on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            is_preflight = self._prepare(scope)
        except Refused as refused:
            await self._refuse(refused.problem, scope, receive, send)
            return
        if is_preflight:
            await self._throttle.hold(scope)
            await send(PREFLIGHT.start)
            await send(PREFLIGHT.body)
            self._log.counted(PREFLIGHT.status)
            return
        await (self._store if scope["path"] == ITEM_MOUNT else self._app)(scope, receive, send)

    def _prepare(self, scope: Scope) -> bool:
        """Point the scope at a mount and leave the ``Call`` in it; True for a preflight."""
        route, owner = _find(scope["raw_path"])
        call = _call(owner, scope["headers"], self._clock())
        if scope["method"] == "OPTIONS":
            return True
        if scope["method"] != route.method:
            raise Refused(wrong_method(route.method))
        # The mount alone: the framework's routing cache then holds two entries, not every owner.
        scope["path"] = route.mount
        scope[CALL_KEY] = call
        return False

    async def _refuse(self, problem: Problem, scope: Scope, receive: Receive, send: Send) -> None:
        self._log.counted(problem.status)
        is_in_turn = await self._throttle.hold(scope)
        await send_problem(problem if is_in_turn else ending(problem), receive, send)
