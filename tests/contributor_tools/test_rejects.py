"""The file of rejected rows is whole or not there."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import IO

import pytest

from contributor_tools.csv_table import CsvTable
from contributor_tools.jsonl_table import JsonlTable
from contributor_tools.rejects import rejected_path, write_rejected
from vault.errors import MalformedError, StorageError

CSV = CsvTable(io.BytesIO(b"a\n1\n"), "Plant")


def test_it_stands_beside_the_file_it_came_from() -> None:
    """Named after it, so that nobody looks for it."""
    assert rejected_path(Path("x/plants.csv"), CSV) == Path("x/plants.csv.rejected.csv")
    lines = JsonlTable(io.BytesIO(b""), None)
    assert rejected_path(Path("plants.ndjson"), lines) == Path("plants.ndjson.rejected.jsonl")


def test_a_reason_is_never_a_formula(tmp_path: Path) -> None:
    """A server's sentence is a stranger's; a spreadsheet would run what begins with an equals sign."""
    path = tmp_path / "rejected.csv"
    write_rejected(path, CSV, {2: '=HYPERLINK("https://evil.example")\x1b[2J'})
    header, row = path.read_text().splitlines()
    assert header == "a,rejected because"
    assert row.startswith('1,"line 2: =HYPERLINK')
    assert "\x1b" not in row


class _FileThatChanges(CsvTable):
    def write_rejected(self, out: IO[str], reasons: Mapping[int, str]) -> None:
        out.write(f"half of {len(reasons)}")
        raise MalformedError("line 9: 2 cells were expected")


def test_trouble_in_the_middle_leaves_the_old_file(tmp_path: Path) -> None:
    """Half a file would look like all there was."""
    path = tmp_path / "rejected.csv"
    path.write_text("old")
    with pytest.raises(MalformedError):
        write_rejected(path, _FileThatChanges(io.BytesIO(b"a\n1\n"), "Plant"), {2: "why"})
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["rejected.csv"]


def test_a_folder_that_takes_no_file_is_our_error(tmp_path: Path) -> None:
    """The sentence names the file."""
    with pytest.raises(StorageError, match=r"rejected\.csv could not be written"):
        write_rejected(tmp_path / "gone" / "rejected.csv", CSV, {2: "why"})
