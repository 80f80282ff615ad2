"""Group commit: the loop owns the open batch, the writer makes one after the other durable.

Items that arrive while a commit runs wait together and become the next batch.
No timer is needed: a batch closes when one turn of the loop brought nothing
new, so that one client waits for one commit and sixty-four share one. The
commit runs in the writer process; one callback answers the whole batch.
Nothing here knows a vault, a status or HTTP. The bounds are the design's, the
turn rule was measured: docs/decisions/group-commit.md. Who floods is held back for the sake of
others: docs/decisions/who-floods-waits.md.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Generic, NamedTuple, TypeVar

from ingest.callers import HELD_BACK_BYTES_PER_SECOND, MUCH_BYTES, MUCH_ITEMS, Callers

MOST_ITEMS = 512
"""Items of one batch: the format's bound."""
MOST_BATCH_BYTES = 8 << 20
"""Body bytes of one batch; a batch of one item may exceed it."""
MOST_WAITING_ITEMS = 4096
MOST_WAITING_BYTES = 32 << 20
MOST_WAITING_BYTES_IN_ALL = 128 << 20
MOST_WAITING_ITEMS_IN_ALL = 16_384
"""Over all pods of a process: many pods at once must not use up its memory either."""
MOST_IN_FLIGHT = 2
"""Batches the writer has: the one it commits, and one ahead, so that it never waits for a busy loop."""
LEAST_AHEAD = 16
AHEAD = 0.9
"""How much must wait for a batch to leave ahead: so many items, and so much of the batch before it. Fewer
are a batch with those who come back; a batch costs as much as thirty of its items."""
AT_ONCE = 0.5
"""What waits at the end of a commit leaves before the answers if it is so much of that commit; less
gathers what the answers bring. Any value from 0.3 to 0.9 measured alike."""
MOST_TURNS = 8
"""Turns of the loop a batch may stay open: under load each brings something new."""

Submitted = TypeVar("Submitted")
Answered = TypeVar("Answered")
Told = Callable[[Sequence[Answered] | Exception], None]
Start = Callable[[Sequence[Submitted], Told[Answered]], None]
Explain = Callable[[Exception], Answered]


class _Waiting(NamedTuple, Generic[Submitted, Answered]):
    submitted: Submitted
    size: int
    caller: int
    answer: asyncio.Future[Answered]


class Tally:
    """Items and their bytes, counted."""

    __slots__ = ("items", "size")

    def __init__(self) -> None:
        self.items = 0
        self.size = 0

    def add(self, size: int) -> None:
        """Count one more."""
        self.items += 1
        self.size += size

    def is_over(self, size: int, most_items: int, most_bytes: int) -> bool:
        """Whether one more would be beyond either bound; the first never is."""
        return bool(self.items) and (self.items >= most_items or self.size + size > most_bytes)

    @property
    def is_much(self) -> bool:
        """Whether it is more than who has little may have."""
        return self.items > MUCH_ITEMS or self.size > MUCH_BYTES


def _tallies(waiting: Iterable[_Waiting[Submitted, Answered]]) -> dict[int, Tally]:
    """What waits of each caller."""
    found: dict[int, Tally] = {}
    for one in waiting:
        tally = found.get(one.caller)
        if tally is None:
            tally = found[one.caller] = Tally()
        tally.items += 1
        tally.size += one.size
    return found


class Load:
    """What waits for a commit in all pods of a process: items, their body bytes, and who sent lately."""

    __slots__ = ("callers", "waiting_bytes", "waiting_items")

    def __init__(self) -> None:
        self.callers = Callers()
        self.waiting_bytes = 0
        self.waiting_items = 0


