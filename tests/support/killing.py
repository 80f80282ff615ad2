"""Killing a piece of work at each of its steps.

A file that it opens, renames, links or removes is a step if the files it works
on are otherwise than at the step before: a kill in between would leave the same.
The work runs in a forked child that ends itself by SIGKILL right before its
N-th step, for N = 1, 2, 3 ... until it ends by itself.
"""

from __future__ import annotations

import os
import signal
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

_EVENTS = frozenset({"open", "os.rename", "os.remove", "os.link", "sqlite3.connect"})
_BY_ITSELF = 0
_FAILED = 1


def killed_at(step: int, work: Callable[[], object], folder: Path) -> bool:
    """Run ``work`` in a child that dies before its step number ``step``, from 1; return whether it did.

    Args:
        step: Its number.
        work: What is to be killed.
        folder: Holds the files it works on.
    """
    with warnings.catch_warnings():
        # Threads of a test runner hold nothing that the child needs.
        warnings.filterwarnings("ignore", message=".*multi-threaded", category=DeprecationWarning)
        child = os.fork()
    if not child:
        _run(step, work, folder)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return True
    assert os.waitstatus_to_exitcode(status) == _BY_ITSELF, "the work failed before it was killed"
    return False


def _run(step: int, work: Callable[[], object], folder: Path) -> None:
    left, seen = step, None

    def count(event: str, _: object) -> None:
        nonlocal left, seen
        if event in _EVENTS and (state := _state(folder)) != seen:
            left, seen = left - 1, state
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


def _state(folder: Path) -> list[tuple[str, int, int, int]]:
    """Every file's name, number, size and time of change."""
    found = [(path, path.lstat()) for path in sorted(folder.rglob("*"))]
    return [(str(path), status.st_ino, status.st_size, status.st_mtime_ns) for path, status in found]
