"""An invite's limits on the command line."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maintainer_tools.caveat_options import (
    MOST,
    caveats_of,
    parse_count,
    parse_rate,
    parse_types,
    shown_limits,
)
from vault.caveats import Caveats
from vault.errors import MalformedError

NONE = dict.fromkeys(("types", "expires", "max_items", "max_bytes", "max_item_bytes", "rate"))


@pytest.mark.parametrize(
    ("text", "count"),
    [("1", 1), ("500", 500), ("64k", 65_536), ("10M", 10_485_760), ("1G", 1 << 30), (str(MOST), MOST)],
)
def test_a_count_or_size_is_read(text: str, count: int) -> None:
    """A size in bytes has too many zeros to type."""
    assert parse_count("--max-bytes", text) == count


@pytest.mark.parametrize(
    "text", ["", "0", "-1", "1.5", "1T", "1K", " 1", "1\n", str(MOST + 1), "9000000000G", "\u0661"]
)
def test_a_count_that_is_none_is_refused(text: str) -> None:
    """A limit misread is no limit."""
    with pytest.raises(MalformedError, match="--max-bytes"):
        parse_count("--max-bytes", text)


@given(st.text())
def test_any_text_is_a_count_or_refused(text: str) -> None:
    """Nothing else may happen."""
    with contextlib.suppress(MalformedError):
        assert 1 <= parse_count("--rate", text) <= MOST


def test_types_are_sorted_and_single() -> None:
    """The format takes one order only, so that a caveat has one form."""
    assert parse_types("Plant, Animal,Plant") == ("Animal", "Plant")


@pytest.mark.parametrize("text", ["", ",", "Plant,", "2x", "a b", "../x"])
def test_types_that_no_item_has_are_refused(text: str) -> None:
    """An invite for a misspelt type would refuse everything."""
    with pytest.raises(MalformedError, match="--types"):
        parse_types(text)


def test_a_rate_may_leave_bytes_open() -> None:
    """The format wants both numbers; the largest stands for none."""
    assert parse_rate("100") == (100, MOST)
    assert parse_rate("100,1M") == (100, 1 << 20)


def test_what_is_not_given_is_no_limit() -> None:
    """An invite without options has no caveats at all."""
    assert caveats_of(**NONE, now_ms=0) == Caveats()


def test_limits_are_shown_in_words() -> None:
    """What was set is what one sees."""
    given = {
        "types": "A,B",
        "expires": "1d",
        "max_items": "5",
        "max_bytes": "1k",
        "max_item_bytes": "9",
        "rate": "7",
    }

    assert shown_limits(caveats_of(**given, now_ms=0)) == [
        "until 1970-01-02T00:00Z",
        "5 items",
        "1024 bytes",
        "9 bytes an item",
        "7 items a minute",
        "types A,B",
    ]
    assert shown_limits(Caveats(rate=(7, 8))) == ["7 items a minute, 8 bytes a minute"]
