"""Names from headers and types from whole files: the rule `schema learn` and `send` share."""

from __future__ import annotations

import csv
import math
import string
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vault.columns import Column, learn_columns, parse_cell, property_name, property_names
from vault.errors import ItemError
from vault.properties import RESERVED_NAMES, ValueType, check_property_name, check_value

PENGUINS = Path(__file__).parents[1] / "data" / "penguins-raw.csv"


def _penguins() -> list[list[str]]:
    with PENGUINS.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.reader(file, strict=True))


def _type_of(*cells: str) -> ValueType:
    (column,) = learn_columns(["a"], [[cell] for cell in cells])
    return column.value_type


def _column(value_type: ValueType) -> Column:
    return Column(header="Some Header", name="someHeader", value_type=value_type)


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ("studyName", "studyName"),
        ("body_mass_g", "body_mass_g"),
        ("Sample Number", "sampleNumber"),
        ("Culmen Length (mm)", "culmenLengthMm"),
        ("Delta 15 N (o/oo)", "delta15NOOo"),
        ("Individual ID", "individualId"),
        ("SPECIES", "species"),
        ("DNASample", "dnaSample"),
        ("Soil pH", "soilPH"),
        ("CO2 (%)", "co2Percent"),
        ("Größe (cm)", "grosseCm"),
        ("Café au lait", "cafeAuLait"),
        ("Dose (\N{MICRO SIGN}g)", "doseUg"),
        ("Temp °C", "tempC"),
        ("Area (m²)", "areaM2"),
        ("2007 count", "column2007Count"),
        ("15N", "column15N"),
        ("order", "order"),
        ("身長", ""),
        ("", ""),
        ("(?)", ""),
    ],
)
def test_a_header_gives_one_name(header: str, name: str) -> None:
    """People see these names in every export; units stay, because without them numbers mean nothing."""
    assert property_name(header) == name


@pytest.mark.parametrize("header", ["id", "ID", "Type", "source", "Date Created", "all edges"])
def test_a_reserved_header_gets_value_behind_it(header: str) -> None:
    """The wire refuses to declare these names in any case."""
    name = property_name(header)
    assert name.endswith("Value")
    check_property_name(name)


@given(st.text())
def test_a_name_is_its_own_name(header: str) -> None:
    """What came out of an export goes in again under the same names."""
    name = property_name(header)
    assert property_name(name) == name


@given(st.lists(st.text(max_size=80), max_size=20))
def test_any_headers_give_names_the_wire_accepts_all_unlike(headers: list[str]) -> None:
    """One bad or doubled header must not cost a contributor the whole file."""
    names = property_names(headers)
    for name in names:
        check_property_name(name)
    assert len({name.lower() for name in names}) == len(headers)


@given(st.lists(st.sampled_from(["a", "A", "a_2", "x" * 64, "x" * 70, "", "column2"]), max_size=12))
def test_equal_headers_are_told_apart(headers: list[str]) -> None:
    """Suffixes must not collide with a header that looks like one, nor exceed 64 characters."""
    names = property_names(headers)
    assert len({name.lower() for name in names}) == len(headers)
    assert all(len(name) <= 64 for name in names)


def test_a_header_without_a_name_is_named_by_its_position() -> None:
    """A spreadsheet's index column often has no header."""
    assert property_names(["", "a", "身長"]) == ["column1", "a", "column3"]


def test_doubled_headers_are_numbered_in_order() -> None:
    """The same file must give the same names every time."""
    assert property_names(["Note", "note", "NOTE", "Note"]) == ["note", "note_2", "note_3", "note_4"]


def test_names_taken_elsewhere_are_avoided() -> None:
    """JSON members that are names already keep them; the others must not take one of these."""
    assert property_names(["Flipper (mm)", "x"], others=["FLIPPERMM"]) == ["flipperMm_2", "x"]


