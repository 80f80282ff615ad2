"""Group commit: what waits together is committed together, in order, one commit at a time."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from ingest.committer import (
    LEAST_AHEAD,
    MOST_BATCH_BYTES,
    MOST_ITEMS,
    MOST_WAITING_BYTES,
    MOST_WAITING_BYTES_IN_ALL,
    MOST_WAITING_ITEMS,
    MOST_WAITING_ITEMS_IN_ALL,
    Committer,
    Load,
    Told,
)


class _Writer:
    """A thread that takes batches, and can be held so that a queue forms."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.may_commit = threading.Event()
        self.may_commit.set()
        self.fails_at: int | None = None
        self.started = 0
        self.executor = ThreadPoolExecutor(1)

    def start(self, batch: Sequence[int], told: Told[str]) -> None:
        self.started += 1
        loop = asyncio.get_running_loop()

        def commit() -> None:
            loop.call_soon_threadsafe(told, self._outcome(list(batch)))

        self.executor.submit(commit)

    def _outcome(self, batch: list[int]) -> list[str] | Exception:
        try:
            return self._commit(batch)
        except OSError as exc:
            return exc

    def _commit(self, batch: list[int]) -> list[str]:
        self.may_commit.wait(60)
        self.batches.append(batch)
        if self.fails_at in batch:
            raise OSError("the disk went away")
        return [f"stored {number}" for number in batch]


def _explain(error: BaseException) -> str:
    return f"failed: {type(error).__name__}"


@pytest.fixture
def writer() -> Iterator[_Writer]:
    """A writer whose threads end with the test."""
    writer = _Writer()
    yield writer
    writer.may_commit.set()
    writer.executor.shutdown()


def _committer(writer: _Writer, load: Load | None = None) -> Committer[int, str]:
    return Committer(writer.start, _explain, load or Load())


async def test_one_item_waits_for_nobody(writer: _Writer) -> None:
    """At one client the latency is one commit: no timer, no minimum."""
    committer = _committer(writer)

    assert await committer.submit(1, 10, 0) == "stored 1"
    assert writer.batches == [[1]]
    assert committer.is_idle


async def test_items_of_one_turn_share_a_commit_in_their_order(writer: _Writer) -> None:
    """One fsync for all of them is where the throughput comes from."""
    answers = await asyncio.gather(
        *(_committer_submit for _committer_submit in _submit(_committer(writer), 64))
    )

    assert answers == [f"stored {number}" for number in range(64)]
    assert writer.batches == [list(range(64))]


def _submit(committer: Committer[int, str], count: int) -> list[asyncio.Future[str]]:
    return [committer.submit(number, 1, 0) for number in range(count)]


async def test_what_arrives_during_a_commit_becomes_the_next_batch(writer: _Writer) -> None:
    """Nothing leaves while the commit runs; the rest waits together."""
    committer = _committer(writer)
    writer.may_commit.clear()
    first = committer.submit(0, 1, 0)
    await asyncio.sleep(0.05)
    later = [committer.submit(number, 1, 0) for number in range(1, LEAST_AHEAD)]
    await asyncio.sleep(0.05)
    writer.may_commit.set()
    await asyncio.gather(first, *later)

    assert writer.batches == [[0], list(range(1, LEAST_AHEAD))]
    assert writer.started == 2


async def test_a_large_batch_leaves_while_another_is_committed_and_no_third(writer: _Writer) -> None:
    """The writer takes it up at once; more than one ahead would only make batches smaller."""
    committer = _committer(writer)
    writer.may_commit.clear()
    first = _submit(committer, 20)
    await asyncio.sleep(0.05)
    second = [committer.submit(100 + number, 1, 0) for number in range(17)]
    assert writer.started == 1
    second.append(committer.submit(117, 1, 0))
    assert writer.started == 2
    third = [committer.submit(200 + number, 1, 0) for number in range(40)]
    assert writer.started == 2
    writer.may_commit.set()
    await asyncio.gather(*first, *second, *third)

    assert [len(batch) for batch in writer.batches] == [20, 18, 40]
    assert committer.is_idle


async def test_the_next_batch_leaves_before_the_answers(writer: _Writer) -> None:
    """The writer does not wait for a loop that is busy answering, if enough waits."""
    committer = _committer(writer)
    batches_at_first_answer: list[int] = []
    writer.may_commit.clear()
    first = _submit(committer, 10)
    first[0].add_done_callback(lambda _: batches_at_first_answer.append(writer.started))
    await asyncio.sleep(0.05)
    later = [committer.submit(number, 1, 0) for number in range(10, 15)]
    writer.may_commit.set()
    await asyncio.gather(*first, *later)

    assert batches_at_first_answer == [2]
    assert writer.batches == [list(range(10)), list(range(10, 15))]


