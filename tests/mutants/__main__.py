"""Shows that each defence has a test that bites: ``make mutants``, or ``python -m tests.mutants [NAME...]``.

In a copy of the project, every test of the list passes; then each mutant is put
in alone, and its test must fail. Prints a line each; exit code 1 if one lives.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.mutants.catalogue import ROOT, Mutant, load

LEFT_OUT = shutil.ignore_patterns(".venv", ".git", "__pycache__", ".*_cache", ".hypothesis", "*.pyc")
PASSED, FAILED = 0, 1
"""pytest's exit codes; any other means that it could not run what was asked."""
TEST_SECONDS = 300
HUNG_SECONDS = 120
"""Of one test, unless it says another time."""


def _test(copy: Path, *nodes: str) -> int:
    environment = os.environ | {"PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1"}
    options = ["-q", "-x", "-p", "no:cacheprovider", f"--timeout={HUNG_SECONDS}"]
    command = [sys.executable, "-m", "pytest", *options, *nodes]
    try:
        ended = subprocess.run(
            command, cwd=copy, env=environment, capture_output=True, check=False, timeout=TEST_SECONDS
        )
    except subprocess.TimeoutExpired:
        # A defence against waiting for ever is noticed like this.
        return FAILED
    if ended.returncode not in {PASSED, FAILED}:
        sys.stderr.write(ended.stdout.decode() + ended.stderr.decode())
    return ended.returncode


def _is_killed(copy: Path, mutant: Mutant) -> bool:
    path = copy / mutant.file
    source = path.read_text(encoding="utf-8")
    path.write_text(mutant.applied(source), encoding="utf-8")
    try:
        return _test(copy, mutant.test) == FAILED
    finally:
        path.write_text(source, encoding="utf-8")


def main(names: Sequence[str]) -> int:
    """Run the mutants of these names, or all.

    Returns:
        The exit code.
    """
    mutants = [mutant for mutant in load() if not names or mutant.name in names]
    if not mutants:
        sys.stderr.write(
            f"no mutant is named {' or '.join(names)}; tests/mutants/mutants.toml has the names\n"
        )
        return 2
    alive = []
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "project"
        shutil.copytree(ROOT, copy, ignore=LEFT_OUT)
        if _test(copy, *sorted({mutant.test for mutant in mutants})) != PASSED:
            sys.stderr.write("the tests of the list do not pass as they are; mend that first\n")
            return 1
        for mutant in mutants:
            began = time.monotonic()
            is_killed = _is_killed(copy, mutant)
            verdict = "killed" if is_killed else "ALIVE "
            sys.stdout.write(f"{verdict}  {time.monotonic() - began:4.1f} s  {mutant.name}\n")
            sys.stdout.flush()
            if not is_killed:
                alive.append(mutant.name)
    sys.stdout.write(f"{len(mutants) - len(alive)} of {len(mutants)} mutants killed\n")
    return 1 if alive else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
