"""Who may write, checkpoint and copy a vault: three advisory locks in its folder.

flock(2): a lock belongs to the open file, dies with its process, and says
nothing to programs that do not ask. The files are empty and are never replaced
or copied. Opening them does not disturb SQLite, which uses POSIX locks on other
files. See FORMAT.md, "Locks".

- ``vault.lock``: exclusive for as long as the vault is open for writing.
- ``copy.lock``: exclusive while pages move from the WAL to ``vault.db``
  (``wal_checkpoint(TRUNCATE)``, and closing, which is a checkpoint); shared
  while someone copies or reads the files.
- ``turn.lock``: taken before ``copy.lock``. Readers hold it for a moment; the
  writer holds on to it until its checkpoint is done, so that readers who follow
  one another closely cannot keep the writer out for good.

Nothing here waits on its own: where waiting makes sense, the clock and the
sleep are the caller's.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from vault.disk import storage_error
from vault.errors import LockedError
from vault.undoing import on_failure

VAULT_LOCK = "vault.lock"
COPY_LOCK = "copy.lock"
TURN_LOCK = "turn.lock"

_POLL_SECONDS = 0.01  # the writer holds copy.lock for a few milliseconds


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait for a lock, and with which clock.

    Attributes:
        timeout_seconds: Give up after this many; 0 tries once.
        clock: Seconds that only grow, such as ``time.monotonic``.
        sleep: Waits that many seconds, such as ``time.sleep``.
    """

    timeout_seconds: float
    clock: Callable[[], float]
    sleep: Callable[[float], None]


class Lock:
    """One lock file, open. Not for two threads at once.

    Args:
        path: Created with mode 0600 if absent.

    Raises:
        StorageError: It cannot be opened.
    """

    __slots__ = ("_descriptor", "_path")

    def __init__(self, path: Path) -> None:
        self._path = path
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        try:
            self._descriptor = os.open(path, flags, 0o600)
        except OSError as exc:
            raise storage_error(path, exc) from exc

    def try_exclusive(self) -> bool:
        """Take the lock for this holder alone; False when anyone else has it."""
        return self._try(fcntl.LOCK_EX)

    def try_shared(self) -> bool:
        """Take the lock beside other shared holders; False when one has it exclusively."""
        return self._try(fcntl.LOCK_SH)

    def release(self) -> None:
        """Let the lock go, if held; the file stays open."""
        fcntl.flock(self._descriptor, fcntl.LOCK_UN)

    def close(self) -> None:
        """Let the lock go for good. A second call does nothing."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _try(self, mode: int) -> bool:
        try:
            fcntl.flock(self._descriptor, mode | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError as exc:
            raise storage_error(self._path, exc) from exc
        return True


def hold_vault(folder: Path) -> Lock:
    """Take ``vault.lock``, the right to write the vault in ``folder``.

    Returns:
        The held lock; closing it, or leaving its ``with`` block, gives it back.

    Raises:
        LockedError: Another process, or another holder in this one, writes it.
        StorageError: The lock file cannot be opened.
    """
    lock = Lock(folder / VAULT_LOCK)
    if lock.try_exclusive():
        return lock
    lock.close()
    raise LockedError(f"{folder}: another process has this vault open for writing; stop it, then try again")


@contextlib.contextmanager
def copying(folder: Path, patience: Patience) -> Iterator[None]:
    """Hold ``copy.lock`` shared: the vault's files are safe to copy or to read in place.

    Commits go on meanwhile; checkpoints wait.

    Raises:
        LockedError: The writer was checkpointing, or kept its turn because of an
            earlier copy, for longer than ``patience``.
        StorageError: A lock file cannot be opened.
    """
    with Lock(folder / TURN_LOCK) as turn, Lock(folder / COPY_LOCK) as copy:
        _await_shared(turn, folder, patience)
        _await_shared(copy, folder, patience)
        turn.release()
        yield


def _await_shared(lock: Lock, folder: Path, patience: Patience) -> None:
    deadline = patience.clock() + patience.timeout_seconds
    while not lock.try_shared():
        if patience.clock() >= deadline:
            raise LockedError(f"{folder}: the vault is being checkpointed; try again in a moment")
        patience.sleep(_POLL_SECONDS)


class WriterTurn:
    """The writer's way to ``copy.lock``, which it takes without ever waiting.

    Args:
        folder: The pod's folder.

    Raises:
        StorageError: A lock file cannot be opened.
    """

    __slots__ = ("_copy", "_turn")

    def __init__(self, folder: Path) -> None:
        self._turn = Lock(folder / TURN_LOCK)
        with on_failure(self._turn.close):
            self._copy = Lock(folder / COPY_LOCK)

    def try_exclusive(self) -> contextlib.AbstractContextManager[None] | None:
        """Take ``copy.lock`` alone, if nobody copies now.

        Returns:
            A context in which to checkpoint or close, and after which both
            locks are free. Or None: go on committing and try again soon. The
            turn is kept then, so no new copy begins before that next try, or
            before ``give_up``.
        """
        if self._turn.try_exclusive() and self._copy.try_exclusive():
            return self._held()
        return None

    @contextlib.contextmanager
    def _held(self) -> Iterator[None]:
        try:
            yield
        finally:
            self.give_up()

    def give_up(self) -> None:
        """Let both locks go, if held, without a checkpoint; new copies may begin."""
        self._copy.release()
        self._turn.release()

    def close(self) -> None:
        """Let both locks go for good."""
        self._copy.close()
        self._turn.close()
