"""Declaring a table's columns to a pod that may know better, or not let us."""

from __future__ import annotations

import ssl

from contributor_tools.address import parse_address
from contributor_tools.answers import Refused
from contributor_tools.client import Client, NotSent
from contributor_tools.declaring import Declared, declare
from contributor_tools.patience import Patience
from tests.support.invites import invite_to
from tests.support.scripted_server import DROP, Answer, Reply, Request, ScriptedServer, accept, fail
from vault.columns import Column
from vault.properties import ValueType

COLUMNS = [
    Column("A", "a", ValueType.INTEGER),
    Column("B", "b", ValueType.REAL),
    Column("C", "c", ValueType.TEXT),
]


def _declare(answer: Answer, used: str = "abc") -> tuple[Declared, list[Request]]:
    with ScriptedServer(answer) as server:
        patience = Patience(lambda: 0.0, first_seconds=0)
        tls = ssl.create_default_context()
        invite = invite_to(server.url)
        with Client(
            parse_address(server.url), invite, tls=tls, patience=patience, wait=lambda _: True
        ) as client:
            return declare(client, COLUMNS, used, "Plant"), server.requests


def _pod_that_knows(name: str, value_type: ValueType) -> Answer:
    def answer(request: Request) -> Reply:
        payload = request.payload
        if payload["propertyName"] == name and payload["valueType"] != value_type:
            return fail(400, f"{name}: it is declared with another type")
        return accept(request)

    return answer


def test_every_used_column_is_declared_once() -> None:
    """As the wire declares: name, type, and the items' type."""
    declared, requests = _declare(accept)
    assert declared == Declared(COLUMNS, [])
    assert [request.payload for request in requests] == [
        {"type": "ItemPropertySchema", "itemType": "Plant", "propertyName": "a", "valueType": "Integer"},
        {"type": "ItemPropertySchema", "itemType": "Plant", "propertyName": "b", "valueType": "Real"},
        {"type": "ItemPropertySchema", "itemType": "Plant", "propertyName": "c", "valueType": "Text"},
    ]


def test_a_column_without_values_is_not_declared() -> None:
    """Its type is a guess, and next year's numbers would meet it."""
    _, requests = _declare(accept, used="b")
    assert [request.payload["propertyName"] for request in requests] == ["b"]


def test_the_type_the_pod_knows_is_found_and_used() -> None:
    """Rows that fit it are accepted instead of all being refused."""
    declared, _ = _declare(_pod_that_knows("b", ValueType.TEXT))
    assert [column.value_type for column in declared.columns] == [
        ValueType.INTEGER,
        ValueType.TEXT,
        ValueType.TEXT,
    ]
    assert declared.stopped is None
    (note,) = declared.notes
    assert "Real" in note
    assert "Text" in note


def test_a_name_the_pod_will_not_have_is_left_to_the_items() -> None:
    """The pod's own sentence says why; it is shown clean."""
    declared, requests = _declare(lambda _: fail(400, "512 properties is the most\x1b[2J"), used="a")
    assert declared.columns == COLUMNS
    assert declared.stopped is None
    assert len(requests) == len(ValueType)
    assert declared.notes == [r"a: the pod refused its declaration: 512 properties is the most\x1b[2J"]


def test_a_pod_that_takes_no_declarations_is_asked_once() -> None:
    """Its maintainer declared what it knows; the items decide, and the contributor is told what to do."""
    declared, requests = _declare(lambda _: fail(403, "only the maintainer declares"))
    assert len(requests) == 1
    assert declared.stopped is None
    assert declared.columns == COLUMNS
    assert declared.notes == []
    assert declared.advice is not None
    assert "schema learn" in declared.advice


def test_no_pod_and_no_server_end_it() -> None:
    """There is no use in sending items to them."""
    declared, _ = _declare(lambda _: fail(404, "nothing here"))
    assert declared.stopped == Refused(404, "nothing here")
    declared, _ = _declare(lambda _: DROP)
    assert isinstance(declared.stopped, NotSent)


def test_looking_for_the_type_stops_at_trouble() -> None:
    """A pod that goes away between two tries is not knocked at four times more."""
    seen: list[str] = []

    def answer(request: Request) -> Reply:
        seen.append(request.payload["valueType"])
        return fail(400, "no") if len(seen) == 1 else fail(404, "gone")

    declared, requests = _declare(answer, used="a")
    assert len(requests) == 2
    assert declared.columns == COLUMNS
