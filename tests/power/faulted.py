"""The process whose calls are failed, under the shim.

``python -m tests.power.faulted FOLDER ACT PLANT SEED SAMPLE``

Counts the calls of an act below FOLDER, then does it again for each of them, in
a fresh copy of the same pod, with that call failing: once, or from there on;
with EIO or ENOSPC; a write also after half of it was done. After each, with a
disk that works again, it looks at what is left. Prints a JSON object for each.
SAMPLE: how many of these cases are drawn; 0 for all.
"""

from __future__ import annotations

import errno
import itertools
import random
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec

from tests.power.acts import ACTS, Stage, Template
from tests.power.plants import FAULT_PLANTS
from tests.power.shim import How, Kind, Shim

ERRORS = (errno.EIO, errno.ENOSPC)


class Fault(NamedTuple):
    """Which call fails, and how.

    Attributes:
        kind: Of call.
        number: Which of that kind, from 1.
        error: With which errno.
        how: Once, from there on, or after half of it.
    """

    kind: Kind
    number: int
    error: int
    how: How

    def __str__(self) -> str:
        how = self.how.name.lower().replace("_", " ")
        return f"{self.kind.name.lower()} {self.number}, {errno.errorcode[self.error]}, {how}"


class Case(msgspec.Struct):
    """What one fault led to.

    Attributes:
        act: What was being done.
        fault: Which call failed.
        outcome: The class of the error it ended with; ``done`` if with none.
        findings: What is wrong; a sentence each.
    """

    act: str
    fault: str
    outcome: str
    findings: list[str]


def _faults(counts: dict[Kind, int]) -> Iterator[Fault]:
    for kind, count in counts.items():
        for number, error, how in itertools.product(range(1, count + 1), ERRORS, How):
            if how is not How.SHORT_FIRST or kind is Kind.WRITE:
                yield Fault(kind, number, error, how)


class _Sweep:
    def __init__(self, folder: Path, act: str, seed: str) -> None:
        self._shim = Shim()
        self._folder = folder
        self._name = act
        self._template = Template(folder, seed)

    def counts(self) -> dict[Kind, int]:
        """How many calls of each kind the act makes."""
        stage = self._stage()
        act = ACTS[self._name](stage)
        self._shim.arm()
        act.run()
        counts: dict[Kind, int] = {kind: self._shim.calls(kind) for kind in Kind if kind is not Kind.ANY}
        self._end(stage)
        return counts

    def case(self, fault: Fault) -> Case:
        """Do the act with a fault, and look at what is left."""
        stage = self._stage()
        act = ACTS[self._name](stage)
        self._shim.arm(*fault)
        error = act.attempt()
        findings = [] if self._shim.disarm() else ["the call was not made"]
        findings += act.judge(error)
        outcome = type(error).__name__ if error else "done"
        if not findings:
            self._end(stage)
        return Case(self._name, str(fault), outcome, findings)

    def _stage(self) -> Stage:
        return self._template.stage(self._folder / "stage")

    def _end(self, stage: Stage) -> None:
        stage.vault.close()
        shutil.rmtree(self._folder / "stage")


def main(folder: str, act: str, plant: str, seed: str, sample: str) -> None:
    """Do all cases, or a sample of them."""
    FAULT_PLANTS[plant]()
    sweep = _Sweep(Path(folder), act, seed)
    faults = list(_faults(sweep.counts()))
    if 0 < int(sample) < len(faults):
        faults = random.Random(seed).sample(faults, int(sample))  # noqa: S311 - a test must repeat itself
    for fault in faults:
        case = sweep.case(fault)
        print(msgspec.json.encode(case).decode(), flush=True)  # noqa: T201 - the answer
        if case.findings:
            # What is left stays where it is, for a person to look at.
            return


if __name__ == "__main__":
    main(*sys.argv[1:])
