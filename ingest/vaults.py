"""The vaults of a server: each is written by one of its writer processes, always the same.

One process for all unless told otherwise; more let several busy pods use
several processors. docs/decisions/more-than-one-writer.md.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from functools import partial

from ingest.logs import Log
from ingest.measures import Measures
from ingest.remote_vault import RemoteVault
from ingest.writer_process import WriterProcess
from vault.pod import PodFolder
from vault.policies import Policy


class Vaults:
    """Vaults, in processes of their own, which are started.

    Args:
        count: How many processes; the pods take turns.
        log: Told what a vault warns of.
        measures: Told of every batch.
    """

    def __init__(self, count: int, log: Log, measures: Measures) -> None:
        self._log = log
        self._measures = measures
        self._writers = [WriterProcess(time.monotonic) for _ in range(count)]
        self._next = itertools.cycle(self._writers)
        for writer in self._writers:
            writer.start()

    @property
    def is_running(self) -> bool:
        """Whether all of them run; the next item of its pods starts one that has ended."""
        return all(writer.is_running for writer in self._writers)

    async def ready(self) -> None:
        """Wait until all have started; raises what ``WriterProcess.ready`` does."""
        for writer in self._writers:
            await writer.ready()

    async def stop(self) -> None:
        """Let them end: every vault is closed."""
        await asyncio.gather(*(writer.stop() for writer in self._writers))

    def keep(self, folder: PodFolder) -> RemoteVault:
        """The way to the vault of one pod, in the process that is its from now on."""
        return RemoteVault(
            folder,
            next(self._next).connect,
            lambda sentence: self._log.event("vault_warning", sentence=sentence),
            partial(self._measures.committed, folder.path),
        )

    def accept(self, policy: Policy) -> None:
        """Any that verifies: a vault knows all that it may ask."""
