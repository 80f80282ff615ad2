"""A pod's vault for one command alone: nobody writes it, nobody copies it.

FORMAT.md, "Locks" and "Requests".
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from maintainer_tools.homes import Home, require_own
from maintainer_tools.times import now_ms
from vault.errors import LockedError, MissingError
from vault.holding import hold
from vault.keys import PodId
from vault.locks import Patience, WriterTurn
from vault.opening import Identity
from vault.pod import PodFolder
from vault.sealing import Entropy

_POLL_SECONDS = 0.05


def require_served(home: Home) -> None:
    """Refuse a copy: what is changed in it, the vault that is written does not have.

    Raises:
        PolicyError: The home joined another maintainer's pod.
        MissingError: The pod's folder has no log.key.
    """
    require_own(home)
    pod = home.pod
    if not pod.log_key.exists():
        raise MissingError(
            f"{pod.path} has no log.key: it is a copy, and the vault that is served would go without "
            "this change. Run it where the pod is served"
        )


@contextlib.contextmanager
def alone_with(
    pod: PodFolder, pod_id: PodId, identity: Identity, *, entropy: Entropy, patience: Patience
) -> Iterator[None]:
    """Have a vault alone for the length of a ``with`` block, its server running or not.

    A running server commits what it accepted, lets go of the vault and tells
    who comes meanwhile to try again.

    Args:
        pod: Whose vault.
        pod_id: The pod's.
        identity: A signer of the policy in force.
        entropy: Source of randomness.
        patience: How long to wait for the server, and for someone who copies the vault.

    Raises:
        LockedError: The vault stayed open, or being copied, for longer.
        StorageError: A lock file or the request cannot be made.
    """
    asked = hold(pod, pod_id, identity, entropy=entropy, now_ms=now_ms, patience=patience)
    with asked, nobody_copying(pod, patience):
        yield


@contextlib.contextmanager
def nobody_copying(pod: PodFolder, patience: Patience) -> Iterator[None]:
    """Hold ``copy.lock`` exclusively; the caller holds ``vault.lock``.

    Raises:
        LockedError: The vault is being copied for longer than ``patience``.
        StorageError: A lock file cannot be opened.
    """
    turn = WriterTurn(pod.path)
    try:
        deadline = patience.clock() + patience.timeout_seconds
        while (held := turn.try_exclusive()) is None:
            if patience.clock() >= deadline:
                raise LockedError(f"{pod.path}: someone is copying the vault; try again when they are done")
            patience.sleep(_POLL_SECONDS)
        with held:
            yield
    finally:
        turn.close()
