"""Values as text: nothing lost, nothing evaluated."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maintainer_tools.cells import cell, escaped, plain
from vault.properties import INT64_MAX, INT64_MIN, Scalar, ValueType

FLOATS = st.floats(allow_nan=False, allow_infinity=False)
NOON, MIDNIGHT = 1_194_782_400_000, 1_194_739_200_000


@pytest.mark.parametrize(
    ("value", "value_type", "written"),
    [
        (None, ValueType.TEXT, ""),
        ("", ValueType.TEXT, ""),
        ("NA", ValueType.TEXT, "NA"),
        (36, ValueType.REAL, "36.0"),
        (36, ValueType.INTEGER, "36"),
        (39.1, ValueType.REAL, "39.1"),
        (-24.69454, ValueType.REAL, "-24.69454"),
        (-5, ValueType.INTEGER, "-5"),
        (-5, ValueType.TEXT, "-5"),
        (1e300, ValueType.REAL, "1e+300"),
        (True, ValueType.BOOL, "true"),
        (False, ValueType.BOOL, "false"),
        (True, ValueType.TEXT, "true"),
        (NOON, ValueType.DATETIME, "2007-11-11T12:00:00.000Z"),
        (MIDNIGHT, ValueType.DATETIME, "2007-11-11T00:00:00.000Z"),
        (NOON + 0.5, ValueType.DATETIME, "2007-11-11T12:00:00.001Z"),
        ("tall", ValueType.REAL, "tall"),
    ],
)
def test_a_value_is_written_as_its_column_is_typed(
    value: Scalar | None, value_type: ValueType, written: str
) -> None:
    """Widening and rounding happen at reading; a number needs no apostrophe, its sign is no formula."""
    assert cell(value, value_type) == written


def test_a_column_of_days_has_days() -> None:
    """A date that went in as a date comes out as one."""
    assert cell(MIDNIGHT, ValueType.DATETIME, is_day=True) == "2007-11-11"


@pytest.mark.parametrize(
    "start",
    [
        "=",
        "+",
        "-",
        "@",
        "\t",
        "\r",
        "\n",
        "\uff1d",
        "\uff0b",
        "\uff0d",
        "\uff20",
        " =",
        "\u3000+",
        "\ufeff\0 @",
    ],
)
def test_text_that_a_spreadsheet_would_evaluate_gets_an_apostrophe(start: str) -> None:
    """`=HYPERLINK(...)` in a cell runs on the maintainer's machine (CSV injection)."""
    assert escaped(f"{start}1+1") == f"'{start}1+1"
    assert cell(f"{start}1+1", ValueType.TEXT) == f"'{start}1+1"


@pytest.mark.parametrize("text", ["", " ", "a=1", "'=1", " two words", "1-2", "\u2212 5"])
def test_other_text_stays_as_it_is(text: str) -> None:
    """An apostrophe in a cell is one more thing to take out again."""
    assert escaped(text) == text


@given(FLOATS)
def test_a_real_comes_back_as_the_same_float64(value: float) -> None:
    """Sixteen digits are not enough for every float64."""
    back = float(cell(value, ValueType.REAL))

    assert back == value
    assert math.copysign(1, back) == math.copysign(1, value)


@given(st.integers(min_value=INT64_MIN, max_value=INT64_MAX))
def test_an_integer_keeps_every_digit(value: int) -> None:
    """A barcode or an account number is wrong by one digit as much as by all."""
    assert int(plain(value, ValueType.INTEGER)) == value


@given(
    st.one_of(st.text(), FLOATS, st.booleans(), st.integers(INT64_MIN, INT64_MAX)), st.sampled_from(ValueType)
)
def test_any_value_can_be_written_under_any_type(value: Scalar, value_type: ValueType) -> None:
    """Two slots may disagree about a type; the export must not stop for it."""
    assert isinstance(cell(value, value_type), str)
