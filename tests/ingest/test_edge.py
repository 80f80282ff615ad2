"""The edge and the outer door, spoken to in ASGI, where a socket cannot reach."""

from __future__ import annotations

import asyncio
import re
import time
from typing import Any

import pytest

from ingest.app import create_app
from ingest.asgi import Receive, Reply, Scope, Send
from ingest.door import CALL_KEY, Call, Door, Tools
from ingest.edge import Edge
from ingest.logs import Log
from ingest.origins import Origins
from ingest.problems import problem_of_failure
from ingest.registry import Registry
from ingest.remote_vault import RemoteVault
from ingest.settings import Settings
from ingest.throttle import Throttle
from tests.support.asgi import Lifespan, ask, receiving, scope_of
from tests.support.pods import FakeClock, TestPod, seeded_entropy
from tests.support.server import envelope
from tests.support.vaults import connect_to_thread
from vault.errors import DamagedError, DiskFullError, LockedError, OutcomeUnknownError, StorageError
from vault.pod import PodFolder

Lines = list[bytes]
NO_THROTTLE = Throttle(0, Origins(()), time.monotonic)


@pytest.fixture
def lines() -> Lines:
    """What the log wrote."""
    return []


@pytest.fixture
def log(lines: Lines) -> Log:
    """A log that writes into ``lines``."""
    return Log(lines.append, now_ms=FakeClock(), entropy=seeded_entropy())


def _no_vault(_folder: PodFolder) -> RemoteVault:
    raise AssertionError("no vault is opened here")


@pytest.fixture
def door(log: Log) -> Door:
    """A door to no pod."""
    settings = Settings(pods=())
    registry = Registry(settings, _no_vault, log=log, clock=time.monotonic, now_ms=time.time_ns)
    return Door(settings, registry, Tools(FakeClock(), time.monotonic, seeded_entropy(), log))


async def _never(_scope: Scope, _receive: Receive, _send: Send) -> None:
    raise AssertionError("the edge let it through")


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/nothing", [], 404),
        ("", [], 404),
        ("/version", [("host", "other.test")], 400),
        ("/version", [("content-encoding", "gzip")], 400),
        ("/version", [("content-length", "5x")], 400),
        ("/version", [("content-length", "9" * 16)], 400),
    ],
)
async def test_the_edge_answers_what_the_head_decides(
    log: Log, path: str, headers: list[tuple[str, str]], status: int
) -> None:
    """Nothing behind it is asked, whatever server stands in front."""
    sent = await ask(
        Edge(_never, _never, log=log, clock=time.monotonic, throttle=NO_THROTTLE),
        scope_of("GET", path, *headers),
    )

    assert sent[0]["status"] == status


async def test_what_passes_the_edge_carries_what_its_head_said(log: Log) -> None:
    """The owner as it was sent; the framework sees a constant path, so it caches no owner."""
    seen: list[Scope] = []

    async def app(scope: Scope, _receive: Receive, _send: Send) -> None:
        seen.append(scope)

    scope = scope_of("POST", "/v4/AbC%41/create_item/", ("content-length", "7"), ("pod-receipt", "1"))
    await ask(Edge(_never, app, log=log, clock=lambda: 5.0, throttle=NO_THROTTLE), scope)

    assert seen[0]["path"] == "/v4"
    assert seen[0][CALL_KEY] == Call(b"AbC%41", 7, wants_receipt=True, began=5.0)


@pytest.mark.parametrize("value", ["0", "true", "", "11"])
async def test_only_1_asks_for_a_receipt(log: Log, value: str) -> None:
    """Anything else is no request for 3 KB of header."""
    seen: list[Scope] = []

    async def app(scope: Scope, _receive: Receive, _send: Send) -> None:
        seen.append(scope)

    await ask(
        Edge(_never, app, log=log, clock=time.monotonic, throttle=NO_THROTTLE),
        scope_of("POST", "/v4/a/create_item", ("pod-receipt", value)),
    )

    assert not seen[0][CALL_KEY].wants_receipt


async def test_an_error_nobody_foresaw_is_a_500_that_names_a_log_line(
    door: Door, log: Log, lines: Lines
) -> None:
    """The client learns an id; the log learns class and place; nobody learns the text."""

    async def handle(_door: Door, _call: Call, _receive: Receive) -> Reply:
        raise ValueError("canary: what a client sent")

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await door.answer(handle, scope, receive, send)

    start, body = await ask(
        Edge(app, _never, log=log, clock=time.monotonic, throttle=NO_THROTTLE), scope_of("GET", "/version")
    )

    assert start["status"] == 500
    error_id = re.search(rb"[0-9a-f]{12}", body["body"])
    assert error_id
    assert error_id[0] in lines[0]
    assert b"ValueError" in lines[0]
    assert b"test_edge.py" in lines[0]
    assert b"canary" not in body["body"] + b"".join(lines)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (DiskFullError("x"), 507),
        (StorageError("x"), 503),
        (OutcomeUnknownError("x"), 503),
        (LockedError("x"), 503),
        (DamagedError("x"), 503),
    ],
)
def test_a_failed_commit_has_one_of_two_answers(error: StorageError, status: int) -> None:
    """Its reason is the maintainer's; the sentence for contributors says none of it."""
    problem = problem_of_failure(error)

    assert problem.status == status
    assert "x" not in problem.sentence.split()


def _post(pod: TestPod, key: str, payload: dict[str, Any]) -> tuple[Scope, Receive]:
    return scope_of("POST", f"/v4/{pod.owner}/create_item"), receiving(envelope(key, payload))


async def test_a_stop_commits_and_answers_what_waits(pod: TestPod, log: Log) -> None:
    """However the server in front ends: what was accepted is durable before the vault is closed."""
    key = pod.invite().database_key.reveal().hex()
    app = create_app(Settings(pods=(pod.folder.path,), port=1), log)
    async with Lifespan(app):
        waiting = [
            asyncio.ensure_future(ask(app, *_post(pod, key, {"type": "Note", "id": f"waiting-{i}"})))
            for i in range(20)
        ]
        await asyncio.sleep(0)
    answers = await asyncio.gather(*waiting)

    assert [answer[0]["status"] for answer in answers] == [200] * 20
    assert len(pod.items()) == 20
    assert not pod.folder.wal.exists()


async def test_a_commit_that_breaks_in_a_way_nobody_foresaw_fails_its_batch_only(
    pod: TestPod, log: Log, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The vault is closed and verified, and the next item is stored."""
    key = pod.invite().database_key.reveal().hex()
    connect = connect_to_thread(pod.clock)
    monkeypatch.setattr("ingest.vaults.WriterProcess.connect", lambda _, theirs: connect(theirs))
    app = create_app(Settings(pods=(pod.folder.path,), port=1), log)
    async with Lifespan(app):
        with monkeypatch.context() as broken:
            broken.setattr("vault.store.Writer.commit", lambda *_: 1 / 0)
            answer = await ask(app, *_post(pod, key, {"type": "Note"}))
            assert answer[0]["status"] == 500
        answer = await ask(app, *_post(pod, key, {"type": "Note"}))
        assert answer[0]["status"] == 200

    assert b"ZeroDivisionError" in b"".join(lines)
    assert len(pod.items()) == 1
