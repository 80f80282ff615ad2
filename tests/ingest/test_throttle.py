"""Floods that no key vouches for: their answers wait, a valid key's never do, and nothing is told by it."""

from __future__ import annotations

import contextlib
import re
import socket
import threading
import time
from collections.abc import Iterator, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest import throttle as throttling
from ingest.asgi import Scope
from ingest.networks import Network
from ingest.origins import Origins
from ingest.settings import parse_trusted
from ingest.throttle import BURST_SECONDS, MOST_NETWORKS, MOST_SECONDS, Throttle
from tests.support.pods import TestPod, make_pod
from tests.support.raw_http import post
from tests.support.server import Server, envelope, serving
from tests.support.waiting import eventually
from vault.errors import MalformedError

HERE, THERE = Network(bytes([192, 0, 2, 1])), Network(bytes([192, 0, 2, 2]))
RATE = 1.0
"""Of the server of these tests: ten answers at once, then one a second."""
AT_ONCE = int(RATE * BURST_SECONDS)
QUICK_SECONDS = 8.0
"""In which all answers come that none holds: fewer than they would take at the rate."""


class _Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def _throttle(clock: _Clock, per_second: float = RATE) -> Throttle:
    return Throttle(per_second, Origins(()), clock)


# The bucket


def test_a_burst_is_answered_at_once_and_the_rest_at_the_rate() -> None:
    """People ask a few times; floods go on."""
    throttle = _throttle(_Clock())

    waits = [throttle.charge(HERE) for _ in range(AT_ONCE + 4)]

    assert waits == [0.0] * AT_ONCE + [1.0, 2.0, 3.0, 4.0]


def test_networks_do_not_wait_for_each_other() -> None:
    """A flood is its own network's."""
    throttle = _throttle(_Clock())
    for _ in range(1_000):
        throttle.charge(HERE)

    assert throttle.charge(THERE) == 0


def test_no_answer_waits_longer_than_the_bound_and_a_flood_that_ends_is_forgotten() -> None:
    """A person behind a flooded address gets on again soon."""
    clock = _Clock()
    throttle = _throttle(clock)
    assert max(throttle.charge(HERE) for _ in range(10_000)) == MOST_SECONDS

    clock.now += MOST_SECONDS + 1 / RATE
    assert throttle.charge(HERE) == 0


def test_as_many_networks_are_remembered_as_fit() -> None:
    """Whoever has a /48 has 65,536 networks: memory is bounded, and who asked last is remembered."""
    throttle = _throttle(_Clock())
    for _ in range(AT_ONCE + 10):
        throttle.charge(HERE)
    for number in range(3 * MOST_NETWORKS):
        throttle.charge(Network(number.to_bytes(8, "big")))
        if number % 1_000 == 0:
            assert throttle.charge(HERE) > 0

    assert len(throttle._left) == MOST_NETWORKS


@given(st.lists(st.floats(0, 3), max_size=200), st.floats(0.1, 50))
def test_in_no_time_are_more_answers_given_than_the_bucket_holds(pauses: list[float], rate: float) -> None:
    """Counted where they are given, after their wait, as far as a wait's bound does not give them earlier."""
    clock = _Clock()
    throttle = _throttle(clock, rate)
    given_at = []
    for pause in pauses:
        clock.now += pause
        wait = throttle.charge(HERE)
        if wait < MOST_SECONDS * 0.99:
            given_at.append(clock.now + wait)

    most = max(rate * BURST_SECONDS, 1)
    for first, start in enumerate(given_at):
        for count, end in enumerate(given_at[first:], 1):
            assert count <= most + (end - start) * rate + 1.001


async def test_only_so_many_answers_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """What waits costs memory: beyond a bound the connection is to end instead."""
    monkeypatch.setattr(throttling, "MOST_WAITING", 0)
    throttle = _throttle(_Clock())
    scope: Scope = {"client": ("192.0.2.1", 1), "headers": []}

    assert all([await throttle.hold(scope) for _ in range(AT_ONCE)])
    assert not await throttle.hold(scope)


