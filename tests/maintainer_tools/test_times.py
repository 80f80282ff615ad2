"""Times, written and read."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maintainer_tools.times import ago, is_day, iso, iso_day, parse_expiry
from vault.errors import MalformedError

NOW = 1_763_728_200_123
"""2025-11-21T12:30:00.123Z."""
INT64 = st.integers(min_value=-(2**63), max_value=2**63 - 1)
MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000


@pytest.mark.parametrize(
    ("ms", "written"),
    [
        (NOW, "2025-11-21T12:30:00.123Z"),
        (0, "1970-01-01T00:00:00.000Z"),
        (-1, "1969-12-31T23:59:59.999Z"),
        (-62_135_596_800_000, "0001-01-01T00:00:00.000Z"),
        (253_402_300_799_999, "9999-12-31T23:59:59.999Z"),
        (253_402_300_800_000, "253402300800000"),
        (-(2**63), "-9223372036854775808"),
    ],
)
def test_a_time_is_written_exactly(ms: int, written: str) -> None:
    """A year of five digits is no ISO 8601 that anything reads: its number stands instead."""
    assert iso(ms) == written


@given(INT64)
def test_every_stored_time_can_be_read_back(ms: int) -> None:
    """A contributor may send any 64 bits."""
    written = iso(ms)
    if written.endswith("Z"):
        moment = datetime.fromisoformat(written)
        assert (moment - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() * 1000 == pytest.approx(
            ms, abs=0.2
        )
    else:
        assert int(written) == ms


@given(INT64)
def test_a_day_is_only_what_loses_nothing(ms: int) -> None:
    """A date instead of a time must not drop hours."""
    if is_day(ms):
        assert iso(ms) == f"{iso_day(ms)}T00:00:00.000Z"


@pytest.mark.parametrize(
    ("past", "written"),
    [
        (0, "just now"),
        (MINUTE, "1 min ago"),
        (HOUR - 1, "59 min ago"),
        (HOUR, "1 h ago"),
        (DAY, "1 d ago"),
        (29 * DAY, "29 d ago"),
        (30 * DAY, "2025-10-22"),
        (-DAY, "2025-11-22"),
    ],
)
def test_how_long_ago_in_few_words(past: int, written: str) -> None:
    """A server's clock may be ahead: then the day says what is odd."""
    assert ago(NOW - past, NOW) == written


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("90m", "2025-11-21T14:00:00.123Z"),
        ("12h", "2025-11-22T00:30:00.123Z"),
        ("30d", "2025-12-21T12:30:00.123Z"),
        ("2w", "2025-12-05T12:30:00.123Z"),
        ("2025-11-21", "2025-11-21T23:59:59.999Z"),
        ("2027-01-31", "2027-01-31T23:59:59.999Z"),
        ("2027-01-31T18:00+01:00", "2027-01-31T17:00:00.000Z"),
        ("2027-01-31T18:00:00Z", "2027-01-31T18:00:00.000Z"),
    ],
)
def test_an_expiry_is_read(text: str, written: str) -> None:
    """A day counts to its end: who says 31 January means that day too."""
    assert iso(parse_expiry(text, NOW)) == written


@pytest.mark.parametrize(
    "text",
    [
        "",
        "30",
        "30x",
        "0d",
        "-1d",
        "+1d",
        "1000000d",
        "2025-11-20",
        "2027-02-30",
        "2027-01-31T18:00",
        "soon",
        "\u0663d",
    ],
)
def test_an_expiry_that_cannot_be_meant_is_refused(text: str) -> None:
    """A time without an offset is another moment on another machine; one in the past closes at once."""
    with pytest.raises(MalformedError, match="--expires"):
        parse_expiry(text, NOW)
