"""``make power-cuts CUTS=1000 SEED=...`` cuts the power of real runs; ``make fault-sweep`` fails every call.

Prints a line for each pod, or act, and a summary; exit code 1 as soon as a
promise is not kept (what is left stays where it is, and its place is printed).
"""

from __future__ import annotations

import argparse
import itertools
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.power.acts import ACTS
from tests.power.campaign import Campaign
from tests.power.faulted import Case
from tests.power.plants import NOTHING, PLANTS
from tests.power.shim import NO_COMPILER, has_compiler
from tests.power.sweep import outcomes, sweep

CUTS_A_POD, CUTS_A_FOUNDING, CUTS_A_SERVER, CUTS_A_ROTATION = 40, 10, 20, 10


def _told(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def power_cuts(cuts: int, seed: str, plant: str) -> int:
    """Run a campaign; returns the exit code."""
    folder = Path(tempfile.mkdtemp(prefix="power-cuts-"))
    campaign = Campaign(folder, seed, plant)
    tally = campaign.tally
    rounds = (
        (campaign.found, CUTS_A_FOUNDING),
        (campaign.deposit, CUTS_A_POD),
        (campaign.serve, CUTS_A_SERVER),
        (campaign.rotate, CUTS_A_ROTATION),
    )
    for run, most in itertools.cycle(rounds):
        run(min(most, cuts - tally.cuts))
        _told(f"{tally.cuts} cuts in {tally.runs} runs of {tally.calls} calls")
        if tally.cuts >= cuts or tally.failures:
            break
    if tally.failures:
        _told("\n".join([*tally.failures, f"What the cuts left is in {folder}; this seed again: {seed}"]))
        return 1
    shutil.rmtree(folder)
    _told(f"seed {seed}: {tally.acknowledged} promises over {tally.cuts} cuts, all kept; lost 0, half 0")
    return 0


def fault_sweep(acts: Sequence[str], seed: str) -> int:
    """Fail every call of these acts; returns the exit code."""
    cases: list[Case] = []
    for act in acts:
        folder = Path(tempfile.mkdtemp(prefix="fault-sweep-"))
        found = sweep(folder, act, seed)
        _told(f"{act}: {len(found)} faults: {outcomes(found)}")
        if findings := [f"{case.fault}: {finding}" for case in found for finding in case.findings]:
            _told("\n".join([*findings, f"What it left is in {folder}"]))
            return 1
        shutil.rmtree(folder)
        cases += found
    _told(f"{len(cases)} faults in {len(acts)} acts; lost 0, half 0, acknowledged and not there 0")
    return 0


def main() -> int:
    """Read the command line and run.

    Returns:
        The exit code.
    """
    parser = argparse.ArgumentParser(prog="python -m tests.power", description=__doc__)
    parser.add_argument("--cuts", type=int, default=1_000, help="how often to cut the power")
    parser.add_argument("--seed", default="power", help="all choices follow from it")
    parser.add_argument("--plant", choices=PLANTS, default=NOTHING, help="a bug to be found")
    parser.add_argument("--faults", action="store_true", help="fail calls instead")
    parser.add_argument("--act", choices=ACTS, action="append", help="of which act; all unless given")
    options = parser.parse_args()
    if not has_compiler():
        _told(NO_COMPILER)
        return 1
    if options.faults:
        return fault_sweep(options.act or list(ACTS), options.seed)
    return power_cuts(options.cuts, options.seed, options.plant)


if __name__ == "__main__":
    sys.exit(main())