@pytest.mark.parametrize(
    ("cells", "value_type"),
    [
        (["1", "-2", "0", "NA", ""], ValueType.INTEGER),
        ([str(2**63 - 1), str(-(2**63))], ValueType.INTEGER),
        ([str(2**63)], ValueType.TEXT),
        (["1", "007"], ValueType.TEXT),
        (["+31612345678"], ValueType.TEXT),
        (["1", "2.5"], ValueType.REAL),
        (["1.0", "1e-3", "-2E+4"], ValueType.REAL),
        (["1.5", str(2**63)], ValueType.TEXT),
        ([".5"], ValueType.TEXT),
        (["1."], ValueType.TEXT),
        (["1e400"], ValueType.TEXT),
        (["9" * 401 + ".5"], ValueType.TEXT),
        (["9" * 5000], ValueType.TEXT),
        (["0." + "1" * 5000], ValueType.REAL),
        (["nan"], ValueType.TEXT),
        (["Infinity"], ValueType.TEXT),
        (["1_000"], ValueType.TEXT),
        (["1,000"], ValueType.TEXT),
        (["٣"], ValueType.TEXT),
        ([" 1"], ValueType.TEXT),
        (["1\n"], ValueType.TEXT),
        (["true", "FALSE", "False"], ValueType.BOOL),
        (["true", "1"], ValueType.TEXT),
        (["yes", "no"], ValueType.TEXT),
        (["2007-11-11", "2007-11-11T14:30:00Z"], ValueType.DATETIME),
        (["2007-11-11 14:30"], ValueType.DATETIME),
        (["2007-11-11T14:30:00.123000+01:00"], ValueType.DATETIME),
        (["2007-11-11T14:30:00.1234"], ValueType.TEXT),
        (["2007-02-29"], ValueType.TEXT),
        (["0000-01-01"], ValueType.TEXT),
        (["2007-11-11T24:00:00"], ValueType.TEXT),
        (["2007-11-11T23:60:00"], ValueType.TEXT),
        (["2016-12-31T23:59:60Z"], ValueType.TEXT),
        (["2007-11-11T10:00:00+24:00"], ValueType.TEXT),
        (["20071111"], ValueType.INTEGER),
        (["11/11/2007"], ValueType.TEXT),
        (["2007-11-11\n"], ValueType.TEXT),
        (["2007-11-11", "2007"], ValueType.TEXT),
        (["NA", ""], ValueType.TEXT),
        ([], ValueType.TEXT),
    ],
)
def test_a_column_is_what_all_its_cells_are(cells: list[str], value_type: ValueType) -> None:
    """A type is given only where it changes nothing; whatever is in doubt stays Text, exact."""
    assert _type_of(*cells) is value_type


def test_other_marks_for_missing_can_be_named() -> None:
    """Instruments write -9999 or N/A where this file's maintainer knows it means nothing."""
    columns = learn_columns(["a"], [["N/A"], ["1"]], missing=frozenset({"N/A"}))
    assert columns == [Column("a", "a", ValueType.INTEGER)]
    assert parse_cell(columns[0], "N/A", missing=frozenset({"N/A"})) is None
    assert _type_of("N/A", "1") is ValueType.TEXT


def test_the_penguins_are_typed_as_their_authors_meant() -> None:
    """Real input: 17 columns with units, dates, comments and NA cells."""
    headers, *rows = _penguins()
    types = {column.header: column.value_type for column in learn_columns(headers, rows)}
    others = {
        "Sample Number": ValueType.INTEGER,
        "Date Egg": ValueType.DATETIME,
        "Culmen Length (mm)": ValueType.REAL,
        "Culmen Depth (mm)": ValueType.REAL,
        "Flipper Length (mm)": ValueType.INTEGER,
        "Body Mass (g)": ValueType.INTEGER,
        "Delta 15 N (o/oo)": ValueType.REAL,
        "Delta 13 C (o/oo)": ValueType.REAL,
    }
    assert types == {**dict.fromkeys(headers, ValueType.TEXT), **others}


