"""Properties: five types, one list of free names, and numbers that are what their literal says."""

from __future__ import annotations

import decimal
import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from vault.errors import ItemError
from vault.properties import (
    BASE_PROPERTIES,
    INT64_MAX,
    INT64_MIN,
    RESERVED_NAMES,
    Scalar,
    ValueType,
    check_property_name,
    check_value,
    infer_type,
    round_half_away,
)

scalars: st.SearchStrategy[Scalar] = st.text() | st.integers() | st.floats() | st.booleans()
ALLOWED: dict[ValueType, list[Scalar]] = {
    ValueType.TEXT: ["", "x", "1", "\0"],
    ValueType.INTEGER: [0, -1, INT64_MIN, INT64_MAX],
    ValueType.REAL: [0, 1.5, -0.0, 5e-324, 1.7976931348623157e308, 2**63, 10**308],
    ValueType.BOOL: [True, False],
    ValueType.DATETIME: [0, INT64_MIN, INT64_MAX, 1.5, -0.5, 9.2e18],
}
REFUSED: dict[ValueType, list[Scalar]] = {
    ValueType.TEXT: [1, 1.5, True],
    ValueType.INTEGER: [1.0, 1e3, 2**63, -(2**63) - 1, "1", True, False],
    ValueType.REAL: ["1.5", True, math.inf, -math.inf, math.nan, 10**309],
    ValueType.BOOL: [0, 1, "true", 1.0],
    ValueType.DATETIME: ["2020-01-01", True, 2**63, 1e19, -1e19, math.inf, math.nan, 9223372036854775807.0],
}


@pytest.mark.parametrize(
    ("value_type", "value"), [(kind, value) for kind, values in ALLOWED.items() for value in values]
)
def test_a_value_of_its_type_is_taken(value_type: ValueType, value: Scalar) -> None:
    """The edges included."""
    check_value("height", value, value_type)


@pytest.mark.parametrize(
    ("value_type", "value"), [(kind, value) for kind, values in REFUSED.items() for value in values]
)
def test_a_value_of_another_type_names_the_property(value_type: ValueType, value: Scalar) -> None:
    """The sentence is for the sender, and never holds the value."""
    with pytest.raises(ItemError, match=r"\Aheight: .* expected\Z") as refused:
        check_value("height", value, value_type)
    assert refused.value.field == "height"


@given(value=scalars, value_type=st.sampled_from(ValueType))
def test_any_value_is_taken_or_refused(value: Scalar, value_type: ValueType) -> None:
    """No number is too large to be asked about."""
    try:
        check_value("height", value, value_type)
    except ItemError:
        return
    if value_type in {ValueType.INTEGER, ValueType.DATETIME} and type(value) is int:
        assert INT64_MIN <= value <= INT64_MAX


@given(value=st.floats(-1e18, 1e18))
@example(0.49999999999999994)
@example(-0.5)
@example(2.5)
@example(-2.5)
@example(4503599627370497.5)
def test_halves_are_rounded_away_from_zero(value: float) -> None:
    """As decimal arithmetic rounds, which has no float in between."""
    exact = decimal.Decimal(value).quantize(decimal.Decimal(1), rounding=decimal.ROUND_HALF_UP)
    assert round_half_away(value) == int(exact)


@pytest.mark.parametrize("name", ["a", "A", "order", "group", "key", "a" * 64, "snake_case", "camelCase9"])
def test_a_free_name_can_be_declared(name: str) -> None:
    """SQL's words are names like any other: every tool quotes them."""
    check_property_name(name)


@pytest.mark.parametrize("name", ["", "1a", "_a", "a-b", "a b", "a" * 65, "a\n", "\u00e4", "a.b", "a\0"])
def test_a_malformed_name_cannot(name: str) -> None:
    """Matched whole, in ASCII."""
    with pytest.raises(ItemError, match="1 to 64 letters"):
        check_property_name(name)


@given(name=st.sampled_from(sorted(RESERVED_NAMES)), data=st.data())
def test_a_reserved_name_cannot_in_any_case(name: str, data: st.DataObject) -> None:
    """Column names of SQL and of the original do not tell case apart."""
    spelled = "".join(data.draw(st.sampled_from([letter, letter.upper()])) for letter in name)
    with pytest.raises(ItemError, match="reserved"):
        check_property_name(spelled)


@given(name=st.text())
def test_any_name_is_free_or_refused(name: str) -> None:
    """Whatever text it is."""
    try:
        check_property_name(name)
    except ItemError:
        return
    assert name.isascii()
    assert name.lower() not in RESERVED_NAMES


def test_what_a_new_pod_knows_cannot_be_changed() -> None:
    """The map is the format's, the same in every pod."""
    with pytest.raises(TypeError):
        BASE_PROPERTIES["a"] = ValueType.TEXT  # type: ignore[index]  # that it cannot is the point
    assert set(BASE_PROPERTIES.values()) == {ValueType.TEXT, ValueType.DATETIME, ValueType.BOOL}


@pytest.mark.parametrize(
    ("value", "value_type"),
    [
        ("x", ValueType.TEXT),
        ("", ValueType.TEXT),
        (True, ValueType.BOOL),
        (1, ValueType.INTEGER),
        (INT64_MAX, ValueType.INTEGER),
        (INT64_MAX + 1, ValueType.REAL),
        (1.0, ValueType.REAL),
    ],
)
def test_a_type_is_inferred_from_the_literal(value: Scalar, value_type: ValueType) -> None:
    """1 is Integer, 1.0 Real: what Integer will not take later is not called Integer."""
    assert infer_type("height", value) is value_type


@given(value=scalars)
def test_an_inferred_type_takes_the_value(value: Scalar) -> None:
    """Or the value has no type at all."""
    try:
        value_type = infer_type("height", value)
    except ItemError:
        assert type(value) in {int, float}
        return
    check_value("height", value, value_type)
