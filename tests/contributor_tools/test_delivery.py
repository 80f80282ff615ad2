"""Many connections at once: every row decided once, and one end for all."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator

import pytest

from contributor_tools.address import parse_address
from contributor_tools.answers import Refused
from contributor_tools.client import Client, NotSent, Payload
from contributor_tools.delivery import STOP_AFTER_FORBIDDEN, Delivery
from contributor_tools.patience import Patience
from contributor_tools.payloads import Outgoing
from tests.support.invites import invite_to
from tests.support.scripted_server import DROP, Answer, Reply, Request, ScriptedServer, accept, fail
from vault.errors import MalformedError
from vault.items import parse_item


class _Time:
    """Passes only where somebody waits, and then at once."""

    def __init__(self) -> None:
        self._now = 0.0
        self._lock = threading.Lock()

    def clock(self) -> float:
        return self._now

    def pass_by(self, seconds: float) -> None:
        with self._lock:
            self._now += seconds


def _row(line: int) -> Outgoing:
    payload: Payload = {"type": "Plant", "id": f"row-{line:05}", "line": line}
    return Outgoing(line, dict(payload), parse_item(payload, make_id=str))


def _rows(count: int) -> Iterator[Outgoing]:
    return (_row(line) for line in range(count))


def _deliver(
    answer: Answer, rows: Iterator[Outgoing], connections: int = 1
) -> tuple[Delivery, list[Request]]:
    stop = threading.Event()
    time = _Time()
    patience = Patience(time.clock)
    tls = ssl.create_default_context()
    with ScriptedServer(answer) as server:
        invite = invite_to(server.url)
        address = parse_address(server.url)

        def wait(seconds: float) -> bool:
            time.pass_by(seconds)
            return stop.is_set()

        delivery = Delivery(lambda: Client(address, invite, tls=tls, patience=patience, wait=wait), stop)
        delivery.run(rows, connections, lambda: None)
        return delivery, server.requests


def _line(request: Request) -> int:
    line: int = request.payload["line"]
    return line


def test_every_row_is_sent_exactly_once_over_several_connections() -> None:
    """Rows taken twice cost time, rows taken never cost data."""
    delivery, requests = _deliver(accept, _rows(200), connections=8)
    assert sorted(map(_line, requests)) == list(range(200))
    assert (len(delivery.accepted), delivery.rejected, delivery.stopped) == (200, {}, None)
    assert delivery.decided == 200
    assert 1 < len({request.connection for request in requests}) <= 8


def test_a_refused_row_costs_only_itself() -> None:
    """The reason stays with the line."""

    def answer(request: Request) -> Reply:
        return fail(400, "line: no") if _line(request) % 3 == 0 else accept(request)

    delivery, _ = _deliver(answer, _rows(30), connections=4)
    assert len(delivery.accepted) == 20
    assert delivery.rejected == dict.fromkeys(range(0, 30, 3), "line: no")
    assert delivery.stopped is None


def test_one_forbidden_row_among_others_is_about_the_row() -> None:
    """An invite may limit the size of an item."""

    def answer(request: Request) -> Reply:
        return fail(403, "too large for this invite") if _line(request) in {5, 29} else accept(request)

    delivery, _ = _deliver(answer, _rows(30))
    assert delivery.rejected == {5: "too large for this invite", 29: "too large for this invite"}
    assert (len(delivery.accepted), delivery.stopped) == (28, None)


def test_many_forbidden_rows_in_a_row_are_about_the_invite() -> None:
    """Revoked in the middle: the rest is not tried, and not called bad rows."""

    def answer(request: Request) -> Reply:
        return accept(request) if _line(request) < 10 else fail(403, "this invite opens nothing")

    delivery, requests = _deliver(answer, _rows(1000))
    assert len(delivery.accepted) == 10
    assert delivery.rejected == {}
    assert delivery.stopped == Refused(403, "this invite opens nothing")
    assert len(requests) == 10 + STOP_AFTER_FORBIDDEN


def test_a_short_file_that_is_all_forbidden_is_about_the_invite_too() -> None:
    """Three rows are as many as there are."""
    delivery, _ = _deliver(lambda _: fail(403, "no"), _rows(3))
    assert (len(delivery.accepted), delivery.rejected, delivery.stopped) == (0, {}, Refused(403, "no"))


@pytest.mark.parametrize("connections", [1, 8])
def test_a_server_that_went_away_ends_the_run_for_all(connections: int) -> None:
    """What was not decided is neither accepted nor rejected."""

    def answer(request: Request) -> Reply:
        return accept(request) if _line(request) < 20 else DROP

    delivery, _ = _deliver(answer, _rows(100), connections)
    assert len(delivery.accepted) == 20
    assert delivery.rejected == {}
    assert isinstance(delivery.stopped, NotSent)


def test_what_is_no_pod_ends_the_run() -> None:
    """A captive portal must not eat a file."""
    delivery, requests = _deliver(lambda _: Reply(200, b"<html>welcome"), _rows(100))
    assert len(delivery.accepted) == 0
    assert isinstance(delivery.stopped, Refused)
    assert len(requests) == 1


def test_a_file_that_changed_meanwhile_is_raised_where_it_can_be_told() -> None:
    """Not in a thread nobody listens to."""

    def rows() -> Iterator[Outgoing]:
        yield _row(0)
        raise MalformedError("line 3: 2 cells were expected")

    with pytest.raises(MalformedError, match="line 3"):
        _deliver(accept, rows(), connections=2)


def test_an_interrupt_finishes_what_is_on_its_way_and_stops() -> None:
    """Ctrl-C: rows that were sent are accounted for, the others wait for the next run."""
    ticks = 0

    def tick() -> None:
        nonlocal ticks
        ticks += 1
        if ticks == 1:
            raise KeyboardInterrupt

    is_open = threading.Event()

    def answer(request: Request) -> Reply:
        is_open.wait(0.3)
        return accept(request)

    stop = threading.Event()
    with ScriptedServer(answer) as server:
        client = Client(
            parse_address(server.url),
            invite_to(server.url),
            tls=ssl.create_default_context(),
            patience=Patience(lambda: 0.0),
            wait=stop.wait,
        )
        delivery = Delivery(lambda: client, stop)
        with pytest.raises(KeyboardInterrupt):
            delivery.run(_rows(1000), 1, tick)
    assert len(delivery.accepted) == len(server.requests)
    assert 0 < len(delivery.accepted) < 1000
    assert delivery.stopped is None
