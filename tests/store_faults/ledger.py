"""The ledger of rounds: a line of JSON each, of a program that is exactly what its commit says."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path

import msgspec

from tests.store_faults.counting import Result
from tests.storm.ledger import counted, table

MARKS = ("<!-- store faults: made by `make store-faults-record` -->", "<!-- store faults: end -->")
"""Around what the page quotes."""


class Line(msgspec.Struct):
    """A round.

    Attributes:
        date: UTC, when it ended.
        commit: Of the program, every file as it says.
        seed: Of the run, then the number of the round.
        store: And its version.
        kills: How many processes were killed, by who.
        faults: How many requests of the store met which fault.
        clocks: How many processes had a clock wrong by so much.
        collected: How many collections ended well, and what they took.
        statuses: How many answers of each status contributors had.
        unanswered: Requests of theirs that were cut off.
        seconds: How long it took.
        result: The count.
    """

    date: str
    commit: str
    seed: str
    store: str
    kills: dict[str, int]
    faults: dict[str, int]
    clocks: dict[str, int]
    collected: dict[str, int]
    statuses: dict[str, int]
    unanswered: int
    seconds: float
    result: Result

    @property
    def run(self) -> str:
        """The seed of the run it is of."""
        return self.seed.rpartition("/")[0]


def read_ledger(path: Path) -> list[Line]:
    """The rounds that were run before; none where there is no ledger yet."""
    if not path.exists():
        return []
    return [msgspec.json.decode(line, type=Line) for line in path.read_bytes().splitlines()]


def append(path: Path, line: Line) -> None:
    """Write a round down."""
    with path.open("ab") as ledger:
        ledger.write(msgspec.json.encode(line) + b"\n")


def _row(key: tuple[str, ...], lines: Sequence[Line]) -> list[object]:
    results = [line.result for line in lines]
    twice = sum(len(result.vault.doubled) + result.vault.uncounted for result in results)
    lost = sum(len(result.vault.lost) for result in results)
    return [
        *key,
        len(lines),
        sum(sum(line.kills.values()) for line in lines),
        sum(sum(line.faults.values()) for line in lines),
        sum(result.vault.acknowledged for result in results),
        sum(result.redeemed for result in results),
        lost,
        twice,
        sum(sum(result.wrong.values()) for result in results) - lost - twice,
    ]


def record(lines: Sequence[Line]) -> str:
    """What a ledger says, as the page quotes it: a row for each day, commit, run and store."""
    rows = [
        _row(key, list(of))
        for key, of in groupby(lines, lambda line: (line.date[:10], line.commit, line.run, line.store))
    ]
    head = (
        *("date", "commit", "seed", "store", "rounds", "kills", "faults", "acknowledged", "receipts"),
        *("lost", "twice", "anything else wrong"),
    )
    return "\n\n".join(
        [
            "\n".join(table(head, [*rows, _row(("in all", "", "", ""), lines)])),
            counted("Killed", (line.kills for line in lines)),
            *_by_operation(lines),
            counted("Processes by how much their clocks were wrong", (line.clocks for line in lines))
            + f" Promises of another time than the round's: {_from_wrong_clocks(lines):,}.",
            counted("Answers to contributors", (line.statuses for line in lines))
            + f" Unanswered: {sum(line.unanswered for line in lines):,}.",
        ]
    )


def _from_wrong_clocks(lines: Iterable[Line]) -> int:
    return sum(line.result.from_wrong_clocks for line in lines)


_OPERATIONS = {"put": "Puts", "look": "Tags", "list": "Lists", "get": "Objects"}


def _by_operation(lines: Sequence[Line]) -> Iterable[str]:
    """A sentence for each thing that is asked of a store: what went wrong with it, and how often."""
    for operation, name in _OPERATIONS.items():
        yield counted(f"{name} that met a fault", (_of_operation(line, f"{operation}: ") for line in lines))


def _of_operation(line: Line, mark: str) -> dict[str, int]:
    return {
        fault.removeprefix(mark): number for fault, number in line.faults.items() if fault.startswith(mark)
    }
