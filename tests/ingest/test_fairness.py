"""Who floods is held back for the sake of those who send little, and only then; nothing is lost by it."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.callers import HELD_BACK_BYTES_PER_SECOND, LATELY_SECONDS, MUCH_BYTES, MUCH_ITEMS, Callers
from ingest.committer import MOST_BATCH_BYTES, MOST_ITEMS, Committer, Load, Told
from tests.support.pods import make_pod
from tests.support.server import Response, serving

FLOOD, GOOD, OTHER = 1, 2, 3
SMALL = 500
LARGE = 1 << 20
ATTEMPTS = 120
RATE = 30

Sent = tuple[int, int]
"""Who sent it, and its number."""


class _Door:
    """A pod's committer whose batches are told when a test says so; callers send over many connections.

    Attributes:
        batches: What was begun, in order.
    """

    def __init__(self, load: Load | None = None) -> None:
        self.batches: list[list[Sent]] = []
        self._told: list[Callable[[], None]] = []
        self._committer: Committer[Sent, str] = Committer(self._start, str, load or Load())
        self._count = 0
        self.answers: list[asyncio.Future[str]] = []

    def _start(self, batch: Sequence[Sent], told: Told[str]) -> None:
        begun = list(batch)
        self.batches.append(begun)
        self._told.append(lambda: told(["stored"] * len(begun)))

    def send(self, caller: int, count: int, size: int = SMALL) -> None:
        """Let items wait."""
        for _ in range(count):
            self._count += 1
            self.answers.append(self._committer.submit((caller, self._count), size, caller))

    async def end_batch(self) -> None:
        """Let the oldest batch that was begun be durable, once there is one, and the loop turn."""
        async with asyncio.timeout(60):
            while not self._told:  # noqa: ASYNC110  # a pause's timer tells nobody
                await asyncio.sleep(0.001)
        self._told.pop(0)()
        await self.turn()

    async def end_until(self, caller: int) -> None:
        """Let batches be durable until one with something of ``caller`` has begun."""
        while not any(caller in self.counts(number) for number in range(len(self.batches))):
            await self.end_batch()

    async def end_until_next(self) -> None:
        """Let batches be durable until another has begun."""
        begun = len(self.batches)
        while len(self.batches) == begun:
            await self.end_batch()

    async def write(self) -> None:
        """Let every batch be durable a moment after it has begun, until cancelled."""
        while True:
            await asyncio.sleep(0.001)
            if self._told:
                await self.end_batch()

    async def turn(self) -> None:
        """Let a batch close."""
        for _ in range(12):
            await asyncio.sleep(0)

    async def end_all(self) -> None:
        """Go on until every item has its answer."""
        async with asyncio.timeout(60):
            while not all(answer.done() for answer in self.answers):
                while self._told:
                    await self.end_batch()
                await asyncio.sleep(0.001)

    @property
    def is_idle(self) -> bool:
        """The committer's."""
        return self._committer.is_idle

    def counts(self, number: int) -> dict[int, int]:
        """How many of each caller are in a batch."""
        callers = [caller for caller, _ in self.batches[number]]
        return {caller: callers.count(caller) for caller in set(callers)}


async def _held_back(size: int = SMALL) -> _Door:
    """A door with a flood in its first batch and more behind it, and one good item."""
    door = _Door()
    door.send(FLOOD, 64, size)
    await door.turn()
    door.send(FLOOD, 64 if size == LARGE else 200, size)
    door.send(GOOD, 1)
    return door


async def test_a_flood_leaves_room_for_who_sends_little() -> None:
    """All of the good client's, eight of the flood's: a small batch is soon durable."""
    door = await _held_back()
    while len(door.batches) < 6:
        await door.end_batch()

    first = next(number for number in range(6) if GOOD in door.counts(number))
    assert first <= 2
    assert [door.counts(number)[FLOOD] for number in range(first + 1, 6)] == [MUCH_ITEMS] * (5 - first)


async def test_nothing_is_sent_ahead_of_who_sends_little() -> None:
    """Two batches of the flood's in the writer would be two to wait for."""
    door = await _held_back(1)
    await door.end_until(GOOD)
    for _ in range(5):
        await door.end_until_next()
        door.send(GOOD, 1)
        await door.turn()
        assert len(door._told) <= 1


async def test_who_is_alone_is_not_held_back() -> None:
    """However much it is: a bulk upload at night has the whole server."""
    door = _Door()
    door.send(FLOOD, 64)
    await door.turn()
    door.send(FLOOD, 200)
    await door.end_batch()
    await door.end_all()

    assert len(door.batches) == 3
    assert min(map(len, door.batches)) > 4 * MUCH_ITEMS


async def test_who_all_have_much_are_not_held_back() -> None:
    """Two bulk uploads share, and nobody is the better for small batches."""
    door = _Door()
    door.send(FLOOD, 60)
    door.send(OTHER, 60)
    await door.turn()
    door.send(OTHER, 60)
    door.send(FLOOD, 60)
    await door.end_all()

    assert len(door.batches) <= 3
    assert min(map(len, door.batches[:2])) > 4 * MUCH_ITEMS


async def test_who_sends_little_is_forgotten_when_it_stops() -> None:
    """Held back for a second after the other's last item, and no longer."""
    door = await _held_back()
    await door.end_until(GOOD)
    await asyncio.sleep(LATELY_SECONDS + 0.1)
    door.send(FLOOD, 100)
    await door.end_until_next()

    assert len(door.batches[-1]) > 4 * MUCH_ITEMS


