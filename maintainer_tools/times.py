"""What time it is, and times as people read and write them: these are pure, the clock is passed in."""

from __future__ import annotations

import re
import time as clock
from datetime import UTC, date, datetime, time, timedelta

from vault.errors import MalformedError

MS_A_DAY = 86_400_000
_MS_A_MINUTE, _MS_AN_HOUR = 60_000, 3_600_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAYS_SHOWN = 30
_FIRST_MS = (datetime.min.replace(tzinfo=UTC) - _EPOCH) // timedelta(milliseconds=1)
_LAST_MS = (datetime.max.replace(tzinfo=UTC) - _EPOCH) // timedelta(milliseconds=1)

_UNITS = {"m": _MS_A_MINUTE, "h": _MS_AN_HOUR, "d": MS_A_DAY, "w": 7 * MS_A_DAY}
_SPAN = re.compile(r"\A([1-9][0-9]{0,5})([mhdw])\Z")
_DAY = re.compile(r"\A[0-9]{4}-[0-9]{2}-[0-9]{2}\Z")


def now_ms() -> int:
    """What time it is: UTC milliseconds since 1970."""
    return clock.time_ns() // 1_000_000


def iso(ms: int) -> str:
    """UTC milliseconds as ``2007-11-11T14:30:00.000Z``; the number itself where no calendar reaches."""
    moment = _moment(ms)
    return str(ms) if moment is None else f"{moment.replace(tzinfo=None).isoformat(timespec='milliseconds')}Z"


def iso_minute(ms: int) -> str:
    """UTC milliseconds as ``2007-11-11T14:30Z``; the number itself where no calendar reaches."""
    moment = _moment(ms)
    return str(ms) if moment is None else f"{moment.replace(tzinfo=None).isoformat(timespec='minutes')}Z"


def is_day(ms: int) -> bool:
    """Whether UTC milliseconds are the beginning of a day that a calendar reaches."""
    return ms % MS_A_DAY == 0 and _FIRST_MS <= ms <= _LAST_MS


def iso_day(ms: int) -> str:
    """The day of UTC milliseconds, as ``2007-11-11``; the number itself where no calendar reaches."""
    moment = _moment(ms)
    return str(ms) if moment is None else moment.date().isoformat()


def ago(ms: int, now_ms: int) -> str:
    """How long ago a moment was, in few words; its day if long ago or yet to come."""
    past = now_ms - ms
    if 0 <= past < _MS_A_MINUTE:
        return "just now"
    if 0 <= past < _MS_AN_HOUR:
        return f"{past // _MS_A_MINUTE} min ago"
    if 0 <= past < MS_A_DAY:
        return f"{past // _MS_AN_HOUR} h ago"
    if 0 <= past < _DAYS_SHOWN * MS_A_DAY:
        return f"{past // MS_A_DAY} d ago"
    return iso_day(ms)


def parse_expiry(text: str, now_ms: int) -> int:
    """Read when an invite ends: a span such as ``30d``, a day, or a moment.

    Args:
        text: A number of m, h, d or w from now; ``2027-01-31``, which is
            included to its end in UTC; or ISO 8601 with an offset.
        now_ms: UTC milliseconds.

    Returns:
        UTC milliseconds.

    Raises:
        MalformedError: None of these, or not in the future.
    """
    found = _SPAN.match(text)
    try:
        ms = now_ms + int(found[1]) * _UNITS[found[2]] if found else _calendar_ms(text)
    except ValueError as exc:
        raise MalformedError(
            "--expires: 30d, 12h, 2027-01-31 or 2027-01-31T18:00+01:00 was expected"
        ) from exc
    if ms <= now_ms:
        raise MalformedError("--expires: a time in the future was expected")
    return ms


def _calendar_ms(text: str) -> int:
    if _DAY.match(text):
        # Its last millisecond, so that whoever shows the day shows this one.
        midnight = datetime.combine(date.fromisoformat(text), time(), UTC)
        return (midnight - _EPOCH) // timedelta(milliseconds=1) + MS_A_DAY - 1
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("no offset")
    return (moment - _EPOCH) // timedelta(milliseconds=1)


def _moment(ms: int) -> datetime | None:
    return _EPOCH + timedelta(milliseconds=ms) if _FIRST_MS <= ms <= _LAST_MS else None
