"""Learning columns from a CSV file: as `send` reads it, and never by guessing."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contributor_tools.csv_table import CsvTable
from maintainer_tools.table_file import learn_file
from vault.errors import MalformedError, MissingError, StorageError
from vault.properties import ValueType

PENGUINS = Path(__file__).parents[1] / "data" / "penguins-raw.csv"
CELLS = st.text(st.characters(codec="utf-8"), max_size=12)


def _learned(tmp_path: Path, content: bytes, name: str = "t.csv") -> list[tuple[str, ValueType, str]]:
    path = tmp_path / name
    path.write_bytes(content)
    return [(column.name, column.value_type, column.header) for column in learn_file(path)]


def test_real_records_are_learned() -> None:
    """Original headers, kept; names and types that fit all 344 rows."""
    columns = {column.header: (column.name, column.value_type) for column in learn_file(PENGUINS)}

    assert len(columns) == 17
    assert columns["Culmen Length (mm)"] == ("culmenLengthMm", ValueType.REAL)
    assert columns["Date Egg"] == ("dateEgg", ValueType.DATETIME)
    assert columns["Comments"] == ("comments", ValueType.TEXT)


@given(st.lists(st.lists(CELLS, min_size=3, max_size=3), min_size=1, max_size=6))
def test_learn_and_send_see_the_same_columns(
    tmp_path_factory: pytest.TempPathFactory, rows: list[list[str]]
) -> None:
    """Else what the maintainer declares is not what contributors send."""
    text = io.StringIO(newline="")
    csv.writer(text).writerows(rows)
    content = text.getvalue().encode()
    path = tmp_path_factory.mktemp("csv") / "t.csv"
    path.write_bytes(content)

    assert learn_file(path) == CsvTable(io.BytesIO(content), "Row").learn()


def test_a_byte_order_mark_and_an_empty_line_are_no_columns(tmp_path: Path) -> None:
    """Spreadsheets write both."""
    assert _learned(tmp_path, b"\xef\xbb\xbfa,b\r\n1,x\r\n\r\n") == [
        ("a", ValueType.INTEGER, "a"),
        ("b", ValueType.TEXT, "b"),
    ]


def test_tabs_are_for_tsv(tmp_path: Path) -> None:
    """The name says it."""
    assert [name for name, _, _ in _learned(tmp_path, b"a\tb\n1\t2\n", "t.tsv")] == ["a", "b"]


def test_the_column_of_rejections_is_not_learned(tmp_path: Path) -> None:
    """A file that `send` gave back is mended and learned from like any other."""
    assert _learned(tmp_path, b"a,rejected because\n1,too small\n") == [("a", ValueType.INTEGER, "a")]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "line 1: 1 to 510 column headers were expected, 0"),
        (b",".join(b"c%d" % n for n in range(511)), "line 1: 1 to 510 column headers were expected, 511"),
        (b"a;b\n1;2\n", "pass it as --delimiter"),
        (b"a,b\n1,2\n1\n", "row 3: 2 cells were expected"),
        (b"a,b\n1,2,3,4\n", "row 2: 2 cells were expected"),
        (b'a,b\n1,"2\n', "not CSV"),
        (b"a,b\n1,\xff\n", "not UTF-8"),
    ],
)
def test_what_is_no_table_is_refused(tmp_path: Path, content: bytes, sentence: str) -> None:
    """A guess would declare properties nobody meant."""
    with pytest.raises(MalformedError, match=sentence):
        _learned(tmp_path, content)


def test_a_file_that_is_not_there_or_none_has_its_own_sentence(tmp_path: Path) -> None:
    """A mistyped name is the usual mistake."""
    with pytest.raises(MissingError, match="does not exist"):
        learn_file(tmp_path / "x.csv")
    with pytest.raises(StorageError):
        learn_file(tmp_path)
