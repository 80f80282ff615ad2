"""How a vault behaves as it grows: ``make bench-growth ITEMS=10000000``.

Fills one vault through the writer that a server has, in batches of a busy
server's size, without HTTP. On the way it is timed again and again beside a
vault that was just founded, batch by batch in turn: the machine's noise meets
both, and the ratio says what size costs. At 10,000 items, and each power of ten
after that, it is closed, and measured: how soon a real server whose pod is
closed answers its first item, and how long `snapshot`, `check`, `audit` and
`export` take, with how much memory.

An interrupted run goes on where it stopped: the vault, and what was measured,
lie in ``--folder``. It asserts nothing: the reader judges. The goals are in
docs/performance.md.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import statistics
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import msgspec

from benchmarks.commands import run_command
from benchmarks.growth_measures import (
    IDS,
    SERVED_CONNECTIONS,
    after_death_ms,
    depositing,
    opening_ms,
    serve_both,
    take_sample,
)
from benchmarks.growth_record import BATCH_ITEMS, Growth, Milestone, Sample, cpu_ratio, per_second, ratio
from benchmarks.ingest import fdatasync_ms
from benchmarks.pods import Pod, make_pod
from vault.founding import POD_FOLDER
from vault.inspecting import inspect
from vault.keys import DatabaseKey
from vault.pod import PodFolder
from vault.policies import load_policy
from vault.slots import lookup_of, open_slot

FIRST_MILESTONE = 10_000
SAMPLES_FROM, SAMPLES_A_DECADE = 1_000, 10
RESULTS, INVITE, HOME = "growth.json", "invite", "home"
COMMANDS = {
    "snapshot": ["snapshot", "HOME", "OUT"],
    "export": ["export", "HOME", "OUT"],
    "audit, closed": ["audit", "HOME"],
    "check": ["check", "HOME"],
    "audit --items": ["audit", "HOME", "--items"],
    "export, CSV": ["export", "HOME", "OUT", "--format", "csv"],
}
"""What a maintainer runs, HOME and OUT in place of the folders."""


class Scale(NamedTuple):
    """How often each thing is measured.

    Attributes:
        rounds: Of one sample; ten are 10,240 items into each of the two vaults.
        samples: At a milestone.
        openings: Of a pod that its server has closed.
        deaths: Of its writer.
        frames: In the log at a death; about a thousand are the most, but while a snapshot is being taken.
        served: Rounds of load for a real server.
    """

    rounds: int = 10
    samples: int = 8
    openings: int = 15
    deaths: int = 3
    frames: int = 900
    served: int = 3


WHOLE = Scale()


class Run:
    """One vault that grows, and its record.

    Args:
        folder: Of the vault and the record; a run that was interrupted is gone on with.
        ids: ordered or random.
        scale: How often each thing is measured.
    """

    def __init__(self, folder: Path, ids: str, scale: Scale = WHOLE) -> None:
        self._folder = folder
        self._ids = ids
        self._scale = scale
        self._record = folder / RESULTS
        self._temporary = folder / "temporary"
        if self._record.exists():
            self.growth = msgspec.json.decode(self._record.read_bytes(), type=Growth)
            owner, key = (folder / INVITE).read_text(encoding="ascii").split()
            self._pod = Pod(PodFolder(folder / HOME / POD_FOLDER), owner, key)
            if self.growth.ids != ids:
                raise ValueError(f"{folder} holds a vault of {self.growth.ids} ids; choose another folder")
            shutil.rmtree(self._temporary)
        else:
            folder.mkdir()
            self._pod = make_pod(folder / HOME)
            (folder / INVITE).write_text(f"{self._pod.owner} {self._pod.key}", encoding="ascii")
            self.growth = Growth(
                ids, datetime.now(UTC).isoformat(timespec="seconds"), _machine(), fdatasync_ms(folder)
            )
            self._save()
        self._temporary.mkdir()

    def _save(self) -> None:
        partial = self._record.with_suffix(".partial")
        partial.write_bytes(msgspec.json.format(msgspec.json.encode(self.growth), indent=1) + b"\n")
        partial.replace(self._record)

    def _items(self) -> int:
        """How many items the vault holds, by its own log."""
        policy, key = load_policy(self._pod.folder), DatabaseKey.from_hex(self._pod.key)
        slot = open_slot(policy.slot_by_lookup[lookup_of(key, policy.pod_id)], key, policy.pod_id)
        return inspect(self._pod.folder, policy, slot.file_key).ledger.next_seq - 1

    def grow(self, items: int) -> None:
        """Fill the vault, with samples on the way and a milestone at each power of ten."""
        milestones = milestones_up_to(items)
        for target in sorted({*sample_points(items), *milestones}):
            is_reached = self._fill(target)
            if target in milestones:
                self._milestone(target)
            elif not is_reached:
                self._sample()

    def _fill(self, target: int) -> bool:
        """Store items until there are ``target``; return whether there were as many before."""
        missing = target - self._items()
        if missing <= 0:
            return True
        with depositing(self._pod, self._ids) as depositor:
            for _ in range(-(-missing // BATCH_ITEMS)):
                depositor.commit(depositor.batch())
        return False

    def _take_sample(self) -> Sample:
        items = self._items()
        with depositing(self._pod, self._ids) as depositor:
            # Its pages are cold after opening, as they are once in a server's day.
            depositor.commit(depositor.batch())
            sample = take_sample(
                depositor, items, self._temporary / "beside", ids=self._ids, rounds=self._scale.rounds
            )
        _put_sample(sample)
        return sample

    def _sample(self) -> None:
        self.growth.samples.append(self._take_sample())
        self._save()

    def _milestone(self, target: int) -> None:
        found = [each for each in self.growth.milestones if each.target == target]
        if not found:
            size = self._pod.folder.vault.stat().st_size
            found = [Milestone(target, self._items(), size)]
            self.growth.milestones += found
        milestone = found[0]
        for measure in (self._opening, self._commands, self._samples, self._deaths, self._served):
            measure(milestone)
        _put_milestone(milestone)

    def _samples(self, milestone: Milestone) -> None:
        while len(milestone.samples) < self._scale.samples:
            milestone.samples.append(self._take_sample())
            self._save()

    def _opening(self, milestone: Milestone) -> None:
        if not milestone.opening_ms:
            found = opening_ms(self._pod, self._temporary / "beside", self._scale.openings)
            milestone.opening_ms, milestone.opening_beside_ms = found
            self._save()

    def _commands(self, milestone: Milestone) -> None:
        out = self._temporary / "out"
        for name, arguments in COMMANDS.items():
            if name not in milestone.costs:
                home = str(self._folder / HOME)
                words = [{"HOME": home, "OUT": str(out)}.get(word, word) for word in arguments]
                milestone.costs[name] = run_command(*words, temporary=self._temporary)
                self._save()
                shutil.rmtree(out, ignore_errors=True)
                _put_cost(milestone, name)

    def _deaths(self, milestone: Milestone) -> None:
        while len(milestone.after_death_ms) < self._scale.deaths:
            waited, frames = after_death_ms(self._pod, self._ids, self._scale.frames)
            milestone.after_death_ms.append(waited)
            milestone.frames_at_death.append(frames)
            self._save()

    def _served(self, milestone: Milestone) -> None:
        if not milestone.served:
            milestone.served = serve_both(self._pod, self._temporary / "beside", self._scale.served)
            self._save()


def milestones_up_to(items: int) -> list[int]:
    """``items`` and the powers of ten before it, from ``FIRST_MILESTONE``."""
    powers = [10**power for power in range(1, 13)]
    return [*(power for power in powers if FIRST_MILESTONE <= power < items), items]


def sample_points(items: int) -> list[int]:
    """Where samples are taken: evenly on a logarithmic scale, the end not among them."""
    found, number = [], 0
    while (point := round(SAMPLES_FROM * 10 ** (number / SAMPLES_A_DECADE))) < items:
        found.append(point)
        number += 1
    return found


def _machine() -> str:
    return f"{os.cpu_count()} cores, Python {platform.python_version()}, Linux {platform.release()}"


def _put(line: str) -> None:
    print(line, flush=True)


def _put_sample(sample: Sample) -> None:
    _put(f"{sample.items:>12,} items  {_speed_of([sample])}")


def _speed_of(samples: Sequence[Sample]) -> str:
    cpu_us = sum(sample.cpu_seconds for sample in samples) / sum(sample.added for sample in samples) * 1e6
    return (
        f"{per_second(samples):>8,.0f}/s, {cpu_us:.0f} us of processor an item; "
        f"of a new vault's rate {ratio(samples):.2f}, by processor time {cpu_ratio(samples):.2f}"
    )


def _put_cost(milestone: Milestone, name: str) -> None:
    cost = milestone.costs[name]
    rate = milestone.items / cost.seconds
    _put(
        f"{milestone.items:>12,} items  {name:<17}{cost.seconds:>8.1f} s{rate:>10,.0f}/s"
        f"{cost.cpu_seconds:>8.1f} s of processor, at most {cost.peak_mb:.0f} MB"
    )


def _median_ms(times: Sequence[float]) -> str:
    return f"{statistics.median(times):.1f} ms"


def _put_milestone(milestone: Milestone) -> None:
    opening, served = milestone.opening_ms, milestone.served
    of_new = sum(each.per_second for each in served) / sum(each.beside for each in served)
    rate = statistics.median(each.per_second for each in served)
    dead = statistics.median(milestone.after_death_ms)
    lines = [
        f"{milestone.size_bytes / 1e6:,.0f} MB, {milestone.size_bytes / milestone.items:.0f} bytes an item",
        _speed_of(milestone.samples).strip(),
        f"served at {SERVED_CONNECTIONS} connections: {rate:,.0f}/s, {of_new:.2f} of a new vault's",
        f"closed pod to first answer: {_median_ms(opening)}, at most {max(opening):.1f} ms",
        f"of a new pod likewise: {_median_ms(milestone.opening_beside_ms)}",
        f"first answer after a death, {max(milestone.frames_at_death)} frames in the log: {dead:.0f} ms",
    ]
    for line in lines:
        _put(f"{milestone.items:>12,} items  {line}")


def main() -> None:
    """Grow a vault and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--items", type=int, default=1_000_000, help="when to stop")
    parser.add_argument("--ids", choices=[*IDS], default="ordered", help="ordered by time, or random")
    parser.add_argument(
        "--folder", type=Path, default=Path("growth"), help="of the vault; about 3 times its size is used"
    )
    given = parser.parse_args()
    run = Run(given.folder, given.ids)
    _put(
        f"{run.growth.machine}; fdatasync of 4 KiB {run.growth.fdatasync_ms:.2f} ms; "
        f"{run.growth.batch_items} items a commit, {run.growth.ids} ids"
    )
    run.grow(given.items)
    _put(f"all of it is in {given.folder / RESULTS}; the vault beside it may be removed")


if __name__ == "__main__":
    main()
