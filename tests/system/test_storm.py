"""A small storm, and that its count would see what a storm is looking for."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.storm.counting import Result, count
from tests.storm.era import Storm
from tests.storm.promises import Promises
from tests.support.pods import TestPod, new_pod

KILLS = 8


@pytest.mark.timeout(180)
def test_a_small_storm_is_clean(tmp_path: Path) -> None:
    """`make storm` does the same, thousands of times."""
    storm = Storm(tmp_path, "small")
    storm.run(KILLS)
    result = count(storm.pod, storm.promises)

    assert result.is_clean, result
    assert result.acknowledged > KILLS
    assert result.receipts > 0
    assert sum(storm.killed.values()) >= KILLS


@pytest.fixture
def counted(tmp_path: Path) -> tuple[TestPod, Promises]:
    """A pod with three items, and what was promised of them."""
    pod, promises = new_pod(tmp_path), Promises()
    slot = pod.slot()
    batch = [pod.submission(slot, id=f"item-{i}", text=f"text {i}") for i in (1, 2, 3)]
    with pod.writer() as writer:
        answers = writer.commit(pod.policy, batch)
    for submission, answer in zip(batch, answers, strict=True):
        promises.texts[submission.item.id] = str(submission.item.fields["text"])
        promises.acknowledged.add(submission.item.id)
        assert answer.receipt
        promises.receipts[submission.item.id] = answer.receipt
    return pod, promises


def _faults(result: Result) -> dict[str, list[str]]:
    names = ("lost", "doubled", "altered", "invented", "bad_receipts", "findings")
    return {name: getattr(result, name) for name in names if getattr(result, name)}


def test_what_is_as_promised_is_clean(counted: tuple[TestPod, Promises]) -> None:
    """Or every fault below would prove nothing."""
    assert count(*counted).is_clean


def test_a_lost_item_is_counted(counted: tuple[TestPod, Promises]) -> None:
    """Acknowledged, and not there."""
    pod, promises = counted
    promises.acknowledged.add("item-9")

    assert _faults(count(pod, promises)) == {"lost": ["item-9"]}


def test_an_altered_item_is_counted(counted: tuple[TestPod, Promises]) -> None:
    """Half of it, or another's."""
    pod, promises = counted
    promises.texts["item-2"] = "text 2 and more"

    assert _faults(count(pod, promises)) == {"altered": ["item-2"]}


def test_an_item_that_was_refused_is_counted(counted: tuple[TestPod, Promises]) -> None:
    """Stored although the client was told 409; and one that nobody sent."""
    pod, promises = counted
    promises.forbidden.add("text 1")
    del promises.texts["item-3"]

    assert _faults(count(pod, promises)) == {"invented": ["item-1", "item-3"]}


def test_a_receipt_of_another_history_is_counted(counted: tuple[TestPod, Promises], tmp_path: Path) -> None:
    """It verifies, but this vault's log is not the one it was given for."""
    pod, promises = counted
    forked = pod.crashed(tmp_path / "forked")
    for each, text in ((pod, "kept"), (forked, "forked")):
        item = each.submission(each.slots["field-team"], id="item-4", text=text)
        with each.writer() as writer:
            (answer,) = writer.commit(each.policy, [item])
        promises.texts["item-4"] = "kept"
        promises.acknowledged.add("item-4")
        assert answer.receipt
        promises.receipts["item-4"] = answer.receipt

    assert _faults(count(pod, promises)) == {"bad_receipts": ["item-4"]}


def test_an_item_that_is_stored_twice_is_counted(counted: tuple[TestPod, Promises]) -> None:
    """The same id through another slot is another item: the storm gives every client ids of its own."""
    pod, promises = counted
    other = pod.slot("other")
    with pod.writer() as writer:
        writer.commit(pod.policy, [pod.submission(other, id="item-1", text="text 1")])

    assert _faults(count(pod, promises)) == {"doubled": ["item-1"]}