async def test_an_answer_is_held_as_long_as_was_charged() -> None:
    """And then given."""
    throttle = _throttle(_Clock(), 10)
    scope: Scope = {"client": ("192.0.2.1", 1), "headers": []}
    for _ in range(100):
        assert await throttle.hold(scope)
    began = time.monotonic()

    assert await throttle.hold(scope)
    assert time.monotonic() - began >= 0.1


async def test_without_a_rate_nothing_waits() -> None:
    """`--throttle 0`."""
    throttle = _throttle(_Clock(), 0)
    scope: Scope = {"client": ("192.0.2.1", 1), "headers": []}

    assert all([await throttle.hold(scope) for _ in range(1_000)])


# Whose a request is

TRUSTED = parse_trusted(["127.0.0.1", "10.0.0.0/8", "fd00::/8"])
CLIENT, PROXY = Network(bytes([203, 0, 113, 9])), Network(bytes([127, 0, 0, 1]))


def _network(peer: str, *headers: tuple[bytes, bytes], is_trusting: bool = True) -> Network:
    scope: Scope = {"client": (peer, 4_711), "headers": list(headers)}
    return Origins(TRUSTED if is_trusting else ()).network(scope)


def _plain(*values: bytes) -> list[tuple[bytes, bytes]]:
    return [(b"x-forwarded-for", value) for value in values]


def _standard(*values: bytes) -> list[tuple[bytes, bytes]]:
    return [(b"forwarded", value) for value in values]


@pytest.mark.parametrize(
    "headers",
    [
        _plain(b"203.0.113.9"),
        _plain(b" 203.0.113.9 "),
        _plain(b"203.0.113.9:1234"),
        _plain(b"::ffff:203.0.113.9"),
        _plain(b"[::ffff:203.0.113.9]:80"),
        _plain(b"198.51.100.1, 203.0.113.9"),
        _plain(b"198.51.100.1, 203.0.113.9, 10.1.2.3"),
        _plain(b"198.51.100.1", b"203.0.113.9", b"10.1.2.3, 127.0.0.1"),
        _plain(b"10.9.9.9, 203.0.113.9"),
        _plain(b"x" * 15_000 + b",203.0.113.9"),
        _plain(b"127.0.0.1," * 1_400 + b"203.0.113.9"),
        _standard(b"for=203.0.113.9"),
        _standard(b"For=203.0.113.9; proto=https;by=203.0.113.43"),
        _standard(b'proto=https;for="203.0.113.9:47011"'),
        _standard(b'for="[::ffff:203.0.113.9]"'),
        _standard(b"for=198.51.100.1, for=203.0.113.9"),
        _standard(b"for=198.51.100.1", b"for=203.0.113.9, for=10.1.1.1"),
    ],
)
def test_a_trusted_proxy_names_the_client(headers: list[tuple[bytes, bytes]]) -> None:
    """The last address that is no trusted proxy's: what stands left of it the client said itself."""
    assert _network("127.0.0.1", *headers) == CLIENT


@pytest.mark.parametrize("headers", [_plain(b"198.51.100.1"), _standard(b"for=198.51.100.1")])
def test_nobody_else_is_believed(headers: list[tuple[bytes, bytes]]) -> None:
    """Off by default; and from another address always."""
    assert _network("203.0.113.9", *headers) == CLIENT
    assert _network("127.0.0.1", *headers, is_trusting=False) == PROXY


