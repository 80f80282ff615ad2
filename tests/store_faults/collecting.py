"""Home collects through what fails, and is killed: during the load, and after it until it is done."""

from __future__ import annotations

import contextlib
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

from maintainer_tools.exits import Exit
from tests.support.server import ROOT

COMMAND_SECONDS = 600.0
_PAUSE_SECONDS = (0.5, 4.0)
_LIFE_SECONDS = (0.3, 6.0)
_KILLED = 0.6
"""How many of the collections during the load are killed."""


class Collections(threading.Thread):
    """Runs `collect` again and again until told to stop.

    Args:
        home: The maintainer's.
        store: The address.
        verdict: About it.
        environment: Of the command.
        faults: Where ends that should not be are told.
        seed: Of all that is drawn.
        options: Further ones of the command.

    Attributes:
        killed: How many were.
        done: How many ended well, and what they said they did.
    """

    def __init__(
        self,
        home: Path,
        store: str,
        verdict: Path,
        environment: Mapping[str, str],
        faults: list[str],
        *,
        seed: str,
        options: Sequence[str] = (),
    ) -> None:
        super().__init__(name="collections", daemon=True)
        self._command = [sys.executable, "-m", "maintainer_tools", "collect", str(home), "--json"]
        self._command += ["--from", store, "--verdict", str(verdict), *options]
        self._environment = environment
        self._faults = faults
        self._chance = random.Random(seed)  # noqa: S311  # what it does must follow from its seed
        self._stopping = threading.Event()
        self.killed = 0
        self.done: Counter[str] = Counter()

    def stop(self) -> None:
        """End after the collection that is under way."""
        self._stopping.set()

    def run(self) -> None:
        """Collect now and then."""
        while not self._stopping.wait(self._chance.uniform(*_PAUSE_SECONDS)):
            self.collect(may_die=self._chance.random() < _KILLED)

    def finish(self, kills: int) -> None:
        """Collect what is left: killed so many times first, then until it is done."""
        for _ in range(kills):
            self.collect(may_die=True)
        self.collect(may_die=False)

    def collect(self, *, may_die: bool) -> None:
        """Collect once; one that should not die and ends with an error is a fault."""
        with tempfile.TemporaryFile() as err:
            process = subprocess.Popen(
                self._command,
                cwd=ROOT,
                env={**os.environ, **self._environment},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=err,
            )
            with process:
                if may_die:
                    with contextlib.suppress(subprocess.TimeoutExpired):
                        process.wait(self._chance.uniform(*_LIFE_SECONDS))
                    if process.poll() is None:
                        process.kill()
                        self.killed += 1
                        return
                self._judge(process, err)

    def _judge(self, process: subprocess.Popen[bytes], err: IO[bytes]) -> None:
        try:
            out, _ = process.communicate(timeout=COMMAND_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            out = b""
        if process.wait() != Exit.DONE:
            err.seek(0)
            self._faults.append(
                f"collect ended with {process.returncode}: {out[-500:]!r} {err.read()[-500:]!r}"
            )
            return
        told = json.loads(out.splitlines()[-1])
        self.done += Counter({"collections": 1, "taken": told["taken"], "duplicates": told["duplicates"]})
