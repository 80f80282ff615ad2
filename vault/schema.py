"""The maintainer's schema: what all slots declared, and how differences are settled.

Each slot has a view of its own, so two may give one name two types. Integer and
Real become Real; anything else becomes Text. FORMAT.md, "Properties and views".
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from vault.properties import Scalar, ValueType, round_half_away

MAINTAINER = "pod.toml"
"""Who declared a property that the maintainer did."""


class MergedProperty(msgspec.Struct, frozen=True):
    """One name over all slots.

    Attributes:
        name: The property.
        value_type: The settled type.
        label: The header a person wrote, or None.
        declared: Who gave it which type: invite name (or ``pod.toml``) to type.
    """

    name: str
    value_type: ValueType
    label: str | None
    declared: Mapping[str, ValueType]

    @property
    def is_conflict(self) -> bool:
        """Whether two slots gave it two types."""
        return len(set(self.declared.values())) > 1


def settle(types: set[ValueType]) -> ValueType:
    """The one type that stands for several.

    Args:
        types: At least one.
    """
    if len(types) == 1:
        return next(iter(types))
    return ValueType.REAL if types == {ValueType.INTEGER, ValueType.REAL} else ValueType.TEXT


def merge(
    maintainer: Mapping[str, ValueType],
    labels: Mapping[str, str],
    views: Mapping[str, Mapping[str, ValueType]],
) -> dict[str, MergedProperty]:
    """Merge the maintainer's properties with each slot's own view.

    Args:
        maintainer: pod.toml's properties.
        labels: pod.toml's labels.
        views: Invite name to what it declared.

    Returns:
        Name to property: the maintainer's first, in their order, then by name.
    """
    declared: dict[str, dict[str, ValueType]] = {
        name: {MAINTAINER: kind} for name, kind in maintainer.items()
    }
    for slot_name, own in sorted(views.items()):
        for name in sorted(own):
            declared.setdefault(name, {})[slot_name] = own[name]
    return {
        name: MergedProperty(name, settle(set(by.values())), labels.get(name), by)
        for name, by in declared.items()
    }


def as_text(value: Scalar) -> str:
    """A value as text, as JSON writes it but for quotes."""
    return value if type(value) is str else msgspec.json.encode(value).decode()


def read_value(value: Scalar, value_type: ValueType) -> Scalar:
    """A stored value under its settled type: widening and rounding happen here, not when it is stored.

    Args:
        value: As the canonical item holds it.
        value_type: The settled type.

    Returns:
        Text for Text, int for Integer, float for Real, bool for Bool, int
        milliseconds for DateTime; the value itself where it is of no such kind,
        because its slot's type was another.
    """
    kind = type(value)
    if value_type is ValueType.TEXT:
        return as_text(value)
    if value_type is ValueType.REAL and kind is int:
        return float(value)
    if value_type is ValueType.DATETIME and kind is float:
        return round_half_away(float(value))
    return value
