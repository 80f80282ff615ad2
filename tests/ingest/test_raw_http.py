"""The server against bytes no client library sends: smuggling, slowness, odd heads, lost connections.

What the HTTP server swallows before our code sees it is proven harmless here:
no second request is executed, and nothing is stored that was not sent whole.
"""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import time
from collections.abc import Iterator

import pytest

from tests.support.pods import TestPod, make_pod
from tests.support.raw_http import Raw, chunked, exchange, post, read_all
from tests.support.server import Server, envelope, serving

MAX_BODY_BYTES = 4_096
BODY_SECONDS = 1.0
HEADER_SECONDS = 1.0
GET_VERSION = b"GET /version HTTP/1.1\r\nHost: pod.test\r\n\r\n"


class _Target:
    """A served pod and what it takes to write to it."""

    def __init__(self, server: Server, pod: TestPod, key: str) -> None:
        self.server = server
        self.pod = pod
        self.key = key
        self.path = f"/v4/{pod.owner}/create_item"

    def item(self, item_id: str) -> bytes:
        """A whole, good body."""
        return envelope(self.key, {"type": "Note", "id": item_id})

    def stored_ids(self) -> set[object]:
        """What is in the pod now."""
        return {item.id for item in self.pod.items()}


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[_Target]:
    """One server with short deadlines and a small limit, for all of these tests."""
    pod = make_pod(tmp_path_factory.mktemp("raw") / "home")
    key = pod.invite().database_key.reveal().hex()
    options = (
        "--max-body",
        MAX_BODY_BYTES,
        "--body-seconds",
        BODY_SECONDS,
        "--header-seconds",
        HEADER_SECONDS,
        "--throttle",
        0,
    )
    with serving(pod.folder.path, options=[str(option) for option in options]) as server:
        yield _Target(server, pod, key)


def _is_refused(answer: Raw, status: int) -> bool:
    return answer.statuses == [status] and b"Failure: " in answer.data


def test_a_body_in_chunks_is_stored(target: _Target) -> None:
    """The length need not be known before; each chunk counts against the limit."""
    body = target.item("chunks")

    answer = exchange(target.server, chunked(target.path, body[:10], body[10:50], body[50:]), 1)

    assert answer.statuses == [200]
    assert "chunks" in target.stored_ids()


def test_two_requests_on_one_connection_are_both_answered(target: _Target) -> None:
    """The control for the smuggling tests: an honest second request is executed."""
    first = post(target.path, target.item("first-of-two"))

    answer = exchange(target.server, first + GET_VERSION, 2)

    assert answer.statuses == [200, 200]


def test_content_length_with_transfer_encoding_runs_no_second_request(target: _Target) -> None:
    """CL.TE: a proxy in front that believes Content-Length would see one request, so there must be one."""
    smuggled = post(target.path, target.item("smuggled-cl-te"))
    body = target.item("outer-cl-te")
    head = (
        f"POST {target.path} HTTP/1.1\r\nHost: pod.test\r\nTransfer-Encoding: chunked\r\n"
        f"Content-Length: {len(body) + 100}\r\n\r\n"
    ).encode()
    chunks = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)

    answer = exchange(target.server, head + chunks + smuggled)

    assert len(answer.statuses) <= 1
    assert answer.is_closed
    assert "smuggled-cl-te" not in target.stored_ids()


def test_a_body_after_its_content_length_is_no_second_request_that_is_stored(target: _Target) -> None:
    """Bytes past Content-Length start a new request; what is no request is refused."""
    request = post(target.path, target.item("exact-length")) + b'{"not": "a request"}\r\n\r\n'

    answer = exchange(target.server, request)

    assert answer.statuses == [200, 400]
    assert answer.is_closed


