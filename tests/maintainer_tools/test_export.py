"""Export: what was put in comes out, for programs that never heard of pods."""

from __future__ import annotations

import csv
import json
import os
import stat
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from maintainer_tools import csv_export, jsonl_export
from maintainer_tools.csv_export import write_sheets
from maintainer_tools.sheets import plan, survey
from tests.support.maintaining import RECEIVED_MS, put, put_forged, run, succeed
from tests.support.pods import TestPod
from vault.columns import Column, learn_columns, parse_cell
from vault.errors import DamagedError
from vault.links import Invite
from vault.properties import Scalar
from vault.stored import StoredItem

PENGUINS = Path(__file__).parents[1] / "data" / "penguins-raw.csv"
DECLARATION = {"type": "ItemPropertySchema", "itemType": "Note", "propertyName": "text", "valueType": "Text"}


def _rows(path: Path) -> list[list[str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


def _payload(columns: list[Column], row: list[str], number: int) -> dict[str, Scalar]:
    cells = {column.name: parse_cell(column, text) for column, text in zip(columns, row, strict=True)}
    held = {name: value for name, value in cells.items() if value is not None}
    return {"type": "Penguin", "id": f"row-{number:04}", **held}


def test_penguins_come_out_as_they_went_in(pod: TestPod, invite: Invite) -> None:
    """344 real records: text exact, numbers as float64, days as days, original headers, NA absent."""
    succeed("schema", "learn", "plants", PENGUINS, "--yes")
    headers, *rows = _rows(PENGUINS)
    columns = learn_columns(headers, rows)
    put(pod, invite, *(_payload(columns, row, number) for number, row in enumerate(rows)))

    ended = succeed("export", "plants", "out", "--format", "csv", "--json")

    assert ended.json["files"] == [{"file": "Penguin.csv", "type": "Penguin", "rows": 344}]
    exported_headers, *exported = _rows(Path("out/Penguin.csv"))
    assert exported_headers == ["id", "from", "received", *headers]
    assert [[parse_cell(c, text) for c, text in zip(columns, row[3:], strict=True)] for row in exported] == [
        [parse_cell(c, text) for c, text in zip(columns, row, strict=True)] for row in rows
    ]


def test_json_lines_hold_what_was_sealed(pod: TestPod, invite: Invite) -> None:
    """Exact, and a record of where it came from; declarations are items too."""
    sent = {"type": "Note", "id": "note-1", "text": "=1+1\x00\u202e", "dateCreated": 5, "deleted": True}
    put(pod, invite, DECLARATION | {"id": "decl-1"})
    put(pod, invite, sent, {"type": "Note", "id": "note-2", "text": ""}, ms=RECEIVED_MS + 1)

    succeed("export", "plants", "out")

    lines = [json.loads(line) for line in Path("out/items.jsonl").read_bytes().splitlines()]
    assert lines[0]["propertyName"] == "text"
    assert lines[1] == sent | {"_from": "field-team", "_seq": 2, "_received": RECEIVED_MS + 1}
    assert lines[2]["text"] == ""
    assert len(lines) == 3


def test_declarations_are_no_rows_of_a_table(pod: TestPod, invite: Invite) -> None:
    """They are the schema; who wants them asks by type."""
    put(pod, invite, DECLARATION)
    put(pod, invite, {"type": "Note", "text": "x"})

    succeed("export", "plants", "all", "--format", "csv")
    succeed("export", "plants", "asked", "--format", "csv", "--type", "ItemPropertySchema")

    assert os.listdir("all") == ["Note.csv"]
    assert os.listdir("asked") == ["ItemPropertySchema.csv"]


def test_only_what_is_asked_for(pod: TestPod, invite: Invite) -> None:
    """By type, by invite."""
    other = pod.invite("school")
    put(pod, invite, {"type": "A", "count": 1}, {"type": "B", "count": 2})
    put(pod, other, {"type": "A", "count": 3})

    counts = [
        [json.loads(line)["count"] for line in succeed("export", "plants", "-", *options).lines]
        for options in (["--type", "A"], ["--from", "school"], ["--type", "B", "--from", "school"])
    ]

    assert counts == [[1, 3], [3], []]


def test_an_unknown_invite_is_not_an_empty_export(pod: TestPod) -> None:
    """A typing error must not look like an answer."""
    ended = run("export", pod.home, "out", "--from", "nobody")

    assert ended.code == 10
    assert "no invite is named nobody" in ended.err
    assert not Path("out").exists()


def test_standard_output_takes_csv_of_one_type_only(pod: TestPod, invite: Invite) -> None:
    """Two tables in one stream are none; the sentence names the choice."""
    put(pod, invite, {"type": "A", "latinName": "Rosa"}, {"type": "B", "count": 1})

    refused = run("export", "plants", "-", "--format", "csv")
    taken = succeed("export", "plants", "-", "--format", "csv", "--type", "A")

    assert refused.code == 2
    assert "A, B" in refused.err
    assert refused.raw == b""
    assert [line.split(",")[3] for line in taken.lines] == ["Latin name", "Rosa"]
    assert taken.raw.endswith(b"\r\n")


def test_an_empty_pod_exports_nothing_and_says_so(pod: TestPod) -> None:
    """Not an error: the folder is there, and scripts go on."""
    ended = succeed("export", "plants", "out", "--format", "csv")

    assert "nothing to export" in ended.err
    assert os.listdir("out") == []
    assert succeed("export", "plants", "-", "--format", "csv").raw == b""
    assert pod.home.exists()


def test_an_existing_folder_is_left_alone(pod: TestPod) -> None:
    """Yesterday's export is not overwritten, and neither is someone's folder."""
    Path("out").mkdir()
    Path("out/mine").write_text("x")
    Path("new.partial").mkdir()

    for out in ("out", "new"):
        ended = run("export", "plants", out)
        assert ended.code == 26
    assert Path("out/mine").read_text() == "x"
    assert not Path("new").exists()
    assert pod.home.exists()


def test_a_missing_parent_folder_has_its_own_sentence(pod: TestPod) -> None:
    """Making folders nobody asked for hides a typing error."""
    ended = run("export", pod.home, "no/out")

    assert (ended.code, ended.err) == (10, "error: no does not exist; make it first\n")


def test_what_was_sealed_lies_open_for_its_owner_alone(pod: TestPod, invite: Invite) -> None:
    """Other accounts of the machine were not invited."""
    put(pod, invite, {"type": "A", "count": 1})

    for form in ("csv", "jsonl"):
        succeed("export", "plants", form, "--format", form)
        modes = [stat.S_IMODE(path.stat().st_mode) for path in [Path(form), *Path(form).iterdir()]]
        assert modes == [0o700, 0o600]


def test_a_note_names_properties_of_several_types(pod: TestPod, invite: Invite) -> None:
    """A column that silently turned into text would be found out too late."""
    pod.rewrite(policy="infer")
    other = pod.invite("school")
    put(pod, invite, {"type": "A", "size": 1})
    put(pod, other, {"type": "A", "size": "tall"})

    ended = succeed("export", "plants", "-", "--format", "csv")

    assert (
        "note: size has several types (Integer by field-team, Text by school); written as Text" in ended.err
    )
    assert [line.split(",")[-1] for line in ended.lines] == ["size", "1", "tall"]


def test_a_forged_type_leads_nowhere(pod: TestPod, invite: Invite) -> None:
    """A server that was taken over can seal anything; types become names of files on this machine."""
    put_forged(pod, invite, {"type": "../evil\x1b[2J", "id": "abcdef"})

    ended = run("export", "plants", "out", "--format", "csv")

    assert ended.code == 5
    assert (sorted(os.listdir()), os.listdir("out")) == (["out", "plants"], ["unreadable.json"])
    assert "\x1b" not in ended.err


def test_more_types_than_files_can_be_open(
    pod: TestPod, invite: Invite, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Types are the contributors' choice, ten thousand of them too."""
    monkeypatch.setattr(csv_export, "_MOST_OPEN_FILES", 3)
    for _ in range(2):
        put(pod, invite, *({"type": f"T{number}", "count": number} for number in range(20)))

    ended = succeed("export", "plants", "out", "--format", "csv", "--json")

    assert [file["rows"] for file in ended.json["files"]] == [2] * 20
    assert [row[3] for row in _rows(Path("out/T7.csv"))] == ["count", "7", "7"]


VALUES = st.one_of(
    st.text(),
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
)
MEMBERS = st.dictionaries(st.from_regex(r"\A[a-z]{1,4}\Z"), VALUES, max_size=4)


@given(st.lists(MEMBERS, max_size=5))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_text_survives_csv(tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, Any]]) -> None:
    """Quotes, lone carriage returns, NUL: what the csv module writes, it reads."""
    items = [
        StoredItem(1, 1, RECEIVED_MS, 1, "x", {"type": "A", "id": "abcdef", **members}) for members in rows
    ]
    sheets = plan(survey(items), {})
    folder = tmp_path_factory.mktemp("csv")

    write_sheets(folder, sheets, items)

    for sheet in sheets.values():
        read = _rows(folder / sheet.file)
        assert read == [sheet.header_row(), *(sheet.row(item) for item in items)]


def test_what_does_not_read_back_is_no_export(tmp_path: Path) -> None:
    """The count of the first pass and the rows on disk must agree."""
    item = StoredItem(1, 1, RECEIVED_MS, 1, "x", {"type": "A", "id": "abcdef"})
    sheets = plan(survey([item]), {})

    with pytest.raises(DamagedError, match="does not read back"):
        write_sheets(tmp_path, sheets, [])


def test_lines_that_do_not_read_back_are_no_export_either(tmp_path: Path) -> None:
    """A disk may lie."""
    (tmp_path / "items.jsonl").write_bytes(b'{"id":1}\n')

    with pytest.raises(DamagedError, match="does not read back"):
        jsonl_export._verify(tmp_path / "items.jsonl", 2)


def test_numbers_of_json_lines_are_the_sealed_ones(pod: TestPod, invite: Invite) -> None:
    """int64 and float64 to the last digit."""
    pod.rewrite(policy="infer")
    sent = {"big": 2**63 - 1, "small": -(2**63), "tiny": 5e-324, "large": 1e300, "third": 1 / 3}
    put(pod, invite, {"type": "A", **sent})

    (line,) = succeed("export", "plants", "-").lines

    assert {name: msgspec.json.decode(line)[name] for name in sent} == sent
