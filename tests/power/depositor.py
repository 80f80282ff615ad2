"""The process that is recorded: deposits in a pod as its server does, and says what it promised.

``python -m tests.power.depositor HOME DATABASE_KEY PLANT SEED STEPS``, under the
shim. What it does follows from its arguments: clock and randomness are the
seed's. Steps: batches of one to eight items, some sent once more; every so often
the vault is closed and opened, copied to a snapshot, or the process dies as if
killed and goes on as a new one.
"""

from __future__ import annotations

import os
import random
import sys
from pathlib import Path

import vault.store
from tests.power.marks import Acknowledged, Copied, Mark, Sent, encode_mark
from tests.power.plants import PLANTS
from tests.power.shim import Shim
from tests.support.pods import PATIENCE, START_MS
from vault.items import parse_item
from vault.judging import Outcome
from vault.keys import DatabaseKey
from vault.pod import PodFolder, load_log_key
from vault.policies import Policy, load_policy
from vault.slots import lookup_of, open_slot
from vault.snapshot import take_snapshot
from vault.store import Writer, open_writer
from vault.submissions import Submission, submit

STEP_MS = 40
"""Of the clock, each time it is asked: log.head is then written at some batches and not at others."""
RESTART_FRAMES, TRUNCATE_FRAMES = 60, 90
"""Instead of 1,000 and 2,000: a short run then has many checkpoints, of both kinds."""
TEXT_CHARACTERS = (0, 10, 300, 3_000)
CLOSE, COPY, DIE = 0.06, 0.09, 0.13
"""Below which of these a step's lot makes it a closing, a snapshot, a death; a batch else."""


class _Depositor:
    def __init__(self, home: Path, key: DatabaseKey, seed: str) -> None:
        self._home = home
        self._folder = PodFolder(home / "pod")
        self._shim = Shim()
        self._seed = seed
        self._chance = random.Random(seed)  # noqa: S311 - a test must repeat itself
        self._ms = START_MS
        self._made = 0
        self._texts: dict[str, str] = {}
        self._policy: Policy = load_policy(self._folder)
        slot = self._policy.slot_by_lookup[lookup_of(key, self._policy.pod_id)]
        self._slot = open_slot(slot, key, self._policy.pod_id)
        self._writer: Writer | None = None

    def _now_ms(self) -> int:
        self._ms += STEP_MS
        return self._ms

    def _say(self, mark: Mark) -> None:
        self._shim.mark(encode_mark(mark))

    def _open(self) -> Writer:
        if self._writer is None:
            self._writer = open_writer(
                self._folder,
                self._policy,
                self._slot.file_key,
                load_log_key(self._folder),
                now_ms=self._now_ms,
                entropy=self._chance.randbytes,
            )
        return self._writer

    def step(self) -> bool:
        """Do one thing; returns False if it was to die."""
        lot = self._chance.random()
        if lot >= DIE:
            self._commit()
        elif lot >= COPY:
            return False
        else:
            self.close()
            if lot >= CLOSE:
                self._copy()
        return True

    def _submission(self, item_id: str, text: str) -> Submission:
        self._texts[item_id] = text
        payload = {"type": "Note", "id": item_id, "text": text}
        return submit(self._slot, parse_item(payload, make_id=str), wants_receipt=True)

    def _new(self) -> Submission:
        self._made += 1
        text = "x" * self._chance.choice(TEXT_CHARACTERS)
        return self._submission(f"{self._seed}-{self._made:04d}", text)

    def _commit(self) -> None:
        fresh = [self._new() for _ in range(self._chance.randint(1, 8))]
        again = [self._submission(*self._chance.choice(list(self._texts.items())))]
        batch = fresh + (again if self._chance.random() < DIE else [])
        writer = self._open()
        self._say(Sent({each.item.id: self._texts[each.item.id] for each in fresh}))
        answers = writer.commit(self._policy, batch)
        assert {answer.outcome for answer in answers} <= {Outcome.STORED, Outcome.RETRY}
        receipts = zip(batch, answers, strict=True)
        self._say(Acknowledged({each.item.id: answer.receipt or "" for each, answer in receipts}))

    def close(self) -> None:
        """Close the vault, if it is open."""
        if self._writer:
            assert self._writer.close()
            self._writer = None

    def _copy(self) -> None:
        name = f"copy-{self._seed}-{self._chance.randrange(1 << 32):08x}"
        take_snapshot(self._folder.path, self._home / name, PATIENCE)
        self._say(Copied(name))


def main(home: str, key: str, plant: str, seed: str, steps: str) -> None:
    """Do all steps; a death goes on with those that are left."""
    PLANTS[plant]()
    vault.store.RESTART_FRAMES, vault.store.TRUNCATE_FRAMES = RESTART_FRAMES, TRUNCATE_FRAMES
    depositor = _Depositor(Path(home), DatabaseKey.from_hex(key), seed)
    for left in range(int(steps), 0, -1):
        if not depositor.step():
            # No handler runs and nothing is closed; the kernel drops the locks.
            again = [home, key, plant, f"{seed}d", str(left - 1)]
            os.execv(sys.executable, [sys.executable, "-m", "tests.power.depositor", *again])  # noqa: S606
    depositor.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
