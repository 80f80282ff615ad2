"""One era of a storm: a new pod, a loaded server, a number of kills, and what is left to be counted.

The server is started as a person starts it. Who is killed, and at which kind of
moment, follows from the era's seed; what the kill hits does not, and need not.
In the middle of an era the next version of the program comes, which finds a
vault to upgrade.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from tests.storm.clients import StormClient
from tests.storm.maintainer import WORKS, Maintainer
from tests.storm.moments import CHECKPOINT, COMMIT, Touched, await_seen
from tests.storm.plants import NEXT_VERSION, planting
from tests.storm.promises import Promises, Traffic
from tests.support.pods import TestPod, new_pod
from tests.support.server import Server
from vault.links import Invite

CLIENTS = 16
INVITES = 3
PAUSE_SECONDS = (0.0, 0.3)
LEAST_WORK = 20
WORK_SECONDS = 1.5
"""Items acknowledged between two kills, if they come in time: a command may keep the pod closed."""
VICTIMS = {"group": 3, "parent": 2, "worker": 2, "writer": 8}
"""Who is killed, and how often in fifteen: the writer has the vault open."""
NOBODY = "nobody"
"""Is killed where a bug shows without it."""
ANY, COMMAND = "any", "command"
MOMENTS = {ANY: 3, COMMIT: 3, CHECKPOINT: 3, COMMAND: 5}
"""When, and how often in fourteen; COMMAND is in the middle of one of the maintainer's."""
MOMENT_SECONDS = 2.5
"""How long a moment is waited for before any will do."""
AFTER_SECONDS = (0.0, 0.01)
AFTER_COMMAND_SECONDS = (0.0, 0.3)
BECOMING = (0.3, 0.7)
"""Of the kills, when the next version comes."""
END_SECONDS = 60.0


class Aim(NamedTuple):
    """What a storm hits: everything, or what one bug is looked for with.

    Attributes:
        victims: Who is killed, and how often in their sum.
        moments: When, likewise.
        works: What the maintainer does, each as often as it stands here.
        are_works_killed: Whether some of that is killed.
        is_upgraded: Whether the next version comes.
        pause_seconds: Of each client, between two items.
    """

    victims: Mapping[str, int] = VICTIMS
    moments: Mapping[str, int] = MOMENTS
    works: Sequence[str] = WORKS
    are_works_killed: bool = True
    is_upgraded: bool = True
    pause_seconds: float = 0.0


EVERYTHING = Aim()


