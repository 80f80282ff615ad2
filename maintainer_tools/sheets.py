"""The CSV file of each item type: its name, its columns, its cells. Pure.

A first pass over the items tells what is there (`Seen`), a plan is made of it
(`Sheet`), a second pass writes. Columns: what every item has, then the
properties in the schema's order under their labels.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec

from maintainer_tools.cells import cell, escaped, is_midnight
from maintainer_tools.times import iso
from vault.properties import BASE_PROPERTIES, Scalar, ValueType
from vault.schema import MergedProperty, settle
from vault.stored import StoredItem

_ALWAYS = ("id", "from", "received")
_DATES = ("dateCreated", "dateModified")
_DELETED = "deleted"
_OWN = frozenset(("id", "type", _DELETED, *_DATES))
_KINDS = {bool: ValueType.BOOL, int: ValueType.INTEGER, float: ValueType.REAL, str: ValueType.TEXT}
_DIGEST_DIGITS = 8
_DEVICES = frozenset(
    (
        *("con", "prn", "aux", "nul"),
        *(f"{port}{number}" for port in ("com", "lpt") for number in range(10)),
    )
)
"""Names that Windows keeps for devices, whatever follows a point: an export there could not be opened."""


class Seen(msgspec.Struct):
    """What a first pass found of one item type.

    Attributes:
        rows: Items.
        kinds: Each member's types as its values are stored.
        clocked: Members with a value that is no midnight.
    """

    rows: int = 0
    kinds: dict[str, set[ValueType]] = msgspec.field(default_factory=dict)
    clocked: set[str] = msgspec.field(default_factory=set)

    def add(self, item: StoredItem) -> None:
        """Take note of one item."""
        self.rows += 1
        for name, value in item.members.items():
            self.kinds.setdefault(name, set()).add(_KINDS[type(value)])
        for name, value in {**dict.fromkeys(_DATES, item.ms), **item.members}.items():
            if name not in self.clocked and not is_midnight(value):
                self.clocked.add(name)


class Column(msgspec.Struct, frozen=True):
    """One column after those that every item has.

    Attributes:
        name: The member of the item.
        header: What stands on top.
        value_type: The settled type.
        is_day: Whether times are written as days.
    """

    name: str
    header: str
    value_type: ValueType
    is_day: bool

    def text(self, item: StoredItem) -> str:
        """The cell of one item."""
        return cell(self._value(item), self.value_type, is_day=self.is_day)

    def _value(self, item: StoredItem) -> Scalar | None:
        if self.name in _DATES:
            return item.members.get(self.name, item.ms)
        return item.members.get(self.name, False if self.name == _DELETED else None)


class Sheet(msgspec.Struct, frozen=True):
    """One CSV file to be written.

    Attributes:
        type: The items' type.
        file: Its name.
        rows: How many there are.
        columns: Those after the first three.
    """

    type: str
    file: str
    rows: int
    columns: tuple[Column, ...]

    def header_row(self) -> list[str]:
        """What stands on top of each column."""
        return [*_ALWAYS, *(column.header for column in self.columns)]

    def row(self, item: StoredItem) -> list[str]:
        """One item's cells."""
        return [
            escaped(item.id),
            escaped(item.slot_name),
            iso(item.ms),
            *(column.text(item) for column in self.columns),
        ]


def survey(items: Iterable[StoredItem]) -> dict[str, Seen]:
    """The first pass: what there is, by item type."""
    seen: dict[str, Seen] = {}
    for item in items:
        seen.setdefault(item.type, Seen()).add(item)
    return seen


def plan(seen: Mapping[str, Seen], schema: Mapping[str, MergedProperty]) -> dict[str, Sheet]:
    """Make a plan of what was seen.

    Args:
        seen: By item type.
        schema: The maintainer's, over all slots.

    Returns:
        A sheet an item type, sorted by type.
    """
    files = _file_names(sorted(seen))
    return {
        item_type: Sheet(item_type, files[item_type], seen[item_type].rows, _columns(seen[item_type], schema))
        for item_type in sorted(seen)
    }


def settled(seen: Mapping[str, Seen], schema: Mapping[str, MergedProperty]) -> Iterator[MergedProperty]:
    """The properties in use to which two slots gave two types."""
    used = {name for found in seen.values() for name in found.kinds}
    return (known for known in schema.values() if known.is_conflict and known.name in used)


def _file_names(types: Sequence[str]) -> dict[str, str]:
    """A file's name for each type, different also where case makes no difference, and nowhere a device's."""
    names: dict[str, str] = {}
    taken = set(_DEVICES)
    for item_type in types:
        stem = item_type
        while stem.lower() in taken:
            stem = f"{stem}_{hashlib.sha256(item_type.encode()).hexdigest()[:_DIGEST_DIGITS]}"
        taken.add(stem.lower())
        names[item_type] = f"{stem}.csv"
    return names


def _columns(seen: Seen, schema: Mapping[str, MergedProperty]) -> tuple[Column, ...]:
    order = [*_DATES, _DELETED, *schema, *BASE_PROPERTIES, *sorted(seen.kinds)]
    names = [name for name in dict.fromkeys(order) if name in seen.kinds and name not in {"id", "type"}]
    headers = _headers(names, schema)
    return tuple(
        Column(name, headers[name], _type_of(name, seen, schema), name not in seen.clocked) for name in names
    )


def _type_of(name: str, seen: Seen, schema: Mapping[str, MergedProperty]) -> ValueType:
    if name in BASE_PROPERTIES:
        return BASE_PROPERTIES[name]
    # A property the maintainer has removed from pod.toml since: what its values are.
    return schema[name].value_type if name in schema else settle(seen.kinds[name])


def _headers(names: Sequence[str], schema: Mapping[str, MergedProperty]) -> dict[str, str]:
    labels = {name: escaped(_label(name, schema)) for name in names}
    uses = Counter([*_ALWAYS, *labels.values()])
    headers: dict[str, str] = {}
    taken = set(uses)
    for name, label in labels.items():
        header = label
        while uses[label] > 1 and header in taken:
            header = f"{header} ({name})"
        taken.add(header)
        headers[name] = header
    return headers


def _label(name: str, schema: Mapping[str, MergedProperty]) -> str:
    known = None if name in _OWN else schema.get(name)
    return (known and known.label) or name