@pytest.mark.parametrize(
    "lengths",
    [
        b"Content-Length: 5\r\nContent-Length: 6",
        b"Content-Length: 5, 6",
        b"Content-Length: -1",
        b"Content-Length: 5x",
    ],
)
def test_a_doubtful_content_length_is_refused(target: _Target, lengths: bytes) -> None:
    """Two readings of one length are two requests to somebody."""
    head = b"POST %s HTTP/1.1\r\nHost: pod.test\r\n%s\r\n\r\nhello" % (target.path.encode(), lengths)

    answer = exchange(target.server, head + GET_VERSION)

    assert answer.statuses == [400]
    assert answer.is_closed


@pytest.mark.parametrize("encoding", [b"xchunked", b"gzip, chunked", b"chunked, identity"])
def test_an_unknown_transfer_encoding_stores_nothing(target: _Target, encoding: bytes) -> None:
    """Only chunked is understood; anything else has no end to agree on."""
    body = target.item("odd-encoding")
    head = f"POST {target.path} HTTP/1.1\r\nHost: pod.test\r\n".encode()

    exchange(target.server, head + b"Transfer-Encoding: " + encoding + b"\r\n\r\n" + body)

    assert "odd-encoding" not in target.stored_ids()


def test_a_bad_chunk_size_stores_nothing(target: _Target) -> None:
    """A chunk whose size cannot be read ends the request, whatever came before it."""
    body = target.item("bad-chunk")

    exchange(target.server, chunked(target.path, body, end=b"zz\r\n\r\n"))

    assert "bad-chunk" not in target.stored_ids()


def test_absolute_form_is_read_as_its_path(target: _Target) -> None:
    """RFC 9112 3.2.2 demands it be understood; the authority in it decides nothing here."""
    request = b"GET http://elsewhere.test/version HTTP/1.1\r\nHost: pod.test\r\n\r\n"

    answer = exchange(target.server, request, 1)

    assert answer.statuses == [200]


@pytest.mark.parametrize(
    "hosts",
    [
        b"",
        b"Host: \r\n",
        b"Host: pod.test\r\nHost: pod.test\r\n",
        b"Host: pod.test\r\nhost: other.test\r\n",
        b"Host: a b\r\n",
        b"Host: pod.test/x\r\n",
    ],
)
def test_anything_but_one_host_is_refused(target: _Target, hosts: bytes) -> None:
    """A proxy and a server that pick different Hosts disagree about whose request it is."""
    answer = exchange(target.server, post(target.path, target.item("hosts"), host=hosts), 1)

    assert _is_refused(answer, 400)
    assert "hosts" not in target.stored_ids()


def test_http_1_0_without_host_is_refused(target: _Target) -> None:
    """One rule for every version."""
    assert _is_refused(exchange(target.server, b"GET /version HTTP/1.0\r\n\r\n", 1), 400)


@pytest.mark.parametrize("coding", [b"gzip", b"GZIP", b"br", b"identity, gzip"])
def test_an_encoded_body_is_refused(target: _Target, coding: bytes) -> None:
    """Nothing is unpacked, so no small body becomes a large one."""
    answer = exchange(
        target.server, post(target.path, target.item("encoded"), b"Content-Encoding: " + coding), 1
    )

    assert _is_refused(answer, 400)
    assert b"Content-Encoding" in answer.data


def test_identity_is_no_encoding(target: _Target) -> None:
    """RFC 9110 8.4.1: it says that nothing was done."""
    request = post(target.path, target.item("identity"), b"Content-Encoding: identity")

    assert exchange(target.server, request, 1).statuses == [200]


@pytest.mark.parametrize(
    "path",
    [
        "/v4/{owner}%2Fcreate_item",
        "/v4/{owner}/create_item%00",
        "/v4/{owner}/create%5Fitem",
        "/v4//create_item",
        "/v4/{owner}/create_item//",
        "//v4/{owner}/create_item",
        "/x/v4/{owner}/create_item",
        "/v4/{owner}/create_item/x",
        "/v4/./{owner}/create_item",
        "/V4/{owner}/create_item",
        "/versio%6E",
        "/version/x",
        "*",
    ],
)
def test_a_path_is_compared_as_it_was_sent(target: _Target, path: str) -> None:
    """Nothing is decoded or normalised, so %2F parts no segments and %00 ends none."""
    request = post(path.format(owner=target.pod.owner), target.item("odd-path"))

    answer = exchange(target.server, request, 1)

    assert answer.statuses == [404]
    assert "odd-path" not in target.stored_ids()


