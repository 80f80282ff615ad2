"""One pod as the door sees it: its policy, its queue, its open slots, its vault.

A pod starts locked. The first request whose key opens a slot brings the file
key; when the vault is closed every key of the pod is dropped. Which pods there
are, and when one is closed, is ``ingest.registry``'s. Everything here runs in
the event loop. FORMAT.md, "Policy", "Opening".
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple, Protocol

from ingest.asked import Asked, Sighting
from ingest.committer import Committer, Load, Told
from ingest.logs import Log
from ingest.messages import Looked
from ingest.problems import QUEUE_FULL, Problem, Refused, problem_of_failure, unexpected
from ingest.rate import Meter
from vault.errors import DamagedError, VaultError
from vault.keys import FileKey, PodId
from vault.pod import PodFolder
from vault.policies import Policy, check_successor
from vault.slots import OpenedSlot
from vault.submissions import Answer, Submission

Settled = Answer | Problem
"""What becomes of one item: the writer's answer, or why its batch failed."""
MOST_REFUSALS = 10
"""Lines about one look: a request holds thousands of statements."""
NOTHING_ASKED = Asked((), frozenset(), ())
CloseTold = Callable[[bool | Exception], None]


class _Deposit(NamedTuple):
    slot: OpenedSlot
    submission: Submission


class KeepsItems(Protocol):
    """Where a pod's items go: the vault of its folder, or an object store. Used from the event loop only."""

    def commit(
        self, policy: Policy, file_key: FileKey, batch: Sequence[Submission], told: Told[Settled], /
    ) -> None:
        """Make a batch durable, and call ``told`` once, later: with what became of each, or with an error."""

    def look(self, policy: Policy, told: Callable[[Looked | Exception], None], /) -> None:
        """Look at the requests in the pod's folder, and call ``told`` once, later."""

    def close(self, told: CloseTold, /) -> None:
        """Let go of what is open, and call ``told`` once, later: with False if it is still open."""

    def end(self) -> None:
        """Nothing is asked until the next commit."""


class Pod:
    """One pod: its policy, its queue, and its vault.

    Args:
        folder: The pod's folder.
        policy: In force at the start.
        vault: Has its vault opened and written.
        log: The server's.
        load: What waits in all pods of the process.

    Attributes:
        opened: Slots opened since the vault was, by a keyed digest of owner and database key.
        used_at: Monotone seconds of the last request that was admitted.
        is_open: Whether the vault may be open: from the first admission until a close is confirmed.
    """

    def __init__(self, folder: PodFolder, policy: Policy, vault: KeepsItems, log: Log, load: Load) -> None:
        self.folder = folder
        self.policy = policy
        self.opened: dict[bytes, OpenedSlot] = {}
        # Outlive the open slots: an idle second must not fill a bucket.
        self._meters: dict[int, Meter] = {}
        self.used_at = 0.0
        self.is_open = False
        self._vault = vault
        self._log = log
        self._asked = NOTHING_ASKED
        self._looked: frozenset[Sighting] = frozenset()
        self._failed: frozenset[Sighting] = frozenset()
        self._committer: Committer[_Deposit, Settled] = Committer(self._commit, self._explain, load)

    @property
    def pod_id(self) -> PodId:
        """The pod's 32-byte id."""
        return self.policy.pod_id

    @property
    def owner(self) -> bytes:
        """The 32 bytes of the owner key."""
        return self.policy.config.owner_key.raw

    @property
    def is_idle(self) -> bool:
        """Whether nothing waits and no commit is running."""
        return self._committer.is_idle

    def take(self, policy: Policy) -> None:
        """Judge by another policy from now on.

        Raises:
            PolicyError: It may not follow the one in force.
        """
        if check_successor(self.policy, policy):
            self.policy = policy
            self.opened.clear()

    def ask(self, asked: Asked) -> None:
        """Go by what the maintainer asks now, and log what is no request of theirs."""
        self._asked = asked
        for error in asked.refusals:
            self._log.failure("request_refused", error, self.owner)

    def look(self) -> None:
        """Have erasures that are asked for made, where the vault is open and they were not seen yet."""
        due = self._asked.erasing - self._looked
        if self.is_open and due:
            self._looked = self._asked.erasing
            self._vault.look(self.policy, partial(self._end_look, due))

    def _end_look(self, due: frozenset[Sighting], told: Looked | Exception) -> None:
        if isinstance(told, Exception):
            # Tried again once the vault was closed: while it is open it would fail at every look.
            self._failed |= due
            self._log.failure("erase_failed", told, self.owner)
        elif not told.is_open:
            self._looked -= due
        else:
            self._log.event("erased", owner=self._log.digest(self.owner), items=told.items)
            for sentence in told.refusals[:MOST_REFUSALS]:
                self._log.failure("erase_refused", DamagedError(sentence), self.owner)

    def is_held(self, now_ms: int) -> bool:
        """Whether the maintainer asks for the vault to be let go of."""
        # Asked for every item, and mostly there is none.
        holds = self._asked.holds
        return bool(holds) and any(hold.is_on(now_ms) for hold in holds)

    def meter(self, slot: int, rate: tuple[int, int], now: float) -> Meter:
        """The meter of a slot that has a rate; a new one when its rate has changed."""
        meter = self._meters.get(slot)
        if meter is None or meter.rate != rate:
            meter = self._meters[slot] = Meter(rate, now)
        return meter

    def store(self, slot: OpenedSlot, submission: Submission, body_bytes: int) -> asyncio.Future[Settled]:
        """Let an item wait for the pod's next commit.

        Args:
            slot: What it came through.
            submission: Admitted and parsed.
            body_bytes: Length of the body it came in.

        Raises:
            Refused: 503, the queue is full.
        """
        if not self._committer.has_room(body_bytes):
            raise Refused(QUEUE_FULL)
        return self._committer.submit(_Deposit(slot, submission), body_bytes, slot.number)

    def close(self, told: CloseTold) -> None:
        """Drop the pod's keys and begin to close its vault. The pod is idle.

        Args:
            told: Called later: whether it was closed, or with an error.
        """
        self.opened.clear()
        self._vault.close(told)

    def closed(self) -> None:
        """Note that the vault is closed, and let its connection go."""
        self.is_open = False
        self._looked -= self._failed
        self._failed = frozenset()
        self._vault.end()

    def _commit(self, batch: Sequence[_Deposit], told: Told[Settled]) -> None:
        submissions = [deposit.submission for deposit in batch]
        self._vault.commit(self.policy, batch[0].slot.file_key, submissions, told)

    def _explain(self, error: Exception) -> Problem:
        if not isinstance(error, VaultError):
            return unexpected(self._log.failure("commit_failed", error, self.owner))
        self._log.failure("commit_failed", error, self.owner)
        return problem_of_failure(error)
