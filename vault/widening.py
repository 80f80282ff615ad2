"""Widening: what a slot declared grows with items that nobody could judge against each other.

Functions see no view: one takes a number where another took a text. Home settles
their types when it collects, and refuses none for it. FORMAT.md, "Collecting".
"""

from __future__ import annotations

from collections.abc import Mapping

from vault.items import Item
from vault.properties import BASE_PROPERTIES, TYPE_TESTS, ValueType, infer_type
from vault.schema import settle


def widened(
    own: Mapping[str, ValueType], properties: Mapping[str, ValueType], item: Item
) -> dict[str, ValueType]:
    """What an item adds to, or widens in, its slot's own view.

    A name that was used with several types is Real if they are Integer and
    Real, else Text, in whatever order the items come.

    Args:
        own: What the slot declared so far; not changed.
        properties: The maintainer's, of the policy the item was taken under.
        item: Was judged already.

    Returns:
        Names to types: those of ``own`` that change, and new ones.
    """
    changed: dict[str, ValueType] = {}
    for name, value in item.fields.items():
        if name in BASE_PROPERTIES or name in properties:
            continue
        known = own.get(name)
        if known is None or not TYPE_TESTS[known](value):
            changed[name] = _wider(known, infer_type(name, value))
    if item.is_declaration:
        name, declared = str(item.fields["propertyName"]), ValueType(str(item.fields["valueType"]))
        if name not in BASE_PROPERTIES and name not in properties:
            changed[name] = _wider(changed.get(name, own.get(name)), declared)
    return changed


def _wider(known: ValueType | None, other: ValueType) -> ValueType:
    return other if known is None else settle({known, other})
