"""JSON Lines as a table of items: one flat JSON object a line.

A member is a property under its own name if the wire takes that name; else its
name is made as from a CSV header. `type`, `id` and the wire's other members are
taken as they stand. JSON says its own types: text stays text, even where it
looks like a date; numbers are Real as soon as one of the column is; a column of
several kinds is Text. null is a missing value.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import IO, Any, BinaryIO, NoReturn, cast

from contributor_tools.lines import read_lines
from contributor_tools.tables import MAX_COLUMNS, REASON, Row, Table
from vault.columns import Column, parse_cell, property_names
from vault.errors import ItemError, MalformedError
from vault.properties import INT64_MAX, INT64_MIN, Scalar, ValueType, check_property_name, check_value

_OWN_MEMBERS = frozenset(("id", "dateCreated", "dateModified", "deleted"))
# The pod drops a client's rowid and dateServerModified too; `export` adds what begins with "_".
_LEFT_OUT = _OWN_MEMBERS | {"type", "rowid", "dateServerModified", "_from", "_seq", "_received", REASON}

_KINDS: dict[type, frozenset[ValueType]] = {
    str: frozenset((ValueType.TEXT,)),
    bool: frozenset((ValueType.BOOL,)),
    float: frozenset((ValueType.REAL,)),
}
_INTEGER_KINDS = frozenset((ValueType.INTEGER, ValueType.REAL))
_ORDER = (ValueType.INTEGER, ValueType.REAL, ValueType.BOOL, ValueType.TEXT)


class JsonlTable(Table):
    """An open JSON Lines file.

    Args:
        file: Seekable, binary; stays open.
        item_type: The type of lines without a `type`; None if all must have one.
    """

    suffix = ".jsonl"

    def __init__(self, file: BinaryIO, item_type: str | None) -> None:
        self._file = file
        self._item_type = item_type
        self._names: dict[str, str] = {}

    def learn(self) -> list[Column]:
        """Read the whole file; name and type its members."""
        kinds: dict[str, frozenset[ValueType]] = {}
        for line, members in self._objects():
            for member in members.keys() - _LEFT_OUT:
                kinds[member] = kinds.get(member, frozenset(_ORDER)) & _kinds_of(members[member])
            if len(kinds) > MAX_COLUMNS:
                raise MalformedError(
                    f"line {line}: the file has more than {MAX_COLUMNS} different members by now"
                )
        self._names = _names(sorted(kinds))
        return [Column(member, name, _type_of(kinds[member])) for member, name in self._names.items()]

    def rows(self) -> Iterator[Row]:
        """Yield the objects that hold something; `learn` must have run."""
        for line, members in self._objects():
            own = {name: members[name] for name in members.keys() & _OWN_MEMBERS}
            cells = {
                self._names[member]: cell
                for member, cell in members.items()
                if member not in _LEFT_OUT and cell is not None
            }
            if own or cells:
                yield Row(line, self._type_of_line(line, members), cells, own)

    def value(self, column: Column, cell: Any) -> Scalar:
        """Check that a cell is of its column's type; text is read as a DateTime where that is known."""
        if column.value_type is ValueType.DATETIME and type(cell) is str:
            return cast(Scalar, parse_cell(column, cell, missing=frozenset()))
        check_value(column.name, cell, column.value_type)
        return cast(Scalar, cell)

    def write_rejected(self, out: IO[str], reasons: Mapping[int, str]) -> None:
        """Write the objects, each with a member that says the reason."""
        for line, members in self._objects():
            if line in reasons:
                out.write(json.dumps({**members, REASON: reasons[line]}, ensure_ascii=False) + "\n")

    def _type_of_line(self, line: int, members: Mapping[str, Any]) -> str:
        item_type = members.get("type", self._item_type)
        if item_type is None:
            raise MalformedError(f"line {line}: no type; give the lines a member `type`, or pass --type")
        # Another JSON type is refused with the row, by the rule of the wire.
        return cast(str, item_type)

    def _objects(self) -> Iterator[tuple[int, dict[str, Any]]]:
        for line, text in enumerate(read_lines(self._file), start=1):
            if not text.isspace():
                yield line, _object(line, text)


def _object(line: int, text: str) -> dict[str, Any]:
    try:
        members = json.loads(text, object_pairs_hook=_members, parse_constant=_refuse_constant)
        # A lone surrogate has no UTF-8; only an escape can hold one.
        if "\\u" in text:
            json.dumps(members, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as exc:
        raise MalformedError(f"line {line}: not JSON of the wire: {_why(exc)}") from exc
    if type(members) is not dict:
        raise MalformedError(f"line {line}: one JSON object a line was expected")
    return members


def _why(exc: Exception) -> str:
    if isinstance(exc, json.JSONDecodeError):
        return f"{exc.msg}, at character {exc.colno}"
    if isinstance(exc, _RepeatedMemberError):
        return str(exc)
    if isinstance(exc, UnicodeEncodeError):
        return "an escape is half a character"
    return "it is nested too deeply, or holds a number that is none"


class _RepeatedMemberError(ValueError):
    pass


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise _RepeatedMemberError("a member stands twice")
    return members


def _refuse_constant(_: str) -> NoReturn:
    raise ValueError("NaN and Infinity are no JSON")


def _kinds_of(cell: Any) -> frozenset[ValueType]:
    if type(cell) is int:
        return _INTEGER_KINDS if INT64_MIN <= cell <= INT64_MAX else _KINDS[float]
    # null, and what the wire refuses row by row, decides nothing.
    return _KINDS.get(type(cell), frozenset(_ORDER))


def _type_of(kinds: frozenset[ValueType]) -> ValueType:
    if len(kinds) == len(_ORDER):
        return ValueType.TEXT
    return next((kind for kind in _ORDER if kind in kinds), ValueType.TEXT)


def _names(members: list[str]) -> dict[str, str]:
    ready = [member for member in members if _is_ready(member)]
    others = [member for member in members if not _is_ready(member)]
    made = property_names(others, others=ready)
    return dict(zip([*ready, *others], [*ready, *made], strict=True))


def _is_ready(member: str) -> bool:
    try:
        check_property_name(member)
    except ItemError:
        return False
    return True
