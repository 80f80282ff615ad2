"""``make store-faults ROUNDS=10 SEED=...``: everything fails that can, and what was acknowledged is counted.

Each round has a new pod and a new bucket; each is a line of the ledger, with its
seed, so that a later run goes on where this one stopped. ``--store ceph`` starts
a real store on loopback and kills its daemons too; ``--store moto`` imitates one.
Prints a line a round; exit code 1 as soon as something was lost, doubled or
otherwise wrong (the pod is kept, and its place is printed), 2 where files differ
from their commit. ``make store-faults-record`` puts the ledger into the page.
"""

from __future__ import annotations

import argparse
import logging
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from tests.store_faults.counting import count_apart
from tests.store_faults.engines import Engine, imitated, real
from tests.store_faults.ledger import MARKS, Line, append, read_ledger, record
from tests.store_faults.round import Plan, run_round
from tests.storm.ledger import RECORD, STORE_LEDGER, ChangedError, clean_commit, with_record

NOT_CLEAN, CHANGED, STOPPED = 1, 2, 143
_STORES = {"ceph": real, "moto": imitated}


def _run_round(seed: str, engine: Engine, plan: Plan, folder: Path) -> Line:
    began, commit = time.monotonic(), clean_commit()
    ended = run_round(folder, seed, engine, plan)
    result = count_apart(ended.site.pod.home, folder / "promises", ended.given)
    result.left = ended.left
    if clean_commit() != commit:
        raise ChangedError("the commit changed while a round ran; it is not written down")
    return Line(
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        commit=commit,
        seed=seed,
        store=engine.name,
        kills=dict(ended.killed),
        faults=dict(ended.met),
        clocks=dict(ended.clocks),
        collected=dict(ended.collected),
        statuses={str(status): number for status, number in sorted(ended.traffic.statuses.items())},
        unanswered=ended.traffic.unanswered,
        seconds=round(time.monotonic() - began, 1),
        result=result,
    )


def _write(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _say(line: Line) -> None:
    result = line.result
    _write(
        f"{line.seed}: {sum(line.kills.values())} kills and {sum(line.faults.values()):,} faults in "
        f"{line.seconds:.0f} s, {result.vault.acknowledged:,} acknowledged, {result.redeemed:,} receipts, "
        f"{result.from_wrong_clocks} by wrong clocks; wrong: {result.wrong or 'nothing'}"
    )


def run(rounds: int, seed: str, make: Callable[[], Engine], plan: Plan, ledger: Path) -> int:
    """Run until the ledger holds so many rounds of this seed.

    Returns:
        The exit code.
    """
    done = sum(line.run == seed for line in read_ledger(ledger))
    for number in range(done + 1, rounds + 1):
        folder = Path(tempfile.mkdtemp(prefix="store-faults-"))
        try:
            line = _run_round(f"{seed}/{number}", make(), plan, folder)
        except ChangedError as exc:
            _write(str(exc))
            return CHANGED
        append(ledger, line)
        _say(line)
        if line.result.wrong:
            _write(f"not clean; the pod is kept in {folder}\n{line.result}")
            return NOT_CLEAN
        shutil.rmtree(folder)
    return 0


def main() -> int:
    """Read the command line.

    Returns:
        The exit code.
    """
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=1, help="of this seed, with those in the ledger")
    parser.add_argument("--seed", default="store", help="another one makes other choices")
    parser.add_argument("--store", choices=[*_STORES], default="moto")
    parser.add_argument("--items", type=int, default=Plan.items, help="a round, at least")
    parser.add_argument("--kills", type=int, default=Plan.kills, help="a round, during the load")
    parser.add_argument("--ledger", type=Path, default=STORE_LEDGER, help="what was run")
    parser.add_argument("--record", action="store_true", help="put what the ledger says into the page")
    given = parser.parse_args()
    if given.record:
        RECORD.write_text(with_record(RECORD.read_text(), record(read_ledger(given.ledger)), MARKS))
        return 0
    # What it started ends with it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(STOPPED))
    # The imitation says each request.
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    plan = Plan(items=given.items, kills=given.kills)
    with _STORES[given.store]() as make:
        return run(given.rounds, given.seed, make, plan, given.ledger)


if __name__ == "__main__":
    sys.exit(main())
