"""One item over a real connection, whatever the server does."""

from __future__ import annotations

import json
import ssl
import traceback
from pathlib import Path

import pytest

from contributor_tools.address import parse_address
from contributor_tools.answers import Accepted, Refused
from contributor_tools.client import Client, NotSent, Payload
from contributor_tools.patience import Patience
from tests.support.certificates import self_signed
from tests.support.invites import INVITE, invite_to
from tests.support.scripted_server import DROP, Answer, Reply, ScriptedServer, accept, fail, script

PAYLOAD: Payload = {"type": "Penguin", "id": "abcdef", "bodyMassG": 3750}


class _Waits:
    """Sleeps in no time and remembers how long; time passes with it."""

    def __init__(self, *, stops_after: int | None = None) -> None:
        self.delays: list[float] = []
        self.now = 0.0
        self._stops_after = stops_after

    def __call__(self, seconds: float) -> bool:
        self.delays.append(seconds)
        self.now += seconds
        return self._stops_after is not None and len(self.delays) >= self._stops_after

    def clock(self) -> float:
        return self.now


def _client(url: str, waits: _Waits) -> Client:
    tls = ssl.create_default_context()
    return Client(parse_address(url), invite_to(url), tls=tls, patience=Patience(waits.clock), wait=waits)


def _send(answer: Answer, waits: _Waits | None = None) -> tuple[Accepted | Refused | NotSent, ScriptedServer]:
    with ScriptedServer(answer) as server, _client(server.url, waits or _Waits()) as client:
        return client.send_item(PAYLOAD), server


def test_an_item_goes_as_the_wire_has_it() -> None:
    """Owner in the path, key in the body, nothing else anywhere."""
    outcome, server = _send(accept)
    assert outcome == Accepted("abcdef")
    (request,) = server.requests
    assert request.path == f"/v4/{INVITE.owner_key.hex}/create_item"
    assert json.loads(request.body) == {
        "auth": {"type": "ClientAuth", "databaseKey": INVITE.database_key.reveal().hex()},
        "payload": PAYLOAD,
    }
    assert "pod-receipt" not in request.headers


def test_a_receipt_is_asked_for_and_handed_over() -> None:
    """The header is the wire's; checking it is not the client's business."""
    answer = script(lambda request: Reply(200, accept(request).body, {"Pod-Receipt": "cmVjZWlwdA=="}))
    with ScriptedServer(answer) as server, _client(server.url, _Waits()) as client:
        assert client.send_item(PAYLOAD, wants_receipt=True) == Accepted("abcdef", "cmVjZWlwdA==")
        assert server.requests[0].headers["pod-receipt"] == "1"


def test_one_connection_serves_many_items() -> None:
    """A handshake an item would be most of the time a run takes."""
    with ScriptedServer() as server, _client(server.url, _Waits()) as client:
        for _ in range(3):
            client.send_item(PAYLOAD)
        assert len({request.connection for request in server.requests}) == 1


@pytest.mark.parametrize("status", [408, 429, 502, 503, 504, 507])
def test_not_now_is_tried_again_until_it_is_kept(status: int) -> None:
    """The contributor need not know that a pod was restarted."""
    waits = _Waits()
    outcome, server = _send(script(fail(status, "later"), fail(status, "later")), waits)
    assert outcome == Accepted("abcdef")
    assert len(server.requests) == 3
    assert len(waits.delays) == 2


def test_retry_after_is_honoured() -> None:
    """A pod that asks for 40 seconds is not asked sooner."""
    waits = _Waits()
    _send(script(fail(429, "too many", Retry_After="40")), waits)
    assert waits.delays == [40.0]


def test_a_wait_longer_than_patience_is_not_begun() -> None:
    """An hour is better spent not waiting; the run can be resumed."""
    waits = _Waits()
    outcome, server = _send(script(fail(503, "closed for an hour", Retry_After="3600")), waits)
    assert outcome == NotSent("closed for an hour")
    assert waits.delays == []
    assert len(server.requests) == 1


def test_a_pod_that_takes_one_item_a_minute_is_waited_for() -> None:
    """Patience is about a pod that does nothing, not about one that is slow."""
    waits = _Waits()
    answers: list[Reply | Answer] = [fail(429, "one a minute", Retry_After="60"), accept] * 10
    with ScriptedServer(script(*answers)) as server, _client(server.url, waits) as client:
        assert [client.send_item(PAYLOAD) for _ in range(10)] == [Accepted("abcdef")] * 10
    assert waits.now == 600