def test_every_penguin_cell_keeps_its_meaning() -> None:
    """Text exact, numbers equal as float64, same days, NA absent."""
    headers, *rows = _penguins()
    columns = learn_columns(headers, rows)
    for row in rows:
        for cell_column, text in zip(columns, row, strict=True):
            value = parse_cell(cell_column, text)
            if text in {"", "NA"}:
                assert value is None
            elif cell_column.value_type is ValueType.DATETIME:
                assert isinstance(value, int)
                assert datetime.fromtimestamp(value / 1000, UTC).strftime("%Y-%m-%d") == text
            elif cell_column.value_type is ValueType.TEXT:
                assert value == text
            else:
                assert value is not None
                assert float(value) == float(text)


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("1970-01-01", 0),
        ("1970-01-01T00:00", 0),
        ("1969-12-31T23:59:59.999Z", -1),
        ("1970-01-01 00:00:01.5", 1500),
        ("1970-01-01T01:00:00+01:00", 0),
        ("1970-01-01T00:00:00-0130", 5_400_000),
        ("0001-01-01T00:00:00+23:59", -62_135_683_140_000),
        ("9999-12-31T23:59:59.999-23:59", 253_402_387_139_999),
    ],
)
def test_a_time_is_utc_milliseconds(text: str, ms: int) -> None:
    """A date is its midnight; a time without offset is read as UTC; offsets work at both ends of time."""
    assert parse_cell(_column(ValueType.DATETIME), text) == ms


@pytest.mark.parametrize("value_type", [kind for kind in ValueType if kind is not ValueType.TEXT])
def test_a_cell_of_another_type_is_refused_without_quoting_it(value_type: ValueType) -> None:
    """The reason goes to screens and files; the cell may be hostile or private."""
    with pytest.raises(ItemError) as refused:
        parse_cell(_column(value_type), "tall")
    assert refused.value.field == "someHeader"
    assert "tall" not in str(refused.value)
    assert "expected" in str(refused.value)


@given(st.text())
def test_text_is_never_changed(text: str) -> None:
    """No stripping, no case, no normal form: the maintainer gets what was written."""
    assert parse_cell(_column(ValueType.TEXT), text, missing=frozenset()) == text


CELLS = st.one_of(
    st.text(max_size=12),
    st.text(alphabet=string.digits + "-+.eE:TZ ", max_size=24),
    st.integers().map(str),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.datetimes().map(str),
    st.datetimes().map(lambda moment: moment.isoformat(timespec="milliseconds")),
    st.booleans().map(str),
    st.just("NA"),
)


@given(st.lists(CELLS, max_size=8))
def test_every_cell_of_a_learned_column_parses_to_a_value_of_its_type(cells: list[str]) -> None:
    """What was learned from a file holds for that file, and the wire accepts the values."""
    (learned,) = learn_columns(["a"], [[cell] for cell in cells])
    for cell in cells:
        value = parse_cell(learned, cell)
        if value is not None:
            check_value("a", value, learned.value_type)


@given(st.sampled_from(ValueType), CELLS)
def test_any_cell_gives_a_value_or_our_error(value_type: ValueType, text: str) -> None:
    """Nothing a file holds may end in a traceback."""
    try:
        value = parse_cell(_column(value_type), text)
    except ItemError:
        return
    if value is not None:
        check_value("a", value, value_type)


@given(st.integers(-(2**63), 2**63 - 1))
def test_every_64_bit_integer_is_an_integer_exactly(number: int) -> None:
    """Beyond 2^53 a float64 would change it."""
    assert _type_of(str(number)) is ValueType.INTEGER
    assert parse_cell(_column(ValueType.INTEGER), str(number)) == number


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_float_survives_its_shortest_form(number: float) -> None:
    """R, Python and spreadsheets write these."""
    value = parse_cell(_column(ValueType.REAL), repr(number))
    assert isinstance(value, float)
    assert value == number
    assert math.copysign(1, value) == math.copysign(1, number)


@given(st.datetimes())
def test_every_instant_with_milliseconds_is_exact(moment: datetime) -> None:
    """Checked against the standard library's own arithmetic."""
    whole = moment.replace(microsecond=moment.microsecond // 1000 * 1000, tzinfo=UTC)
    since_epoch = whole - datetime(1970, 1, 1, tzinfo=UTC)
    expected = since_epoch.days * 86_400_000 + since_epoch.seconds * 1000 + since_epoch.microseconds // 1000
    text = whole.isoformat(timespec="milliseconds")
    assert parse_cell(_column(ValueType.DATETIME), text) == expected


def test_the_reserved_names_are_not_empty() -> None:
    """The test of reserved headers above would pass on an empty list."""
    assert "id" in RESERVED_NAMES
