"""The rows of a batch: what a commit writes, and what it leaves as it was."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from tests.support.pods import TestPod
from vault.header import parse_header
from vault.items import item_name
from vault.keys import is_signed
from vault.properties import ValueType
from vault.slots import OpenedSlot
from vault.views import open_view


@pytest.fixture
def one(pod: TestPod) -> OpenedSlot:
    """A slot."""
    return pod.slot("one")


@pytest.fixture
def other(pod: TestPod) -> OpenedSlot:
    """Another one."""
    return pod.slot("other")


def rows(pod: TestPod, sql: str) -> list[tuple[Any, ...]]:
    """Read a closed vault."""
    with pod.reader() as reader:
        return reader.rows.execute(sql)


def test_a_batch_is_one_row_and_its_items_follow(pod: TestPod, one: OpenedSlot, other: OpenedSlot) -> None:
    """seq goes on over batches without a gap, whichever slot an item came through."""
    with pod.writer() as writer:
        for slots in ([one, other], [other], [one, one, other]):
            writer.commit(pod.policy, [pod.submission(slot) for slot in slots])

    assert rows(pod, "SELECT batch, first_seq FROM batch") == [(1, 1), (2, 3), (3, 4)]
    assert rows(pod, "SELECT seq FROM item ORDER BY seq") == [(seq,) for seq in range(1, 7)]


def test_a_batch_holds_what_its_header_names(pod: TestPod, one: OpenedSlot) -> None:
    """uid, wraps and signature are the header's; digests are of the sealed items."""
    with pod.writer() as writer:
        writer.commit(pod.policy, [pod.submission(one, id="item-1"), pod.submission(one, id="item-2")])

    ((uid, packed, wraps, signature),) = rows(pod, "SELECT uid, header, wraps, signature FROM batch")
    header = parse_header(packed)
    assert header.uid == uid
    assert header.wraps_hash == hashlib.sha256(wraps).digest()
    assert is_signed(pod.keys.log_key.public, signature, packed)
    stored = rows(pod, "SELECT name, digest, sealed FROM item ORDER BY seq")
    assert [name for name, _, _ in stored] == [item_name(one.name_key, f"item-{i}") for i in (1, 2)]
    assert all(hashlib.sha256(sealed).digest() == digest for _, digest, sealed in stored)


def test_nothing_a_contributor_wrote_is_clear(pod: TestPod, one: OpenedSlot) -> None:
    """Under the file key, which every contributor could unwrap: no type, id, name or value."""
    canaries = ["CanaryType", "canary-id-1234", "canaryName", "canary text"]
    with pod.writer() as writer:
        declaration = pod.declaration(one, "canaryName", "Text")
        item = pod.submission(one, type="CanaryType", id="canary-id-1234", canaryName="canary text")
        writer.commit(pod.policy, [declaration, item])

    with pod.reader() as reader:
        for (table,) in reader.rows.execute("SELECT name FROM sqlite_schema WHERE type = 'table'"):
            for value in (value for row in reader.rows.execute(f"SELECT * FROM {table}") for value in row):
                content = value if isinstance(value, bytes) else str(value).encode()
                assert not any(canary.encode() in content for canary in canaries), table


def test_counters_are_of_the_slots_that_stored(pod: TestPod, one: OpenedSlot, other: OpenedSlot) -> None:
    """A slot has a row from its first item on; refused items leave none."""
    item = pod.submission(one, id="item-1", text="x")
    size = len(item.item.canonical)
    with pod.writer() as writer:
        writer.commit(pod.policy, [item, pod.submission(other, unknown=1)])
        assert len(writer.commit(pod.policy, [pod.submission(one, id="item-2", text="x")])) == 1

    assert rows(pod, "SELECT slot, items, bytes, view FROM slot") == [(1, 2, 2 * size, None)]


def test_a_view_is_sealed_when_it_changes(pod: TestPod, one: OpenedSlot) -> None:
    """And left byte for byte when it does not: each sealing takes a new nonce of its key."""
    views = []
    for batch in (
        [pod.submission(one, text="x")],
        [pod.declaration(one, "height", "Integer")],
        [pod.submission(one, height=3)],
        [pod.declaration(one, "width", "Real"), pod.submission(one, height=4)],
    ):
        with pod.writer() as writer:
            writer.commit(pod.policy, batch)
        ((view,),) = rows(pod, "SELECT view FROM slot")
        views.append(view)

    none, first, unchanged, second = views
    assert none is None
    assert first == unchanged != second
    assert first[:12] != second[:12]
    opened = open_view(second, one.view_key, pod_id=one.pod_id, slot=one.number)
    assert opened == {"height": ValueType.INTEGER, "width": ValueType.REAL}


def test_a_first_batch_may_declare(pod: TestPod, one: OpenedSlot) -> None:
    """Counters and view of a new slot go into its first row together."""
    with pod.writer() as writer:
        writer.commit(pod.policy, [pod.declaration(one, "height", "Integer")])

    ((items, view),) = rows(pod, "SELECT items, view FROM slot")
    assert items == 1
    assert open_view(view, one.view_key, pod_id=one.pod_id, slot=one.number) == {"height": ValueType.INTEGER}
