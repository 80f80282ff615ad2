"""CSV and JSON Lines as tables of items, good and hostile."""

from __future__ import annotations

import csv
import io
import json
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contributor_tools.csv_table import CsvTable
from contributor_tools.jsonl_table import JsonlTable
from contributor_tools.lines import MAX_LINE_BYTES, read_lines
from contributor_tools.tables import REASON, Row, Table, typed
from vault.columns import Column
from vault.errors import ItemError, MalformedError
from vault.properties import ValueType, check_property_name

PENGUINS = Path(__file__).parents[1] / "data" / "penguins-raw.csv"


def _csv(text: str | bytes, delimiter: str = ",") -> CsvTable:
    raw = text if isinstance(text, bytes) else text.encode()
    return CsvTable(io.BytesIO(raw), "Plant", delimiter=delimiter)


def _jsonl(text: str | bytes, item_type: str | None = "Plant") -> JsonlTable:
    table = JsonlTable(io.BytesIO(text if isinstance(text, bytes) else text.encode()), item_type)
    table.learn()
    return table


def _types(table: Table) -> dict[str, ValueType]:
    return {column.name: column.value_type for column in table.learn()}


def _rejected(table: Table, reasons: dict[int, str]) -> str:
    out = io.StringIO(newline="")
    table.write_rejected(out, reasons)
    return out.getvalue()


def test_lines_keep_their_ends_and_lose_only_the_mark() -> None:
    """Spreadsheets write a byte order mark; it is no part of the first header."""
    assert list(read_lines(io.BytesIO(b"\xef\xbb\xbfa\r\nb\nc"))) == ["a\r\n", "b\n", "c"]
    assert list(read_lines(io.BytesIO(b""))) == []


def test_a_line_that_is_not_utf8_is_named() -> None:
    """A replaced character would be sent and kept for good."""
    with pytest.raises(MalformedError, match=r"line 2: not UTF-8"):
        list(read_lines(io.BytesIO(b"a\nGr\xf6\xdfe\n")))


def test_a_line_without_end_is_not_read_into_memory() -> None:
    """/dev/zero is a file too."""
    with pytest.raises(MalformedError, match=r"line 1: longer than"):
        list(read_lines(io.BytesIO(b"\0" * (MAX_LINE_BYTES + 2))))


def test_penguins_are_read_whole() -> None:
    """Real input: 344 rows, quoted commas, NA cells absent."""
    with PENGUINS.open("rb") as file:
        table = CsvTable(file, "Penguin")
        columns = table.learn()
        rows = list(table.rows())
    assert len(columns) == 17
    assert len(rows) == 344
    assert rows[0].line == 2
    assert rows[3].cells["comments"] == "Adult not sampled."
    assert "sex" not in rows[3].cells
    assert rows[0].cells["stage"] == "Adult, 1 Egg Stage"


def test_a_cell_over_lines_counts_as_its_first_line() -> None:
    """An editor goes there."""
    rows = list(_csv('a,b\n"x\ny",1\nz,2\n').rows())
    assert [(row.line, row.cells) for row in rows] == [
        (2, {"a": "x\ny", "b": "1"}),
        (4, {"a": "z", "b": "2"}),
    ]


def test_rows_without_a_value_are_left_out() -> None:
    """Spreadsheets end in rows of commas."""
    assert [row.line for row in _csv("a,b\n\n,\nNA,\nx,\n").rows()] == [5]
    assert [row.line for row in _jsonl('\n{}\n{"a":null}\n{"a":1}\n').rows()] == [4]


def test_white_space_is_kept() -> None:
    """Text is exact."""
    assert next(_csv("a\n  x \n").rows()).cells == {"a": "  x "}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "line 1: column headers were expected"),
        ("\n", "line 1: column headers were expected"),
        ("a,b\n1,2\n3\n", "line 3: 2 cells were expected, one a header; 1 were found"),
        ("a,b\n1,2,3\n", "line 2: 2 cells were expected"),
        ('a\n"x', "line 2: not CSV"),
        ('a\n"x"y\n', "line 2: not CSV"),
        ("a\rb\r", "line 1: not CSV"),
        ("a;b\n1;2\n", "line 1: one column with ';' in its header; pass it as --delimiter"),
        (",".join(["a"] * 511), "line 1: 511 columns were found"),
    ],
)
def test_a_file_that_is_no_table_is_refused_with_its_line(text: str, sentence: str) -> None:
    """Guessing would put values under wrong names."""
    with pytest.raises(MalformedError) as refused:
        _csv(text).learn()
    assert str(refused.value).startswith(sentence)


