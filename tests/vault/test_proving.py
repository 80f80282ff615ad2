"""Receipts of what a vault holds: the same for the first answer, for a retry, and years later."""

from __future__ import annotations

import pytest

from tests.support.pods import START_MS, TestPod
from vault.encoding import pae
from vault.erasures import erasure_bytes
from vault.errors import DamagedError
from vault.header import parse_header
from vault.judging import Outcome
from vault.receipts import decode_receipt
from vault.slots import OpenedSlot
from vault.submissions import Answer, Submission, submit


@pytest.fixture
def slot(pod: TestPod) -> OpenedSlot:
    """Where all items come through."""
    return pod.slot()


def note(pod: TestPod, slot: OpenedSlot, number: int, text: str = "x") -> Submission:
    """An item with an id of its own."""
    return pod.submission(slot, id=f"item-{number:03}", text=text)


def store(pod: TestPod, *batches: list[Submission]) -> list[list[Answer]]:
    """Commit batches to a vault opened for them."""
    with pod.writer() as writer:
        return [writer.commit(pod.policy, batch) for batch in batches]


@pytest.mark.parametrize("sizes", [[1], [5], [1, 2, 3, 1, 1, 7]])
def test_every_item_of_every_batch_has_a_receipt(pod: TestPod, slot: OpenedSlot, sizes: list[int]) -> None:
    """It proves that item, in its place, in the log of its batch's size."""
    numbers = iter(range(100))
    batches = [[note(pod, slot, next(numbers)) for _ in range(size)] for size in sizes]

    answers = store(pod, *batches)

    for number, (batch, answered) in enumerate(zip(batches, answers, strict=True), 1):
        for place, (submission, answer) in enumerate(zip(batch, answered, strict=True)):
            proven = pod.verify(submission, answer.receipt)
            assert (proven.checkpoint.size, proven.header.count, proven.epoch) == (number, len(batch), 1)
            assert (proven.header.ms, proven.header.policy) == (START_MS, pod.policy.digest)
            assert answer.receipt is not None
            assert decode_receipt(answer.receipt).index == place


def test_a_receipt_is_given_when_asked_for(pod: TestPod, slot: OpenedSlot) -> None:
    """It takes time and bytes; the item itself is its own memory of having been stored."""
    asked = note(pod, slot, 1)
    silent = submit(slot, note(pod, slot, 2).item)

    ((first, second),) = store(pod, [asked, silent])
    ((third, fourth),) = store(pod, [submit(slot, asked.item), submit(slot, silent.item, wants_receipt=True)])

    assert first.receipt is not None
    assert second.receipt is None
    assert third.receipt is None
    pod.verify(silent, fourth.receipt)


def test_a_refused_item_has_no_receipt(pod: TestPod, slot: OpenedSlot) -> None:
    """Nothing was accepted that could be proven."""
    stored, conflict = note(pod, slot, 1, "x"), note(pod, slot, 1, "y")

    ((_, invalid, refused),) = store(pod, [stored, pod.submission(slot, unknown="x"), conflict])

    assert (invalid.outcome, refused.outcome) == (Outcome.INVALID, Outcome.CONFLICT)
    assert invalid.receipt is refused.receipt is None


def test_a_retry_has_the_receipt_of_the_first_answer(pod: TestPod, slot: OpenedSlot) -> None:
    """Byte for byte: in the same batch, in a later one, after a restart, after the log has grown."""
    item, others = note(pod, slot, 1), [note(pod, slot, i) for i in range(2, 8)]

    ((_, _, first, in_batch), (later,)) = store(pod, [*others[:2], item, item], [item])
    store(pod, others[2:4], *([each] for each in others[4:]))
    ((restarted, *_),) = store(pod, [item, note(pod, slot, 9)])

    assert first.outcome is Outcome.STORED
    assert {answer.outcome for answer in (in_batch, later, restarted)} == {Outcome.RETRY}
    assert first.receipt == in_batch.receipt == later.receipt == restarted.receipt
    pod.verify(item, restarted.receipt)


