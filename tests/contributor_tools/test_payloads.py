"""Rows become items with ids that stay the same."""

from __future__ import annotations

import base64
import hashlib
import hmac
import io
import random
import struct
from pathlib import Path

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from contributor_tools.csv_table import CsvTable
from contributor_tools.jsonl_table import JsonlTable
from contributor_tools.payloads import Outgoing, Rejected, StableIds, payloads
from contributor_tools.tables import Table
from tests.support.invites import INVITE
from vault.columns import Column
from vault.items import parse_item
from vault.properties import ValueType

ID_KEY = INVITE.database_key.derive("id", INVITE.owner_key.pod_id)
PENGUINS = Path(__file__).parents[1] / "data" / "penguins-raw.csv"


def _rows(table: Table, columns: list[Column] | None = None) -> list[Outgoing | Rejected]:
    return list(payloads(table, columns or table.learn(), ID_KEY))


def _csv_rows(text: str) -> list[Outgoing | Rejected]:
    return _rows(CsvTable(io.BytesIO(text.encode()), "Plant"))


def _jsonl_rows(text: str) -> list[Outgoing | Rejected]:
    return _rows(JsonlTable(io.BytesIO(text.encode()), "Plant"))


def _ids(text: str) -> list[str]:
    return [row.item.id for row in _csv_rows(text) if isinstance(row, Outgoing)]


def test_an_id_is_what_the_format_says() -> None:
    """Another program must be able to resume what this one began."""
    content = msgspec.msgpack.encode({"h": "1.5", "name": "Rosa"})
    fields = (b"Plant", content, struct.pack("<Q", 1))
    message = struct.pack("<Q", 3) + b"".join(struct.pack("<Q", len(field)) + field for field in fields)
    digest = hmac.digest(ID_KEY, message, hashlib.sha256)
    expected = base64.urlsafe_b64encode(digest[:16]).decode().rstrip("=")
    assert _ids("name,h\nRosa,1.5\nRosa,1.5\n")[1] == expected
    assert expected == "Ekg-NgDxztPt_d3oibcekg"


def test_the_same_file_gives_the_same_ids() -> None:
    """Sending again stores nothing."""
    assert _penguin_ids() == _penguin_ids()
    assert len(set(_penguin_ids())) == 344


def _penguin_ids() -> list[str]:
    with PENGUINS.open("rb") as file:
        return [row.item.id for row in _rows(CsvTable(file, "Penguin")) if isinstance(row, Outgoing)]


def test_equal_rows_are_items_of_their_own() -> None:
    """Two birds may weigh the same; which of the two is which does not matter."""
    assert len(set(_ids("a\n1\n1\n2\n1\n"))) == 4
    assert set(_ids("a\n1\n1\n2\n1\n")) == set(_ids("a\n2\n1\n1\n1\n"))


def test_a_file_that_grew_keeps_the_ids_it_had() -> None:
    """Also where a new row changes a column's type: the row's text makes the id."""
    assert _ids("a\n1\n2\n") == _ids("a\n1\n2\ntall\n")[:2]


def test_columns_may_change_places() -> None:
    """A spreadsheet sorted or rearranged is the same data."""
    assert _ids("a,b\n1,2\n") == _ids("b,a\n2,1\n")


def test_type_and_key_make_other_ids() -> None:
    """An id tells nothing to those who have not the key, and pods do not share ids."""
    row = {"a": "1"}
    first = StableIds(ID_KEY).next_id("Plant", row)
    assert first != StableIds(ID_KEY).next_id("Tree", row)
    assert first != StableIds(bytes(32)).next_id("Plant", row)


def test_a_json_number_is_one_number_however_written() -> None:
    """1, 1.0 and 1e0 are stored as one form, so they are one row."""
    first = _jsonl_rows('{"a":1,"b":2.5}')
    second = _jsonl_rows('{"b":25e-1,"a":1.0}')
    assert [row.item.id for row in first if isinstance(row, Outgoing)] == [
        row.item.id for row in second if isinstance(row, Outgoing)
    ]


def test_an_id_of_the_lines_own_is_kept() -> None:
    """A program that writes JSON Lines may know better ids."""
    (row,) = _jsonl_rows('{"id":"my-own-id","a":1}')
    assert isinstance(row, Outgoing)
    assert row.payload == {"type": "Plant", "id": "my-own-id", "a": 1}


def test_dates_of_the_wire_are_part_of_what_a_row_says() -> None:
    """Two observations may differ in nothing else."""
    rows = _jsonl_rows('{"a":1,"dateCreated":1}\n{"a":1,"dateCreated":2}\n{"a":1}')
    assert len({row.item.id for row in rows if isinstance(row, Outgoing)}) == 3


def test_values_have_their_types() -> None:
    """Typed by the whole file, absent where missing."""
    (first, second) = _csv_rows("n,x,b,d,t\n1,2.5,true,2007-11-11,007\n2,3,NA,,x\n")
    assert isinstance(first, Outgoing)
    assert isinstance(second, Outgoing)
    assert first.payload == {
        "type": "Plant",
        "id": first.item.id,
        "n": 1,
        "x": 2.5,
        "b": True,
        "d": 1_194_739_200_000,
        "t": "007",
    }
    assert second.payload == {"type": "Plant", "id": second.item.id, "n": 2, "x": 3.0, "t": "x"}


def test_a_row_that_does_not_fit_is_rejected_and_costs_only_itself() -> None:
    """The reason names the column, and never quotes the cell."""
    table = CsvTable(io.BytesIO(b"h\n1\ntall\n2\n"), "Plant")
    rows = _rows(table, [Column("h", "h", ValueType.INTEGER)])
    assert [row.line for row in rows if isinstance(row, Outgoing)] == [2, 4]
    (rejected,) = (row for row in rows if isinstance(row, Rejected))
    assert rejected.line == 3
    assert rejected.reason.startswith("h: ")
    assert "tall" not in rejected.reason


def test_a_line_that_breaks_the_wires_rules_is_rejected_here() -> None:
    """The pod would refuse it; its maintainer need not see it."""
    lines = [
        '{"type":"no good","a":1}',
        '{"id":"short","a":1}',
        '{"deleted":null}',
        '{"dateCreated":1.5}',
        '{"a":[1]}',
    ]
    assert all(isinstance(row, Rejected) for row in _jsonl_rows("\n".join(lines)))


@given(
    st.lists(st.dictionaries(st.sampled_from("ab"), st.text(max_size=3), max_size=2), max_size=8),
    st.randoms(),
)
def test_ids_do_not_depend_on_the_rows_order(rows: list[dict[str, str]], chance: random.Random) -> None:
    """A file sorted between two runs is the same set of items."""
    shuffled = list(rows)
    chance.shuffle(shuffled)
    ids, others = StableIds(ID_KEY), StableIds(ID_KEY)
    first = [ids.next_id("Plant", row) for row in rows]
    assert sorted(first) == sorted(others.next_id("Plant", row) for row in shuffled)
    assert len(set(first)) == len(rows)
    for item_id in first:
        assert parse_item({"type": "Plant", "id": item_id}, make_id=str).id == item_id
