"""Which pods a server has: found by owner, judged by their newest policy, capped, closed when idle.

One task looks at every pod's policy files and at what its maintainer asks for,
and closes vaults that have been idle or are to be let go of. A pair of files
that does not verify, or may not follow the policy in force, changes nothing and
is logged once. Pods off the allow-list are not in the registry: asking for one
is asking for an unknown owner. FORMAT.md, "Policy", "Requests".
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial

from ingest.asked import Asked, Asking
from ingest.committer import Load
from ingest.logs import Log
from ingest.pods import KeepsItems, Pod
from ingest.problems import PAUSED, UNAVAILABLE, VAULTS_FULL, Refused
from ingest.settings import Settings
from ingest.watching import Sight, Watched, look
from vault.errors import MalformedError, VaultError
from vault.keys import OwnerKey
from vault.pod import PodFolder
from vault.policies import Policy

WATCH_SECONDS = 0.25
"""Between two looks at the policy files: a revoked invite ends within a second."""
CLOSE_SECONDS = 5.0
"""How long a stopping server waits for a snapshot to let a vault be closed."""


def _accept_all(_: Policy) -> None:
    """Any policy that verifies will do."""


class Registry:
    """The pods of one server. Used from the event loop only.

    Args:
        settings: Which folders and owners, and how long and how many vaults stay open.
        make_vault: Makes the way to the vault of a pod's folder.
        log: The server's.
        clock: Monotone seconds.
        now_ms: UTC milliseconds.
        accept: Raises PolicyError at a policy under which nothing can be taken in here.

    Attributes:
        by_owner: The pods that can be asked, by their owner key's 32 bytes.
    """

    def __init__(
        self,
        settings: Settings,
        make_vault: Callable[[PodFolder], KeepsItems],
        *,
        log: Log,
        clock: Callable[[], float],
        now_ms: Callable[[], int],
        accept: Callable[[Policy], None] = _accept_all,
    ) -> None:
        self._settings = settings
        self._accept = accept
        self._make_vault = make_vault
        self._log = log
        self._clock = clock
        self._now_ms = now_ms
        self._watched = [Watched(PodFolder(path)) for path in settings.pods]
        self._pods: dict[Watched, Pod] = {}
        self._asking: dict[Pod, Asking] = {}
        self._unusable: dict[Watched, bytes] = {}
        self._refusals: list[tuple[VaultError, bytes | None]] = []
        self._closing: set[Pod] = set()
        self._load = Load()
        self.by_owner: dict[bytes, Pod] = {}

    @property
    def waiting(self) -> Load:
        """What waits for a commit in all pods."""
        return self._load

    @property
    def unusable_pods(self) -> int:
        """How many pods are here whose policy has never verified."""
        return sum(owner not in self.by_owner for owner in self._unusable.values())

    async def load(self) -> None:
        """Read every pod's policy. One that does not verify is logged, and looked at again."""
        await self._look()
        self._log_refusals()
        await self._look_at_requests()

    async def watch(self) -> None:
        """Look at policies, requests and idle vaults until cancelled."""
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            await self._look()
            await self._look_at_requests()
            self._close_idle()

    async def _look(self) -> None:
        sights = await asyncio.to_thread(lambda: list(look(self._watched)))
        # Between the two renames of a publication no pair verifies, so a refusal
        # is said one look later, when nothing has changed since.
        if not sights:
            self._log_refusals()
        self._refusals.clear()
        for sight in sights:
            self._see(sight)

    async def _look_at_requests(self) -> None:
        judged = [(pod, asking, pod.policy) for pod, asking in self._asking.items()]

        def look_at_all() -> list[tuple[Pod, Asked | None]]:
            return [(pod, asking.look(policy)) for pod, asking, policy in judged]

        for pod, asked in await asyncio.to_thread(look_at_all):
            if asked:
                pod.ask(asked)
            # Before it may be closed: one that is open for a moment erases too.
            pod.look()

    def _log_refusals(self) -> None:
        for error, owner in self._refusals:
            self._log.failure("policy_refused", error, owner)
        self._refusals.clear()

    def _see(self, sight: Sight) -> None:
        self._unusable.pop(sight.watched, None)
        try:
            if isinstance(sight.policy, VaultError):
                raise sight.policy
            self._accept(sight.policy)
            self._take(sight.watched, sight.policy)
        except VaultError as exc:
            self._refusals.append((exc, sight.claimed_owner))
            if sight.claimed_owner and self._is_listed(sight.claimed_owner):
                self._unusable[sight.watched] = sight.claimed_owner

    def _is_listed(self, owner: bytes) -> bool:
        owners = self._settings.owners
        return owners is None or OwnerKey(owner).pod_id in owners

    def _take(self, watched: Watched, policy: Policy) -> None:
        pod = self._pods.get(watched)
        if pod:
            pod.take(policy)
            return
        owner = policy.config.owner_key.raw
        if not self._is_listed(owner):
            raise MalformedError(
                "this pod's owner is not on the list of owners; add its hash, or do not serve it"
            )
        if owner in self.by_owner:
            raise MalformedError("two folders hold a pod of one owner key; serve only one of them")
        pod = Pod(watched.folder, policy, self._make_vault(watched.folder), self._log, self._load)
        self._pods[watched] = self.by_owner[owner] = pod
        self._asking[pod] = Asking(watched.folder)

    def check_usable(self, owner: bytes) -> None:
        """Refuse an owner whose folder is here, but whose policy has never verified.

        Raises:
            Refused: 503; no key can be judged there.
        """
        if owner not in self.by_owner and owner in self._unusable.values():
            raise Refused(UNAVAILABLE)

    def _open_pods(self) -> list[Pod]:
        return [pod for pod in self.by_owner.values() if pod.is_open]

    def use(self, pod: Pod) -> None:
        """Note that ``pod`` is in use, and let its vault be opened within the cap.

        The longest idle vault is closed for it where that is needed; for that
        moment one more than the cap may be open.

        Raises:
            Refused: 503; the maintainer holds the vault, or every open vault is in use.
        """
        if pod.is_held(self._now_ms()):
            # A closing that ends now must not take this key for that of an item that came meanwhile.
            pod.opened.clear()
            raise Refused(PAUSED)
        pod.used_at = self._clock()
        if pod.is_open:
            return
        opened = [other for other in self._open_pods() if other not in self._closing]
        if len(opened) >= self._settings.max_open_vaults:
            idle = [other for other in opened if other.is_idle]
            if not idle:
                raise Refused(VAULTS_FULL)
            self._begin_close(min(idle, key=lambda other: other.used_at))
        pod.is_open = True

    def _close_idle(self) -> None:
        for pod in self.by_owner.values():
            # Of a request that was refused once its key had been admitted: no closing would ever drop it.
            if not pod.is_open:
                pod.opened.clear()
        oldest, now_ms = self._clock() - self._settings.idle_seconds, self._now_ms()
        for pod in self._open_pods():
            if pod.is_idle and (pod.used_at <= oldest or pod.is_held(now_ms)):
                self._begin_close(pod)

    def _begin_close(self, pod: Pod) -> None:
        if pod in self._closing:
            return
        self._closing.add(pod)
        pod.close(partial(self._end_close, pod))

    def _end_close(self, pod: Pod, told: bool | Exception) -> None:  # noqa: FBT001  # one of two, called by position
        self._closing.discard(pod)
        if isinstance(told, Exception):
            self._log.failure("close_failed", told, pod.owner)
        # An item may have come while the vault was being closed: then it is open again.
        elif told and pod.is_idle and not pod.opened:
            pod.closed()

    async def stop(self) -> None:
        """Commit what waits, then close every vault; a snapshot may delay it, for a while."""
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                while opened := self._open_pods():
                    for pod in opened:
                        if pod.is_idle:
                            self._begin_close(pod)
                    await asyncio.sleep(0.01)
        except TimeoutError:
            self._log.event("left_open", pods=len(self._open_pods()))
