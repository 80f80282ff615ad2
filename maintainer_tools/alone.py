"""A pod's vault for one command alone: nobody writes it, nobody copies it.

FORMAT.md, "Locks".
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from vault.errors import LockedError
from vault.locks import Patience, WriterTurn, hold_vault
from vault.pod import PodFolder

_POLL_SECONDS = 0.05


@contextlib.contextmanager
def alone_with(pod: PodFolder, patience: Patience) -> Iterator[None]:
    """Hold ``vault.lock``, and ``copy.lock`` exclusively, for the length of a ``with`` block.

    Args:
        pod: Whose vault.
        patience: How long to wait for someone who copies it.

    Raises:
        LockedError: The vault is open, or being copied.
        StorageError: A lock file cannot be opened.
    """
    with hold_vault(pod.path), nobody_copying(pod, patience):
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
