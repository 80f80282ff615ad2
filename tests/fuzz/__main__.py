"""``make fuzz MINUTES=10 [TARGET=...] [SEED=...]``: every parser and the whole door, fed by libFuzzer.

Each target runs for its share of the time and goes on where it was. Prints a
table, and for each input that broke a promise the file that does so again; exit
code 1 then. ``--keep`` makes the committed corpora anew instead of fuzzing.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys

from tests.fuzz.campaign import Run, fuzz, kept
from tests.fuzz.target import NAMES, load, run_bounded

MISSING = (
    "atheris is not installed: requirements/fuzz.txt has it, for Linux on x86-64 and Python 3.11 to 3.13; "
    "`make fuzz` installs it. The corpora are played back by `make test` without it"
)
_SHARES = {"collecting": 3, "edge": 3, "vault_bytes": 3, "vault_rows": 3, "messages": 2}
"""Of the time; one for every other target. These lay out a pod for each input: a hundred times the work."""


def _told(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _seconds(names: list[str], minutes: float) -> dict[str, int]:
    whole = sum(_SHARES.get(name, 1) for name in names)
    return {name: int(60 * minutes * _SHARES.get(name, 1) / whole) for name in names}


def _row(run: Run) -> str:
    size = f"{run.inputs} / {run.corpus_bytes >> 10} KiB"
    return f"{run.name:<12} {run.executions:>10,} {run.edges:>6} {size:>16} {len(run.crashes):>7}"


def _fuzz(names: list[str], minutes: float, seed: int) -> int:
    runs: list[Run] = []
    _told(f"{'target':<12} {'executions':>10} {'edges':>6} {'corpus':>16} {'crashes':>7}")
    for name, seconds in _seconds(names, minutes).items():
        runs.append(fuzz(name, seconds, seed))
        _told(_row(runs[-1]))
    crashed = [run for run in runs if run.crashes]
    executions = sum(run.executions for run in runs)
    _told(f"seed {seed}: {executions:,} executions in {minutes:g} minutes; {len(crashed)} targets crashed")
    for run in crashed:
        _told(f"\n{run.name}:\n{_traceback(run.output)}")
        for path in run.crashes:
            _told(f"again: python -m tests.fuzz --target {run.name} --again {path}")
    return 1 if crashed else 0


def _traceback(output: str) -> str:
    """What Python said, without libFuzzer's dump of the input."""
    return output.partition("=== Uncaught Python exception: ===")[2].partition("==")[0].strip()


def _again(name: str, path: str) -> int:
    """Feed one input to its target, without libFuzzer."""
    with open(path, "rb") as file:  # noqa: PTH123 - as it was named
        data = file.read()
    run_bounded(load(name), data)
    _told(f"{name}: all promises are kept for these {len(data)} bytes")
    return 0


def main() -> int:
    """Read the command line and run.

    Returns:
        The exit code.
    """
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10, help="for all targets together")
    parser.add_argument("--target", choices=NAMES, action="append", help="which; all unless given")
    parser.add_argument("--seed", type=int, default=1, help="of libFuzzer's choices")
    parser.add_argument("--keep", action="store_true", help="make the committed corpora anew")
    parser.add_argument("--again", metavar="FILE", help="feed this one input to the target")
    options = parser.parse_args()
    names = options.target or list(NAMES)
    if options.again:
        return _again(names[0], options.again)
    if importlib.util.find_spec("atheris") is None:
        _told(MISSING)
        return 1
    if not options.keep:
        return _fuzz(names, options.minutes, options.seed)
    for name in names:
        inputs, size = kept(name)
        _told(f"{name:<12} {inputs:>5} inputs {size:>7,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
