"""``make storm KILLS=10000 SEED=...``: kill a loaded server again and again, and count what is left.

Runs in eras: a new pod, ``--kills-an-era`` kills, an orderly stop, the count. Each
era is a line of the ledger, with its seed, so that a later run goes on where
this one stopped. Prints a line an era and a summary; exit code 1 as soon as an
era is not clean (its pod is kept, and its place is printed).
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from tests.storm.counting import Result, count
from tests.storm.era import Storm
from tests.support.server import ROOT

LEDGER = ROOT / "docs" / "storm.jsonl"


class Era(msgspec.Struct):
    """A line of the ledger.

    Attributes:
        date: UTC, when it ended.
        commit: Of the program, with a plus where files were changed.
        seed: Of the storm, then the number of the era.
        kills: How many processes were killed, by who.
        statuses: How many answers of each status.
        unanswered: Requests that were cut off.
        seconds: How long it took.
        result: The count.
    """

    date: str
    commit: str
    seed: str
    kills: dict[str, int]
    statuses: dict[str, int]
    unanswered: int
    seconds: float
    result: Result


def _commit() -> str:
    described = ["git", "describe", "--always", "--dirty=+"]
    return subprocess.run(described, cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip()


def read_ledger(path: Path) -> list[Era]:
    """The eras that were run before; none where there is no ledger yet."""
    if not path.exists():
        return []
    return [msgspec.json.decode(line, type=Era) for line in path.read_bytes().splitlines()]


def _run_era(seed: str, kills: int, folder: Path) -> Era:
    began = time.monotonic()
    storm = Storm(folder, seed)
    storm.run(kills)
    return Era(
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        commit=_commit(),
        seed=seed,
        kills=dict(storm.killed),
        statuses={str(status): number for status, number in sorted(storm.promises.statuses.items())},
        unanswered=storm.promises.unanswered,
        seconds=round(time.monotonic() - began, 1),
        result=count(storm.pod, storm.promises),
    )


def _write(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _say(era: Era) -> None:
    result = era.result
    _write(
        f"{era.seed}: {sum(era.kills.values())} kills in {era.seconds:.0f} s, "
        f"{result.acknowledged:,} acknowledged, {len(result.lost)} lost, {len(result.doubled)} twice, "
        f"{len(result.altered)} altered, {len(result.invented)} invented, "
        f"{len(result.bad_receipts)} of {result.receipts:,} receipts bad, {len(result.findings)} findings"
    )


def _summarize(eras: list[Era]) -> None:
    kills = sum(sum(era.kills.values()) for era in eras)
    acknowledged = sum(era.result.acknowledged for era in eras)
    clean = sum(era.result.is_clean for era in eras)
    lost = sum(len(era.result.lost) for era in eras)
    _write(
        f"in all: {kills:,} kills in {len(eras)} eras, {clean} of them clean; "
        f"{acknowledged:,} acknowledged, {lost} lost"
    )


def main() -> int:
    """Run eras until the ledger holds as many kills as were asked for.

    Returns:
        The exit code.
    """
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=200, help="of this seed, with those in the ledger")
    parser.add_argument("--seed", default="storm", help="another one makes other choices")
    parser.add_argument("--kills-an-era", type=int, default=50, help="before a pod is counted")
    parser.add_argument("--ledger", type=Path, default=LEDGER, help="what was run")
    given = parser.parse_args()
    eras = [era for era in read_ledger(given.ledger) if era.seed.rpartition("/")[0] == given.seed]
    while sum(sum(era.kills.values()) for era in eras) < given.kills:
        folder = Path(tempfile.mkdtemp(prefix="storm-"))
        era = _run_era(f"{given.seed}/{len(eras) + 1}", given.kills_an_era, folder)
        eras.append(era)
        with given.ledger.open("ab") as ledger:
            ledger.write(msgspec.json.encode(era) + b"\n")
        _say(era)
        if not era.result.is_clean:
            _write(f"not clean; the pod is kept in {folder}\n{era.result}")
            return 1
        shutil.rmtree(folder)
    _summarize(eras)
    return 0


if __name__ == "__main__":
    sys.exit(main())
