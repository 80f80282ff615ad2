"""Connections in great numbers, and of clients that hold them: a good one is served all the same."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import resource
import select
import socket
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ingest import connections
from ingest.connections import (
    LEAST_CONNECTIONS,
    OTHER_DESCRIPTORS,
    Held,
    Usher,
    affordable,
    arrange_listening,
    end,
    held_at,
    too_many,
)
from ingest.networks import NO_NETWORK, Network, network_of, parse_address
from tests.support.pods import TestPod, make_pod
from tests.support.server import Server, envelope, serving

GET_VERSION = b"GET /version HTTP/1.1\r\nHost: pod.test\r\n\r\n"
MANY = 10_000
FEW = 80
"""The bound of a small server; 60 are a crowd, 40 are left."""
PROMPTLY_SECONDS = 10.0
"""Far less than the minute for which whoever is silent may keep a connection."""


@pytest.fixture
def pod(tmp_path: Path) -> TestPod:
    """A pod of its own."""
    return make_pod(tmp_path / "home")


@pytest.fixture
def key(pod: TestPod) -> str:
    """A database key that writes to it."""
    return pod.invite().database_key.reveal().hex()


@pytest.fixture
def descriptors() -> Iterator[int]:
    """As many open files as this machine gives, for one test."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield hard
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def _connect(server: Server, address: str) -> socket.socket:
    """Connect from a loopback address: to a server, each is a network."""
    return socket.create_connection(("127.0.0.1", server.port), timeout=10, source_address=(address, 0))


def _open(closing: contextlib.ExitStack, server: Server, address: str, count: int) -> list[socket.socket]:
    return [closing.enter_context(_connect(server, address)) for _ in range(count)]


def _is_ended(connection: socket.socket) -> bool:
    readable, _, _ = select.select([connection], [], [], 0)
    if not readable:
        return False
    with contextlib.suppress(ConnectionError):
        return connection.recv(1, socket.MSG_PEEK) == b""
    return True


def _ask(connection: socket.socket) -> bytes:
    connection.sendall(GET_VERSION)
    return connection.recv(65_536)


def _seconds_to_store(server: Server, pod: TestPod, key: str) -> float:
    began = time.monotonic()
    assert server.create_item(pod.owner, key, {"type": "Note"}).status == 200
    return time.monotonic() - began


# Ten thousand


def test_ten_thousand_silent_connections_stop_nobody(pod: TestPod, key: str, descriptors: int) -> None:
    """More than a server takes by default elsewhere, from two hundred networks, and one good client."""
    many = min(MANY, descriptors - 1_000)
    options = ["--header-seconds", "60"]
    with serving(pod.folder.path, options=options) as server, contextlib.ExitStack() as closing:
        for number in range(many):
            address = f"127.0.{number // 5_000 + 1}.{number % 100 + 1}"
            closing.enter_context(_connect(server, address))
        took = [_seconds_to_store(server, pod, key) for _ in range(10)]

    assert max(took) < PROMPTLY_SECONDS, f"with {many} connections open"


@pytest.mark.parametrize("size", [15_000, 60_000])
def test_endless_heads_take_a_bounded_memory(pod: TestPod, descriptors: int, size: int) -> None:
    """A head is kept as far as it may be long, and no further, by each of a thousand connections."""
    many = min(1_000, descriptors - 500)
    with serving(pod.folder.path) as server, contextlib.ExitStack() as closing:
        before = _resident_bytes(server)
        for number in range(many):
            connection = closing.enter_context(_connect(server, f"127.0.1.{number % 100 + 1}"))
            with contextlib.suppress(ConnectionError):
                connection.sendall(b"GET /version HTTP/1.1\r\nHost: a\r\nX-Slow: " + b"x" * size)
        grown = max(_resident_bytes_soon(server) for _ in range(4)) - before

    assert grown < many * 45_000


def _resident_bytes(server: Server) -> int:
    status = Path(f"/proc/{server.worker_pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS:")) * 1_024


def _resident_bytes_soon(server: Server) -> int:
    """Once it has taken what was sent before."""
    time.sleep(0.5)
    assert server.request("GET", "/version").status == 200
    return _resident_bytes(server)


# A network with too many


@pytest.fixture
def small(pod: TestPod, key: str) -> Iterator[Server]:  # noqa: ARG001  # the invite is older than the server
    """A server that takes few connections, and does not end them for their silence."""
    options = ["--max-connections", str(FEW), "--header-seconds", "60"]
    with serving(pod.folder.path, options=options) as server:
        yield server


