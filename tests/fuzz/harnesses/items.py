"""Canonical items, as a server that was taken over seals them for a maintainer to open.

Promises: what is read is written again with the same bytes and follows every
rule of FORMAT.md; whatever it is, it can be exported, a line of JSON and a CSV
row that no spreadsheet evaluates.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator

import msgspec

from maintainer_tools.exporting import line_of
from maintainer_tools.sheets import plan, survey
from tests.fuzz.target import Shape, Target
from tests.support.vectors import vectors
from vault.encoding import mp
from vault.errors import MalformedError
from vault.items import read_canonical
from vault.properties import Scalar
from vault.schema import merge
from vault.stored import StoredItem

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")
_ID = re.compile(r"[a-zA-Z0-9_-]{6,36}")
_INT64 = range(-(2**63), 2**63)
_EVALUATED = tuple("=+-@\t\r\n")
_MS = 1_763_700_000_000


def run(data: bytes) -> None:
    """Read the item, and export it."""
    try:
        members = read_canonical(data)
    except MalformedError:
        return
    assert mp(members) == data
    assert all(map(_is_allowed, members, members.values()))
    assert _NAME.fullmatch(str(members["type"]))
    assert _ID.fullmatch(str(members["id"]))
    _export(StoredItem(1, 1, _MS, 1, "field-team", members))


def _is_allowed(name: str, value: Scalar) -> bool:
    """FORMAT.md, "Items", spelled out once more."""
    if not _NAME.fullmatch(name) or name in {"rowid", "dateServerModified"}:
        return False
    if name in {"dateCreated", "dateModified"}:
        return type(value) is int and value in _INT64
    if name == "deleted":
        return value is True
    if type(value) is float:
        return math.isfinite(value) and not (value.is_integer() and int(value) in _INT64)
    return type(value) in {str, bool} or (type(value) is int and value in _INT64)


def _export(item: StoredItem) -> None:
    assert json.loads(line_of(item))["id"] == item.id
    sheets = plan(survey([item]), merge({}, {}, {}))
    (sheet,) = sheets.values()
    row = sheet.row(item)
    assert len(row) == len(sheet.header_row())
    assert sheet.file == f"{item.type}.csv" or sheet.file.startswith(item.type)
    for name, cell in zip([None] * 3 + [column.name for column in sheet.columns], row, strict=True):
        is_text = name is None or type(item.members.get(name)) is str
        assert not is_text or not cell.startswith(_EVALUATED), cell


def _split(data: bytes) -> list[bytes]:
    return [json.dumps(msgspec.msgpack.decode(data)).encode()]


def _join(fields: list[bytes]) -> bytes:
    """MP where it is a map of what MessagePack can hold; else the value as it is."""
    value = json.loads(fields[0]) if fields else None
    try:
        return msgspec.msgpack.encode(dict(sorted(value.items())) if isinstance(value, dict) else value)
    except (OverflowError, UnicodeEncodeError):
        return b"\xc0"


def _safe_join(fields: list[bytes]) -> bytes:
    try:
        return _join(fields)
    except (ValueError, RecursionError):
        return b"".join(fields)


def _seeds() -> Iterator[bytes]:
    for vector in vectors("items/canonical"):
        yield bytes.fromhex(vector["canonical"])
    for vector in vectors("items/items"):
        if "canonical" in vector:
            yield bytes.fromhex(vector["canonical"])
    for vector in vectors("encodings/mp"):
        yield bytes.fromhex(vector["encoded"])


TARGET = Target(run, _seeds, 4_096, (Shape(_split, _safe_join),))
