"""Values are believed only as far as their columns go: a file may have been made by hand."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vault.errors import DamagedError
from vault.rows import only, typed

Kind = list[tuple[int, bytes, bytes | None, str]]
values = st.none() | st.integers() | st.binary() | st.text() | st.floats() | st.booleans()


def test_rows_of_their_types_are_returned() -> None:
    """The same values, as tuples."""
    assert typed([(1, b"a", None, "x"), (2, b"", b"b", "")], Kind) == [
        (1, b"a", None, "x"),
        (2, b"", b"b", ""),
    ]


@pytest.mark.parametrize(
    "row",
    [
        ("1", b"", None, ""),
        (1.0, b"", None, ""),
        (None, b"", None, ""),
        (1, "YQ==", None, ""),
        (1, None, None, ""),
        (1, b"", 5, ""),
        (1, b"", None, b""),
        (1, b"", None),
    ],
)
def test_a_value_of_another_type_is_damage(row: tuple[Any, ...]) -> None:
    """Text is not taken for base64, a float not for an integer."""
    with pytest.raises(DamagedError, match="made by hand"):
        typed([row], Kind)


@pytest.mark.parametrize("rows", [[], [(1, b"", None, ""), (1, b"", None, "")]])
def test_a_row_that_must_be_there_is_there_once(rows: list[tuple[Any, ...]]) -> None:
    """A page made by hand lists a row that its own index does not lead to."""
    assert only([(1, b"a", None, "x")], Kind) == (1, b"a", None, "x")
    with pytest.raises(DamagedError, match="not where its key says"):
        only(rows, Kind)


@given(rows=st.lists(st.tuples(values, values, values, values)))
def test_any_rows_give_rows_or_our_error(rows: list[tuple[Any, ...]]) -> None:
    """Whatever SQLite hands out, a TypeError does not reach a tool."""
    try:
        found = typed(rows, Kind)
    except DamagedError:
        return
    assert found == rows
    assert all(
        type(a) is type(b)
        for one, other in zip(found, rows, strict=True)
        for a, b in zip(one, other, strict=True)
    )
