"""How one item is shown: a line of a list, or all of it; for people and as JSON. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from maintainer_tools.cells import is_midnight, plain
from maintainer_tools.console import shortened
from vault.properties import BASE_PROPERTIES, ValueType
from vault.schema import MergedProperty
from vault.stored import StoredItem

ID_END = 8
"""How much of a long id a list shows: its end. The beginning of many ids is the time."""
_LONG_ID = 16
_SUMMARY_FIELDS = 8
_MOST_VALUE = 40
_KINDS = {bool: ValueType.BOOL, int: ValueType.INTEGER, float: ValueType.REAL, str: ValueType.TEXT}

Schema = Mapping[str, MergedProperty]


def short_id(item: StoredItem) -> str:
    """The item's id for a screen: ``invite/id``, of a long id its end."""
    end = item.id if len(item.id) <= _LONG_ID else f"..{item.id[-ID_END:]}"
    return f"{item.slot_name}/{end}"


def summary(item: StoredItem, schema: Schema) -> str:
    """The item's first values in the schema's order, each on one short line."""
    names = _ordered(item, schema)[:_SUMMARY_FIELDS]
    return ", ".join(shortened(_text(item, name, schema), _MOST_VALUE) for name in names)


def fields(item: StoredItem, schema: Schema) -> Iterator[tuple[str, str]]:
    """Every property of the item and its value as text, in the schema's order; untrusted."""
    for name in _ordered(item, schema):
        yield name, _text(item, name, schema)


def _ordered(item: StoredItem, schema: Schema) -> list[str]:
    own = [name for name in item.members if name not in {"id", "type"} and name not in schema]
    return [*(name for name in schema if name in item.members), *own]


def _text(item: StoredItem, name: str, schema: Schema) -> str:
    value = item.members[name]
    known = schema.get(name)
    value_type = BASE_PROPERTIES.get(name) or (known.value_type if known else _KINDS[type(value)])
    return plain(value, value_type, is_day=is_midnight(value))
