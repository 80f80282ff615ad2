"""The fault sweep: every call of every act fails once, in a process of its own for each act."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import msgspec

from tests.power.faulted import Case
from tests.power.plants import NOTHING
from tests.power.shim import environment, run_under


def sweep(folder: Path, act: str, seed: str, sample: int = 0, plant: str = NOTHING) -> list[Case]:
    """Do one act with each of its calls failing.

    Args:
        folder: Empty; what led to a finding stays in it.
        act: Of ``tests.power.acts``.
        seed: The pod's keys follow from it, and the sample.
        sample: How many cases to draw; 0 for all.
        plant: The bug planted in the process, by its name.
    """
    lines = run_under(environment(folder), "tests.power.faulted", folder, act, plant, seed, sample)
    return [msgspec.json.decode(line, type=Case) for line in lines.splitlines()]


def outcomes(cases: list[Case]) -> str:
    """How often each outcome was seen."""
    seen = Counter(case.outcome for case in cases)
    return ", ".join(f"{name} {number}" for name, number in sorted(seen.items()))
