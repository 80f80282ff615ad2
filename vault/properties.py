"""Property names, their types, and what one key slot may use of them.

A property is a typed name. The map from name to type is keyed by the name
alone, for all item types (the wire format's rule). A slot's view is what it may
use: what a new pod knows, what the maintainer declared, and what the slot
itself declared, in that order of precedence (``vault.judging``). Nothing here
reads or writes a file. FORMAT.md, "Properties and views".
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from enum import StrEnum
from types import MappingProxyType

from vault.errors import ItemError

Scalar = str | int | float | bool
"""A property's value as an item carries it."""

INT64_MIN = -(2**63)
INT64_MAX = 2**63 - 1

MAX_VIEW_NAMES = 512
"""Most names one slot may declare: bounds the sealed view to about 40 KiB."""

# \Z, never $: `$` also matches before a trailing newline.
_NAME = re.compile(r"\A[A-Za-z][A-Za-z0-9_]{0,63}\Z")

RESERVED_NAMES = frozenset(
    name.lower()
    for name in (
        *("rowid", "id", "type", "dateCreated", "dateModified", "dateServerModified", "deleted"),
        *("source", "target", "edges", "allEdges", "forwardEdges", "reverseEdges", "backwardEdges"),
    )
)
"""Names no declaration may take, in any case (the wire format's list)."""


class ValueType(StrEnum):
    """The five types of a property, spelled as on the wire."""

    TEXT = "Text"
    INTEGER = "Integer"
    REAL = "Real"
    BOOL = "Bool"
    DATETIME = "DateTime"


BASE_PROPERTIES: Mapping[str, ValueType] = MappingProxyType(
    {
        **dict.fromkeys(
            (
                *("itemType", "propertyName", "valueType", "containerImage", "targetItemId"),
                *("sha256", "key", "nonce", "id", "type"),
            ),
            ValueType.TEXT,
        ),
        **dict.fromkeys(("dateCreated", "dateModified", "dateServerModified"), ValueType.DATETIME),
        "deleted": ValueType.BOOL,
    }
)
"""What a new pod knows (Memri Pod 0.4.4, migration V4)."""


def check_property_name(name: str) -> None:
    """Refuse a name that cannot be declared.

    Raises:
        ItemError: Not ``[A-Za-z][A-Za-z0-9_]{0,63}``, or reserved in any case.
    """
    if not _NAME.match(name):
        raise ItemError(
            "propertyName", "1 to 64 letters, digits and underscores, a letter first, were expected"
        )
    if name.lower() in RESERVED_NAMES:
        raise ItemError("propertyName", "this name is reserved; choose another")


_HALF = 0.5


def round_half_away(value: float) -> int:
    """Round to the nearest integer, halves away from zero, as the wire format rounds a DateTime."""
    magnitude = abs(value)
    whole = math.floor(magnitude)
    # Not floor(magnitude + 0.5): that addition rounds 0.49999999999999994 up.
    rounded = whole + 1 if magnitude - whole >= _HALF else whole
    return -rounded if value < 0 else rounded


def _is_integer(value: Scalar) -> bool:
    return type(value) is int and INT64_MIN <= value <= INT64_MAX


def _is_real(value: Scalar) -> bool:
    if type(value) is float:
        return math.isfinite(value)
    # An integer literal of any length is a number; 10^400 has no nearest float64.
    return type(value) is int and _has_nearest_float(value)


def _has_nearest_float(value: int) -> bool:
    try:
        float(value)
    except OverflowError:
        return False
    return True


def _is_datetime(value: Scalar) -> bool:
    if type(value) is float:
        return math.isfinite(value) and INT64_MIN <= round_half_away(value) <= INT64_MAX
    return _is_integer(value)


TYPE_TESTS: Mapping[ValueType, Callable[[Scalar], bool]] = {
    ValueType.TEXT: lambda value: type(value) is str,
    ValueType.INTEGER: _is_integer,
    ValueType.REAL: _is_real,
    ValueType.BOOL: lambda value: type(value) is bool,
    ValueType.DATETIME: _is_datetime,
}
"""Whether a value, as decoded from its JSON literal, is of a property's type and within its range."""

_EXPECTED: Mapping[ValueType, str] = {
    ValueType.TEXT: "text was expected",
    ValueType.INTEGER: "an integer of 64 bits, written without point or exponent, was expected",
    ValueType.REAL: "a finite number was expected",
    ValueType.BOOL: "true or false was expected",
    ValueType.DATETIME: "milliseconds since 1970 within 64 bits were expected",
}


def check_value(name: str, value: Scalar, value_type: ValueType) -> None:
    """Refuse a value that is not of the property's type.

    Args:
        name: The property, named in the error.
        value: As decoded from the JSON literal: an int only for ``-?digits``.
        value_type: The property's type.

    Raises:
        ItemError: The value is of another type or out of range.
    """
    if not TYPE_TESTS[value_type](value):
        raise ItemError(name, _EXPECTED[value_type])


def infer_type(name: str, value: Scalar) -> ValueType:
    """The type the policy ``infer`` gives an unknown property on first sight.

    Raises:
        ItemError: A number beyond 64 bits that is no finite Real either.
    """
    if type(value) is str:
        return ValueType.TEXT
    if type(value) is bool:
        return ValueType.BOOL
    if _is_integer(value):
        return ValueType.INTEGER
    check_value(name, value, ValueType.REAL)
    return ValueType.REAL