class Storm:
    """One pod under load whose server is killed again and again.

    Args:
        folder: Empty; holds the pod.
        seed: Of everything that is chosen here.
        bugs: Planted in every process that is started.
        aim: What it hits.

    Attributes:
        pod: As it was founded.
        promises: What was answered.
        traffic: How much.
        killed: How many processes were killed, by who.
        moments: How many processes of the server were killed when.
        done: How many of the maintainer's commands ended well, by which.
        environment: Of the processes that are started now.
    """

    def __init__(self, folder: Path, seed: str, *bugs: str, aim: Aim = EVERYTHING) -> None:
        self._chance = random.Random(seed)  # noqa: S311  # a storm must repeat itself
        self._folder = folder
        self._bugs = bugs
        self._aim = aim
        self.environment = planting(folder / "site", *bugs)
        self.pod: TestPod = new_pod(folder)
        self.promises = Promises()
        self.traffic = Traffic()
        self.killed: Counter[str] = Counter()
        self.moments: Counter[str] = Counter()
        self._server: Server | None = None
        self._log_touched = Touched(self.pod.folder.wal)
        self._vault_touched = Touched(self.pod.folder.vault)
        invites: list[Invite] = [self.pod.invite(f"storm-{number}") for number in range(INVITES)]
        self._clients = [
            StormClient(
                f"c{number:02}",
                invites[number % INVITES],
                self.promises,
                self.traffic,
                port=self._port,
                seed=f"{seed}/{number}",
                pause_seconds=aim.pause_seconds,
            )
            for number in range(CLIENTS)
        ]
        self._maintainer = Maintainer(
            self.pod.home,
            folder,
            self.promises,
            works=aim.works,
            is_killed=aim.are_works_killed,
            seed=f"{seed}/maintainer",
            environment=self.environment,
        )

    @property
    def kept(self) -> Path:
        """A home made of the newest snapshot that is done; may not be there."""
        return self._maintainer.kept

    @property
    def done(self) -> Counter[str]:
        """How many of the maintainer's commands ended well."""
        return self._maintainer.done

    def _port(self) -> int | None:
        server = self._server
        return server.port if server else None

    def run(self, kills: int) -> None:
        """Start, kill servers so many times, and end in order: every client answered, the vault closed.

        The first fault that shows meanwhile ends it.
        """
        becomes_at = round(kills * self._chance.uniform(*BECOMING))
        self._start()
        self._maintainer.start()
        for client in self._clients:
            client.start()
        try:
            for number in range(kills):
                if self.promises.faults:
                    break
                if number == becomes_at and self._aim.is_upgraded:
                    self._become()
                moment = self._await_moment()
                self._kill(self._drawn(self._aim.victims), moment)
        finally:
            self._end()

    def _drawn(self, weighted: Mapping[str, int]) -> str:
        return self._chance.choices([*weighted], weights=[*weighted.values()])[0]

    def _start(self) -> None:
        self._server = Server([self.pod.folder.path], environment=self.environment)

    def _become(self) -> None:
        """Replace the program: the server by one that wants a vault of the next format."""
        self.environment = planting(self._folder / "next", NEXT_VERSION, *self._bugs)
        server, self._server = self._server, None
        assert server
        server.kill()
        self._maintainer.become(self.environment)
        self._start()

    def _await_moment(self) -> str:
        """Wait for the kind of moment that is drawn; returns the kind that came."""
        wanted = self._drawn(self._aim.moments)
        if wanted == CHECKPOINT:
            # No work is waited for: opening moves what the last one left in the log.
            return self._await_touched(CHECKPOINT, self._vault_touched)
        self._let_work()
        if wanted == COMMIT:
            return self._await_touched(COMMIT, self._log_touched)
        if wanted == COMMAND and await_seen(lambda: self._maintainer.inside is not None, MOMENT_SECONDS):
            time.sleep(self._chance.uniform(*AFTER_COMMAND_SECONDS))
            return self._maintainer.inside or ANY
        time.sleep(self._chance.uniform(*PAUSE_SECONDS))
        return ANY

    def _await_touched(self, moment: str, touched: Touched) -> str:
        touched()
        seen = await_seen(touched, MOMENT_SECONDS)
        time.sleep(self._chance.uniform(*AFTER_SECONDS))
        return moment if seen else ANY

    def _let_work(self) -> None:
        """Wait until something was acknowledged again: a server that is never up is never hit at work."""
        most = len(self.promises.acknowledged) + LEAST_WORK
        await_seen(lambda: len(self.promises.acknowledged) >= most, WORK_SECONDS)

    def _kill(self, victim: str, moment: str) -> None:
        server = self._server
        assert server
        if victim == NOBODY:
            return
        with contextlib.suppress(ProcessLookupError, IndexError, ValueError, FileNotFoundError):
            # A worker or writer that is just being started again has no number yet: then nobody is hit.
            if victim == "group":
                os.killpg(server.process.pid, signal.SIGKILL)
            else:
                os.kill(self._pid_of(victim, server), signal.SIGKILL)
            self.killed[victim] += 1
            self.moments[moment] += 1
        if victim in {"group", "parent"} or self._has_ended(server, victim):
            self._server = None
            server.kill()
            self._start()

    @staticmethod
    def _pid_of(victim: str, server: Server) -> int:
        if victim == "worker":
            return server.worker_pid
        return server.writer_pid if victim == "writer" else server.process.pid

    @staticmethod
    def _has_ended(server: Server, victim: str) -> bool:
        # Two workers that die within six seconds end a server; its parent needs a moment to see it.
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.process.wait(0.3 if victim == "worker" else 0)
        return server.process.poll() is not None

    def _await_server(self) -> None:
        """Wait until the last one that was killed is up again, so that it can be stopped in order."""
        most = len(self.promises.acknowledged) + LEAST_WORK
        deadline = time.monotonic() + END_SECONDS
        while len(self.promises.acknowledged) < most and time.monotonic() < deadline:
            if self._server and self._server.process.poll() is not None:
                self._start()
            time.sleep(0.1)

    def _end(self) -> None:
        self._maintainer.stop()
        self._maintainer.join(END_SECONDS * 2)
        self._await_server()
        for client in self._clients:
            client.stop()
        for client in self._clients:
            client.join(END_SECONDS)
            assert not client.is_alive(), "a client waits for an answer for ever"
        server, self._server = self._server, None
        if server:
            try:
                assert server.stop() == 0, server.log
            finally:
                server.kill()
        assert not self._maintainer.is_alive(), "a command of the maintainer does not end"
        self._maintainer.finish()
        self.killed += self._maintainer.killed
