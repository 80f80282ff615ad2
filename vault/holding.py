"""Holding: home has a server let go of a pod's vault, and works on it meanwhile.

What keeps a server away is ``vault.lock``. The request is so that it lets go of
it in good order: what it accepted is committed and answered, and who comes
meanwhile is told to try again. FORMAT.md, "Requests".
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

from vault.errors import LockedError
from vault.keys import PodId, Signs
from vault.locks import Lock, Patience, hold_vault
from vault.pod import PodFolder
from vault.requests import ID_BYTES, Hold, remove_request, sign_request, write_request

HOLD_MS = 30_000
"""Half a minute beyond the wait for the server. Whoever works longer still has the lock, which alone keeps a
server away; whoever is killed keeps a pod closed no longer than this."""
_POLL_SECONDS = 0.05


@contextlib.contextmanager
def hold(
    folder: PodFolder,
    pod_id: PodId,
    identity: Signs,
    *,
    entropy: Callable[[int], bytes],
    now_ms: Callable[[], int],
    patience: Patience,
) -> Iterator[Lock]:
    """Have the vault alone for the length of a ``with`` block, its server running or not.

    Args:
        folder: The pod's folder, the one its server has.
        pod_id: Its pod's.
        identity: Of a signer of the policy in force.
        entropy: Source of randomness.
        now_ms: The clock.
        patience: How long to wait for a server: it looks four times a second
            and commits what it accepted.

    Yields:
        ``vault.lock``, held. To let something in that takes it itself, close it.

    Raises:
        LockedError: Somebody had the vault open for all of ``patience``.
        StorageError: The operating system refuses.
    """
    request_id = entropy(ID_BYTES)
    until_ms = now_ms() + round(patience.timeout_seconds * 1000) + HOLD_MS
    content = sign_request(pod_id, request_id, Hold(until_ms), identity)
    write_request(folder, request_id, content)
    try:
        with _await_vault(folder, patience) as lock:
            yield lock
    finally:
        remove_request(folder, request_id)


def _await_vault(folder: PodFolder, patience: Patience) -> Lock:
    deadline = patience.clock() + patience.timeout_seconds
    while True:
        try:
            return hold_vault(folder.path)
        except LockedError as exc:
            if patience.clock() >= deadline:
                raise LockedError(
                    f"{folder.path}: the server was asked to let go of this vault and has not; "
                    "stop it, then try again"
                ) from exc
        patience.sleep(_POLL_SECONDS)
