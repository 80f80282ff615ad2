"""A client that sends at a constant rate, whether or not the server keeps up.

A client that waits for each answer before it sends the next item sends less
while a server stalls, and so measures little of the stall. Here every item has a
moment at which it was to be sent; its latency counts from then, also where
no connection was free ("How NOT to Measure Latency", G. Tene). One thread, kept
connections to 127.0.0.1, one request at a time on each.
"""

from __future__ import annotations

import math
import re
import select
import socket
import time
from collections import Counter, deque
from typing import NamedTuple

OK = 200
MOST_WAIT_SECONDS = 0.05
"""Between two looks at the clock."""
ANSWER_SECONDS = 60.0
"""How long the last answers are waited for."""
_RECEIVE_BYTES = 1 << 16
_BUCKETS_A_DECADE = 200
"""Latencies are kept to 1.2 %."""
_LENGTH = re.compile(rb"(?i)\r\ncontent-length: *([0-9]+)")


class Latencies:
    """Latencies in seconds, as counts of buckets: any number of them takes the same memory."""

    def __init__(self) -> None:
        self._counts: Counter[int] = Counter()
        self.most = 0.0

    def add(self, seconds: float) -> None:
        """Count one."""
        self._counts[math.ceil(_BUCKETS_A_DECADE * math.log10(max(seconds, 1e-6)))] += 1
        self.most = max(self.most, seconds)

    def take_up(self, other: Latencies) -> None:
        """Count all of ``other`` too, to which another thread may be adding."""
        self._counts.update(dict(other._counts))
        self.most = max(self.most, other.most)

    @property
    def count(self) -> int:
        """How many there are."""
        return self._counts.total()

    def at(self, part: float) -> float:
        """The latency, in seconds, that ``part`` (0 to 1) of them do not exceed; 0 without any."""
        left = part * self.count
        for bucket in sorted(self._counts):
            left -= self._counts[bucket]
            if left <= 0:
                return float(min(10 ** (bucket / _BUCKETS_A_DECADE), self.most))
        return 0.0


class Target(NamedTuple):
    """What is sent: a name to count by, a path, a body."""

    name: str
    path: str
    body: bytes

    @property
    def request(self) -> bytes:
        """Its bytes on the wire."""
        head = f"POST {self.path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(self.body)}\r\n\r\n"
        return head.encode() + self.body


class _Connection:
    """One kept connection, and what is under way on it."""

    __slots__ = ("due", "received", "sock", "target")

    def __init__(self, port: int) -> None:
        self.sock = socket.create_connection(("127.0.0.1", port))
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.target = ""
        self.due = 0.0
        self.received = b""

    def send(self, target: Target, due: float) -> None:
        """Send one request."""
        self.target, self.due, self.received = target.name, due, b""
        # An item is far smaller than the kernel's buffer, and nothing else is on its way.
        self.sock.sendall(target.request)

    def status(self) -> int | None:
        """Read what is there: the answer's status once it is whole, 0 if the server hung up."""
        part = self.sock.recv(_RECEIVE_BYTES)
        self.received += part
        head, end, body = self.received.partition(b"\r\n\r\n")
        length = _LENGTH.search(head)
        if end and len(body) >= (int(length[1]) if length else 0):
            return int(head[9:12])
        return None if part else 0


class OpenLoop:
    """The client: its connections, what it sends now, and what it saw.

    Args:
        port: Of the server.
        target: What to send first; exchange ``target`` at any time, from any thread.
        connections: How many.

    Attributes:
        target: What is sent now.
        sent: Requests sent.
        statuses: Answers by status; 0 is a connection that ended without one.
        accepted: Answers 200 by the target's name.
        minutes: Latencies of each minute of the run, by the moment an item was due.
        late: The longest, in seconds, that an item waited for a free connection.
    """

    def __init__(self, port: int, target: Target, connections: int) -> None:
        self._port = port
        self._connections = connections
        self._idle: deque[_Connection] = deque()
        self._busy: dict[int, _Connection] = {}
        self._epoll = select.epoll()
        self.target = target
        self.sent = 0
        self.statuses: Counter[int] = Counter()
        self.accepted: Counter[str] = Counter()
        self.minutes: list[Latencies] = []
        self.late = 0.0
        self._is_stopping = False

    def stop(self) -> None:
        """Send nothing more; from any thread."""
        self._is_stopping = True

    @property
    def latencies(self) -> Latencies:
        """Those of all minutes."""
        found = Latencies()
        for minute in self.minutes:
            found.take_up(minute)
        return found

    def run(self, per_second: float, seconds: float) -> None:
        """Send for so long, or until stopped, then wait for the answers that are missing.

        Raises:
            TimeoutError: Some never came.
            OSError: The server cannot be reached.
        """
        with self._epoll:
            for _ in range(self._connections):
                self._connect()
            began = time.perf_counter()
            total = round(per_second * seconds)
            while self.sent < total and not self._is_stopping:
                now = time.perf_counter()
                self._send_due(began, per_second, min(total, int((now - began) * per_second) + 1))
                next_due = began + self.sent / per_second
                self._answers(began, next_due - time.perf_counter() if self._idle else MOST_WAIT_SECONDS)
            deadline = time.perf_counter() + ANSWER_SECONDS
            while self._busy:
                if time.perf_counter() > deadline:
                    raise TimeoutError(f"{len(self._busy)} answers did not come in {ANSWER_SECONDS:g} s")
                self._answers(began, MOST_WAIT_SECONDS)
            for connection in self._idle:
                connection.sock.close()

    def _connect(self) -> None:
        connection = _Connection(self._port)
        self._epoll.register(connection.sock, select.EPOLLIN)
        self._idle.append(connection)

    def _send_due(self, began: float, per_second: float, count: int) -> None:
        while self.sent < count and self._idle:
            connection = self._idle.popleft()
            due = began + self.sent / per_second
            connection.send(self.target, due)
            self.late = max(self.late, time.perf_counter() - due)
            self._busy[connection.sock.fileno()] = connection
            self.sent += 1

    def _answers(self, began: float, wait_seconds: float) -> None:
        """Take the answers that are there; wait for the first if there is none."""
        ready = self._epoll.poll(0)
        if not ready:
            # Not epoll's own waiting, which knows whole milliseconds only.
            select.select([self._epoll], [], [], min(max(wait_seconds, 0), MOST_WAIT_SECONDS))
            ready = self._epoll.poll(0)
        for descriptor, _ in ready:
            connection = self._busy.get(descriptor)
            if connection is None:
                self._replace_idle(descriptor)
                continue
            status = connection.status()
            if status is not None:
                del self._busy[descriptor]
                self._count(connection, status, began)

    def _count(self, connection: _Connection, status: int, began: float) -> None:
        now = time.perf_counter()
        self.statuses[status] += 1
        self.accepted[connection.target] += status == OK
        minute = int((connection.due - began) // 60)
        while len(self.minutes) <= minute:
            self.minutes.append(Latencies())
        self.minutes[minute].add(now - connection.due)
        if status:
            self._idle.append(connection)
        else:
            connection.sock.close()
            self._connect()

    def _replace_idle(self, descriptor: int) -> None:
        """A server may close a connection on which nothing is under way."""
        (connection,) = (each for each in self._idle if each.sock.fileno() == descriptor)
        self._idle.remove(connection)
        connection.sock.close()
        self._connect()