def test_a_whole_file_sent_again_gets_its_receipts_again(pod: TestPod, slot: OpenedSlot) -> None:
    """Items of several batches, in any order, in one."""
    batches = [[note(pod, slot, 10 * i + j) for j in range(3)] for i in range(3)]
    first = [answer for batch in store(pod, *batches) for answer in batch]
    everything = [submission for batch in batches for submission in batch]

    (again,) = store(pod, everything[::-1])

    assert [answer.receipt for answer in again[::-1]] == [answer.receipt for answer in first]


def test_an_erased_item_keeps_its_receipt(pod: TestPod, slot: OpenedSlot) -> None:
    """Its contributor may prove that it was accepted; a retry stores nothing."""
    item, identity = note(pod, slot, 1), pod.keys.identity
    ((first, _),) = store(pod, [item, note(pod, slot, 2)])
    with pod.forging() as vault:
        ((header, digest),) = vault.execute(
            "SELECT header, digest FROM batch, item WHERE batch = 1 AND seq = 1"
        ).fetchall()
        signed = erasure_bytes(parse_header(header), 0, digest, START_MS)
        statement = pae(signed, identity.signer, identity.sign(signed))
        vault.execute("INSERT INTO erasure VALUES (1, ?)", (statement,))
        vault.execute("UPDATE item SET sealed = NULL WHERE seq = 1")

    ((again,),) = store(pod, [item])

    assert again == Answer(Outcome.RETRY, receipt=first.receipt)
    assert [stored.seq for stored in pod.items()] == [2]
    assert pod.check().findings == []


def test_a_proof_of_another_type_is_damage(pod: TestPod, slot: OpenedSlot) -> None:
    """A STRICT table checks what SQLite inserts, not what a file made by hand holds."""
    store(pod, [note(pod, slot, 1), note(pod, slot, 2)])
    with pod.forging() as vault:
        vault.execute("PRAGMA writable_schema = ON")
        ((strict,),) = vault.execute("SELECT sql FROM sqlite_schema WHERE name = 'item'").fetchall()
        for sql in (strict.replace("STRICT", "").replace("NOT NULL", ""), strict):
            vault.execute("UPDATE sqlite_schema SET sql = ? WHERE name = 'item'", (sql,))
            vault.execute("PRAGMA writable_schema = RESET")
            if sql != strict:
                vault.execute("UPDATE item SET digest = NULL WHERE seq = 2")
                vault.execute("PRAGMA writable_schema = ON")

    with pytest.raises(DamagedError, match="holds what its column cannot have"):
        store(pod, [note(pod, slot, 1)])


LOST = {
    "first batch": ("DELETE FROM batch WHERE batch = 1", 1, "an item has no batch"),
    "batch": ("DELETE FROM batch WHERE batch = 2", 3, "an item has no batch"),
    "item beside it": ("DELETE FROM item WHERE seq = 2", 1, "batch 1 is not whole"),
    "header": ("UPDATE batch SET header = x'00' WHERE batch = 1", 1, "the header of batch 1 is not of its"),
    "node": ("DELETE FROM node WHERE level = 0 AND i = 0", 3, "lacks node 0 of level 0"),
}


@pytest.mark.parametrize(("sql", "number", "sentence"), LOST.values(), ids=LOST)
def test_a_receipt_that_cannot_be_made_is_damage(
    pod: TestPod, slot: OpenedSlot, sql: str, number: int, sentence: str
) -> None:
    """The item is there, its proof is not: answering 200 would hide that."""
    store(
        pod,
        [note(pod, slot, 1), note(pod, slot, 2)],
        [note(pod, slot, 3)],
        [note(pod, slot, 4)],
        [note(pod, slot, 5)],
    )
    with pod.forging() as vault:
        vault.execute(sql)

    with pytest.raises(DamagedError, match=sentence):
        store(pod, [note(pod, slot, number)])
