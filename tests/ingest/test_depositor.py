"""A gateway's items: each is answered by itself, and none is begun with too late."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ingest.depositor import Depositor, Settled, Tools
from ingest.logs import Log
from ingest.problems import Problem
from tests.support.functions import Function, new_function
from tests.support.pods import new_pod
from vault.judging import Outcome

DEADLINE_SECONDS = 8.0


class Store:
    """Takes everything, after ``wait``."""

    def __init__(self) -> None:
        self.wait: Callable[[], object] = lambda: None
        self.keys: list[str] = []

    def put_new(self, key: str, _: bytes, __: dict[str, str], /) -> None:
        """Put it."""
        self.wait()
        self.keys.append(key)


@pytest.fixture
def function(tmp_path: Path) -> Function:
    """A function of a new pod."""
    return new_function(new_pod(tmp_path, "infer"), tmp_path / "scratch")


@pytest.fixture
def one_thread() -> Iterator[ThreadPoolExecutor]:
    """So that the second item waits for the first."""
    with ThreadPoolExecutor(1) as threads:
        yield threads


def depositor_of(
    function: Function, store: Store, threads: ThreadPoolExecutor, clock: Callable[[], float]
) -> Depositor:
    """The way of its items into a store."""
    log = Log(lambda _: None, now_ms=function.pod.clock, entropy=os.urandom)
    return Depositor(
        Tools(
            store=store,
            log_key=function.key,
            now_ms=function.pod.clock,
            clock=clock,
            deadline_seconds=DEADLINE_SECONDS,
            entropy=os.urandom,
            scratch=function.scratch,
            threads=threads,
            log=log,
        )
    )


def deposit_two(function: Function, depositor: Depositor) -> asyncio.Future[list[Settled]]:
    """Two items of one batch."""
    told: asyncio.Future[list[Settled]] = asyncio.get_running_loop().create_future()
    slot = function.pod.slot()
    batch = [function.pod.submission(slot, id=f"item-{number}", text="x") for number in (1, 2)]
    depositor.commit(function.pod.policy, slot.file_key, batch, told.set_result)  # type: ignore[arg-type]  # a list
    return told


def status_of(settled: Settled) -> int:
    """What a client sees."""
    if isinstance(settled, Problem):
        return settled.status
    assert settled.outcome is Outcome.STORED
    return 200


async def test_what_waited_too_long_is_not_begun_with(
    function: Function, one_thread: ThreadPoolExecutor
) -> None:
    """It is answered 503 at once; nothing of it is in the store."""
    now, store = [0.0], Store()

    def pass_the_deadline() -> None:
        now[0] += DEADLINE_SECONDS + 1

    store.wait = pass_the_deadline
    settled = await deposit_two(function, depositor_of(function, store, one_thread, lambda: now[0]))

    assert sorted(map(status_of, settled)) == [200, 503]
    assert len(store.keys) == 1


async def test_what_was_not_begun_with_when_it_stops_is_answered(
    function: Function, one_thread: ThreadPoolExecutor
) -> None:
    """503, not 500: it is nobody's fault, and may be sent again."""
    begun, go_on, store = threading.Event(), threading.Event(), Store()

    def hold() -> None:
        begun.set()
        go_on.wait(60)

    store.wait = hold
    told = deposit_two(function, depositor_of(function, store, one_thread, lambda: 0.0))
    await asyncio.to_thread(begun.wait, 60)
    one_thread.shutdown(wait=False, cancel_futures=True)
    go_on.set()

    assert list(map(status_of, await told)) == [200, 503]
    assert len(store.keys) == 1
