"""The way of a pod's items into an object store: where a server has a vault, a function has this.

Each item becomes a segment of its own, put where nothing is yet; what stands
there already says by its tags whether it is the same. Nothing is open between
two items. Sealing and putting run in threads, because a store takes tens of
milliseconds. FORMAT.md, "Segments", "Promises" and "Objects".
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import NamedTuple, Protocol

from ingest.logs import Log
from ingest.messages import Looked
from ingest.problems import Problem, problem_of_failure, unexpected
from vault.depositing import answer_stored, decide_alone, make_deposit
from vault.errors import BusyError, VaultError
from vault.judging import Outcome
from vault.keys import FileKey, LogKey
from vault.policies import Policy
from vault.submissions import Answer, Submission

Settled = Answer | Problem

STANDS = Answer(
    Outcome.CONFLICT,
    "id: an item stands under this id; if yours was sent before without an answer, it is that one",
)
"""What a store without tags can say: not whose it is."""


class Standing(Protocol):
    """What stood under a key."""

    @property
    def tags(self) -> Mapping[str, str] | None:
        """Its tags; None where the store keeps none."""


class PutsNew(Protocol):
    """A store that takes what it does not have."""

    def put_new(self, key: str, content: bytes, tags: dict[str, str], /) -> Standing | None:
        """Put an object where there is none; else return what stands there. Raises StorageError."""


class Tools(NamedTuple):
    """What items are deposited with.

    Attributes:
        store: Takes the segments.
        log_key: The function's own: signs promises, opens nothing.
        now_ms: UTC milliseconds.
        clock: Monotone seconds.
        deadline_seconds: How long after it came an item is still begun with.
        entropy: Source of randomness.
        scratch: A folder in which segments are made.
        threads: Run what waits.
        log: Of this process.
    """

    store: PutsNew
    log_key: LogKey
    now_ms: Callable[[], int]
    clock: Callable[[], float]
    deadline_seconds: float
    entropy: Callable[[int], bytes]
    scratch: Path
    threads: Executor
    log: Log


class Depositor:
    """Where one pod's items go. Used from the event loop only.

    Args:
        tools: Shared by all pods.
    """

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        self._running: set[asyncio.Task[None]] = set()

    def commit(
        self,
        policy: Policy,
        file_key: FileKey,
        batch: Sequence[Submission],
        told: Callable[[Sequence[Settled] | Exception], None],
    ) -> None:
        """Deposit each item of a batch.

        Args:
            policy: In force when the batch closed.
            file_key: From a slot that was opened.
            batch: 1 to 512 submissions of this pod.
            told: Called once, later, with what became of each: one that failed fails no other.
        """
        task = asyncio.get_running_loop().create_task(self._commit(policy, file_key, batch, told))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _commit(
        self,
        policy: Policy,
        file_key: FileKey,
        batch: Sequence[Submission],
        told: Callable[[Sequence[Settled] | Exception], None],
    ) -> None:
        loop, threads, came = asyncio.get_running_loop(), self._tools.threads, self._tools.clock()
        waiting = [
            loop.run_in_executor(threads, self._settle, policy, file_key, submission, came)
            for submission in batch
        ]
        settled = await asyncio.gather(*waiting, return_exceptions=True)
        owner = policy.config.owner_key.raw
        told([self._explain(one, owner) if isinstance(one, BaseException) else one for one in settled])

    def _settle(self, policy: Policy, file_key: FileKey, submission: Submission, came: float) -> Settled:
        tools = self._tools
        if tools.clock() - came > tools.deadline_seconds:
            # Whoever sent it has given up, or soon will; those behind it need not wait for it too.
            raise BusyError("the object store is slow, and the item was not begun with; send it again")
        now_ms = tools.now_ms()
        verdict = decide_alone(policy, submission, now_ms)
        if verdict.outcome is not Outcome.STORED:
            return Answer(verdict.outcome, verdict.sentence)
        deposit = make_deposit(
            policy,
            submission,
            file_key=file_key,
            log_key=tools.log_key,
            now_ms=now_ms,
            entropy=tools.entropy,
            scratch=tools.scratch,
        )
        standing = tools.store.put_new(deposit.key, deposit.content, deposit.tags)
        if standing is None:
            return Answer(Outcome.STORED, promise=deposit.promise if submission.wants_receipt else None)
        if standing.tags is None:
            return STANDS
        answer = answer_stored(policy, submission, standing.tags)
        return answer if submission.wants_receipt else Answer(answer.outcome, answer.sentence)

    def _explain(self, error: BaseException, owner: bytes) -> Problem:
        if isinstance(error, asyncio.CancelledError):
            error = BusyError("the server is stopping, and the item was not begun with; send it again")
        error_id = self._tools.log.failure("deposit_failed", error, owner)
        return problem_of_failure(error) if isinstance(error, VaultError) else unexpected(error_id)

    def look(self, policy: Policy, told: Callable[[Looked | Exception], None]) -> None:
        """Nothing is erased here: what was put is not for a function to take back."""
        del policy
        asyncio.get_running_loop().call_soon(told, Looked(is_open=False, items=0, refusals=[]))

    def close(self, told: Callable[[bool | Exception], None]) -> None:
        """Nothing is open."""
        asyncio.get_running_loop().call_soon(told, True)  # noqa: FBT003  # it is closed

    def end(self) -> None:
        """Nothing is held."""