def test_a_long_cell_is_a_cell() -> None:
    """A photo in base64 is one; Python's csv stops at 128 KiB unless told."""
    assert len(next(_csv("a\n" + "x" * 1_000_000 + "\n").rows()).cells["a"]) == 1_000_000


def test_another_delimiter_can_be_named() -> None:
    """Half of Europe's spreadsheets write semicolons."""
    assert next(_csv("a;b\n1,5;2\n", ";").rows()).cells == {"a": "1,5", "b": "2"}


def test_rejected_csv_rows_keep_their_cells_and_gain_a_reason() -> None:
    """A person mends them there, so they must stand as they stood."""
    table = _csv('Latin name,h\n"Rosa, canina",NA\nb,2\n"c\nd",3\n')
    text = _rejected(table, {2: "line 2: why", 4: "line 4: why"})
    assert list(csv.reader(io.StringIO(text))) == [
        ["Latin name", "h", REASON],
        ["Rosa, canina", "NA", "line 2: why"],
        ["c\nd", "3", "line 4: why"],
    ]


def test_a_mended_file_of_rejected_rows_is_sent_without_the_reason() -> None:
    """The row must get the id and content it would have had in the first file."""
    table = _csv(f"a,b,{REASON}\n1,2,line 2: why\n")
    assert [column.name for column in table.learn()] == ["a", "b"]
    assert next(table.rows()).cells == {"a": "1", "b": "2"}
    assert REASON not in _rejected(table, {}).replace(REASON, "", 1)
    assert next(_jsonl(json.dumps({"a": 1, REASON: "why"})).rows()).cells == {"a": 1}


def test_csv_cells_are_read_as_the_type_they_are_given() -> None:
    """Also as a type learned from the pod, where "NA" cannot be a number any more."""
    table = _csv("a\n1\n")
    assert table.value(Column("a", "a", ValueType.REAL), "1") == 1.0
    with pytest.raises(ItemError, match=r"^a: "):
        table.value(Column("a", "a", ValueType.INTEGER), "tall")


def test_json_says_its_own_types() -> None:
    """A date in quotes is text there, and one float makes a column Real."""
    lines = [
        {"i": 1, "r": 1, "b": True, "t": "2007-11-11", "mixed": 1, "big": 2**63, "none": None, "nested": [1]},
        {"i": None, "r": 2.5, "b": False, "t": "", "mixed": "x", "big": 1},
    ]
    assert _types(_jsonl("\n".join(map(json.dumps, lines)))) == {
        "i": ValueType.INTEGER,
        "r": ValueType.REAL,
        "b": ValueType.BOOL,
        "t": ValueType.TEXT,
        "mixed": ValueType.TEXT,
        "big": ValueType.REAL,
        "none": ValueType.TEXT,
        "nested": ValueType.TEXT,
    }


def test_json_members_that_are_names_keep_them() -> None:
    """What an export wrote goes in again under the same names; others are made as from headers."""
    table = _jsonl('{"Species":"a","body_mass_g":1,"Latin name":"b","latinName":"c","source":"d"}')
    assert {column.header: column.name for column in table.learn()} == {
        "Species": "Species",
        "body_mass_g": "body_mass_g",
        "latinName": "latinName",
        "Latin name": "latinName_2",
        "source": "sourceValue",
    }


def test_the_wires_own_members_are_taken_as_they_stand() -> None:
    """A line is an item already; what the pod would drop is dropped here."""
    line = {"type": "Tree", "id": "abcdef", "rowid": 4, "dateCreated": 5, "dateServerModified": 6, "a": 1}
    (row,) = _jsonl(json.dumps(line)).rows()
    assert row == Row(1, "Tree", {"a": 1}, {"id": "abcdef", "dateCreated": 5})


def test_an_exported_line_is_an_item_again() -> None:
    """Where it came from and when is another pod's business."""
    line = {"a": 1, "id": "abcdef", "type": "Tree", "_from": "field-team", "_seq": 18, "_received": 5}
    (row,) = _jsonl(json.dumps(line)).rows()
    assert row == Row(1, "Tree", {"a": 1}, {"id": "abcdef"})


def test_a_json_line_without_type_needs_the_option() -> None:
    """Guessing a type would be seen in every export."""
    with pytest.raises(MalformedError, match=r"line 2: no type"):
        list(_jsonl('{"type":"Tree","a":1}\n{"a":1}', None).rows())
    assert [row.item_type for row in _jsonl('{"a":1}', "Plant").rows()] == ["Plant"]


