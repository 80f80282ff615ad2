"""Events of a function: requests are read as a server reads them, and whatever is none is refused."""

from __future__ import annotations

import asyncio
import base64
import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.asgi import Message, id_reply, problem_reply
from ingest.events import refusal_of, request_of, response_of
from ingest.problems import NO_REQUEST, NOT_ADMITTED, ONE_HOST, Refused
from tests.support.runtime_api import http_event


def received(event: object) -> bytes:
    """The body an application reads."""
    _, receive = request_of(event)

    async def read() -> tuple[Message, Message]:
        return await receive(), await receive()

    first, second = asyncio.run(read())
    assert first["more_body"] is False
    assert second == {"type": "http.disconnect"}
    body: bytes = first["body"]
    return body


def test_a_request_is_read_as_it_was_sent() -> None:
    """Method, path, headers and body; the path is not decoded again."""
    scope, _ = request_of(http_event("POST", "/v4/%2F/create_item", "{}", {"Pod-Receipt": "1", "a": "ä"}))

    assert (scope["type"], scope["method"], scope["raw_path"]) == ("http", "POST", b"/v4/%2F/create_item")
    assert (b"host", b"function.test") in scope["headers"]
    assert (b"pod-receipt", b"1") in scope["headers"]
    assert (b"a", "ä".encode()) in scope["headers"]


def test_two_spellings_of_a_header_are_two_headers() -> None:
    """So that two Hosts stay two."""
    scope, _ = request_of(http_event("GET", "/version", headers={"Host": "other.test"}))
    assert [name for name, _ in scope["headers"]].count(b"host") == 2


def test_a_body_is_read_in_both_of_its_forms() -> None:
    """Text as UTF-8, base64 as its bytes; none is an empty one."""
    assert received(http_event("POST", "/", "ä{}")) == "ä{}".encode()
    assert received(http_event("POST", "/", None)) == b""
    binary = base64.b64encode(b"\xff\x00").decode()
    assert received(http_event("POST", "/", binary, isBase64Encoded=True)) == b"\xff\x00"
    # What no UTF-8 can say is bytes that no decoder takes.
    assert received(http_event("POST", "/", "\ud800")) == b"\xed\xa0\x80"


@pytest.mark.parametrize("body", ["not base64!", "YQ", "YQ==\n", "ä"])
def test_a_body_that_is_no_base64_is_refused(body: str) -> None:
    """Nothing is guessed."""
    with pytest.raises(Refused, match="base64"):
        request_of(http_event("POST", "/", body, isBase64Encoded=True))


def _without(name: str) -> dict[str, Any]:
    event = http_event("POST", "/", "{}")
    del event[name]
    return event


@pytest.mark.parametrize(
    "event",
    [
        None,
        [],
        "text",
        7,
        {},
        {"Records": [{"eventSource": "aws:s3"}]},
        {"version": "1.0", "httpMethod": "GET", "path": "/version", "requestContext": {}},
        {"version": "0", "detail-type": "Scheduled Event", "source": "aws.events"},
        http_event("POST", "/", "{}", version="1.0"),
        http_event("POST", "/", "{}", version=2.0),
        _without("version"),
        _without("rawPath"),
        _without("requestContext"),
        http_event("POST", "/", "{}", rawPath=None),
        http_event("POST", "/", "{}", requestContext={}),
        http_event("POST", "/", "{}", requestContext={"http": {"method": None}}),
        http_event("POST", "/", "{}") | {"headers": {"x": 1}},
        http_event("POST", "/", "{}") | {"headers": ["x"]},
        http_event("POST", "/", "{}") | {"body": {"a": 1}},
        http_event("POST", "/", "{}") | {"isBase64Encoded": "yes"},
    ],
)
def test_an_event_that_is_no_request_is_refused(event: object) -> None:
    """Every other kind of event, and every member of another type."""
    with pytest.raises(Refused) as refused:
        request_of(event)
    assert refused.value.problem == NO_REQUEST


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.sampled_from([*http_event("POST", "/", "{}")]), _json)
def test_any_member_of_any_shape_is_read_or_refused(name: str, value: object) -> None:
    """No other error leaves."""
    event = copy.deepcopy(http_event("POST", "/", "{}"))
    event[name] = value
    try:
        request_of(event)
    except Refused:
        return


def test_an_answer_is_given_as_the_front_door_takes_it() -> None:
    """Its own headers are left to it."""
    reply = id_reply("item-1", None, "cHJvbWlzZQ==")
    assert response_of([reply.start, reply.body]) == {
        "statusCode": 200,
        "headers": {
            "content-type": "application/json",
            "access-control-allow-origin": "*",
            "access-control-expose-headers": "Pod-Promise, Pod-Receipt, Retry-After",
            "pod-promise": "cHJvbWlzZQ==",
        },
        "body": '"item-1"',
        "isBase64Encoded": False,
    }
    closing = problem_reply(ONE_HOST)
    answer = response_of([closing.start, {**closing.body, "more_body": True}, {"type": "http.response.body"}])
    assert answer["statusCode"] == 400
    assert not {"connection", "content-length"} & answer["headers"].keys()
    assert answer["body"] == "Failure: exactly one Host header was expected"


def test_a_refusal_is_an_answer() -> None:
    """With the same bytes as a server's."""
    answer = refusal_of(NOT_ADMITTED)
    assert answer["statusCode"] == 403
    assert answer["headers"]["content-type"] == "text/plain; charset=utf-8"
    assert answer["body"].startswith("Failure: this owner and key may not write here")
