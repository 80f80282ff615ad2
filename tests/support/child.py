"""A child process that a test tells, line by line, what to do.

Locks, crashes and copies mean something between processes only. A child is a
module of ``tests.support`` that calls ``serve``; a test starts it with ``Child``.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Self

_ROOT = Path(__file__).parents[2]


class Child:
    """A running ``python -m module arguments``; leaving its ``with`` block kills it.

    Args:
        module: Of ``tests.support``; answers each line on stdin by one on stdout.
        arguments: Its command line.
        prefix: A command that becomes (exec) the one that follows it.
    """

    def __init__(self, module: str, *arguments: object, prefix: Sequence[str] = ()) -> None:
        self._process = subprocess.Popen(
            [*prefix, sys.executable, "-m", f"tests.support.{module}", *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=_ROOT,
            text=True,
        )

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def ask(self, command: str) -> str:
        """Send a command and wait for its answer."""
        self.tell(command)
        return self.answer()

    def tell(self, command: str) -> None:
        """Send a command, and do not wait."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{command}\n")
        self._process.stdin.flush()

    def answer(self) -> str:
        """Wait for the next answer."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "the child stopped without an answer; its stderr says why"
        return line.strip()

    def kill(self) -> None:
        """End it as a power cut would: no handler, no close (SIGKILL)."""
        self._process.kill()
        self._process.communicate()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()


def serve(commands: Mapping[str, Callable[[], object]]) -> None:
    """Run the command named by each line on stdin and print what it returns."""
    for line in sys.stdin:
        print(commands[line.strip()](), flush=True)  # noqa: T201 - the answer