@pytest.mark.parametrize("owner", ["%61" * 64, "a" * 63, "a" * 65, "0x" + "a" * 62, "a" * 63 + "%0A"])
def test_an_owner_that_is_not_hex_is_an_unknown_one(target: _Target, owner: str) -> None:
    """A percent-escape is not decoded into a digit."""
    answer = exchange(target.server, post(f"/v4/{owner}/create_item", target.item("odd-owner")), 1)

    assert _is_refused(answer, 403)


def test_other_paths_are_answered_without_reading_their_body(target: _Target) -> None:
    """pymemri sends the database key to /v4/account when it is constructed: it is not even read."""
    head = b"POST /v4/account HTTP/1.1\r\nHost: pod.test\r\nContent-Length: 1000\r\n\r\n"

    answer = exchange(target.server, head, 1)

    # Who waits for a body that does not come answers 408.
    assert answer.statuses == [404]
    assert answer.data.endswith(b"\r\n\r\n")


def test_a_body_over_the_limit_is_refused_before_it_is_sent(target: _Target) -> None:
    """Content-Length says enough."""
    head = f"POST {target.path} HTTP/1.1\r\nHost: pod.test\r\nContent-Length: 100000000\r\n\r\n".encode()

    answer = exchange(target.server, head, 1)

    assert _is_refused(answer, 413)
    assert str(MAX_BODY_BYTES).encode() in answer.data


def test_a_client_that_sends_too_much_can_still_read_why(target: _Target) -> None:
    """Closing under a sending client would reset the connection, and with it the answer."""
    with contextlib.closing(target.server.connect()) as connection:
        connection.sendall(post(target.path, b"x" * 2_000_000))
        answer = read_all(connection)

    assert _is_refused(answer, 413)


def test_chunks_are_counted_while_they_arrive(target: _Target) -> None:
    """Without Content-Length the limit holds all the same."""
    answer = exchange(target.server, chunked(target.path, *[b"x" * 1_000] * 6), 1)

    assert _is_refused(answer, 413)


def test_a_body_of_exactly_the_limit_is_read(target: _Target) -> None:
    """The announced limit is the true one."""
    body = target.item("padded").ljust(MAX_BODY_BYTES)

    assert exchange(target.server, post(target.path, body), 1).statuses == [200]
    assert exchange(target.server, post(target.path, body + b" "), 1).statuses == [413]


def test_a_slow_body_is_ended(target: _Target) -> None:
    """One byte now and then would hold a connection and its memory for ever."""
    began = time.monotonic()
    with contextlib.closing(target.server.connect()) as connection:
        connection.sendall(post(target.path, b"")[:-2].replace(b"Length: 0", b"Length: 200") + b'\r\n{"au')
        answer = read_all(connection)

    assert _is_refused(answer, 408)
    assert answer.is_closed
    assert time.monotonic() - began >= BODY_SECONDS


def test_a_dripping_body_is_ended_too(target: _Target) -> None:
    """The deadline is for the whole body, not between two bytes of it."""
    with contextlib.closing(target.server.connect()) as connection:
        connection.sendall(post(target.path, b"x" * 200)[:-200])
        for _ in range(15):
            time.sleep(0.1)
            with contextlib.suppress(OSError):
                connection.sendall(b" ")
        answer = read_all(connection)

    assert _is_refused(answer, 408)


def test_a_slow_head_is_ended(target: _Target) -> None:
    """Slowloris: heads that never end must not use up the connections."""
    with contextlib.closing(target.server.connect()) as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nHost: pod.test\r\nX-Slow")
        assert read_all(connection).is_closed


