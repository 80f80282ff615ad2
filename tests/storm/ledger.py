"""The ledger of a storm: a line of JSON an era, of a program that is exactly what its commit says.

What is run with files that differ from their commit proves nothing to a reader
who checks that commit out; it is not written down. The ledger itself, and the
page that quotes it, may differ: they are what a run makes.
"""

from __future__ import annotations

import subprocess
import textwrap
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from pathlib import Path

import msgspec

from tests.storm.counting import Result
from tests.support.server import ROOT

LEDGER = ROOT / "docs" / "storm.jsonl"
STORE_LEDGER = ROOT / "docs" / "store-faults.jsonl"
"""Of ``tests.store_faults``."""
RECORD = ROOT / "docs" / "durability.md"
LINE = 120
"""Of the page."""
MARKS = ("<!-- storm: made by `make storm-record` -->", "<!-- storm: end -->")
"""Around what is quoted."""


class Era(msgspec.Struct):
    """A line of the ledger.

    Attributes:
        date: UTC, when it ended.
        commit: Of the program, every file as it says.
        seed: Of the storm, then the number of the era.
        kills: How many processes were killed, by who.
        statuses: How many answers of each status.
        unanswered: Requests that were cut off.
        seconds: How long it took.
        result: The count.
        moments: How many of the server's processes were killed when.
        done: How many of the maintainer's commands ended well, by which.
    """

    date: str
    commit: str
    seed: str
    kills: dict[str, int]
    statuses: dict[str, int]
    unanswered: int
    seconds: float
    result: Result
    moments: dict[str, int] = {}
    done: dict[str, int] = {}

    @property
    def storm(self) -> str:
        """The seed of the storm it is of."""
        return self.seed.rpartition("/")[0]


class ChangedError(Exception):
    """The program is not what its commit says."""


def clean_commit(root: Path = ROOT) -> str:
    """The commit of the program, if every file is as it says.

    Args:
        root: Of the project.

    Raises:
        ChangedError: Some are not.
    """
    made_by_runs = [f":!{path.relative_to(ROOT)}" for path in (LEDGER, STORE_LEDGER, RECORD)]
    changed = _git(root, "status", "--porcelain", "--", ".", *made_by_runs)
    if changed:
        raise ChangedError(
            f"files differ from their commit, and a ledger is of commits: commit them first\n{changed}"
        )
    return _git(root, "rev-parse", "--short=7", "HEAD").strip()


def _git(root: Path, *arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=root, check=True, capture_output=True, text=True).stdout


def read_ledger(path: Path) -> list[Era]:
    """The eras that were run before; none where there is no ledger yet."""
    if not path.exists():
        return []
    return [msgspec.json.decode(line, type=Era) for line in path.read_bytes().splitlines()]


def append(path: Path, era: Era) -> None:
    """Write an era down."""
    with path.open("ab") as ledger:
        ledger.write(msgspec.json.encode(era) + b"\n")


def kills_of(eras: Iterable[Era]) -> int:
    """How many processes were killed in all."""
    return sum(sum(era.kills.values()) for era in eras)


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> Iterator[str]:
    """The lines of a table."""
    yield f"| {' | '.join(head)} |"
    yield f"| {' | '.join('---' for _ in head)} |"
    for row in rows:
        shown = (f"{cell:,}" if isinstance(cell, int) else str(cell) for cell in row)
        yield f"| {' | '.join(shown)} |"


def _row(key: tuple[str, ...], eras: Sequence[Era]) -> list[object]:
    results = [era.result for era in eras]
    return [
        *key,
        len(eras),
        kills_of(eras),
        sum(result.acknowledged for result in results),
        sum(result.receipts for result in results),
        sum(result.erased for result in results),
        sum(len(result.lost) for result in results),
        sum(sum(map(len, result.wrong.values())) + result.uncounted - len(result.lost) for result in results),
    ]


def counted(name: str, counters: Iterable[dict[str, int]]) -> str:
    """A sentence of what was counted, the most first."""
    total: Counter[str] = Counter()
    for counter in counters:
        total.update(counter)
    shown = (f"{of} {number:,}" for of, number in sorted(total.items(), key=lambda item: (-item[1], item[0])))
    return textwrap.fill(f"{name}: {', '.join(shown)}.", LINE)


def record(eras: Sequence[Era]) -> str:
    """What a ledger says, as the page quotes it: a row for each day, commit and storm, in their order."""
    rows = [
        _row(key, list(of)) for key, of in groupby(eras, lambda era: (era.date[:10], era.commit, era.storm))
    ]
    in_all = _row(("in all", "", ""), eras)
    head = (
        *("date", "commit", "seed", "eras", "kills", "acknowledged", "receipts", "erased", "lost"),
        "anything else wrong",
    )
    killed = counted("Killed", (era.kills for era in eras))
    when = counted("When a process of the server was killed", (era.moments for era in eras))
    done = counted("What the maintainer did meanwhile, and what ended well", (era.done for era in eras))
    return "\n\n".join(["\n".join(table(head, [*rows, in_all])), killed, when, done])


def quoted(page: str, marks: tuple[str, str] = MARKS) -> str:
    """What a page has between two marks."""
    _, _, rest = page.partition(marks[0])
    return rest.partition(marks[1])[0].strip()


def with_record(page: str, told: str, marks: tuple[str, str] = MARKS) -> str:
    """A page with something else between two marks."""
    before, _, rest = page.partition(marks[0])
    return f"{before}{marks[0]}\n\n{told}\n\n{marks[1]}{rest.partition(marks[1])[2]}"
