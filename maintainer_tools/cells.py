"""One stored value as text: for a CSV cell, for a screen. Pure.

CSV here: a number as `repr` writes it, so that the same float64 comes back
(36.0 in a Real column, 36 in an Integer one); true and false; a time in UTC;
text that a spreadsheet would take for a formula with an apostrophe before it.
"""

from __future__ import annotations

import re

from maintainer_tools.times import is_day as begins_a_day
from maintainer_tools.times import iso, iso_day
from vault.properties import Scalar, ValueType
from vault.schema import as_text, read_value

# What a spreadsheet evaluates: OWASP, "CSV Injection". Full-width signs are signs in East Asian
# editions, and importers that trim cells drop white space and what cannot be seen before a sign.
_FORMULA = re.compile(
    r"[\t\r\n]|[\s\0\u200b-\u200f\u2060\ufeff]*[=+\-@\N{FULLWIDTH EQUALS SIGN}\N{FULLWIDTH PLUS SIGN}"
    r"\N{FULLWIDTH HYPHEN-MINUS}\N{FULLWIDTH COMMERCIAL AT}]"
)


def escaped(text: str) -> str:
    """Text as a cell that no spreadsheet evaluates."""
    return f"'{text}" if _FORMULA.match(text) else text


def cell(value: Scalar | None, value_type: ValueType, *, is_day: bool = False) -> str:
    """A value as a CSV cell; empty if absent.

    Args:
        value: As stored.
        value_type: The settled type of its column.
        is_day: Whether every time of the column is midnight, so that days say it all.
    """
    if value is None:
        return ""
    if type(value) is str:
        return escaped(value)
    return plain(value, value_type, is_day=is_day)


def plain(value: Scalar, value_type: ValueType, *, is_day: bool = False) -> str:
    """A value as text, unescaped."""
    read = read_value(value, value_type)
    if value_type is ValueType.DATETIME and type(read) is int:
        return iso_day(read) if is_day else iso(read)
    return repr(read) if type(read) is float else as_text(read)


def is_midnight(value: Scalar) -> bool:
    """Whether a value, read as a DateTime, is the beginning of a day in UTC."""
    read = read_value(value, ValueType.DATETIME)
    return type(read) is int and begins_a_day(read)