@pytest.mark.parametrize(
    "line",
    [
        "[1]",
        '"a"',
        "{",
        '{"a":1}}',
        '{"a":NaN}',
        '{"a":-Infinity}',
        '{"a":1,"a":2}',
        '{"a":1,"\\u0061":2}',
        '{"a":"\\ud800"}',
        '{"a":{"b":1,"b":2}}',
        '{"a":' + "9" * 5000 + "}",
        '{"a":' + "[" * 100_000 + "}",
        "{'a':1}",
        "\x00",
    ],
)
def test_a_line_that_is_no_flat_json_object_is_named(line: str) -> None:
    """Nothing of such a file is sent."""
    with pytest.raises(MalformedError, match=r"^line 2: "):
        _jsonl('{"a":1}\n' + line)


def test_more_members_than_an_item_may_have_are_refused() -> None:
    """Every property stays declared for good."""
    with pytest.raises(MalformedError, match="more than 510"):
        _jsonl("\n".join(json.dumps({f"a{number}": 1}) for number in range(511)))


@pytest.mark.parametrize("cell", [[1], {"a": 1}, 1, 1.5, True, float("inf"), 10**400])
def test_json_of_another_type_is_refused(cell: object) -> None:
    """The pod would refuse it too; here the line is known."""
    with pytest.raises(ItemError, match=r"^a: text was expected"):
        _jsonl("").value(Column("a", "a", ValueType.TEXT), cell)


def test_json_text_is_read_as_a_datetime_where_that_is_known() -> None:
    """JSON has no dates; the pod's schema, or --as, says where one is meant."""
    column = Column("a", "a", ValueType.DATETIME)
    assert _jsonl("").value(column, "1970-01-02") == 86_400_000
    assert _jsonl("").value(column, 5) == 5
    with pytest.raises(ItemError, match="date"):
        _jsonl("").value(column, "yesterday")


def test_rejected_json_lines_gain_a_member() -> None:
    """Mended, they can be sent as they are."""
    table = _jsonl('{"a":1}\n{"a":"é","b":null}\n')
    assert _rejected(table, {2: "why"}) == '{"a": "é", "b": null, "rejected because": "why"}\n'


def test_columns_are_found_by_header_first() -> None:
    """One column's header may be another's name."""
    columns = [Column("b", "a", ValueType.TEXT), Column("a", "a_2", ValueType.TEXT)]
    assert typed(columns, "a") == columns[1]
    assert typed(columns, "a_2") == columns[1]
    assert typed(columns, "c") is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(exclude_categories=())),
    lambda children: (
        st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=5), children, max_size=3)
    ),
    max_leaves=8,
)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_table_or_our_error(raw: bytes) -> None:
    """Files come from strangers too."""
    sentences = []
    for make in (_csv, _jsonl):
        try:
            table = make(raw)
            table.learn()
            list(table.rows())
        except MalformedError as refused:
            sentences.append(str(refused))
    assert all(sentence.startswith("line ") for sentence in sentences)


@given(st.lists(st.dictionaries(st.text(max_size=8), JSON, max_size=5), max_size=5))
def test_any_json_lines_are_rows_or_our_errors(lines: list[dict[str, object]]) -> None:
    """Every cell gives a value or a reason, every member a name the wire takes."""
    try:
        table = _jsonl("\n".join(map(json.dumps, lines)))
        columns = {column.name: column for column in table.learn()}
        rows = list(table.rows())
    except MalformedError:
        return
    for name in columns:
        check_property_name(name)
    for row in rows:
        for name, cell in row.cells.items():
            with suppress(ItemError):
                assert table.value(columns[name], cell) == cell


@given(st.lists(st.lists(st.text(max_size=6), min_size=2, max_size=2), max_size=6))
def test_what_csv_writes_is_read_exactly(rows: list[list[str]]) -> None:
    """Quotes, commas, line ends and NULs inside cells included."""
    out = io.StringIO(newline="")
    csv.writer(out).writerows([["a", "b"], *rows])
    table = CsvTable(io.BytesIO(out.getvalue().encode()), "Plant", missing=frozenset({""}))
    held = [dict(zip("ab", row, strict=True)) for row in rows]
    expected = [kept for row in held if (kept := {name: cell for name, cell in row.items() if cell})]
    assert [row.cells for row in table.rows()] == expected
