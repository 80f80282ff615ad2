"""Running targets under libFuzzer, each for its share of the time, and keeping what is worth keeping.

What a run finds interesting stays in ``.fuzz/TARGET``, where the next one goes
on. An input that breaks a promise is written to ``crashes/TARGET``: ``make
test`` fails with it from then on, until it is mended, and it stays there for
good. ``kept`` brings the committed corpora up to date: the fewest and shortest
inputs that together reach what all of them reach.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from tests.fuzz.target import HERE, SCRATCH, load, memory

ROOT = HERE.parents[1]
GROWN = ROOT / ".fuzz"
CORPORA, CRASHES = HERE / "corpus", HERE / "crashes"
MOST_CORPUS_BYTES = 12_000
MOST_INPUTS = 48
"""Of one target's committed corpus, which every `make test` plays back; a slow one takes 50 ms for each."""
INPUT_SECONDS = 60
"""After which one input is taken for hanging; ``target.MOST_SECONDS`` of processor time is seen before."""
RSS_MIB = 2_048
SPARE_SECONDS = 300

_COVERED = re.compile(r"^#\d+\s+\w+\s+cov: (\d+) ft: \d+ corp: (\d+)/(\d+)(\w?)b", re.MULTILINE)
_EXECUTED = re.compile(r"^stat::number_of_executed_units: (\d+)", re.MULTILINE)
_BYTES = {"": 1, "K": 1 << 10, "M": 1 << 20}


class Run(NamedTuple):
    """What one target's run came to.

    Attributes:
        name: The target.
        executions: Inputs that were fed.
        edges: Edges of the code that were reached.
        inputs: How many the corpus holds now.
        corpus_bytes: How long they are together.
        crashes: Files, each of which breaks a promise.
        output: All that libFuzzer printed.
    """

    name: str
    executions: int
    edges: int
    inputs: int
    corpus_bytes: int
    crashes: tuple[Path, ...]
    output: str


def fuzz(name: str, seconds: int, seed: int) -> Run:
    """Run one target.

    Args:
        name: The target.
        seconds: For how long; the last input may take longer.
        seed: Of libFuzzer's choices. A run repeats another only if its corpus and its clock do.
    """
    grown, crashes = GROWN / name, CRASHES / name
    grown.mkdir(parents=True, exist_ok=True)
    crashes.mkdir(parents=True, exist_ok=True)
    _seed(name, grown)
    known = set(crashes.iterdir())
    ended = _engine(
        name,
        f"-max_total_time={max(seconds, 1)}",
        f"-seed={seed}",
        f"-timeout={INPUT_SECONDS}",
        f"-report_slow_units={2 * INPUT_SECONDS}",  # by the clock, which other programs slow down: no fault
        f"-rss_limit_mb={RSS_MIB}",
        f"-artifact_prefix={crashes}/",
        "-print_final_stats=1",
        grown,
        seconds=seconds + SPARE_SECONDS,
    )
    new = tuple(sorted(path for path in crashes.iterdir() if path not in known))
    return _run(name, ended, new)


def _seed(name: str, grown: Path) -> None:
    """What a run begins with: the golden vectors, the committed corpus, and what once broke a promise."""
    write_new(grown, load(name).seeds())
    for folder in (CORPORA / name, CRASHES / name):
        if folder.exists():
            write_new(grown, (path.read_bytes() for path in folder.iterdir()))


def write_new(folder: Path, inputs: Iterable[bytes]) -> None:
    """Write inputs, each under its hash."""
    for data in inputs:
        (folder / hashlib.sha256(data).hexdigest()[:16]).write_bytes(data)


def _engine(name: str, *arguments: str | Path, seconds: int) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    with tempfile.TemporaryDirectory(prefix="fuzz-", dir=memory()) as scratch:
        return subprocess.run(
            [sys.executable, "-m", "tests.fuzz.engine", name, *arguments],
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": path, SCRATCH: scratch},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=seconds,
            check=False,
        )


def _run(name: str, ended: subprocess.CompletedProcess[str], crashes: tuple[Path, ...]) -> Run:
    executed, covered = _EXECUTED.findall(ended.stdout), _COVERED.findall(ended.stdout)
    if not executed or not covered or (ended.returncode and not crashes):
        raise RuntimeError(f"{name}: libFuzzer did not run:\n{ended.stdout[-4_000:]}")
    edges, inputs, size, unit = covered[-1]
    return Run(
        name, int(executed[-1]), int(edges), int(inputs), int(size) * _BYTES[unit], crashes, ended.stdout
    )


def kept(name: str) -> tuple[int, int]:
    """Make the committed corpus of a target anew, out of all there is.

    Returns:
        How many inputs it has, and how many bytes they are together.
    """
    grown = GROWN / name
    grown.mkdir(parents=True, exist_ok=True)
    _seed(name, grown)
    # First what reaches every edge, then what passes one more often, as far as there is room.
    merged = [*_merged(name, grown, "-use_counters=0"), *_merged(name, grown, "-use_counters=1")]
    shutil.rmtree(CORPORA / name, ignore_errors=True)
    (CORPORA / name).mkdir(parents=True)
    chosen: dict[bytes, None] = {}
    size = 0
    for data in merged:
        is_room = size + len(data) <= MOST_CORPUS_BYTES and len(chosen) < MOST_INPUTS
        if data not in chosen and is_room:
            chosen[data] = None
            size += len(data)
    write_new(CORPORA / name, chosen)
    return len(chosen), size


def _merged(name: str, grown: Path, how: str) -> list[bytes]:
    """The fewest inputs that reach what all of a folder reach, shortest first."""
    with tempfile.TemporaryDirectory() as folder:
        ended = _engine(name, "-set_cover_merge=1", how, folder, grown, seconds=3_600)
        found = sorted((path.read_bytes() for path in Path(folder).iterdir()), key=len)
    if not found:
        raise RuntimeError(f"{name}: libFuzzer did not merge:\n{ended.stdout[-4_000:]}")
    return found
