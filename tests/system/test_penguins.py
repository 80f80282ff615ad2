"""344 real field records: in over HTTP, out of the file, equal to the source."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.support.command import shared_pod, succeed
from tests.support.server import Server, serving

SOURCE = Path(__file__).parents[1] / "data" / "penguins-raw.csv"
ROWS = 344
TYPE = "Penguin"
DAY = "Date Egg"
NUMBERS = {
    "Sample Number",
    "Culmen Length (mm)",
    "Culmen Depth (mm)",
    "Flipper Length (mm)",
    "Body Mass (g)",
    "Delta 15 N (o/oo)",
    "Delta 13 C (o/oo)",
}

Record = dict[str, str | float]


def _value(header: str, cell: str) -> str | float:
    if header in NUMBERS:
        return float(cell)
    return str(datetime.fromisoformat(cell).date()) if header == DAY else cell


def _record(row: dict[str, str]) -> Record:
    return {name: _value(name, cell) for name, cell in row.items() if cell not in {"NA", ""}}


def source_records() -> list[Record]:
    """The source, NA left out, numbers as float64, days as days."""
    with SOURCE.open(newline="", encoding="utf-8") as file:
        return [_record(row) for row in csv.DictReader(file)]


def _sorted(records: list[Record]) -> list[list[tuple[str, str | float]]]:
    return sorted(sorted(record.items()) for record in records)


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """A maintainer's folder with a pod named birds that has learned the source's columns."""
    succeed("init", "birds", "--name", "Penguins of Palmer Station", cwd=tmp_path)
    succeed("schema", "learn", "birds", SOURCE, "--yes", cwd=tmp_path)
    return tmp_path


@pytest.fixture
def server(work: Path) -> Iterator[Server]:
    """Serves the pod; an invite was issued while it ran."""
    with serving(work / "birds" / "pod") as running:
        url = f"http://127.0.0.1:{running.port}"
        succeed("invite", "new", "birds", "--name", "field-team", "--url", url, cwd=work)
        yield running


def _send(work: Path) -> dict[str, int]:
    invite = work / "field-team.invite"
    arguments = ("send", SOURCE, "--invite", invite, "--type", TYPE, "--yes", "--json")
    found: dict[str, int] = succeed(*arguments, cwd=work).json
    return found


def test_penguins_come_out_as_they_went_in(work: Path, server: Server) -> None:
    """Text exact, numbers as float64, same days and headers, NA absent; a second time stores nothing."""
    assert _send(work)["accepted"] == ROWS
    succeed("export", "birds", "first", "--format", "csv", cwd=work)
    _send(work)
    assert server.stop() == 0
    succeed("export", "birds", "second", "--format", "csv", cwd=work)
    with (work / "first" / f"{TYPE}.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    headers = list(source_header())
    assert [name for name in rows[0] if name in headers] == headers
    exported = [_record({name: row[name] for name in headers}) for row in rows]
    assert _sorted(exported) == _sorted(source_records())
    assert (work / "first" / f"{TYPE}.csv").read_bytes() == (work / "second" / f"{TYPE}.csv").read_bytes()
    report = succeed("check", "birds", "--json", cwd=work).json
    assert report["items"] == ROWS


def source_header() -> list[str]:
    """The source's headers, in order."""
    with SOURCE.open(newline="", encoding="utf-8") as file:
        return next(csv.reader(file))


def test_json_lines_hold_exactly_what_was_sent(work: Path, server: Server) -> None:
    """One line an item, days as milliseconds, where it came from beside it."""
    _send(work)
    assert server.stop() == 0
    lines = succeed("export", "birds", "-", "--format", "jsonl", cwd=work).out.splitlines()
    items = [json.loads(line) for line in lines]
    assert len(items) == ROWS
    assert {item["_from"] for item in items} == {"field-team"}
    days = {item["dateEgg"] for item in items if "dateEgg" in item}
    sent = {record[DAY] for record in source_records() if DAY in record}
    assert {str(datetime.fromtimestamp(day / 1000, UTC).date()) for day in days} == sent


def test_without_the_identity_nothing_can_be_read(work: Path, server: Server) -> None:
    """A thief of the pod's folder, and another maintainer, are told that they cannot."""
    _send(work)
    assert server.stop() == 0
    succeed("init", "other", cwd=work)
    (work / "birds" / "identity").rename(work / "paper")
    missing = shared_pod("export", "birds", "out", "--format", "csv", cwd=work)
    assert (missing.code, missing.out) == (4, "")
    assert "identity" in missing.err
    (work / "birds" / "identity").write_bytes((work / "other" / "identity").read_bytes())
    wrong = shared_pod("ls", "birds", cwd=work)
    assert wrong.code in {12, 24}
    assert "identity" in wrong.err
    assert not (work / "out").exists()
