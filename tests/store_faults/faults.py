"""What goes wrong with one request between a store and whoever asks it, and how often.

Each fault is one of three kinds for whoever asks: the store never heard of the
request, it carried it out and nobody learns of it, or it did so, or not, and
says something else. Which one a request meets is drawn from a seed.
"""

from __future__ import annotations

import contextlib
import random
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

from tests.support.stores import (
    Between,
    Fault,
    Passing,
    conflict,
    done_and_slow_down,
    headless,
    lost,
    refused,
    slow_down,
)

PUT, LOOK, LIST, GET, OTHER = "put", "look", "list", "get", "other"
"""What is asked: an object put, its tags, a page of a list, an object; and all that is let pass."""

SKEW = timedelta(minutes=15)
"""Of a signature's date, as S3 allows it."""
OUTAGE_SECONDS = (0.3, 12.0)
"""A put is tried for eight."""
OUTAGE_EVERY_SECONDS = (8.0, 40.0)
_RESET = struct.pack("ii", 1, 0)
_HEAD = b"HTTP/1.1 %d X\r\nx-amz-request-id: 1\r\nContent-Type: application/xml\r\n"


def _error(code: str) -> bytes:
    return f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>x</Message></Error>".encode()


def _says(status: int, body: bytes) -> Fault:
    def say(passing: Passing) -> None:
        passing.give(status, [], body)

    return say


def _done_and(fault: Fault) -> Fault:
    """The store does it; what is said about it is something else."""

    def do(passing: Passing) -> None:
        passing.forward()
        fault(passing)

    return do


def _reset(passing: Passing) -> None:
    """The connection breaks, and with it whatever was under way."""
    passing.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    passing.connection.close()
    passing.cut()


def _cut_status(passing: Passing) -> None:
    """The answer ends within its first line."""
    passing.forward()
    passing.wfile.write(b"HTTP/1.1 20")
    passing.cut()