def test_a_silent_connection_is_ended(target: _Target) -> None:
    """Connecting and saying nothing is the cheapest attack of all."""
    with contextlib.closing(target.server.connect()) as connection:
        assert read_all(connection).is_closed


def test_a_head_without_end_is_refused(target: _Target) -> None:
    """The head has a limit of its own."""
    request = b"GET /version HTTP/1.1\r\nHost: pod.test\r\nX-Long: " + b"x" * 200_000 + b"\r\n\r\n"
    with contextlib.closing(target.server.connect()) as connection:
        with contextlib.suppress(ConnectionError):
            connection.sendall(request)
        answer = read_all(connection)

    assert answer.is_closed
    assert answer.statuses in ([], [431])


@pytest.mark.parametrize("is_chunked", [False, True])
def test_a_connection_lost_inside_a_body_stores_nothing(target: _Target, is_chunked: bool) -> None:
    """A disconnect is never the end of a body, even where what came before it is whole JSON."""
    body = target.item(f"cut-off-{is_chunked}")
    whole = chunked(target.path, body, end=b"") if is_chunked else post(target.path, body + b" ")[:-1]

    with contextlib.closing(target.server.connect()) as connection:
        connection.sendall(whole)
    time.sleep(0.3)

    assert f"cut-off-{is_chunked}" not in target.stored_ids()


def test_a_client_that_leaves_without_its_answer_has_its_item_stored(target: _Target) -> None:
    """The whole item was read; whether it was acknowledged, its sender finds out by sending it again."""
    with contextlib.closing(target.server.connect()) as connection:
        connection.sendall(post(target.path, target.item("left-early")))
        # An abrupt end, a reset, as soon as there is an answer to lose.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        assert select.select([connection], [], [], 10)[0]

    assert "left-early" in target.stored_ids()
    assert target.server.request("GET", "/version").status == 200


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "TRACE"])
def test_another_method_on_create_item_is_405(target: _Target, method: str) -> None:
    """The path is known; RFC 9110 15.5.6 wants the method named."""
    answer = target.server.request(method, target.path)

    assert answer.status == 405
    assert answer.headers["allow"] == "POST"
    assert answer.headers["access-control-allow-origin"] == "*"


def test_head_has_the_status_and_no_body(target: _Target) -> None:
    """A body after HEAD would be read as the next answer."""
    request = f"HEAD {target.path} HTTP/1.1\r\nHost: pod.test\r\n\r\n".encode()

    answer = exchange(target.server, request + GET_VERSION, 2)

    assert answer.statuses == [405, 200]
    assert b"Failure" not in answer.data


@pytest.mark.parametrize("path", ["/version", "/v4/{owner}/create_item", "/v4/nobody/create_item/"])
def test_a_preflight_is_answered_for_both_calls(target: _Target, path: str) -> None:
    """Browsers ask before they send application/json; the answer tells nothing about any pod."""
    answer = target.server.request("OPTIONS", path.format(owner=target.pod.owner))

    assert answer.status == 204
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["access-control-allow-methods"] == "GET, POST"
    assert answer.headers["access-control-allow-headers"] == "Content-Type, Pod-Receipt"
    assert int(answer.headers["access-control-max-age"]) > 0
    assert "access-control-allow-credentials" not in answer.headers


@pytest.mark.parametrize("path", ["/version", "/v4/{owner}/create_item", "/nothing"])
def test_every_answer_may_be_read_by_any_origin_and_carries_no_cookie(target: _Target, path: str) -> None:
    """There are no credentials a browser could add, so any page may send and read."""
    answer = target.server.request("POST", path.format(owner=target.pod.owner), b"{")

    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["access-control-expose-headers"] == "Pod-Promise, Pod-Receipt, Retry-After"
    assert not {"set-cookie", "access-control-allow-credentials"} & answer.headers.keys()
