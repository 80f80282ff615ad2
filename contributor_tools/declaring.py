"""Declare a table's properties before its items, and learn what the pod calls them.

An invite does not say who may declare, so `send` tries. A pod that lets only
its maintainer declare answers 403: then the items decide. A name the pod knows
with another type answers 400; the same declaration as known answers 200 and
stores nothing, so trying the other types finds the known one (all of this is
within the contributor's own view; nobody else's declarations show).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from http import HTTPStatus

import msgspec

from contributor_tools.answers import Accepted, Refused
from contributor_tools.client import Client, NotSent
from contributor_tools.console import clean
from vault.columns import Column
from vault.items import SCHEMA_TYPE
from vault.properties import ValueType


class Declared(msgspec.Struct, frozen=True):
    """What declaring came to.

    Attributes:
        columns: As given, with the types the pod knows.
        notes: Sentences for the contributor.
        advice: What to do if items are rejected now; None if all was declared.
        stopped: Why items need not be tried; None to go on.
    """

    columns: list[Column]
    notes: list[str]
    advice: str | None = None
    stopped: Refused | NotSent | None = None


def declare(client: Client, columns: Sequence[Column], used: Iterable[str], item_type: str) -> Declared:
    """Declare the columns that are used.

    A column without any value is not declared: its type is not known, and a
    declaration cannot be taken back.

    Args:
        client: One connection.
        columns: All of the table's.
        used: Names of the properties that items to be sent have.
        item_type: Named in the declarations; the wire keeps names for all types alike.
    """
    wanted = frozenset(used)
    known: dict[str, Column] = {}
    notes: list[str] = []
    advice: str | None = None
    for column in columns:
        if column.name not in wanted:
            continue
        answer = _declare_one(client, column, item_type)
        if isinstance(answer, Refused) and answer.is_about_permission:
            advice = _only_the_maintainer(answer)
            break
        if isinstance(answer, NotSent) or (isinstance(answer, Refused) and not answer.is_about_item):
            return Declared(list(columns), notes, stopped=answer)
        if isinstance(answer, Refused):
            known[column.name] = found = _as_known(client, column, item_type)
            notes.append(_conflict(column, found, answer))
    return Declared([known.get(column.name, column) for column in columns], notes, advice)


def _declare_one(client: Client, column: Column, item_type: str) -> Accepted | Refused | NotSent:
    return client.send_item(
        {
            "type": SCHEMA_TYPE,
            "itemType": item_type,
            "propertyName": column.name,
            "valueType": column.value_type.value,
        }
    )


def _as_known(client: Client, column: Column, item_type: str) -> Column:
    for value_type in ValueType:
        if value_type is column.value_type:
            continue
        candidate = Column(column.header, column.name, value_type)
        answer = _declare_one(client, candidate, item_type)
        if isinstance(answer, Accepted):
            return candidate
        if not (isinstance(answer, Refused) and answer.status == HTTPStatus.BAD_REQUEST):
            break
    return column


def _conflict(column: Column, known: Column, answer: Refused) -> str:
    if known.value_type is column.value_type:
        return f"{column.name}: the pod refused its declaration: {clean(answer.sentence)}"
    return (
        f"{column.name}: this file's column is {column.value_type}, the pod knows it as {known.value_type}; "
        f"rows that are not {known.value_type} there are rejected"
    )


def _only_the_maintainer(answer: Refused) -> str:
    return (
        f"the pod took no declarations from this invite ({clean(answer.sentence)}); if it refused fields it "
        "does not know, ask the maintainer to declare them: `shared-pod schema learn` does it from this file"
    )
