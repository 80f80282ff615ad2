"""The maintainer of a storm: snapshots, rotations, erasures, invites, an upgrade; every second one is killed.

Commands are started as a person starts them, one after the other, beside the
loaded server. What was killed is asked for again until it ends by itself: so
does who finds a prompt where a command was. One that ends badly is a fault.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import random
import shutil
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from maintainer_tools.exits import Exit
from tests.storm.moments import IsSeen, await_seen, lies
from tests.storm.promises import Promises
from tests.support.server import ROOT

PAUSE_SECONDS = (0.1, 1.5)
LIFE_SECONDS = (0.2, 1.2)
"""How long a command lives that is killed at any moment: from before its first step to its end."""
INSIDE_SECONDS = (0.0, 0.4)
"""Likewise, from where its first step showed."""
EVERY_SECOND, OFTEN = 0.5, 0.75
"""How many of the commands of one kind are killed; often those that take little time, or come seldom."""
COMMAND_SECONDS = 120.0
URL = "https://pod.example"
MOST_TRIES = 60
MOST_ERASED = 40
SNAPSHOT, ROTATION, IDENTITY, ERASURE, INVITE = "snapshot", "rotation", "identity", "erasure", "invite"
WORKS = (SNAPSHOT, ROTATION, IDENTITY, ERASURE, ERASURE, INVITE)
"""What a maintainer does, each as often as it stands here."""
REQUEST = "[0-9a-f]" * 32
"""A name in a pod's folder ``requests``."""


class _Ended(NamedTuple):
    """How a command ended: ``code`` is None if it was killed."""

    code: int | None
    out: bytes = b""
    err: bytes = b""


def _remove(folder: Path, pattern: str) -> None:
    for left in folder.glob(pattern):
        shutil.rmtree(left)