class Committer(Generic[Submitted, Answered]):
    """The queue and the open batch of one pod. Used from the event loop only.

    Args:
        start: Begins the commit of a batch. Later it calls what it got,
            once: with one answer each, in the same order, or with an error.
        explain: Turns a failed commit into the answer of each of its items.
        load: Shared by every pod of the process.
    """

    def __init__(self, start: Start[Submitted, Answered], explain: Explain[Answered], load: Load) -> None:
        self._load = load
        self._start = start
        self._explain = explain
        self._waiting: deque[_Waiting[Submitted, Answered]] = deque()
        self._waiting_bytes = 0
        self._in_flight: deque[int] = deque()
        self._is_gathering = False
        self._turns = 0
        self._seen = 0
        self._not_before: dict[int, float] = {}
        self._is_holding_back = False
        self._pause: asyncio.TimerHandle | None = None

    @property
    def is_idle(self) -> bool:
        """Whether nothing waits and no commit is running."""
        return not (self._in_flight or self._is_gathering or self._waiting)

    def has_room(self, size: int) -> bool:
        """Whether an item of ``size`` body bytes may still wait."""
        fits = not self._waiting or self._waiting_bytes + size <= MOST_WAITING_BYTES
        load = self._load
        fits_in_all = load.waiting_bytes + size <= MOST_WAITING_BYTES_IN_ALL
        is_short = len(self._waiting) < MOST_WAITING_ITEMS and load.waiting_items < MOST_WAITING_ITEMS_IN_ALL
        return fits and fits_in_all and is_short

    def submit(self, submitted: Submitted, size: int, caller: int) -> asyncio.Future[Answered]:
        """Let an item wait for the next commit.

        Args:
            submitted: What ``start`` gets.
            size: Its body bytes; ``has_room`` said yes to them.
            caller: Whose it is, among those of this pod.

        Returns:
            Resolved when the commit that holds the item is durable, or failed.
            Cancelling it does not cancel the commit.
        """
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Answered] = loop.create_future()
        self._waiting.append(_Waiting(submitted, size, caller, answer))
        self._waiting_bytes += size
        self._load.waiting_bytes += size
        self._load.waiting_items += 1
        self._advance(loop)
        return answer

    def _advance(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._is_gathering or not self._waiting:
            return
        if not self._in_flight:
            self._gather(loop)
        elif len(self._in_flight) < MOST_IN_FLIGHT and self._is_enough_ahead():
            self._close_batch(loop)

    def _is_enough_ahead(self) -> bool:
        # Of one who is held back nothing is sent ahead: who has little would wait for it.
        return not self._is_holding_back and len(self._waiting) >= max(
            LEAST_AHEAD, AHEAD * self._in_flight[-1]
        )

    def _gather(self, loop: asyncio.AbstractEventLoop) -> None:
        self._is_gathering = True
        self._turns, self._seen = 0, len(self._waiting)
        loop.call_soon(self._turn, loop)

    def _turn(self, loop: asyncio.AbstractEventLoop) -> None:
        self._turns += 1
        grew, self._seen = len(self._waiting) > self._seen, len(self._waiting)
        if grew and self._turns < MOST_TURNS and self._seen < MOST_ITEMS:
            loop.call_soon(self._turn, loop)
        else:
            self._is_gathering = False
            self._close_batch(loop)

    def _take(self, now: float) -> list[_Waiting[Submitted, Answered]]:
        held_back = self._hold_back(now)
        self._is_holding_back = bool(held_back)
        batch = self._take_without(held_back, now) if held_back else self._take_in_order()
        taken = sum(waiting.size for waiting in batch)
        self._waiting_bytes -= taken
        self._load.waiting_bytes -= taken
        self._load.waiting_items -= len(batch)
        return batch

    def _take_in_order(self) -> list[_Waiting[Submitted, Answered]]:
        batch: list[_Waiting[Submitted, Answered]] = []
        size = 0
        while self._waiting and len(batch) < MOST_ITEMS:
            size += self._waiting[0].size
            if batch and size > MOST_BATCH_BYTES:
                break
            batch.append(self._waiting.popleft())
        return batch

    def _hold_back(self, now: float) -> set[int]:
        """Find whose items must not fill the batch: those who have much, where others have little."""
        callers, much = self._load.callers, []
        for caller, tally in _tallies(self._waiting).items():
            callers.note((self, caller), now, has_much=tally.is_much)
            if tally.is_much:
                much.append(caller)
        return {caller for caller in much if callers.has_others_with_little((self, caller), now)}

    def _take_without(self, held_back: set[int], now: float) -> list[_Waiting[Submitted, Answered]]:
        """Take what fits into a batch, and of those held back what is theirs now; the order stays."""
        batch: list[_Waiting[Submitted, Answered]] = []
        left: deque[_Waiting[Submitted, Answered]] = deque()
        shares = {caller: Tally() for caller in held_back}
        shut = {caller for caller in held_back if self._not_before.get(caller, now) > now}
        whole = Tally()
        for waiting in self._waiting:
            share = shares.get(waiting.caller)
            if whole.is_over(waiting.size, MOST_ITEMS, MOST_BATCH_BYTES):
                shut.update((waiting.caller, *held_back))
            elif share and share.is_over(waiting.size, MUCH_ITEMS, MUCH_BYTES):
                shut.add(waiting.caller)
            if waiting.caller in shut:
                left.append(waiting)
                continue
            batch.append(waiting)
            whole.add(waiting.size)
            if share:
                share.add(waiting.size)
        self._waiting = left
        self._not_before = {
            caller: max(self._not_before.get(caller, now), now) + share.size / HELD_BACK_BYTES_PER_SECOND
            for caller, share in shares.items()
        }
        return batch

    def _close_batch(self, loop: asyncio.AbstractEventLoop) -> None:
        batch = self._take(loop.time())
        if not batch:
            self._wait(loop)
            return
        self._in_flight.append(len(batch))
        self._start([waiting.submitted for waiting in batch], lambda told: self._end(loop, batch, told))

    def _wait(self, loop: asyncio.AbstractEventLoop) -> None:
        """Nothing may be taken yet of all that waits: look again when something may be."""
        if self._pause is None:
            self._pause = loop.call_at(min(self._not_before.values()), self._go_on, loop)

    def _go_on(self, loop: asyncio.AbstractEventLoop) -> None:
        self._pause = None
        self._advance(loop)

    def _end(
        self,
        loop: asyncio.AbstractEventLoop,
        batch: list[_Waiting[Submitted, Answered]],
        told: Sequence[Answered] | Exception,
    ) -> None:
        self._in_flight.popleft()
        # First the next batch, then the answers: the writer need not wait for those.
        is_enough = len(self._waiting) >= AT_ONCE * len(batch) and not self._is_holding_back
        if is_enough and not self._in_flight:
            self._close_batch(loop)
        self._answer(batch, told)
        self._advance(loop)

    def _answer(
        self, batch: list[_Waiting[Submitted, Answered]], told: Sequence[Answered] | Exception
    ) -> None:
        answers = [self._explain(told)] * len(batch) if isinstance(told, Exception) else told
        for waiting, answer in zip(batch, answers, strict=True):
            if not waiting.answer.done():
                waiting.answer.set_result(answer)