async def test_large_items_of_a_flood_are_paid_for_in_time() -> None:
    """So many bytes a second, and meanwhile the good client's items find the writer free."""
    door = await _held_back(LARGE)
    await door.end_until(GOOD)
    writing = asyncio.create_task(door.write())
    await door.answers[-1]
    start, began, good = len(door.batches), time.monotonic(), 0
    while time.monotonic() - began < 1 or good < 50:
        door.send(GOOD, 1)
        async with asyncio.timeout(60):
            await door.answers[-1]
        good += 1
    writing.cancel()
    taken = [door.counts(number).get(FLOOD, 0) for number in range(start, len(door.batches))]

    assert max(taken) == 1
    assert sum(taken) <= (time.monotonic() - began) * HELD_BACK_BYTES_PER_SECOND / LARGE + 1
    await door.end_all()


async def test_many_who_send_little_fill_a_batch_before_a_flood_does() -> None:
    """The bound of a batch holds for all of them together."""
    door = await _held_back()
    for caller in range(100, 180):
        door.send(caller, MUCH_ITEMS)
    await door.end_all()

    assert max(map(len, door.batches)) == MOST_ITEMS


async def test_what_waits_in_a_pause_is_committed_without_anybody_else() -> None:
    """A pause ends by itself; until then nobody takes the pod for idle."""
    door = await _held_back(LARGE)
    await door.end_all()

    assert sorted(item for batch in door.batches for item in batch) == sorted(
        [(FLOOD, number) for number in range(1, 129)] + [(GOOD, 129)]
    )
    assert door.is_idle


async def test_a_pause_is_no_idleness() -> None:
    """An idle pod's keys are dropped and its vault is closed: not under items that wait."""
    door = await _held_back(LARGE)
    await door.end_until(GOOD)
    while door._told:
        await door.end_batch()

    assert not all(answer.done() for answer in door.answers)
    assert not door.is_idle
    await door.end_all()


async def test_a_flood_of_one_pod_holds_nobody_of_another_up() -> None:
    """They share a loop and a disk: who sends little there counts here."""
    load = Load()
    flooded, quiet = _Door(load), _Door(load)
    flooded.send(FLOOD, 64)
    quiet.send(GOOD, 1)
    await flooded.turn()
    flooded.send(FLOOD, 64)
    quiet.send(GOOD, 1)
    await flooded.end_batch()
    await quiet.end_batch()
    while len(flooded.batches) < 5:
        await flooded.end_batch()

    assert flooded.counts(4) == {FLOOD: MUCH_ITEMS}


@settings(deadline=None, max_examples=50)
@given(
    steps=st.lists(
        st.tuples(st.integers(1, 4), st.integers(0, 600), st.sampled_from([1, SMALL, MUCH_BYTES, LARGE])),
        max_size=12,
    )
)
async def test_whoever_sends_whatever_all_is_taken_once_in_order_and_within_the_bounds(
    steps: list[tuple[int, int, int]],
) -> None:
    """Of each caller; holding back is no losing."""
    door, sizes = _Door(), {0: 0}
    for caller, count, size in steps:
        count = min(count, 40) if size == LARGE else count  # noqa: PLW2901  # seconds of pauses
        sizes.update({len(door.answers) + number: size for number in range(1, count + 1)})
        door.send(caller, count, size)
        await door.turn()
    await door.end_all()

    taken = [item for batch in door.batches for item in batch]
    assert sorted(number for _, number in taken) == list(range(1, len(door.answers) + 1))
    for caller in range(1, 5):
        numbers = [number for sender, number in taken if sender == caller]
        assert numbers == sorted(numbers)
    for batch in door.batches:
        assert len(batch) <= MOST_ITEMS
        assert len(batch) == 1 or sum(sizes[number] for _, number in batch) <= MOST_BATCH_BYTES
    assert door.is_idle


def test_callers_are_forgotten() -> None:
    """Those of an hour ago are no memory."""
    callers = Callers()
    for number in range(10_000):
        callers.note(number, number / 100, has_much=number % 2 == 0)

    assert len(callers._seen_at) < 300
    assert len(callers._much_at) < 150
    assert callers.has_others_with_little(0, 99.99)
    assert not callers.has_others_with_little(0, 200.0)


# The rate, under real concurrency


def test_the_rate_is_exact_however_many_send_at_once(tmp_path: Path) -> None:
    """Not one item more is accepted than a minute holds, over as many sockets as there are senders."""
    pod = make_pod(tmp_path / "home")
    key = pod.invite(rate=(RATE, 10_000_000)).database_key.reveal().hex()
    start = threading.Barrier(ATTEMPTS)
    with serving(pod.folder.path) as server, ThreadPoolExecutor(ATTEMPTS) as senders:

        def send(_: int) -> Response:
            start.wait(60)
            return server.create_item(pod.owner, key, {"type": "Note"})

        began = time.monotonic()
        answers = list(senders.map(send, range(ATTEMPTS)))
        filled = (time.monotonic() - began) / 60 * RATE
        assert server.stop() == 0
    accepted = [answer for answer in answers if answer.status == 200]
    refused = [answer for answer in answers if answer.status == 429]

    assert RATE <= len(accepted) <= RATE + filled
    assert len(accepted) + len(refused) == ATTEMPTS
    assert all(1 <= int(answer.headers["retry-after"]) <= 60 for answer in refused)
    assert {item.id for item in pod.items()} == {answer.json for answer in accepted}
