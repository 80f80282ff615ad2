"""One pod as the door sees it: its policy, its queue, its open slots, its vault's thread.

A pod starts locked. The first request whose key opens a slot brings the file
key; when the vault is closed every key of the pod is dropped. Which pods there
are, and when one is closed, is ``ingest.registry``'s. Everything here runs in
the event loop. FORMAT.md, "Policy", "Opening".
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import Future
from typing import cast

from ingest.committer import Committer, Load
from ingest.logs import Log
from ingest.problems import QUEUE_FULL, Problem, Refused, problem_of_failure, unexpected
from ingest.rate import Meter
from ingest.vault_thread import VaultThread
from vault.deciding import Submission
from vault.errors import VaultError
from vault.keys import PodId
from vault.pod import PodFolder
from vault.policies import Policy, check_successor
from vault.slots import OpenedSlot
from vault.store import Answer

Settled = Answer | Problem
"""What becomes of one item: the writer's answer, or why its batch failed."""


class Pod:
    """One pod: its policy, its queue, and its vault's thread.

    Args:
        folder: The pod's folder.
        policy: In force at the start.
        vault: Opens and writes its vault.
        log: The server's.
        load: What waits in all pods of the process.

    Attributes:
        opened: Slots opened since the vault was, by a keyed digest of owner and database key.
        used_at: Monotone seconds of the last request that was admitted.
        is_open: Whether the vault may be open: from the first admission until a close is confirmed.
    """

    def __init__(self, folder: PodFolder, policy: Policy, vault: VaultThread, log: Log, load: Load) -> None:
        self.folder = folder
        self.policy = policy
        self.opened: dict[bytes, OpenedSlot] = {}
        # Outlive the open slots: an idle second must not fill a bucket.
        self._meters: dict[int, Meter] = {}
        self.used_at = 0.0
        self.is_open = False
        self._vault = vault
        self._log = log
        self._committer: Committer[Submission, Settled] = Committer(self._commit, self._explain, load)

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

    def meter(self, slot: int, rate: tuple[int, int], now: float) -> Meter:
        """The meter of a slot that has a rate; a new one when its rate has changed."""
        meter = self._meters.get(slot)
        if meter is None or meter.rate != rate:
            meter = self._meters[slot] = Meter(rate, now)
        return meter

    def store(self, submission: Submission, body_bytes: int) -> asyncio.Future[Settled]:
        """Let an item wait for the pod's next commit.

        Args:
            submission: Admitted and parsed.
            body_bytes: Length of the body it came in.

        Raises:
            Refused: 503, the queue is full.
        """
        if not self._committer.has_room(body_bytes):
            raise Refused(QUEUE_FULL)
        return self._committer.submit(submission, body_bytes)

    def close(self) -> Future[bool]:
        """Drop the pod's keys and begin to close its vault. The pod is idle."""
        self.opened.clear()
        return self._vault.close()

    def closed(self) -> None:
        """Note that the vault is closed, and let its thread go."""
        self.is_open = False
        self._vault.end()

    def _commit(self, batch: Sequence[Submission]) -> Future[Sequence[Settled]]:
        # Future is invariant: every Answer is settled, but mypy cannot say so.
        return cast("Future[Sequence[Settled]]", self._vault.commit(self.policy, batch))

    def _explain(self, error: BaseException) -> Problem:
        if not isinstance(error, VaultError):
            return unexpected(self._log.failure("commit_failed", error, self.owner))
        self._log.failure("commit_failed", error, self.owner)
        return problem_of_failure(error)
