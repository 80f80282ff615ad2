"""Programs that are started for a test, and are gone when it is over, whatever ends it.

Each dies by SIGKILL when the process that started it dies, and the folder they
write into is then removed by a shell that waits for nothing else. They are
started in the main thread: the kernel takes the end of the thread that started
a program for the end of its parent.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from tests.support.server import ROOT

INSTALLED = ROOT / ".venv" / "stores"
"""Where `make test-stores` puts what it takes from PyPI."""
START_SECONDS = 120.0
"""Ceph takes 20 s on two idle cores; other work may be running on them."""
STOP_SECONDS = 10.0
_POLL_SECONDS = 0.1
_LOG_TAIL = 4_000
_REMOVER = 'read -r _; rm -rf -- "$1" || { sleep 2; rm -rf -- "$1"; }'


class Program:
    """A running program that stays in the foreground.

    Args:
        name: For messages.
        command: What to run.
        log: Where its output goes, appended.
        environment: All that it gets beside PATH.
        folder: Where it runs.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str | Path],
        log: Path,
        environment: Mapping[str, str] | None = None,
        folder: Path | None = None,
    ) -> None:
        assert threading.current_thread() is threading.main_thread()
        self.name = name
        self._log = log
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", "--", *map(str, command)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=folder,
                env={"PATH": os.environ["PATH"], "LANG": "C.UTF-8", **(environment or {})},
                # Ctrl-C is for the test, which then stops them in their order.
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    def await_ready(self, is_ready: Callable[[], bool], seconds: float = START_SECONDS) -> None:
        """Wait until it is; AssertionError with its last words if it ends before, or takes longer."""
        deadline = time.monotonic() + seconds
        while not is_ready():
            assert self.is_running, f"{self.name} ended: {self.last_words()}"
            assert time.monotonic() < deadline, f"{self.name} is not ready: {self.last_words()}"
            time.sleep(_POLL_SECONDS)

    def last_words(self) -> str:
        """The end of its output."""
        return self._log.read_text(errors="replace")[-_LOG_TAIL:]

    def kill(self) -> None:
        """End it as a crash does (SIGKILL), and wait until it is gone."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def stop(self) -> None:
        """End it as an administrator does (SIGTERM); kill it if it does not end."""
        self._process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(STOP_SECONDS)
        # What it started itself is in its group.
        self.kill()


@contextlib.contextmanager
def scratch_folder(prefix: str) -> Iterator[Path]:
    """Make a folder with a short path, for the sockets in it, that does not outlive this process."""
    folder = Path(tempfile.mkdtemp(prefix=prefix))
    remover = subprocess.Popen(
        ["sh", "-c", _REMOVER, "sh", folder], stdin=subprocess.PIPE, start_new_session=True
    )
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        # Nothing is left for it to do but to end, and to find again what could not be removed.
        remover.communicate()


def is_listening(port: int) -> bool:
    """Whether somebody listens there on loopback."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False
