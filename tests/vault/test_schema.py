"""The merged schema: differences between slots are settled without losing a value."""

from __future__ import annotations

import json
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vault.properties import Scalar, ValueType, round_half_away
from vault.schema import MAINTAINER, as_text, merge, read_value, settle

TEXT, INTEGER, REAL, BOOL, DATETIME = ValueType
scalars: st.SearchStrategy[Scalar] = (
    st.text() | st.integers(-(2**63), 2**63 - 1) | st.floats(-1e18, 1e18) | st.booleans()
)


@pytest.mark.parametrize("value_type", ValueType)
def test_one_type_is_settled(value_type: ValueType) -> None:
    """There is nothing to settle."""
    assert settle({value_type}) is value_type


def test_integer_and_real_become_real() -> None:
    """Every Integer is a number."""
    assert settle({INTEGER, REAL}) is REAL


@given(types=st.sets(st.sampled_from(ValueType), min_size=2))
def test_anything_else_becomes_text(types: set[ValueType]) -> None:
    """Every value has a text."""
    assert settle(types) is (REAL if types == {INTEGER, REAL} else TEXT)


def test_slots_and_maintainer_are_merged() -> None:
    """The maintainer's first, in their order, then by name; each says who declared what."""
    merged = merge(
        {"b": TEXT, "a": REAL}, {"b": "B (mm)"}, {"hobby": {"d": BOOL, "a": INTEGER}, "field": {"c": TEXT}}
    )
    assert list(merged) == ["b", "a", "c", "d"]
    assert merged["b"].label == "B (mm)"
    assert merged["a"].declared == {MAINTAINER: REAL, "hobby": INTEGER}
    assert (merged["a"].value_type, merged["a"].is_conflict) == (REAL, True)
    assert (merged["d"].value_type, merged["d"].is_conflict, merged["d"].label) == (BOOL, False, None)


def test_the_order_of_slots_makes_no_difference() -> None:
    """The same pod gives the same schema on every machine."""
    views = [("x", {"a": TEXT}), ("y", {"a": REAL, "b": BOOL}), ("z", {"b": INTEGER})]
    assert len({str(merge({}, {}, dict(order))) for order in permutations(views)}) == 1


@pytest.mark.parametrize(
    ("value", "value_type", "read"),
    [
        ("x", TEXT, "x"),
        (5, TEXT, "5"),
        (1.5, TEXT, "1.5"),
        (True, TEXT, "true"),
        (5, INTEGER, 5),
        (5, REAL, 5.0),
        (1.5, REAL, 1.5),
        (True, BOOL, True),
        (5, DATETIME, 5),
        (2.5, DATETIME, 3),
        (-2.5, DATETIME, -3),
        ("x", REAL, "x"),
        (True, REAL, True),
        ("x", DATETIME, "x"),
    ],
)
def test_a_value_is_read_under_its_settled_type(value: Scalar, value_type: ValueType, read: Scalar) -> None:
    """Widening and rounding happen here, never when an item is stored."""
    found = read_value(value, value_type)
    assert (found, type(found)) == (read, type(read))


@given(value=scalars, value_type=st.sampled_from(ValueType))
def test_any_value_is_read_under_any_type(value: Scalar, value_type: ValueType) -> None:
    """A slot's type may have been another; nothing fails, and what is not widened stays what it was."""
    found = read_value(value, value_type)
    if value_type is TEXT:
        assert found == (value if type(value) is str else as_text(value))
    elif value_type is REAL and type(value) is int:
        assert found == float(value)
    elif value_type is DATETIME and type(value) is float:
        assert found == round_half_away(value)
    else:
        assert found == value


@given(value=st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.booleans())
def test_a_value_as_text_is_its_json(value: Scalar) -> None:
    """So it can be read again."""
    assert json.loads(as_text(value)) == value
