"""CSV files planned: names, columns, headers that never overwrite each other."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maintainer_tools.sheets import Sheet, plan, settled, survey
from vault.properties import ValueType
from vault.schema import merge
from vault.stored import StoredItem

DAY = 86_400_000
NOON = DAY // 2


def _item(item_type: str = "Plant", ms: int = DAY, **members: Any) -> StoredItem:
    return StoredItem(1, 1, ms, 1, "field-team", {"type": item_type, "id": "abcdef", **members})


def _sheet(
    *items: StoredItem,
    properties: dict[str, ValueType] | None = None,
    labels: dict[str, str] | None = None,
    views: dict[str, dict[str, ValueType]] | None = None,
) -> Sheet:
    (sheet,) = plan(survey(items), merge(properties or {}, labels or {}, views or {})).values()
    return sheet


def test_properties_stand_in_the_schemas_order_under_their_labels() -> None:
    """The file looks like the one the maintainer started from."""
    properties = {"b": ValueType.TEXT, "a": ValueType.INTEGER, "unused": ValueType.TEXT}

    sheet = _sheet(_item(a=1, b="x"), properties=properties, labels={"a": "A (mm)"})

    assert sheet.header_row() == ["id", "from", "received", "b", "A (mm)"]
    assert sheet.row(_item(a=1, b="x")) == ["abcdef", "field-team", "1970-01-02T00:00:00.000Z", "x", "1"]


def test_an_absent_value_is_an_empty_cell() -> None:
    """NA went in as absent; it comes out as nothing."""
    sheet = _sheet(_item(a=1), _item(b=2), properties={"a": ValueType.INTEGER, "b": ValueType.INTEGER})

    assert sheet.row(_item(b=2))[3:] == ["", "2"]


@pytest.mark.parametrize(
    ("labels", "headers"),
    [
        ({"a": "Size", "b": "Size"}, ["Size (a)", "Size (b)"]),
        ({"a": "id", "b": "from"}, ["id (a)", "from (b)"]),
        ({"a": "b"}, ["b (a)", "b (b)"]),
        ({"a": ""}, ["a", "b"]),
        ({"a": "=1+1", "b": "@x"}, ["'=1+1", "'@x"]),
    ],
)
def test_headers_that_collide_name_their_property(labels: dict[str, str], headers: list[str]) -> None:
    """Two columns of one name: every reader of CSV drops one of them."""
    properties = {"a": ValueType.INTEGER, "b": ValueType.INTEGER}

    assert _sheet(_item(a=1, b=2), properties=properties, labels=labels).header_row()[3:] == headers


@given(
    st.dictionaries(
        st.from_regex(r"\A[a-c]{1,3}\Z"), st.sampled_from(["id", "a", "b", "a (a)", "a (b)", "x"])
    )
)
def test_no_two_headers_are_equal(labels: dict[str, str]) -> None:
    """Whatever labels people write."""
    properties = dict.fromkeys(labels, ValueType.INTEGER)

    members: dict[str, Any] = dict.fromkeys(labels, 1)
    headers = _sheet(_item(**members), properties=properties, labels=labels).header_row()

    assert len(set(headers)) == len(headers)


def test_times_are_days_if_all_are_midnight() -> None:
    """One time of day in the column, and all have one."""
    kinds = {"seen": ValueType.DATETIME}
    days, times = (_item(seen=DAY), _item(seen=0)), (_item(seen=DAY), _item(seen=NOON))

    assert _sheet(*days, properties=kinds).row(days[0])[3] == "1970-01-02"
    assert _sheet(*times, properties=kinds).row(days[0])[3] == "1970-01-02T00:00:00.000Z"


def test_absent_dates_are_when_the_item_was_received() -> None:
    """The format's rule; the column is there only if someone sent a date."""
    sheet = _sheet(_item(dateCreated=0), _item(ms=NOON))

    assert sheet.header_row() == ["id", "from", "received", "dateCreated"]
    assert sheet.row(_item(ms=NOON))[3] == "1970-01-01T12:00:00.000Z"
    assert _sheet(_item()).header_row() == ["id", "from", "received"]


def test_deleted_items_stay_with_a_column_that_says_so() -> None:
    """Dropping them would drop what a contributor sent."""
    sheet = _sheet(_item(deleted=True), _item())

    assert sheet.header_row()[3] == "deleted"
    assert [sheet.row(_item(deleted=True))[3], sheet.row(_item())[3]] == ["true", "false"]


def test_differing_types_are_settled_and_named() -> None:
    """Integer and Real become Real, anything else Text; nobody should have to guess it happened."""
    views = {
        "x": {"a": ValueType.INTEGER, "b": ValueType.INTEGER, "c": ValueType.TEXT},
        "y": {"a": ValueType.REAL, "b": ValueType.TEXT},
    }
    items = [_item(a=1, b=2, c="c"), _item(a=1.5, b="-2")]
    schema = merge({}, {}, views)

    sheet = _sheet(*items, views=views)

    assert [sheet.row(item)[3:] for item in items] == [["1.0", "2", "c"], ["1.5", "'-2", ""]]
    assert [known.name for known in settled(survey(items), schema)] == ["a", "b"]


def test_a_property_that_is_declared_no_more_is_exported_all_the_same() -> None:
    """The maintainer removed a line of pod.toml; the items still hold it."""
    sheet = _sheet(_item(gone=1), _item(gone=1.5), _item(key="base"))

    assert sheet.header_row()[3:] == ["key", "gone"]
    assert sheet.row(_item(gone=1))[3:] == ["", "1.0"]


def test_types_that_differ_in_case_get_files_that_do_not() -> None:
    """Half the world's file systems take plant.csv for Plant.csv, and one would overwrite the other."""
    sheets = plan(survey([_item("Plant"), _item("plant"), _item("PLANT")]), {})

    assert {sheet.file.lower() for sheet in sheets.values()} >= {"plant.csv"}
    assert len({sheet.file.lower() for sheet in sheets.values()}) == 3


@pytest.mark.parametrize("item_type", ["CON", "nul", "Com1", "LPT9"])
def test_no_file_has_a_devices_name(item_type: str) -> None:
    """Windows opens no CON.csv: a contributor's type must not make an export unreadable there."""
    (sheet,) = plan(survey([_item(item_type)]), {}).values()

    assert sheet.file.startswith(f"{item_type}_")


@given(st.sets(st.from_regex(r"\A[aA][bB]?\Z") | st.just("a_" + "ca978112"), min_size=1, max_size=6))
def test_every_type_has_a_file_of_its_own(types: set[str]) -> None:
    """Also one whose name looks like the way out of a collision."""
    sheets = plan(survey([_item(name) for name in types]), {})

    assert len({sheet.file.lower() for sheet in sheets.values()}) == len(types)
