"""Reading bodies: the end is a message, and every limit holds while chunks arrive."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from ingest import body as body_module
from ingest.asgi import Message, Receive
from ingest.body import BUDGET_BYTES, FREE_BYTES, Bodies, drain
from ingest.problems import Refused

LIMIT = 100


def _sends(*messages: Message | None) -> Receive:
    """An ASGI ``receive`` that gives these messages; None is silence."""
    left = list(messages)

    async def receive() -> Message:
        message = left.pop(0)
        if message is None:
            await asyncio.sleep(60)
        assert message
        return message

    return receive


def _chunk(content: bytes, *, is_more: bool) -> Message:
    return {"type": "http.request", "body": content, "more_body": is_more}


def _chunks(contents: Sequence[bytes]) -> list[Message]:
    return [_chunk(content, is_more=True) for content in contents] + [_chunk(b"", is_more=False)]


async def _status(bodies: Bodies, receive: Receive, expected_bytes: int | None = None) -> int:
    with pytest.raises(Refused) as refused:
        await bodies.read(receive, expected_bytes)
    return refused.value.problem.status


DISCONNECT: dict[str, Any] = {"type": "http.disconnect"}


@pytest.mark.parametrize(
    ("messages", "expected_bytes"),
    [
        ([_chunk(b"hello", is_more=False)], 5),
        ([_chunk(b"hello", is_more=True)], 5),
        ([_chunk(b"he", is_more=True), _chunk(b"llo", is_more=True)], 5),
        (_chunks([b"he", b"", b"llo"]), None),
        ([{"type": "http.request"}], None),
    ],
)
async def test_a_body_is_the_chunks_until_the_last(
    messages: list[Message], expected_bytes: int | None
) -> None:
    """Known length or not, in one piece or many; members may be absent (ASGI 3.0)."""
    body = await Bodies(LIMIT, 1).read(_sends(*messages), expected_bytes)

    assert body == (b"hello" if "body" in messages[0] else b"")


@pytest.mark.parametrize(
    "messages",
    [
        [DISCONNECT],
        [_chunk(b"{}", is_more=True), DISCONNECT],
        [_chunk(b"{", is_more=True), _chunk(b"}", is_more=True), DISCONNECT],
    ],
)
async def test_a_disconnect_is_never_the_end_of_a_body(messages: list[Message]) -> None:
    """What came before it may be whole JSON, and is dropped all the same."""
    assert await _status(Bodies(LIMIT, 1), _sends(*messages)) == 400


async def test_a_length_over_the_limit_is_refused_unread() -> None:
    """Nothing is received at all."""
    assert await _status(Bodies(LIMIT, 1), _sends(), LIMIT + 1) == 413


@pytest.mark.parametrize(
    "messages",
    [
        [_chunk(b"x" * (LIMIT + 1), is_more=False)],
        _chunks([b"x" * LIMIT, b"x"]),
        _chunks([b"x"] * (LIMIT + 1)),
    ],
)
async def test_what_arrives_is_counted(messages: list[Message]) -> None:
    """Where there is no length, or a server in front that does not check it."""
    assert await _status(Bodies(LIMIT, 1), _sends(*messages)) == 413


@pytest.mark.parametrize("messages", [[None], [_chunk(b"{", is_more=True), None]])
async def test_a_body_has_a_deadline(messages: list[Message | None]) -> None:
    """Silence before the first chunk or after it."""
    assert await _status(Bodies(LIMIT, 0.05), _sends(*messages)) == 408


async def test_large_bodies_share_a_budget_and_small_ones_pass() -> None:
    """Bodies held in memory are bounded; whoever fills the bound does not keep small items out."""
    bodies = Bodies(BUDGET_BYTES * 2, 5)
    large = b"x" * (BUDGET_BYTES + FREE_BYTES)
    holding = asyncio.create_task(bodies.read(_sends(_chunk(large, is_more=True), None), None))
    await asyncio.sleep(0.05)
    small = _chunks([b"x" * 10] * 5)

    assert await _status(bodies, _sends(*_chunks([b"x" * (FREE_BYTES + 1), b"x"]))) == 503
    assert await bodies.read(_sends(*small), None) == b"x" * 50

    holding.cancel()
    await asyncio.gather(holding, return_exceptions=True)
    assert len(await bodies.read(_sends(*_chunks([b"x" * (FREE_BYTES + 1), b"x"])), None)) == FREE_BYTES + 2


async def test_draining_ends_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is a courtesy to a client that is still sending, not a way to hold a connection."""
    monkeypatch.setattr(body_module, "LINGER_SECONDS", 0.05)
    await drain(_sends(_chunk(b"x", is_more=True), None))
    await drain(_sends(_chunk(b"x", is_more=True), DISCONNECT))
    await drain(_sends(*_chunks([b"x"])))
    monkeypatch.setattr(body_module, "LINGER_BYTES", 3)
    await drain(_sends(*[_chunk(b"x", is_more=True)] * 3))
