"""Recording runs of the real writer, cutting their power at any point, and judging what is left."""

from __future__ import annotations

import copy
import random
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from tests.power.disk import Cut, Disk
from tests.power.founder import found
from tests.power.judge import judge, judge_founding, judge_rotation
from tests.power.marks import Acknowledged, Said, Sent, said_in
from tests.power.plants import DEAF, NOTHING
from tests.power.records import MARK, Record, read_log
from tests.power.serving import serve_recorded
from tests.power.shim import environment, run_under

STEPS = 40
"""Of a recorded run: some thousand calls, with closings, deaths and snapshots among them."""
LAST_CALLS = 60
"""Of a rotation: files take each other's place there."""
RUNS_A_POD = 4
"""After which a new pod is founded; each run but its first begins with what a cut left of the one before."""


class Tally(msgspec.Struct):
    """What a campaign did and found.

    Attributes:
        cuts: How often the power was cut.
        runs: How many runs were recorded.
        calls: How many calls they made below the pod's home.
        acknowledged: Promises that were to be kept, summed over all cuts.
        failures: What was wrong, with the run's seed and the place of the cut.
    """

    cuts: int = 0
    runs: int = 0
    calls: int = 0
    acknowledged: int = 0
    failures: list[str] = msgspec.field(default_factory=list)


class Campaign:
    """A campaign in one folder.

    Args:
        folder: Empty; what it makes there is removed as it goes, but for failures.
        seed: All choices follow from it.
        plant: The bug planted in what is recorded, by its name.
        steps: Of each recorded run.
    """

    def __init__(self, folder: Path, seed: str, plant: str = NOTHING, *, steps: int = STEPS) -> None:
        self._folder = folder
        self._seed = seed
        self._plant = plant
        self._steps = steps
        self.tally = Tally()

    def _record(self, module: str, root: Path, *arguments: object) -> list[Record]:
        log = self._folder / "log"
        under = environment(root, log, is_deaf_to_folders=self._plant == DEAF)
        run_under(under, module, *arguments)
        return self._recorded(log)

    def _recorded(self, log: Path) -> list[Record]:
        recorded = read_log(log)
        log.unlink()
        self.tally.runs += 1
        self.tally.calls += sum(record.operation != MARK for record in recorded)
        return recorded

    def found(self, cuts: int) -> None:
        """Found a pod, and cut its founding short."""
        seed = f"{self._seed}-founding-{self.tally.runs}"
        root, whole = self._folder / "root", self._folder / "whole"
        root.mkdir()
        before = Disk(root)
        recorded = self._record("tests.power.founder", root, root / "home", self._plant, seed)
        whole.mkdir()
        pod = found(whole / "home", seed)
        for left, said, where in self._cuts(before, recorded, Said(), seed, cuts):
            self._note(where, left, judge_founding(left / "home", pod, is_said=said.is_founded))
        shutil.rmtree(root)
        shutil.rmtree(whole)

    def deposit(self, cuts: int) -> None:
        """Found a pod, deposit in it over several runs, and cut each of them short."""
        root = self._folder / "root"
        root.mkdir()
        pod = found(root / "home", f"{self._seed}-pod-{self.tally.runs}")
        invite, said = pod.invite(), Said()
        key = invite.database_key.reveal().hex()
        for number in range(RUNS_A_POD):
            seed = f"{self._seed}-{self.tally.runs}"
            before, next_root = Disk(root), self._folder / "next"
            recorded = self._record(
                "tests.power.depositor", root, root / "home", key, self._plant, seed, self._steps
            )
            here = cuts // RUNS_A_POD + (number < cuts % RUNS_A_POD)
            went_on = random.Random(seed).randrange(here) if here else 0  # noqa: S311 - a test must repeat itself
            next_said = said
            for place, (left, told, where) in enumerate(self._cuts(before, recorded, said, seed, here)):
                if place == went_on:
                    shutil.copytree(left, next_root)
                    next_said = copy.deepcopy(told)
                self.tally.acknowledged += len(told.promises.acknowledged)
                is_read_first = place % 3 == 0
                self._note(where, left, judge(left / "home", pod, invite, told, is_read_first=is_read_first))
            shutil.rmtree(root)
            if not here or self.tally.failures:
                return
            next_root.rename(root)
            said = next_said
        shutil.rmtree(root)

    def rotate(self, cuts: int) -> None:
        """Found a pod with a batch in it, give it another file key, and cut that short."""
        root, seed = self._folder / "root", f"{self._seed}-rotation-{self.tally.runs}"
        root.mkdir()
        pod = found(root / "home", seed)
        invite, said = pod.invite(), Said()
        texts = {f"before-{i}": "x" * i * 1_000 for i in range(5)}
        batch = [pod.submission(pod.opened(invite), id=name, text=text) for name, text in texts.items()]
        with pod.writer() as writer:
            answers = writer.commit(pod.policy, batch)
        said.take(Sent(texts))
        said.take(
            Acknowledged({name: answer.receipt or "" for name, answer in zip(texts, answers, strict=True)})
        )
        before = Disk(root)
        recorded = self._record("tests.power.rotator", root, root / "home", self._plant)
        # Most calls before write the new vault, which nothing depends on yet.
        first = max(1, len(recorded) - LAST_CALLS)
        for left, told, where in self._cuts(before, recorded, said, seed, cuts, first=first):
            self.tally.acknowledged += len(told.promises.acknowledged)
            self._note(where, left, judge_rotation(left / "home", pod, invite, told))
        shutil.rmtree(root)

    def serve(self, cuts: int) -> None:
        """Found a pod, record a real server that many clients send to, and cut its power."""
        root, log = self._folder / "root", self._folder / "log"
        root.mkdir()
        pod = found(root / "home", f"{self._seed}-pod-{self.tally.runs}")
        invite, seed = pod.invite(), f"{self._seed}-{self.tally.runs}"
        before = Disk(root)
        serve_recorded(pod, invite, root, log, seed)
        recorded = self._recorded(log)
        for left, said, where in self._cuts(before, recorded, Said(), seed, cuts):
            self.tally.acknowledged += len(said.promises.acknowledged)
            self._note(where, left, judge(left / "home", pod, invite, said, is_read_first=False))
        shutil.rmtree(root)

    def _cuts(
        self,
        before: Disk,
        recorded: list[Record],
        said: Said,
        seed: str,
        cuts: int,
        *,
        first: int = 1,
    ) -> Iterator[tuple[Path, Said, str]]:
        """Lay out what each cut leaves, and what had been said by then; until the first failure.

        Args:
            before: The disk before the first record; changed.
            recorded: What was done.
            said: What had been promised before.
            seed: Of the choices.
            cuts: How many.
            first: The call after which the earliest cut may come.
        """
        chance = random.Random(f"{seed}-cuts")  # noqa: S311 - a test must repeat itself
        said, at = copy.deepcopy(said), 0
        for number, place in enumerate(sorted(chance.randint(first, len(recorded)) for _ in range(cuts))):
            for record in recorded[at:place]:
                before.take(record)
            said_in(recorded[at:place], said)
            at = place
            if self.tally.failures:
                return
            left = self._folder / f"cut-{seed}-{number}"
            Cut(before, chance).lay_out(left)
            self.tally.cuts += 1
            yield left, copy.deepcopy(said), f"{seed}, cut {number} after call {place}"

    def _note(self, where: str, left: Path, failures: Iterable[str]) -> None:
        told = [f"{where}: {failure}" for failure in failures]
        self.tally.failures += told
        if not told:
            shutil.rmtree(left)