def _cut_body(passing: Passing) -> None:
    """The answer ends in the middle of what it said would come."""
    status, _, body = passing.forward()
    passing.wfile.write(_HEAD % status + b"Content-Length: %d\r\n\r\n" % len(body) + body[: len(body) // 2])
    passing.cut()


def _half(passing: Passing) -> None:
    """A body of half its length, in order for HTTP."""
    status, headers, body = passing.forward()
    passing.give(status, headers, body[: len(body) // 2])


def _page_again(passing: Passing) -> None:
    """The page before, in place of the one that follows it."""
    server = passing.server
    assert isinstance(server, Faulty)
    prefix, is_following = _place_in_list(passing)
    before = server.pages.get(prefix) if is_following else None
    passing.give(*(before or passing.forward()))


def _place_in_list(passing: Passing) -> tuple[str, bool]:
    """Of which prefix a page is asked for, and whether one came before it."""
    query = parse_qs(urlsplit(passing.path).query)
    return query.get("prefix", [""])[0], "continuation-token" in query


class Silence:
    """No answer, for longer than anybody waits.

    Args:
        is_done: Whether the store does it.
        is_late: Whether it does so only after whoever asked has given up.
    """

    def __init__(self, *, is_done: bool, is_late: bool = False) -> None:
        self._is_done = is_done
        self._is_late = is_late

    def __call__(self, passing: Passing) -> None:
        """Have it done, or not, and say nothing."""
        server = passing.server
        assert isinstance(server, Faulty)
        if self._is_done and not self._is_late:
            passing.forward()
        server.ended.wait(server.patience_seconds)
        if self._is_late:
            passing.forward()
        passing.cut()


SKEWED = _says(403, _error("RequestTimeTooSkewed"))
_SAID: Mapping[str, Fault] = {
    "503 SlowDown": slow_down,
    "500 InternalError": _says(500, _error("InternalError")),
    "502 of a proxy": _says(502, b"<html>Bad Gateway</html>"),
    "429": _says(429, _error("TooManyRequests")),
    "400 RequestTimeout": _says(400, _error("RequestTimeout")),
    "cut off before": refused,
    "reset before": _reset,
    "no answer": Silence(is_done=False),
}
"""The store never heard of it."""

_READ: Mapping[str, Fault] = {
    **_SAID,
    "cut off after": lost,
    "reset after": _done_and(_reset),
    "cut within the status": _cut_status,
    "cut within the headers": headless,
    "cut within the body": _cut_body,
}
"""Of what changes nothing: tags, lists, objects."""

FAULTS: Mapping[str, Mapping[str, Fault]] = {
    PUT: {
        **_SAID,
        "409 ConditionalRequestConflict": conflict,
        "403 RequestTimeTooSkewed": SKEWED,
        "done, cut off": lost,
        "done, reset": _done_and(_reset),
        "done, 503 SlowDown": done_and_slow_down,
        "done, 500 InternalError": _done_and(_says(500, _error("InternalError"))),
        "done, 502 of a proxy": _done_and(_says(502, b"<html>Bad Gateway</html>")),
        "done, cut within the status": _cut_status,
        "done, cut within the headers": headless,
        "done, no answer": Silence(is_done=True),
        "done after the time-out": Silence(is_done=True, is_late=True),
    },
    LOOK: _READ,
    LIST: {
        **_READ,
        "half a list": _half,
        "an error in a 200": _says(200, _error("InternalError")),
        "the page before": _page_again,
    },
    GET: _READ,
}
_SLOW = frozenset(
    name for table in FAULTS.values() for name, fault in table.items() if isinstance(fault, Silence)
)
SLOW_WEIGHT = 0.25
"""Of a fault that costs its client a time-out, beside others of weight 1."""


def operation_of(passing: Passing) -> str:
    """What a request asks of the store."""
    if passing.command == "PUT":
        return PUT
    query = parse_qs(urlsplit(passing.path).query, keep_blank_values=True)
    if passing.command != "GET" or not query.keys() <= {"tagging", "list-type", *_LISTING}:
        return OTHER
    return LOOK if "tagging" in query else LIST if "list-type" in query else GET


_LISTING = ("prefix", "continuation-token", "max-keys", "encoding-type", "x-id")


class Faulty(Between):
    """A way to a store on which requests meet faults.

    Args:
        target: The store's endpoint.
        seed: Of all that is drawn.
        share: Of the requests, how many meet one.
        patience_seconds: For how long silence lasts; longer than whoever asks waits.
        has_outages: Whether all requests fail for some seconds now and then.
        has_clock: Whether requests that were signed by a clock that is wrong are refused here; else
            the store does it.

    Attributes:
        share: As given; 0 lets all pass.
        met: How many requests met which fault, as ``operation: fault``.
        pages: The page of each prefix that was given last.
        ended: Set when silence is to end.
    """

    def __init__(
        self,
        target: str,
        seed: str,
        *,
        share: float,
        patience_seconds: float,
        has_outages: bool = False,
        has_clock: bool = True,
    ) -> None:
        super().__init__(target)
        self._chance = random.Random(seed)  # noqa: S311  # what it does must follow from its seed
        self._drawing = threading.Lock()
        self._has_outages = has_outages
        self._has_clock = has_clock
        self._turn = time.monotonic() + self._chance.uniform(*OUTAGE_EVERY_SECONDS)
        self._is_out = False
        self.share = share
        self.patience_seconds = patience_seconds
        self.met: Counter[str] = Counter()
        self.pages: dict[str, tuple[int, list[tuple[str, str]], bytes]] = {}
        self.ended = threading.Event()

    def next_fault(self, passing: Passing) -> Fault | None:
        """Draw what this request meets."""
        operation = operation_of(passing)
        if operation == OTHER:
            return None
        with self._drawing:
            name, fault = self._drawn(operation, passing)
            if name:
                self.met[f"{operation}: {name}"] += 1
        return fault or (self._keep if operation == LIST else None)

    def _drawn(self, operation: str, passing: Passing) -> tuple[str, Fault | None]:
        if _is_skewed(passing):
            return "a clock that is wrong", SKEWED if self._has_clock else None
        if self.share and self._is_outage():
            return "503 SlowDown to all", slow_down
        if self._chance.random() >= self.share:
            return "", None
        table = FAULTS[operation]
        weights = [SLOW_WEIGHT if name in _SLOW else 1 for name in table]
        (name,) = self._chance.choices([*table], weights)
        return name, table[name]

    def _is_outage(self) -> bool:
        if self._has_outages and time.monotonic() > self._turn:
            self._is_out = not self._is_out
            span = OUTAGE_SECONDS if self._is_out else OUTAGE_EVERY_SECONDS
            self._turn = time.monotonic() + self._chance.uniform(*span)
        return self._is_out

    def _keep(self, passing: Passing) -> None:
        answer = passing.forward()
        prefix, _ = _place_in_list(passing)
        self.pages[prefix] = answer
        passing.give(*answer)


def _is_skewed(passing: Passing) -> bool:
    """Whether a request was signed by a clock that S3 refuses, which not every store does."""
    signed = passing.headers.get("x-amz-date")
    if not signed:
        return False
    at = datetime.strptime(signed, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    return abs(datetime.now(UTC) - at) > SKEW


@contextlib.contextmanager
def ending(faulty: Faulty) -> Iterator[None]:
    """End all silence after the ``with`` block."""
    try:
        yield
    finally:
        faulty.ended.set()
