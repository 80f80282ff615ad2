"""A process that deposits items in a pod as its server does.

``python -m tests.support.depositor FOLDER DATABASE_KEY ACKNOWLEDGED``. Commands:
``commit`` stores a batch of three items and answers ``ok`` or the error's class;
``limit`` lets no file grow any further, ``unlimit`` takes that back; ``close``
closes the vault and answers whether it did, or the error's class; ``run``
commits until it is killed. Ids of acknowledged items are appended to the file
ACKNOWLEDGED, a line each.
"""

from __future__ import annotations

import os
import resource
import sys
import time
from pathlib import Path

from tests.support.child import serve
from vault.errors import VaultError
from vault.items import parse_item, server_id
from vault.judging import Outcome
from vault.keys import DatabaseKey
from vault.pod import PodFolder, load_log_key
from vault.policies import load_policy
from vault.slots import lookup_of, open_slot
from vault.store import open_writer
from vault.submissions import submit

OK = "ok"
TEXT_CHARACTERS = 3000


def now_ms() -> int:
    """UTC milliseconds."""
    return time.time_ns() // 1_000_000


def make_id() -> str:
    """A new id."""
    return server_id(now_ms(), os.urandom(10))


class _Depositor:
    def __init__(self, folder: PodFolder, key: DatabaseKey, acknowledged: Path) -> None:
        self._policy = load_policy(folder)
        slot = self._policy.slot_by_lookup[lookup_of(key, self._policy.pod_id)]
        self._slot = open_slot(slot, key, self._policy.pod_id)
        self._writer = open_writer(
            folder,
            self._policy,
            self._slot.file_key,
            load_log_key(folder),
            now_ms=now_ms,
            entropy=os.urandom,
        )
        self._wal = folder.wal
        self._acknowledged = acknowledged.open("a")

    def commit(self) -> str:
        payload = {"type": "Note", "text": "x" * TEXT_CHARACTERS}
        batch = [submit(self._slot, parse_item(payload, make_id=make_id)) for _ in range(3)]
        try:
            answers = self._writer.commit(self._policy, batch)
        except VaultError as exc:
            return type(exc).__name__
        assert {answer.outcome for answer in answers} == {Outcome.STORED}
        self._acknowledged.write("".join(f"{each.item.id}\n" for each in batch))
        self._acknowledged.flush()
        return OK

    def run(self) -> str:
        while self.commit() == OK:
            pass
        return "stopped"

    def limit(self) -> str:
        return self._set_limit(self._wal.stat().st_size + 5000)

    def unlimit(self) -> str:
        return self._set_limit(resource.RLIM_INFINITY)

    def _set_limit(self, most_bytes: int) -> str:
        resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, resource.RLIM_INFINITY))
        return OK

    def close(self) -> str:
        try:
            return str(self._writer.close())
        except VaultError as exc:
            return type(exc).__name__


if __name__ == "__main__":
    folder, key, acknowledged = sys.argv[1:]
    depositor = _Depositor(PodFolder(Path(folder)), DatabaseKey.from_hex(key), Path(acknowledged))
    serve(
        {
            "commit": depositor.commit,
            "run": depositor.run,
            "limit": depositor.limit,
            "unlimit": depositor.unlimit,
            "close": depositor.close,
        }
    )