async def test_a_few_that_wait_are_joined_by_those_who_come_back(writer: _Writer) -> None:
    """A batch costs about as much as thirty items of it: a small one is worth a turn of the loop."""
    committer = _committer(writer)
    writer.may_commit.clear()
    first = _submit(committer, 10)
    again = [asyncio.create_task(_then(waiting, committer)) for waiting in first]
    await asyncio.sleep(0.05)
    late = committer.submit(99, 1, 0)
    writer.may_commit.set()
    await asyncio.gather(late, *again)

    assert writer.batches == [list(range(10)), [99, *[100] * 10]]


async def _then(waiting: asyncio.Future[str], committer: Committer[int, str]) -> None:
    await waiting
    await committer.submit(100, 1, 0)


async def test_a_batch_is_bounded_by_items(writer: _Writer) -> None:
    """512 is the format's bound; what is beyond it is the next batch's."""
    committer = _committer(writer)
    await asyncio.gather(*_submit(committer, MOST_ITEMS + 1))

    assert [len(batch) for batch in writer.batches] == [MOST_ITEMS, 1]


async def test_a_batch_is_bounded_by_bytes(writer: _Writer) -> None:
    """Large items make small batches; one item alone always fits."""
    committer = _committer(writer)
    sizes = [MOST_BATCH_BYTES // 2, MOST_BATCH_BYTES // 2, 1, MOST_BATCH_BYTES + 1, 1]
    await asyncio.gather(*(committer.submit(number, size, 0) for number, size in enumerate(sizes)))

    assert writer.batches == [[0, 1], [2], [3], [4]]


async def test_a_failed_commit_fails_all_of_its_batch_and_nothing_else(writer: _Writer) -> None:
    """Nobody is told that an item of it was stored; the next batch is tried all the same."""
    committer = _committer(writer)
    writer.fails_at = 3
    failed = await asyncio.gather(*_submit(committer, 5))
    writer.fails_at = None

    assert failed == ["failed: OSError"] * 5
    assert await committer.submit(9, 1, 0) == "stored 9"


async def test_the_queue_is_bounded_by_items_and_bytes(writer: _Writer) -> None:
    """Beyond it a caller is told to try again, instead of memory running out."""
    committer = _committer(writer)
    writer.may_commit.clear()
    running = committer.submit(0, 1, 0)
    await asyncio.sleep(0.05)
    assert committer.has_room(MOST_WAITING_BYTES + 1)

    waiting = [committer.submit(1, MOST_WAITING_BYTES, 0)]
    assert not committer.has_room(1)
    writer.may_commit.set()
    await asyncio.gather(running, *waiting)
    assert committer.has_room(1)

    writer.may_commit.clear()
    waiting = _submit(committer, MOST_WAITING_ITEMS)
    assert not committer.has_room(1)
    writer.may_commit.set()
    await asyncio.gather(*waiting)
    assert committer.has_room(1)


async def test_all_queues_of_a_process_are_bounded_together(writer: _Writer) -> None:
    """Each pod within its own bound, many pods could still use up the memory."""
    load = Load()
    committers = [_committer(writer, load) for _ in range(5)]
    writer.may_commit.clear()
    running = [committer.submit(0, 1, 0) for committer in committers]
    await asyncio.sleep(0.05)
    waiting = [committer.submit(1, MOST_WAITING_BYTES, 0) for committer in committers[:4]]
    assert load.waiting_bytes == MOST_WAITING_BYTES_IN_ALL
    assert not committers[4].has_room(1)

    writer.may_commit.set()
    await asyncio.gather(*running, *waiting)
    assert load.waiting_bytes == 0
    assert committers[4].has_room(1)


async def test_items_of_many_pods_are_bounded_together(writer: _Writer) -> None:
    """Small ones too: each costs more than its bytes."""
    load = Load()
    committers = [_committer(writer, load) for _ in range(6)]
    writer.may_commit.clear()
    running = [committer.submit(0, 1, 0) for committer in committers]
    await asyncio.sleep(0.05)
    waiting = [
        committer.submit(1, 1, 0) for committer in committers[:5] for _ in range(MOST_WAITING_ITEMS - 600)
    ]
    waiting += [committers[5].submit(1, 1, 0) for _ in range(MOST_WAITING_ITEMS_IN_ALL - load.waiting_items)]
    assert not committers[5].has_room(1)

    writer.may_commit.set()
    await asyncio.gather(*running, *waiting)
    assert load.waiting_items == 0
    assert committers[5].has_room(1)


async def test_a_caller_that_gives_up_does_not_cancel_the_commit(writer: _Writer) -> None:
    """What was accepted is committed; the others of its batch get their answers."""
    committer = _committer(writer)
    writer.may_commit.clear()
    first, second = committer.submit(1, 1, 0), committer.submit(2, 1, 0)
    await asyncio.sleep(0.05)
    first.cancel()
    writer.may_commit.set()

    assert await second == "stored 2"
    assert writer.batches == [[1, 2]]
    assert committer.is_idle
