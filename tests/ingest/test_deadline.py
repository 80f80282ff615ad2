"""One timer for many deadlines must end each of them, and only those."""

from __future__ import annotations

import asyncio

import pytest

from ingest.deadline import Deadline

SECONDS = 0.1


async def _slow(seconds: float) -> str:
    await asyncio.sleep(seconds)
    return "done"


async def _timed(deadline: Deadline, seconds: float) -> str:
    try:
        with deadline:
            return await _slow(seconds)
    except TimeoutError:
        return "too slow"


async def test_what_ends_in_time_is_left_alone() -> None:
    """Its task goes on after it, also when the timer rings later."""
    deadline = Deadline(SECONDS)

    assert await _timed(deadline, 0) == "done"
    await asyncio.sleep(2 * SECONDS)
    assert await _timed(deadline, SECONDS / 2) == "done"


async def test_what_takes_too_long_ends_on_time_however_many_there_are() -> None:
    """Begun one after another, each has its own full length."""
    deadline, loop = Deadline(SECONDS), asyncio.get_running_loop()
    lasted = []

    async def one(delay: float, seconds: float) -> str:
        await asyncio.sleep(delay)
        began = loop.time()
        ended = await _timed(deadline, seconds)
        if ended == "too slow":
            lasted.append(loop.time() - began)
        return ended

    quick = [one(i * 0.01, 0.0) for i in range(20)]
    slow = [one(i * 0.02, 60.0) for i in range(10)]
    ended = await asyncio.gather(*quick, *slow)

    assert ended == ["done"] * 20 + ["too slow"] * 10
    assert min(lasted) >= SECONDS * 0.99
    assert max(lasted) < SECONDS + 2


async def test_a_task_lives_on_after_its_deadline() -> None:
    """It has an answer to send: the cancellation is taken back."""
    deadline = Deadline(SECONDS)

    assert await _timed(deadline, 60) == "too slow"
    task = asyncio.current_task()
    assert task
    assert task.cancelling() == 0
    assert await _timed(deadline, 0) == "done"
    assert await _timed(deadline, 60) == "too slow"


async def test_somebody_elses_cancellation_is_not_swallowed() -> None:
    """Not before the deadline, and not together with it."""
    deadline = Deadline(SECONDS)
    early = asyncio.create_task(_timed(deadline, 60))
    await asyncio.sleep(0)
    early.cancel()
    with pytest.raises(asyncio.CancelledError):
        await early

    late = asyncio.create_task(_timed(deadline, 60))
    await asyncio.sleep(0)
    deadline._began[late] = 0.0
    deadline._ring(asyncio.get_running_loop())
    late.cancel()
    with pytest.raises(asyncio.CancelledError):
        await late


async def test_an_error_of_the_work_itself_passes() -> None:
    """And leaves nothing behind that the timer could end."""
    deadline = Deadline(SECONDS)

    with pytest.raises(ValueError, match=r"^$"), deadline:
        raise ValueError
    assert not deadline._began
    assert await _timed(deadline, 0) == "done"