class Maintainer(threading.Thread):
    """Works until told to stop.

    Args:
        home: Whose.
        folder: For copies and invites.
        promises: Shared.
        works: Of ``WORKS``: what is done, in any order.
        is_killed: Whether some of it is.
        seed: Of the choices.
        environment: Added to what a command is started with; may change meanwhile.

    Attributes:
        killed: How many commands of each kind were killed.
        done: How many ended well.
    """

    def __init__(
        self,
        home: Path,
        folder: Path,
        promises: Promises,
        *,
        works: Sequence[str],
        is_killed: bool,
        seed: str,
        environment: Mapping[str, str],
    ) -> None:
        super().__init__(name="maintainer", daemon=True)
        self._home = home
        self._folder = folder
        self._promises = promises
        self._works = works
        self._is_killed = is_killed
        self._environment = environment
        self._chance = random.Random(seed)  # noqa: S311  # a storm must repeat itself
        self._numbers = itertools.count(1)
        self._stopping = threading.Event()
        self._is_upgrade_due = threading.Event()
        self._at: tuple[str, IsSeen] | None = None
        self._is_through = False
        self.killed: Counter[str] = Counter()
        self.done: Counter[str] = Counter()

    def stop(self) -> None:
        """End when what was begun has ended well."""
        self._stopping.set()

    def become(self, environment: Mapping[str, str]) -> None:
        """Go on with the next version of the program, which finds a vault to upgrade."""
        self._environment = environment
        self._is_upgrade_due.set()

    @property
    def inside(self) -> str | None:
        """What a command is in the middle of, as far as files show."""
        at = self._at
        return at[0] if at and at[1]() else None

    def run(self) -> None:
        """Do one thing after the other."""
        works: Mapping[str, Callable[[], None]] = {
            SNAPSHOT: self._snapshot,
            ROTATION: self._rotate,
            IDENTITY: self._rotate_identity,
            ERASURE: self._erase,
            INVITE: self._invite,
        }
        # What was acknowledged a moment ago is the first to go.
        self._stopping.wait(PAUSE_SECONDS[1])
        if ERASURE in self._works:
            self._erase()
        while not self._stopping.wait(self._chance.uniform(*PAUSE_SECONDS)):
            if self._is_upgrade_due.is_set():
                self._upgrade()
            else:
                works[self._chance.choice(self._works)]()
        # A version that came at the very end finds its vault all the same.
        if self._is_upgrade_due.is_set():
            self._upgrade()
        self._is_through = True

    def finish(self) -> None:
        """With no server, and nobody killed: what a request still asks for is done by the next `erase`."""
        assert self._is_through, "the maintainer's thread ended before its work; the reason stands above"
        self._erase_some(self._ask)

    def _snapshot(self) -> None:
        out, acknowledged = self._folder / "copy", self._promises.acknowledged.copy()
        # One that a killed command left whole is removed: nobody was told of it.
        is_done = self._until_done(
            SNAPSHOT,
            ["snapshot", str(self._home), str(out)],
            lambda: lies(self._folder, "copy.partial"),
            clear=lambda: _remove(self._folder, "copy*"),
            chance=OFTEN,
        )
        if is_done:
            self._keep(out)
            self._promises.copied = acknowledged

    def _keep(self, copy: Path) -> None:
        """Make a home of a snapshot: what opens it is the identity of its time."""
        kept = self.kept
        if kept.exists():
            shutil.rmtree(kept)
        kept.mkdir()
        copy.rename(kept / "pod")
        shutil.copy(self._home / "identity", kept / "identity")

    @property
    def kept(self) -> Path:
        """The home of the newest snapshot that is done; may not be there."""
        return self._folder / "kept"

    def _rotate(self) -> None:
        pod = self._home / "pod"
        self._until_done(
            ROTATION,
            ["rotate", str(self._home), "--file-key"],
            lambda: lies(pod, "vault.db.new") or lies(self._home, "rotation"),
        )

    def _rotate_identity(self) -> None:
        before = self._home / "identity.before"
        is_done = self._until_done(
            IDENTITY,
            ["rotate", str(self._home), "--identity"],
            lambda: lies(self._home, "identity.next"),
            # It was killed between its last step and its end: it says so, and has nothing left to do.
            is_done_too=lambda ended: b"the rotation before is finished" in ended.err,
        )
        if is_done:
            before.unlink()

    def _erase(self) -> None:
        def ask(arguments: Sequence[str]) -> _Ended:
            return self._hit(ERASURE, arguments, lambda: lies(self._home / "pod" / "requests", REQUEST))

        self._erase_some(ask)

    def _invite(self) -> None:
        name = f"more-{next(self._numbers)}"
        # Asked for once: an invite that is there already is refused.
        ended = self._hit(INVITE, ["invite", "new", str(self._home), "--name", name, "--url", URL], None)
        self._is_expected(INVITE, ended)
        self.done[INVITE] += ended.code == Exit.DONE

    def _upgrade(self) -> None:
        copies = "before-upgrade-*"
        self._until_done(
            "upgrade",
            ["upgrade", str(self._home)],
            lambda: lies(self._home, copies),
            clear=lambda: _remove(self._home, copies),
            chance=OFTEN,
        )
        self._is_upgrade_due.clear()

    def _erase_some(self, ask: Callable[[Sequence[str]], _Ended]) -> None:
        """Erase what nobody set out to erase before."""
        left = list(self._promises.acknowledged.copy() - self._promises.to_erase)
        chosen = self._chance.sample(left, min(len(left), self._chance.randint(1, MOST_ERASED)))
        if not chosen:
            return
        self._promises.to_erase.update(chosen)
        ended = ask(["erase", str(self._home), *chosen, "--yes", "--json"])
        if not self._is_expected(ERASURE, ended) or ended.code != Exit.DONE:
            return
        if json.loads(ended.out.splitlines()[-1])["state"] == "erased":
            self._promises.erased.update(chosen)
            self.done[ERASURE] += 1

    def _until_done(
        self,
        name: str,
        arguments: Sequence[str],
        is_inside: IsSeen,
        *,
        is_done_too: Callable[[_Ended], bool] = lambda _: False,
        clear: Callable[[], None] = lambda: None,
        chance: float = EVERY_SECOND,
    ) -> bool:
        for _ in range(MOST_TRIES):
            ended = self._hit(name, arguments, is_inside, chance)
            if ended.code == Exit.DONE or is_done_too(ended):
                self.done[name] += 1
                return True
            clear()
            if not self._is_expected(name, ended):
                return False
            if ended.code == Exit.FORMAT_TOO_OLD:
                self._upgrade()
        self._promises.faults.append(f"{name}: asked for {MOST_TRIES} times, and never done")
        return False

    def _is_expected(self, name: str, ended: _Ended) -> bool:
        """Whether a command ended well, was killed, or found another process in its way; else a fault.

        Or the next version came between two tries, and said what to do first.
        """
        is_expected = ended.code in {None, Exit.DONE, Exit.LOCKED} or (
            ended.code == Exit.FORMAT_TOO_OLD and self._is_upgrade_due.is_set()
        )
        if not is_expected:
            self._promises.faults.append(f"{name} ended with {ended.code}: {ended.err.decode()[-500:]}")
        return is_expected

    def _hit(
        self, name: str, arguments: Sequence[str], is_inside: IsSeen | None, chance: float = EVERY_SECOND
    ) -> _Ended:
        """Run a command; with this chance kill it, inside or at any moment."""
        with self._running(name, arguments, is_inside) as process:
            if self._chance.random() >= chance or not self._is_killed:
                return self._await(process)
            self._let_live(process, is_inside)
            if process.poll() is not None:
                return self._await(process)
            process.kill()
            process.communicate()
            self.killed[name] += 1
            return _Ended(None)

    def _ask(self, arguments: Sequence[str]) -> _Ended:
        with self._running(ERASURE, arguments, None) as process:
            return self._await(process)

    @contextlib.contextmanager
    def _running(
        self, name: str, arguments: Sequence[str], is_inside: IsSeen | None
    ) -> Iterator[subprocess.Popen[bytes]]:
        # The program is found whatever folder an invite is to lie in.
        paths = os.pathsep.join(filter(None, (self._environment.get("PYTHONPATH"), str(ROOT))))
        process = subprocess.Popen(
            [sys.executable, "-m", "maintainer_tools", *arguments],
            cwd=self._folder,
            env={**os.environ, **self._environment, "PYTHONPATH": paths},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self._at = (name, is_inside) if is_inside else None
        try:
            with process:
                yield process
        finally:
            self._at = None

    def _await(self, process: subprocess.Popen[bytes]) -> _Ended:
        try:
            out, err = process.communicate(timeout=COMMAND_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            self._promises.faults.append(f"{process.args!r} did not end in {COMMAND_SECONDS} s")
            return _Ended(None)
        return _Ended(process.returncode, out, err)

    def _let_live(self, process: subprocess.Popen[bytes], is_inside: IsSeen | None) -> None:
        seconds = self._chance.uniform(*LIFE_SECONDS)
        if is_inside and self._chance.random() < 0.7:  # the rest are hit in their first steps too
            await_seen(lambda: is_inside() or process.poll() is not None, COMMAND_SECONDS)
            seconds = self._chance.uniform(*INSIDE_SECONDS)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(seconds)