@pytest.mark.parametrize(
    "headers",
    [
        [],
        _plain(b""),
        _plain(b","),
        _plain(b"203.0.113.9,"),
        _plain(b"unknown"),
        _plain(b"203.0.113.9, unknown"),
        _plain(b"203.0.113.999"),
        _plain(b"203.0.113.9:"),
        _plain(b"203.0.113.9:123456"),
        _plain(b"\xff\xfe"),
        _plain(b"127.0.0.1"),
        [*_plain(b"203.0.113.9"), *_standard(b"for=203.0.113.9")],
        _standard(b"for=unknown"),
        _standard(b"for=_hidden"),
        _standard(b"by=203.0.113.9"),
        _standard(b'for="203.0.113.9'),
        _standard(b"xfor=203.0.113.9"),
        _standard(b"for=203.0.113.9, proto=https"),
    ],
)
def test_what_names_nobody_is_the_proxys_own(headers: list[tuple[bytes, bytes]]) -> None:
    """A client that forges a second header, or has its address withheld, gains nothing by it."""
    assert _network("127.0.0.1", *headers) == PROXY


def test_a_chain_without_end_is_followed_so_far() -> None:
    """Trusted addresses without end would be work without end."""
    assert _network("127.0.0.1", *_plain(b"203.0.113.9," + b"10.0.0.1," * 1_000 + b"10.0.0.1")) == Network(
        bytes([10, 0, 0, 1])
    )


@given(st.lists(st.tuples(st.sampled_from([b"x-forwarded-for", b"forwarded"]), st.binary(max_size=60))))
def test_any_header_names_some_network(headers: list[tuple[bytes, bytes]]) -> None:
    """And raises nothing."""
    assert len(_network("127.0.0.1", *headers)) in {4, 8}


def test_a_unix_socket_has_no_network() -> None:
    """Whoever may open it is one caller."""
    assert Origins(TRUSTED).network({"client": None, "headers": []}) == b""


@pytest.mark.parametrize("text", ["", "proxy.test", "10.0.0.1/8", "10.0.0.0/33", "10.0.0.1:80", "*"])
def test_what_is_no_network_cannot_be_trusted(text: str) -> None:
    """A typing error must not trust somebody else."""
    with pytest.raises(MalformedError, match="--trust-forwarded"):
        parse_trusted([text])


# A real server


@pytest.fixture(scope="module")
def pod(tmp_path_factory: pytest.TempPathFactory) -> TestPod:
    """A pod for all of these tests, each of which asks from addresses of its own."""
    return make_pod(tmp_path_factory.mktemp("throttle") / "home")


@pytest.fixture(scope="module")
def key(pod: TestPod) -> str:
    """A database key that writes to it."""
    return pod.invite().database_key.reveal().hex()


@pytest.fixture(scope="module")
def server(pod: TestPod, key: str) -> Iterator[Server]:  # noqa: ARG001  # the invite is older than the server
    """A server with a low rate."""
    options = ["--throttle", str(RATE), "--trust-forwarded", "127.0.0.1"]
    with serving(pod.folder.path, options=options) as running:
        yield running


def _wrong(pod: TestPod, *headers: bytes) -> bytes:
    return post(f"/v4/{pod.owner}/create_item", envelope("0" * 64, {"type": "Note"}), *headers)


def _answers(server: Server, address: str, requests: Sequence[bytes]) -> Iterator[tuple[bytes, float]]:
    """Send requests on one connection from an address, one after the other; their answers and seconds."""
    source = (address, 0)
    with socket.create_connection(
        ("127.0.0.1", server.port), timeout=30, source_address=source
    ) as connection:
        for request in requests:
            began = time.monotonic()
            connection.sendall(request)
            answer = connection.recv(65_536)
            if not answer:
                return
            yield re.sub(rb"\r\ndate:[^\r]*", b"", answer), time.monotonic() - began


def _is_held(answers: Sequence[tuple[bytes, float]]) -> bool:
    """Whether those beyond the burst came at the rate, and no sooner, however long a slow machine took."""
    return sum(seconds for _, seconds in answers) > 0.99 * (len(answers) - AT_ONCE) / RATE


