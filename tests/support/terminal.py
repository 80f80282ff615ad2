"""A command in a terminal of its own, typed into when it asks."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]
SECONDS = 120.0

_SPAWN = "import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))"


class Terminal:
    """A process behind a pseudo-terminal.

    Args:
        command: Program and arguments.
        cwd: Where it runs.
        kind: TERM; a dumb one shows no bars.

    Attributes:
        screen: Everything it printed so far.
    """

    def __init__(self, command: Sequence[str], cwd: Path, kind: str = "dumb") -> None:
        self.screen = ""
        self._at = 0
        self._process = subprocess.Popen(
            [sys.executable, "-c", _SPAWN, *command],
            cwd=cwd,
            env={**os.environ, "PYTHONPATH": str(ROOT), "TERM": kind, "COLUMNS": "80"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self._process.stdout
        os.set_blocking(self._process.stdout.fileno(), False)

    def expect(self, text: str) -> None:
        """Wait until ``text`` appears behind what was expected before."""
        deadline = time.monotonic() + SECONDS
        while text not in self.screen[self._at :]:
            assert time.monotonic() < deadline, f"no {text!r} on the screen:\n{self.screen}"
            if not self._read():
                time.sleep(0.01)
        self._at = self.screen.index(text, self._at) + len(text)

    def enter(self, keys: str) -> None:
        """Type ``keys``: a line is entered with its newline, Ctrl-C is character 3."""
        assert self._process.stdin
        self._process.stdin.write(keys.encode())
        self._process.stdin.flush()

    def end(self) -> int:
        """Wait for its end; return the exit code."""
        code = self._process.wait(SECONDS)
        while self._read():
            pass
        self._process.stdin.close()  # type: ignore[union-attr]  # a pipe
        self._process.stdout.close()  # type: ignore[union-attr]  # a pipe
        return code

    def _read(self) -> bool:
        found = self._process.stdout.read()  # type: ignore[union-attr]  # a pipe
        self.screen += (found or b"").decode()
        return bool(found)


def shared_pod(*arguments: str, cwd: Path, kind: str = "dumb") -> Terminal:
    """Run ``shared-pod`` in a terminal."""
    return Terminal([sys.executable, "-m", "maintainer_tools", *arguments], cwd, kind)