def test_a_network_that_takes_all_connections_gives_up_its_oldest(small: Server) -> None:
    """Whoever has few keeps them, however silent; whoever has many loses the longest silent."""
    with contextlib.ExitStack() as closing:
        good = _open(closing, small, "127.0.0.2", 5)
        assert all(_ask(connection).startswith(b"HTTP/1.1 200") for connection in good)
        flood = _open(closing, small, "127.0.0.3", 30)
        time.sleep(0.1)
        flood += _open(closing, small, "127.0.0.3", 120)
        began = time.monotonic()

        late = closing.enter_context(_connect(small, "127.0.0.4"))
        assert _ask(late).startswith(b"HTTP/1.1 200")
        assert time.monotonic() - began < PROMPTLY_SECONDS
        assert small.wait_for("connections_ended")["connections"] > 0
        assert all(_is_ended(connection) for connection in flood[:30])
        assert not any(_is_ended(connection) for connection in good)
        assert all(_ask(connection).startswith(b"HTTP/1.1 200") for connection in good)


def test_a_crowd_that_comes_again_and_again_lets_others_in(pod: TestPod, key: str, small: Server) -> None:
    """As many as are ended are opened anew at once, from one network."""
    with contextlib.ExitStack() as closing:
        for _ in range(5):
            _open(closing, small, "127.0.0.3", 2 * FEW)
            assert _seconds_to_store(small, pod, key) < PROMPTLY_SECONDS


