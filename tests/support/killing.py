"""Killing a piece of work at each of its steps: every file it opens, renames or removes is one.

The work runs in a forked child that ends itself by SIGKILL right before its
N-th step, for N = 1, 2, 3 ... until it ends by itself.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable

_STEPS = frozenset({"open", "os.rename", "os.remove", "os.link", "sqlite3.connect"})
_BY_ITSELF = 0
_FAILED = 1


def killed_at(step: int, work: Callable[[], object]) -> bool:
    """Run ``work`` in a child that dies before its step number ``step``, from 1; return whether it did."""
    child = os.fork()
    if not child:
        _run(step, work)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return True
    assert os.waitstatus_to_exitcode(status) == _BY_ITSELF, "the work failed before it was killed"
    return False


def _run(step: int, work: Callable[[], object]) -> None:
    left = step

    def count(event: str, _: object) -> None:
        nonlocal left
        if event in _STEPS:
            left -= 1
            if not left:
                os.kill(os.getpid(), signal.SIGKILL)

    code = _FAILED
    try:
        # Read by the interpreter for the first time, these are no steps of the work.
        sys.addaudithook(count)
        work()
        code = _BY_ITSELF
    finally:
        os._exit(code)
