"""A process that writes a vault as a server does: ``python -m tests.support.writer FOLDER``.

Commands: ``commit`` stores a batch and answers how many there are now;
``truncate`` tries to checkpoint and answers whether it did; ``run`` commits 300
batches and checkpoints after every tenth, writing each acknowledged number to
FOLDER/acknowledged.
"""

from __future__ import annotations

import itertools
import sys
import time
from pathlib import Path

from tests.support.child import serve
from tests.support.vaultfile import FILE_KEY, append_batch
from vault.database import connect_append
from vault.locks import WriterTurn, hold_vault

ACKNOWLEDGED = "acknowledged"


class _Writer:
    def __init__(self, folder: Path) -> None:
        self._lock = hold_vault(folder)
        self._turn = WriterTurn(folder)
        self._connection = connect_append(folder / "vault.db", FILE_KEY)
        ((last,),) = self._connection.execute("SELECT max(batch) FROM batch")
        self._numbers = itertools.count((last or 0) + 1)
        self._acknowledged = folder / ACKNOWLEDGED

    def commit(self) -> int:
        number = next(self._numbers)
        append_batch(self._connection, number)
        return number

    def truncate(self) -> bool:
        held = self._turn.try_exclusive()
        if held is None:
            return False
        with held:
            return self._connection.truncate_wal()

    def run(self) -> int:
        done = 0
        for _ in range(300):
            number = self.commit()
            self._acknowledged.write_text(str(number))
            done += number % 10 == 0 and self.truncate()
        # Who was refused the lock keeps the turn, and so must ask again.
        while not self.truncate():
            time.sleep(0.001)
        return done


if __name__ == "__main__":
    writer = _Writer(Path(sys.argv[1]))
    serve({"commit": writer.commit, "truncate": writer.truncate, "run": writer.run})
