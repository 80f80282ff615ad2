"""A process that holds a pod folder's locks: ``python -m tests.support.locker FOLDER``.

Commands: ``hold`` takes vault.lock; ``copy`` begins a copy; ``end`` ends it;
``turn`` tries to take the writer's turn. Each answers whether it has what it asked for.
"""

from __future__ import annotations

import contextlib
import sys
import time
from pathlib import Path

from tests.support.child import serve
from vault.errors import LockedError
from vault.locks import Patience, WriterTurn, copying, hold_vault


class _Locker:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._held = contextlib.ExitStack()
        self._turn = WriterTurn(folder)

    def hold(self) -> bool:
        return self._enter(lambda: self._held.enter_context(hold_vault(self._folder)))

    def copy(self) -> bool:
        at_once = Patience(0, time.monotonic, time.sleep)
        return self._enter(lambda: self._held.enter_context(copying(self._folder, at_once)))

    def end(self) -> bool:
        self._held.close()
        return True

    def turn(self) -> bool:
        held = self._turn.try_exclusive()
        return held is not None

    def _enter(self, take: object) -> bool:
        assert callable(take)
        try:
            take()
        except LockedError:
            return False
        return True


if __name__ == "__main__":
    locker = _Locker(Path(sys.argv[1]))
    serve({"hold": locker.hold, "copy": locker.copy, "end": locker.end, "turn": locker.turn})
