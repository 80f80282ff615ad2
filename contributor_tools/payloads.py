"""From rows to payloads: typed, checked by the wire's own rules, with a stable id.

The id is made of what the row says, as the file says it: base64url of the first
16 bytes of HMAC-SHA256(D(K,"id"), pae(type, MP(row), LE64 occurrence)), where
occurrence counts the equal rows before it in the file. So the same file sent
again stores nothing, a file that grew stores what is new, and a column that got
another type meanwhile is a conflict, never a second copy. FORMAT.md, "Items".
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from contributor_tools.tables import Row, Table
from vault.columns import Column
from vault.encoding import le64, mp, pae
from vault.errors import ItemError
from vault.items import Item, canonical_number, parse_item
from vault.properties import Scalar

_ID_BYTES = 16


class Outgoing(msgspec.Struct, frozen=True):
    """A row that can be sent.

    Attributes:
        line: Where it stands in the file, from 1.
        payload: As `create_item` takes it.
        item: The same, as the pod will keep it.
    """

    line: int
    payload: dict[str, Any]
    item: Item


class Rejected(msgspec.Struct, frozen=True):
    """A row that breaks a rule of the wire, or the type of its column.

    Attributes:
        line: Where it stands in the file, from 1.
        reason: Names the property; never quotes the cell.
    """

    line: int
    reason: str


class StableIds:
    """Ids for the rows of one file, in its order.

    Args:
        id_key: D(K,"id"), 32 bytes: without it, ids say nothing about content.
    """

    __slots__ = ("_earlier", "_id_key")

    def __init__(self, id_key: bytes) -> None:
        self._id_key = id_key
        self._earlier: dict[bytes, int] = {}

    def next_id(self, item_type: str, row: Mapping[str, Scalar]) -> str:
        """The id of a row: 22 characters of base64url.

        Args:
            item_type: The row's type.
            row: What the file holds, by property name.
        """
        content = mp({name: _as_stored(name, cell) for name, cell in row.items()})
        fingerprint = hashlib.sha256(pae(item_type.encode(), content)).digest()[:_ID_BYTES]
        occurrence = self._earlier.get(fingerprint, 0)
        self._earlier[fingerprint] = occurrence + 1
        message = pae(item_type.encode(), content, le64(occurrence))
        digest = hmac.digest(self._id_key, message, "sha256")
        return base64.urlsafe_b64encode(digest[:_ID_BYTES]).rstrip(b"=").decode()


def payloads(table: Table, columns: Sequence[Column], id_key: bytes) -> Iterator[Outgoing | Rejected]:
    """Yield every row of a table as what can be sent, or why it cannot.

    Args:
        table: Read from its beginning.
        columns: The table's, with the types the pod knows.
        id_key: D(K,"id").

    Raises:
        MalformedError: The file is not what its name says.
    """
    ids = StableIds(id_key)
    by_name = {column.name: column for column in columns}
    for row in table.rows():
        try:
            yield _outgoing(table, row, by_name, ids)
        except ItemError as exc:
            yield Rejected(row.line, str(exc))


def _outgoing(table: Table, row: Row, columns: Mapping[str, Column], ids: StableIds) -> Outgoing:
    fields = {name: table.value(columns[name], cell) for name, cell in row.cells.items()}
    payload = {"type": row.item_type, **row.own, **fields}
    said = {name: member for name, member in row.own.items() if member is not None} | row.cells
    # Called only when type and own members are what the wire takes, so they have a canonical form.
    item = parse_item(payload, make_id=lambda: ids.next_id(row.item_type, said))
    return Outgoing(row.line, {**payload, "id": item.id}, item)


def _as_stored(name: str, cell: Scalar) -> Scalar:
    return cell if isinstance(cell, str | bool) else canonical_number(name, cell)
