"""Where an item is: found by what its sender or its receipt knows, and told apart from a lost one."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.pods import TestPod, new_pod
from tests.vault.test_erasing import statements_of
from vault.errors import DamagedError
from vault.header import parse_header
from vault.items import item_name
from vault.policies import past_signers
from vault.whereabouts import erased_ms, find_by_name, find_by_place, header_with, is_erased_by_name


@pytest.fixture
def pod(tmp_path: Path) -> TestPod:
    """A pod with two items, the second of which is erased."""
    pod = new_pod(tmp_path)
    slot = pod.slot()
    with pod.writer() as writer:
        writer.commit(pod.policy, [pod.submission(slot, id=f"item-{number}", text="x") for number in (0, 1)])
    statements = statements_of(pod, ["item-1"])
    with pod.writer() as writer:
        writer.erase(pod.policy, statements)
    return pod


def test_by_name_and_by_place_alike(pod: TestPod) -> None:
    """There, erased, never sent; and no batch has more than it has."""
    with pod.reader() as reader:
        (batch,) = reader.batches()
        name_key = reader.slots[1].name_key
        named = [is_erased_by_name(reader.rows, item_name(name_key, f"item-{number}")) for number in range(3)]
        assert named == [False, True, None]
        whole = [find_by_name(reader.rows, item_name(name_key, f"item-{number}")) for number in range(3)]
        assert whole == [*(find_by_place(reader.rows, batch.uid, index) for index in (0, 1)), None]
        first, second = (find_by_place(reader.rows, batch.uid, index) for index in (0, 1))
        assert first
        assert second
        assert (first.seq, first.is_erased, second.seq, second.is_erased) == (1, False, 2, True)
        assert erased_ms(reader.rows, second, past_signers(pod.policy)) == pod.clock()
        assert find_by_place(reader.rows, batch.uid, 2) is None
        assert find_by_place(reader.rows, bytes(16), 0) is None
        with pytest.raises(DamagedError, match="not signed by a maintainer"):
            erased_ms(reader.rows, second, [])


def test_an_item_whose_batch_was_taken_out_is_nowhere(pod: TestPod) -> None:
    """The first of them, or one between others."""
    slot = pod.slots["field-team"]
    with pod.writer() as writer:
        for number in (2, 3):
            writer.commit(pod.policy, [pod.submission(slot, id=f"item-{number}", text="x")])
    for batch, item_id in ((2, "item-2"), (1, "item-0")):
        with pod.forging() as connection:
            connection.execute("DELETE FROM batch WHERE batch = ?", (batch,))
        with pod.reader() as reader:
            assert find_by_name(reader.rows, item_name(reader.slots[1].name_key, item_id)) is None


def test_a_row_that_was_taken_out_is_nowhere(pod: TestPod) -> None:
    """By whoever has the file key; a check finds it."""
    with pod.forging() as connection:
        connection.execute("DELETE FROM item WHERE seq = 1")
    with pod.reader() as reader:
        (batch,) = reader.batches()
        assert find_by_place(reader.rows, batch.uid, 0) is None


def test_an_erased_item_whose_statement_was_taken_out_is_lost(pod: TestPod) -> None:
    """Nobody knows that the maintainer wanted it."""
    with pod.forging() as connection:
        connection.execute("DELETE FROM erasure")
    with pod.reader() as reader:
        (batch,) = reader.batches()
        place = find_by_place(reader.rows, batch.uid, 1)
        assert place
        with pytest.raises(DamagedError, match="gone without a statement"):
            erased_ms(reader.rows, place, past_signers(pod.policy))


def test_the_header_of_an_items_batch_is_found(pod: TestPod) -> None:
    """By its place; before every batch there is none."""
    slot = pod.slot("other")
    with pod.writer() as writer:
        writer.commit(pod.policy, [pod.submission(slot, id="item-2", text="x")])
    with pod.reader() as reader:
        headers = [header_with(reader.rows, seq) for seq in (1, 2, 3)]
        assert [parse_header(header).count for header in headers] == [2, 2, 1]
        with pytest.raises(DamagedError, match="before every batch"):
            header_with(reader.rows, 0)
