"""Columns of a table: a property's name from a header, its type from a whole file.

Shared by the two sides that must agree: the maintainer's `schema learn` and the
contributor's `send`. Pure functions: nothing here opens a file, and nothing
knows CSV; a row is a sequence of cells, a cell is text, exactly as it stands.

A type is given only where it loses nothing a reader could miss: `007`,
`+31612345678` and integers beyond 64 bits stay Text, and so does a time with
microseconds, because a DateTime holds milliseconds. FORMAT.md, "Columns".
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterable, Sequence
from datetime import date

import msgspec

from vault.errors import ItemError
from vault.properties import INT64_MAX, INT64_MIN, RESERVED_NAMES, Scalar, ValueType

MISSING = frozenset({"", "NA"})
"""Cells that mean "no value here": the property is absent from the item."""

MAX_NAME_CHARACTERS = 64
"""Longest property name of the wire format."""

_MS_A_MINUTE = 60_000
_MS_A_DAY = 86_400_000
_EPOCH_DAY = date(1970, 1, 1).toordinal()
_MS_DIGITS = 3
_LAST_HOUR, _LAST_MINUTE, _LAST_SECOND = 23, 59, 59

_READY_NAME = re.compile(r"\A[a-z][A-Za-z0-9_]{0,63}\Z")
_WORD = re.compile(r"[A-Za-z0-9]+")
# A leading run of capitals, but for one that begins a word: `DNASample` is `dnaSample`.
_LEADING_CAPITALS = re.compile(r"\A(?:[A-Z]+(?=[A-Z][a-z])|[A-Z]+)")

# Latin letters, units and signs that NFKD leaves whole; without them `Dose (µg)` would claim grams.
_SPELLED_OUT = str.maketrans(
    {
        "\N{GREEK SMALL LETTER MU}": "u",
        "Ω": "Ohm",
        "%": " percent ",
        "‰": " permille ",
        "ß": "ss",
        "æ": "ae",
        "Æ": "AE",
        "œ": "oe",
        "Œ": "OE",
        "ø": "o",
        "Ø": "O",
        "ð": "d",
        "Ð": "D",
        "þ": "th",
        "Þ": "Th",
        "đ": "d",
        "Đ": "D",
        "ł": "l",
        "Ł": "L",
        "\N{LATIN SMALL LETTER DOTLESS I}": "i",
    }
)

_INTEGER = re.compile(r"\A-?(?:0|[1-9][0-9]*)\Z")
# RFC 8259 6, the grammar of a JSON number.
_NUMBER = re.compile(r"\A-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?\Z")
_BOOLS = {"true": True, "false": False}
# ISO 8601 extended; RFC 3339 5.6 allows the space.
_DATETIME = re.compile(
    r"\A([0-9]{4}-[0-9]{2}-[0-9]{2})"
    r"(?:[T ]([0-9]{2}):([0-9]{2})(?::([0-9]{2})(?:\.([0-9]{1,9}))?)?"
    r"(?:Z|([+-])([0-9]{2}):?([0-9]{2}))?)?\Z"
)
_MAX_INTEGER = 20
"""Characters of the longest integer of 64 bits, sign included; int() refuses thousands of digits."""


class Column(msgspec.Struct, frozen=True):
    """One column of a table.

    Attributes:
        header: As the file has it; the property's label.
        name: The property's name on the wire.
        value_type: What all its cells are.
    """

    header: str
    name: str
    value_type: ValueType


def property_name(header: str) -> str:
    """Make a property's name of a header; empty if the header gives none.

    A header that is a name already and begins with a small letter stays as it
    is, so `body_mass_g` and `studyName` do. Else the words are joined in camel
    case, units in brackets among them: `Culmen Length (mm)` is
    `culmenLengthMm`. Letters with marks lose the marks; letters of other
    scripts give nothing. A name the wire format reserves gets `Value` behind it.

    Args:
        header: Any text.

    Returns:
        At most 64 characters of ``[A-Za-z][A-Za-z0-9_]*``, or nothing.
    """
    name = header if _READY_NAME.match(header) else _camel_case(_WORD.findall(_ascii(header)))
    if name.lower() in RESERVED_NAMES:
        name += "Value"
    return name[:MAX_NAME_CHARACTERS]


def property_names(headers: Sequence[str], *, others: Iterable[str] = ()) -> list[str]:
    """Make one name a header, none equal to another in any case.

    Args:
        headers: A file's headers, in order. Equal ones are told apart by
            `_2`, `_3` ..., in that order; one that gives no name becomes
            `columnN`, N its position from 1.
        others: Names that are taken already.
    """
    names: list[str] = []
    taken = {name.lower() for name in others}
    for position, header in enumerate(headers, start=1):
        name = _unlike(taken, property_name(header) or f"column{position}")
        taken.add(name.lower())
        names.append(name)
    return names


def learn_columns(
    headers: Sequence[str], rows: Iterable[Sequence[str]], *, missing: frozenset[str] = MISSING
) -> list[Column]:
    """Name and type the columns of a whole file.

    A column is Integer, Real, Bool or DateTime if every cell that is not
    missing is; else, and if all are missing, Text.

    Args:
        headers: One a column.
        rows: Every row, as many cells as headers. Read once, none is kept.
        missing: Cells that mean "no value".
    """
    possible: list[tuple[ValueType, ...]] = [_ANY_TYPE for _ in headers]
    seen = [False for _ in headers]
    for row in rows:
        for index, text in enumerate(row):
            if text not in missing:
                seen[index] = True
                possible[index] = _narrowed(possible[index], text)
    return [
        Column(header, name, types[0] if has_value else ValueType.TEXT)
        for header, name, types, has_value in zip(
            headers, property_names(headers), possible, seen, strict=True
        )
    ]


def parse_cell(column: Column, text: str, *, missing: frozenset[str] = MISSING) -> Scalar | None:
    """Read one cell as its column's type.

    Args:
        column: What the cell must be.
        text: The cell, unchanged.
        missing: Cells that mean "no value".

    Returns:
        The value as an item carries it (a DateTime as UTC milliseconds; a date
        is its midnight, and a time without offset is read as UTC), or None if
        the cell is missing.

    Raises:
        ItemError: The cell is not of the column's type. Names the property,
            never the cell.
    """
    if text in missing:
        return None
    value = _PARSERS[column.value_type](text)
    if value is None:
        raise ItemError(column.name, f"{_EXPECTED[column.value_type]} was expected")
    return value


def _ascii(header: str) -> str:
    decomposed = unicodedata.normalize("NFKD", header)
    # A mark left standing would end the word it is in.
    unmarked = "".join(character for character in decomposed if not unicodedata.combining(character))
    return unmarked.translate(_SPELLED_OUT)


def _camel_case(words: Sequence[str]) -> str:
    if not words:
        return ""
    if words[0][0].isdigit():
        words = ["column", *words]
    return _uncapitalised(words[0]) + "".join(_capitalised(word) for word in words[1:])


def _uncapitalised(word: str) -> str:
    return _LEADING_CAPITALS.sub(lambda capitals: capitals[0].lower(), word)


def _capitalised(word: str) -> str:
    # `ID` becomes `Id`; `pH` keeps its inside.
    return word.capitalize() if word.isalpha() and word.isupper() else word[0].upper() + word[1:]


def _unlike(taken: set[str], name: str) -> str:
    candidate, number = name, 1
    while candidate.lower() in taken:
        number += 1
        suffix = f"_{number}"
        candidate = name[: MAX_NAME_CHARACTERS - len(suffix)] + suffix
    return candidate


def _integer(text: str) -> int | None:
    if len(text) > _MAX_INTEGER or not _INTEGER.match(text):
        return None
    value = int(text)
    return value if INT64_MIN <= value <= INT64_MAX else None


def _real(text: str) -> float | None:
    if not _NUMBER.match(text):
        return None
    # Digits alone beyond 64 bits name something (a barcode, an account); float64 would change it.
    if _INTEGER.match(text) and _integer(text) is None:
        return None
    value = float(text)
    return value if math.isfinite(value) else None


def _bool(text: str) -> bool | None:
    return _BOOLS.get(text.lower())


def _datetime(text: str) -> int | None:
    found = _DATETIME.match(text)
    if not found:
        return None
    day, hour, minute, second, fraction, sign, offset_hours, offset_minutes = found.groups("0")
    try:
        since_midnight = _clock_ms(hour, minute) + _second_ms(second, fraction)
        offset = _clock_ms(offset_hours, offset_minutes)
        return _day_ms(day) + since_midnight + (offset if sign == "-" else -offset)
    except ValueError:
        return None


def _day_ms(day: str) -> int:
    return (date.fromisoformat(day).toordinal() - _EPOCH_DAY) * _MS_A_DAY


def _clock_ms(hour: str, minute: str) -> int:
    if int(hour) > _LAST_HOUR or int(minute) > _LAST_MINUTE:
        raise ValueError("no time of a day")
    return (int(hour) * 60 + int(minute)) * _MS_A_MINUTE


def _second_ms(second: str, fraction: str) -> int:
    digits = fraction.ljust(_MS_DIGITS, "0")
    # No leap second: milliseconds since 1970 have no number for it.
    if int(second) > _LAST_SECOND or digits[_MS_DIGITS:].strip("0"):
        raise ValueError("no whole millisecond of a minute")
    return int(second) * 1000 + int(digits[:_MS_DIGITS])


def _text(text: str) -> str:
    return text


_PARSERS = {
    ValueType.INTEGER: _integer,
    ValueType.REAL: _real,
    ValueType.BOOL: _bool,
    ValueType.DATETIME: _datetime,
    ValueType.TEXT: _text,
}

_EXPECTED = {
    ValueType.INTEGER: "an integer of 64 bits without leading zeros",
    ValueType.REAL: "a finite number, written like 39.1 or 4e-3,",
    ValueType.BOOL: "true or false",
    ValueType.DATETIME: "a date or time no finer than ms, written like 2007-11-16 or 2007-11-16T14:30:00Z,",
}

# The first that fits every cell is the column's: every Integer cell is a Real cell too.
_ANY_TYPE = (ValueType.INTEGER, ValueType.REAL, ValueType.BOOL, ValueType.DATETIME, ValueType.TEXT)


def _narrowed(types: tuple[ValueType, ...], text: str) -> tuple[ValueType, ...]:
    if types == (ValueType.TEXT,):
        return types
    return tuple(value_type for value_type in types if _PARSERS[value_type](text) is not None)
