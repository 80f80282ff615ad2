"""One era of a storm: a new pod, a loaded server, a number of kills, then the count of what is left.

The server is started as a person starts it. Who is killed, and when, follows
from the era's seed; what the kill hits does not, and need not.
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from tests.storm.clients import StormClient
from tests.storm.promises import Promises
from tests.support.pods import TestPod, new_pod
from tests.support.server import ROOT, Server
from vault.links import Invite
from vault.policies import load_policy

CLIENTS = 16
INVITES = 3
PAUSE_SECONDS = (0.0, 0.3)
LEAST_WORK = 20
WORK_SECONDS = 5.0
"""Items acknowledged between two kills, if they come in time: a rotation may keep the pod closed."""
VICTIMS = {"group": 4, "parent": 2, "worker": 2, "writer": 4}
"""Who is killed, and how often in twelve: the writer is in the middle of a commit most of the time."""
COMMAND_LIVES_SECONDS = (0.2, 1.2)
COMMAND_PAUSES_SECONDS = (1.0, 6.0)
COMMAND_SECONDS = 120


class Storm:
    """One pod under load whose server is killed again and again.

    Args:
        folder: Empty; holds the pod.
        seed: Of everything that is chosen here.
    """

    def __init__(self, folder: Path, seed: str) -> None:
        self._chance = random.Random(seed)  # noqa: S311  # a storm must repeat itself
        self._folder = folder
        self.pod: TestPod = new_pod(folder)
        self.promises = Promises()
        self.killed: Counter[str] = Counter()
        self._invites: list[Invite] = [self.pod.invite(f"storm-{number}") for number in range(INVITES)]
        self._server: Server | None = None
        self._clients = [
            StormClient(
                f"c{number:02}",
                self._invites[number % INVITES],
                self.promises,
                self._port,
                f"{seed}/{number}",
            )
            for number in range(CLIENTS)
        ]

    def _port(self) -> int | None:
        server = self._server
        return server.port if server else None

    def run(self, kills: int) -> None:
        """Start, kill so many times, and end in order: every client answered, the vault closed."""
        self._server = Server([self.pod.folder.path])
        for client in self._clients:
            client.start()
        with self._disturbed():
            for _ in range(kills):
                self._let_work()
                time.sleep(self._chance.uniform(*PAUSE_SECONDS))
                self._kill(self._chance.choices([*VICTIMS], weights=[*VICTIMS.values()])[0])
        for client in self._clients:
            client.stop()
        for client in self._clients:
            client.join(60)
            assert not client.is_alive(), "a client waits for an answer for ever"
        assert self._server.stop() == 0
        # A rotation that was killed is finished by asking for it again.
        assert self._command("rotate", str(self.pod.home), "--file-key").wait(COMMAND_SECONDS) == 0
        self.pod.policy = load_policy(self.pod.folder)

    def _let_work(self) -> None:
        """Wait until something was acknowledged again: a server that is never up is never hit at work."""
        before, deadline = len(self.promises.acknowledged), time.monotonic() + WORK_SECONDS
        while len(self.promises.acknowledged) < before + LEAST_WORK and time.monotonic() < deadline:
            time.sleep(0.01)

    def _kill(self, victim: str) -> None:
        server = self._server
        assert server
        with contextlib.suppress(ProcessLookupError, IndexError, ValueError, FileNotFoundError):
            # A worker or writer that is just being started again has no number yet: then the parent is hit.
            pid = {"worker": lambda: server.worker_pid, "writer": lambda: server.writer_pid}.get(
                victim, lambda: server.process.pid
            )()
            if victim == "group":
                os.killpg(pid, signal.SIGKILL)
            else:
                os.kill(pid, signal.SIGKILL)
            self.killed[victim] += 1
        if victim in {"group", "parent"} or self._has_ended(server):
            self._server = None
            server.kill()
            self._server = Server([self.pod.folder.path])

    @staticmethod
    def _has_ended(server: Server) -> bool:
        # Two workers that die within six seconds end a server; its parent needs a moment to see it.
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.process.wait(0.3)
        return server.process.poll() is not None

    @staticmethod
    def _command(*arguments: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "maintainer_tools", *arguments]
        return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    @contextlib.contextmanager
    def _disturbed(self) -> Iterator[None]:
        """The maintainer works meanwhile, and every second command is killed."""
        stopping = threading.Event()
        disturbing = threading.Thread(target=self._disturb, args=(stopping,), daemon=True)
        disturbing.start()
        try:
            yield
        finally:
            stopping.set()
            disturbing.join(COMMAND_SECONDS)

    def _disturb(self, stopping: threading.Event) -> None:
        chance = random.Random(self._chance.random())  # noqa: S311  # a storm must repeat itself
        copy = self._folder / "copy"
        commands = {
            "snapshot": ["snapshot", str(self.pod.home), str(copy)],
            "rotation": ["rotate", str(self.pod.home), "--file-key"],
        }
        while not stopping.wait(chance.uniform(*COMMAND_PAUSES_SECONDS)):
            name = chance.choice([*commands])
            process = self._command(*commands[name])
            if chance.random() < 0.5:  # every second one
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(chance.uniform(*COMMAND_LIVES_SECONDS))
                if process.poll() is None:
                    process.kill()
                    self.killed[name] += 1
            process.wait(COMMAND_SECONDS)
            for left in self._folder.glob("copy*"):
                shutil.rmtree(left, ignore_errors=True)
