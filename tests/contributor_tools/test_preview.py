"""What is shown before anything is sent stays short and true, whatever the file."""

from __future__ import annotations

import io

import pytest

from contributor_tools.csv_table import CsvTable
from contributor_tools.payloads import payloads
from contributor_tools.preview import preview_lines, survey
from tests.support.invites import INVITE
from vault.columns import Column
from vault.properties import ValueType


def _preview(text: str, columns: list[Column] | None = None) -> list[str]:
    table = CsvTable(io.BytesIO(text.encode()), "Plant")
    columns = columns or table.learn()
    return list(preview_lines(INVITE, columns, survey(payloads(table, columns, bytes(32)))))


def test_many_columns_and_rows_stay_on_a_screen() -> None:
    """The question must not scroll away."""
    headers = ",".join(f"c{number}" for number in range(200))
    cells = ",".join("x" * 500 for _ in range(200))
    lines = _preview(f"{headers}\n" + f"{cells}\n" * 50)
    assert len(lines) < 60
    assert max(map(len, lines)) < 400
    assert "         and 160 more" in lines
    assert lines[-2].endswith("...")


def test_rows_that_will_not_be_sent_are_shown_with_their_lines() -> None:
    """The first five; all of them are in the file of rejected rows."""
    columns = [Column("h", "h", ValueType.INTEGER)]
    lines = _preview("h\n" + "tall\n" * 8 + "1\n", columns)
    assert lines[1].startswith("Items    1 Plant, ")
    assert lines[4].startswith("Left out line 2: h: an integer")
    assert lines[9] == "         and 3 more rows"


def test_a_column_nobody_filled_is_not_shown() -> None:
    """It will be neither declared nor sent."""
    assert not any("empty" in line for line in _preview("a,empty\n1,NA\n"))


@pytest.mark.parametrize(("cells", "size"), [(1, " bytes"), (100, " KiB"), (90_000, " MiB")])
def test_sizes_are_readable(cells: int, size: str) -> None:
    """As the pod counts them, canonical."""
    lines = _preview("a\n" + "".join(f"cell {number}\n" for number in range(cells)))
    assert lines[1].endswith(size)


def test_nothing_to_send_is_said() -> None:
    """Not an empty line."""
    assert _preview("a\n")[1] == "Items    none, 0 bytes"
