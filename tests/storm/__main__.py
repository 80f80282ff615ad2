"""``make storm KILLS=10000 SEED=...``: kill a loaded server again and again, and count what is left.

Runs in eras: a new pod, ``--kills-an-era`` kills of its server and as many of the
maintainer's commands as come, an orderly stop, the count. Each era is a line of
the ledger, with its seed, so that a later run goes on where this one stopped.
Prints a line an era and a summary; exit code 1 as soon as an era is not clean
(its pod is kept, and its place is printed), 2 where files differ from their
commit. ``make storm-record`` puts what the ledger says into the page.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from tests.storm.counting import count_apart
from tests.storm.era import Storm
from tests.storm.ledger import (
    LEDGER,
    RECORD,
    ChangedError,
    Era,
    append,
    clean_commit,
    kills_of,
    read_ledger,
    record,
    with_record,
)
from tests.storm.plants import NEXT_VERSION, planting

NOT_CLEAN, CHANGED = 1, 2


def _run_era(seed: str, kills: int, folder: Path) -> Era:
    began, commit = time.monotonic(), clean_commit()
    storm = Storm(folder, seed)
    storm.run(kills)
    result = count_apart(storm.pod.home, storm.promises, storm.kept, planting(folder / "sound", NEXT_VERSION))
    if clean_commit() != commit:
        raise ChangedError("the commit changed while an era ran; it is not written down")
    return Era(
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        commit=commit,
        seed=seed,
        kills=dict(storm.killed),
        statuses={str(status): number for status, number in sorted(storm.traffic.statuses.items())},
        unanswered=storm.traffic.unanswered,
        seconds=round(time.monotonic() - began, 1),
        result=result,
        moments=dict(storm.moments),
        done=dict(storm.done),
    )


def _write(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _say(era: Era) -> None:
    result = era.result
    wrong = {name: len(found) for name, found in result.wrong.items()}
    _write(
        f"{era.seed}: {kills_of([era])} kills in {era.seconds:.0f} s, {result.acknowledged:,} acknowledged, "
        f"{result.erased} erased, {result.receipts:,} receipts, {len(result.lost)} lost; "
        f"wrong: {wrong or 'nothing'}"
    )


def _summarize(eras: Sequence[Era]) -> None:
    acknowledged = sum(era.result.acknowledged for era in eras)
    clean = sum(era.result.is_clean for era in eras)
    lost = sum(len(era.result.lost) for era in eras)
    _write(
        f"in all: {kills_of(eras):,} kills in {len(eras)} eras, {clean} of them clean; "
        f"{acknowledged:,} acknowledged, {lost} lost"
    )


def run(kills: int, seed: str, kills_an_era: int, ledger: Path) -> int:
    """Run eras until the ledger holds so many kills of this seed.

    Returns:
        The exit code.
    """
    eras = [era for era in read_ledger(ledger) if era.storm == seed]
    while kills_of(eras) < kills:
        folder = Path(tempfile.mkdtemp(prefix="storm-"))
        try:
            era = _run_era(f"{seed}/{len(eras) + 1}", kills_an_era, folder)
        except ChangedError as exc:
            _write(str(exc))
            return CHANGED
        eras.append(era)
        append(ledger, era)
        _say(era)
        if not era.result.is_clean:
            _write(f"not clean; the pod is kept in {folder}\n{era.result}")
            return NOT_CLEAN
        shutil.rmtree(folder)
    _summarize(eras)
    return 0


def main() -> int:
    """Read the command line.

    Returns:
        The exit code.
    """
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=200, help="of this seed, with those in the ledger")
    parser.add_argument("--seed", default="storm", help="another one makes other choices")
    parser.add_argument("--kills-an-era", type=int, default=40, help="of servers, before a pod is counted")
    parser.add_argument("--ledger", type=Path, default=LEDGER, help="what was run")
    parser.add_argument("--record", action="store_true", help="put what the ledger says into the page")
    given = parser.parse_args()
    if given.record:
        RECORD.write_text(with_record(RECORD.read_text(), record(read_ledger(given.ledger))))
        return 0
    return run(given.kills, given.seed, given.kills_an_era, given.ledger)


if __name__ == "__main__":
    sys.exit(main())