def test_a_pod_that_stays_full_is_given_up() -> None:
    """Nothing is lost: the item was not decided."""
    waits = _Waits()
    outcome, _ = _send(lambda _: fail(507, "the disk is full"), waits)
    assert outcome == NotSent("the disk is full")
    assert 60 < waits.now < 200


@pytest.mark.parametrize("status", [400, 403, 404, 409, 413])
def test_a_refusal_is_not_tried_again(status: int) -> None:
    """It would be refused again."""
    outcome, server = _send(lambda _: fail(status, "no"))
    assert outcome == Refused(status, "no")
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "broken",
    [DROP, Reply(200, b'"abcdef"', is_cut=True), Reply(503, b"Failure: x", is_cut=True)],
    ids=["dropped", "cut", "cut-503"],
)
def test_a_broken_answer_is_tried_again(broken: Reply) -> None:
    """Whether the item was kept is unknown; its id makes asking again safe."""
    outcome, server = _send(script(broken))
    assert outcome == Accepted("abcdef")
    assert {request.body for request in server.requests} == {server.requests[0].body}
    assert len(server.requests) == 2


def test_a_kept_connection_that_was_closed_costs_no_wait() -> None:
    """Servers close idle connections; that says nothing about their health."""
    waits = _Waits()
    answer = script(lambda request: Reply(200, accept(request).body, closes=True))
    with ScriptedServer(answer) as server, _client(server.url, waits) as client:
        client.send_item(PAYLOAD)
        assert client.send_item(PAYLOAD) == Accepted("abcdef")
    assert waits.delays == []


def test_an_answer_too_long_for_the_wire_does_not_spoil_the_next() -> None:
    """What was not read of it must not be taken for another item's answer."""
    waits = _Waits()
    answer = script(Reply(400, b"x" * 200_000))
    with ScriptedServer(answer) as server, _client(server.url, waits) as client:
        assert isinstance(client.send_item(PAYLOAD), Refused)
        assert client.send_item(PAYLOAD) == Accepted("abcdef")
    assert waits.delays == []


def test_a_body_refused_before_it_was_sent_is_refused() -> None:
    """A server answers 413 and closes; the broken pipe is not the news."""
    waits = _Waits()
    with ScriptedServer(max_body_bytes=1000) as server, _client(server.url, waits) as client:
        outcome = client.send_item({**PAYLOAD, "comments": "x" * 20_000_000})
        assert client.send_item(PAYLOAD) == Accepted("abcdef")
    assert outcome == Refused(413, "the body is too large")
    assert waits.delays == []


def test_a_server_that_is_not_there_is_given_up_soon() -> None:
    """The sentence says what stood in the way."""
    with ScriptedServer() as server:
        url = server.url
    waits = _Waits()
    with _client(url, waits) as client:
        outcome = client.send_item(PAYLOAD)
    assert isinstance(outcome, NotSent)
    assert "cannot be reached" in outcome.sentence
    assert waits.now < 20


def test_a_stopped_run_does_not_wait() -> None:
    """Ctrl-C ends a wait of any length."""
    waits = _Waits(stops_after=1)
    outcome, server = _send(lambda _: fail(503, "later"), waits)
    assert outcome == NotSent("later")
    assert len(server.requests) == 1


def test_a_wrong_certificate_is_told_at_once(tmp_path: Path) -> None:
    """Trying again would only send the key to the same stranger again, had it been sent."""
    waits = _Waits()
    server = ScriptedServer()
    server.use_tls(self_signed(tmp_path / "server.pem"))
    with server, _client(server.url, waits) as client:
        outcome = client.send_item(PAYLOAD)
    assert isinstance(outcome, NotSent)
    assert "certificate is not valid" in outcome.sentence
    assert waits.delays == []
    assert server.requests == []


def test_the_key_shows_nowhere() -> None:
    """Not in a repr, not in a traceback of our own mistakes."""
    key = INVITE.database_key.reveal().hex()
    client = _client("http://127.0.0.1:1", _Waits())
    assert key not in repr(client)
    with pytest.raises(TypeError) as caught:
        client.send_item({"type": object()})  # type: ignore[dict-item]  # a bug of ours, on purpose
    assert key not in "".join(traceback.format_exception(caught.value))