def test_wrong_keys_are_answered_the_same_only_later(pod: TestPod, server: Server) -> None:
    """The constant 403, whatever is wrong and however often: waiting tells about the network alone."""
    other = post(f"/v4/{'1' * 64}/create_item", envelope("0" * 64, {"type": "Note"}))
    requests = [_wrong(pod), other] * (AT_ONCE // 2) + [_wrong(pod), other]

    answers = list(_answers(server, "127.0.0.2", requests))

    assert len({answer for answer, _ in answers}) == 1
    assert answers[0][0].startswith(b"HTTP/1.1 403")
    assert sum(seconds for _, seconds in answers[:AT_ONCE]) < QUICK_SECONDS
    assert _is_held(answers)


def test_a_valid_key_never_waits(pod: TestPod, key: str, server: Server) -> None:
    """From the very network that floods, while it floods."""
    with contextlib.ExitStack() as closing:
        flood = [closing.enter_context(server.connect()) for _ in range(2 * AT_ONCE)]
        for connection in flood:
            connection.sendall(_wrong(pod))
        began = time.monotonic()
        for _ in range(20):
            assert server.create_item(pod.owner, key, {"type": "Note"}).status == 200
        assert time.monotonic() - began < QUICK_SECONDS


@pytest.mark.parametrize(
    ("address", "asked"),
    [
        ("127.0.1.1", b"GET /version HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("127.0.1.2", b"GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("127.0.1.3", b"OPTIONS /version HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("127.0.1.4", post("/v4/x/create_item", b"{")),
    ],
    ids=["version", "unknown-path", "preflight", "no-envelope"],
)
def test_what_else_anybody_may_ask_waits_too(server: Server, address: str, asked: bytes) -> None:
    """A flood need not guess keys."""
    answers = list(_answers(server, address, [asked] * (AT_ONCE + 1)))

    assert sum(seconds for _, seconds in answers[:-1]) < QUICK_SECONDS
    assert _is_held(answers)


def test_what_a_valid_key_sends_wrong_does_not_wait(pod: TestPod, key: str, server: Server) -> None:
    """Its slot's rate is what bounds a contributor."""
    bad = post(f"/v4/{pod.owner}/create_item", envelope(key, {"type": "not a type"}))

    answers = list(_answers(server, "127.0.0.3", [bad] * (2 * AT_ONCE)))

    assert sum(seconds for _, seconds in answers) < QUICK_SECONDS


def test_behind_a_proxy_each_client_waits_for_itself(pod: TestPod, server: Server) -> None:
    """As far as the proxy is trusted; 127.0.0.4 is not, whatever it says."""
    flood = [_wrong(pod, b"X-Forwarded-For: 198.51.100.1, 203.0.113.9")] * (AT_ONCE + 1)
    others = [_wrong(pod, b"X-Forwarded-For: 203.0.113.9, 198.51.100.%d" % number) for number in range(30)]
    forged = [_wrong(pod, b"X-Forwarded-For: 192.0.2.%d" % number) for number in range(AT_ONCE + 1)]

    assert _is_held(list(_answers(server, "127.0.0.1", flood)))
    assert sum(seconds for _, seconds in _answers(server, "127.0.0.1", others)) < QUICK_SECONDS
    assert _is_held(list(_answers(server, "127.0.0.4", forged)))


def test_a_flood_over_many_connections_is_left_with_a_trickle(pod: TestPod) -> None:
    """Each connection waits for its answer, and asks nothing meanwhile."""
    counts = [0] * 32

    def flood(number: int, server: Server) -> None:
        with contextlib.suppress(OSError):
            for _ in _answers(server, "127.0.0.2", [_wrong(pod)] * 10_000):
                counts[number] += 1

    with serving(pod.folder.path, options=["--throttle", str(RATE)]) as server:
        threads = [threading.Thread(target=flood, args=(number, server)) for number in range(len(counts))]
        began = time.monotonic()
        for thread in threads:
            thread.start()
        assert eventually(lambda: sum(counts) > AT_ONCE + 1, 60)
        answered, seconds = sum(counts), time.monotonic() - began
    for thread in threads:
        thread.join()

    assert answered <= AT_ONCE + seconds * RATE + 1