def test_connections_below_the_bound_are_left_alone(small: Server) -> None:
    """Nobody is ended for having many where there is room."""
    with contextlib.ExitStack() as closing:
        held = _open(closing, small, "127.0.0.3", FEW // 2)
        time.sleep(1)
        assert not any(_is_ended(connection) for connection in held)


# Clients that do not read, and other slow ones


def test_a_client_that_does_not_read_is_ended(pod: TestPod) -> None:
    """It asks and asks on one connection, and takes no answer: memory for ever, where nothing ends it."""
    options = ["--body-seconds", "1"]
    with serving(pod.folder.path, options=options) as server, socket.socket() as greedy:
        greedy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        greedy.connect(("127.0.0.1", server.port))
        greedy.settimeout(0.5)
        began, sent = time.monotonic(), 0
        while time.monotonic() - began < 60:
            try:
                sent += greedy.send(GET_VERSION * 50)
            except TimeoutError:
                # It takes no more of ours until we take what is its.
                continue
            except ConnectionError:
                break
        else:
            pytest.fail("still connected")
        assert server.request("GET", "/version").status == 200

    assert sent < 8 << 20


def test_a_connection_that_fell_silent_after_an_answer_is_ended(pod: TestPod) -> None:
    """Kept alive is kept for a while."""
    with serving(pod.folder.path, options=["--header-seconds", "1"]) as server, server.connect() as kept:
        assert _ask(kept).startswith(b"HTTP/1.1 200")
        began = time.monotonic()
        assert kept.recv(1) == b""
        assert time.monotonic() - began < 20


def test_heads_of_every_slow_client_end_in_time(pod: TestPod) -> None:
    """No byte, a part of a head, a byte now and then, half a body: a hundred of each."""
    owner, body = pod.owner, envelope("0" * 64, {"type": "Note"})
    head = f"POST /v4/{owner}/create_item HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    beginnings = (b"", head[:40], head[:-2], head, head + body[:20])
    options = ["--header-seconds", "1", "--body-seconds", "1"]
    with serving(pod.folder.path, options=options) as server, contextlib.ExitStack() as closing:
        slow = [_open(closing, server, "127.0.0.3", 100) for _ in beginnings]
        for group, beginning in zip(slow, beginnings, strict=True):
            for connection in group:
                connection.sendall(beginning)
        assert _ask(closing.enter_context(server.connect())).startswith(b"HTTP/1.1 200")
        _drip([connection for group in slow[1:3] for connection in group])
        deadline = time.monotonic() + 60
        for connection in (connection for group in slow for connection in group):
            connection.settimeout(max(deadline - time.monotonic(), 0.01))
            with contextlib.suppress(ConnectionError):
                while connection.recv(4_096):
                    pass


def _drip(group: Sequence[socket.socket]) -> None:
    for _ in range(6):
        time.sleep(0.4)
        for connection in group:
            with contextlib.suppress(OSError):
                connection.send(b"x")


# The choice


def _held(network: int, silent_ms: int) -> Held:
    return Held(0, None, Network(bytes([network])), silent_ms)


@given(
    held=st.lists(st.builds(_held, st.integers(0, 5), st.integers(0, 1_000)), max_size=60),
    most=st.integers(0, 60),
)
@example(held=[_held(1, 1), _held(1, 2)], most=1)
def test_what_is_ended_is_what_is_beyond_an_equal_share(held: list[Held], most: int) -> None:
    """As many as must, none more than one a network; those with least lose none; the longest silent first."""
    ended = too_many(held, most)
    before = Counter(one.network for one in held)
    lost = Counter(one.network for one in ended)
    left = before - lost

    assert len(held) - len(ended) <= most
    assert not ended or len(held) - len(ended) > most - len(before)
    assert all(left[network] >= max(left.values(), default=0) for network in lost)
    for network in lost:
        of_it = sorted((one.silent_ms for one in held if one.network == network), reverse=True)
        assert (
            sorted((one.silent_ms for one in ended if one.network == network), reverse=True)
            == (of_it[: lost[network]])
        )


def test_nobody_is_ended_by_the_number_of_a_connection_that_has_gone() -> None:
    """Descriptors are used again: the other end is compared before anything is ended."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        with socket.create_connection(listening.getsockname()), listening.accept()[0] as taken:
            (held,) = held_at(listening.getsockname()[1])
            assert held.descriptor == taken.fileno()
            assert held.network == Network(bytes([127, 0, 0, 1]))
            assert end([held._replace(peer=("127.0.0.1", 1))]) == 0
            assert taken.send(b"still there") == 11
            assert end([held]) == 1
        assert end([held]) == 0


async def test_an_usher_leaves_half_of_the_bound() -> None:
    """In this process: what it tells, and what is left."""
    told: asyncio.Queue[int] = asyncio.Queue()
    with contextlib.ExitStack() as closing:
        listening = closing.enter_context(socket.create_server(("127.0.0.1", 0)))
        address = listening.getsockname()
        for _ in range(FEW):
            closing.enter_context(socket.create_connection(address))
            closing.enter_context(listening.accept()[0])
        watching = asyncio.create_task(Usher(address[1], FEW, told.put_nowait).watch())
        async with asyncio.timeout(60):
            assert await told.get() == FEW // 2
        watching.cancel()
        arrange_listening(address[1], 7)
        late = closing.enter_context(socket.create_connection(address))
        taken = closing.enter_context(listening.accept()[0])

        assert taken.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 7_000
        assert late.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 0


async def test_other_descriptors_are_no_connections(tmp_path: Path) -> None:
    """Files and foreign sockets may be many; and where nothing says what there is, nothing is ended."""
    told: list[int] = []
    with contextlib.ExitStack() as closing:
        for number in range(FEW):
            closing.enter_context((tmp_path / str(number)).open("w"))
        watching = asyncio.create_task(Usher(1, FEW, told.append).watch())
        await asyncio.sleep(0.6)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(connections, "_DESCRIPTORS", str(tmp_path / "absent"))
            await asyncio.sleep(0.6)
            assert held_at(1) == []
        watching.cancel()

    assert told == []


@pytest.mark.parametrize(
    ("wanted", "descriptors", "taken"),
    [
        (12_288, 65_536, 12_288),
        (12_288, 4_096, 4_096 - OTHER_DESCRIPTORS - 128),
        (12_288, 100, LEAST_CONNECTIONS),
        (64, 65_536, 64),
    ],
)
def test_no_more_connections_are_taken_than_there_are_descriptors(
    wanted: int, descriptors: int, taken: int
) -> None:
    """Where they run out a server spins: each try to take one fails at once."""
    assert affordable(wanted, descriptors, 64) == taken


# Networks


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.7", bytes([192, 0, 2, 7])),
        ("::ffff:192.0.2.7", bytes([192, 0, 2, 7])),
        ("2001:db8:1:2:3:4:5:6", bytes.fromhex("20010db800010002")),
        ("2001:db8:1:2::", bytes.fromhex("20010db800010002")),
        ("", NO_NETWORK),
        ("/run/x.sock", NO_NETWORK),
        ("192.0.2.7:80", NO_NETWORK),
    ],
)
def test_a_network_is_an_address_or_a_64(address: str, network: bytes) -> None:
    """Whoever has one IPv6 address has as many as they like of its /64."""
    assert network_of(parse_address(address)) == network


def test_an_http_client_is_served_among_slow_ones(pod: TestPod, key: str) -> None:
    """With a library, on one kept connection, as ordinary clients are."""
    with serving(pod.folder.path) as server, contextlib.ExitStack() as closing:
        _open(closing, server, "127.0.0.3", 500)
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
        with contextlib.closing(connection):
            for _ in range(20):
                connection.request("POST", f"/v4/{pod.owner}/create_item", envelope(key, {"type": "Note"}))
                response = connection.getresponse()
                response.read()
                assert response.status == 200
