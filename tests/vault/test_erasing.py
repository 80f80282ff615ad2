"""Erasing: gone from every page, its statement in its place, and everything else as it was."""

from __future__ import annotations

import os
import random
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from tests.support.pods import PATIENCE, TestPod
from tests.support.vaultfile import plain_pages
from vault.erasures import sign_erasure
from vault.errors import OutcomeUnknownError
from vault.judging import Outcome
from vault.locks import copying
from vault.opening import Identity
from vault.slots import OpenedSlot
from vault.store import ERASED_AT_ONCE, Writer
from vault.submissions import Submission

WINDOW, STRIDE, MOST_PIECES = 32, 48, 20
"""Bytes of a piece that is searched for, and between two; an item lies in pieces of up to a page."""


@pytest.fixture
def slot(pod: TestPod) -> OpenedSlot:
    """Into that pod."""
    return pod.slot()


def sealed_of(pod: TestPod) -> dict[str, bytes]:
    """What every item that is there was sealed as, by id."""
    with pod.reader() as reader:
        ids = {item.seq: item.id for item in reader.items()}
        rows = reader.rows.execute("SELECT seq, sealed FROM item WHERE sealed IS NOT NULL")
        return {ids[seq]: sealed for seq, sealed in rows}


def statements_of(pod: TestPod, ids: Iterable[str], identity: Identity | None = None) -> list[bytes]:
    """Statements about items, by id."""
    wanted, found = set(ids), []
    with pod.reader() as reader:
        for batch in reader.batches():
            opened = list(
                reader.open_batch(batch).open_items(row.sealed for row in reader.sealed_items(batch))
            )
            by_index = {item.index: reader._stored(batch, item).id for item in opened}
            found += [
                sign_erasure(batch.header, row.place, row.digest, pod.clock(), identity or pod.keys.identity)
                for row in reader.sealed_items(batch)
                if by_index.get(row.place) in wanted
            ]
    assert len(found) == len(wanted)
    return found


def fragments(pod: TestPod, sealed: bytes) -> int:
    """How many pieces of a sealed item are in some page of the vault or its log."""
    (found,) = all_fragments(pod, [sealed])
    return found


def all_fragments(pod: TestPod, sealed: Iterable[bytes]) -> list[int]:
    """The same of several."""
    pages = b"".join(plain_pages(pod.folder, pod.keys.file_key))
    return [sum(piece in pages for piece in _pieces(each)) for each in sealed]


def _pieces(sealed: bytes) -> list[bytes]:
    last = len(sealed) - WINDOW
    return [sealed[at : at + WINDOW] for at in range(0, last, max(STRIDE, last // MOST_PIECES))]


def put(pod: TestPod, slot: OpenedSlot, sizes: Iterable[int], batch: int = 7) -> list[Submission]:
    """Store items with a text of each size, some to a batch."""
    submissions = [
        pod.submission(slot, id=f"item-{number:04}", text="x" * size) for number, size in enumerate(sizes)
    ]
    with pod.writer() as writer:
        for first in range(0, len(submissions), batch):
            writer.commit(pod.policy, submissions[first : first + batch])
    return submissions


def erase(pod: TestPod, *ids: str) -> None:
    """Erase items, all of them."""
    statements = statements_of(pod, ids)
    with pod.writer() as writer:
        erased = writer.erase(pod.policy, statements)
    assert (erased.items, erased.refusals) == (len(ids), [])


@pytest.mark.parametrize("seed", range(6))
def test_what_is_erased_is_in_no_page(pod: TestPod, slot: OpenedSlot, seed: int) -> None:
    """Small items, items over many pages, whole leaves of the tree, in any order and in several goes."""
    chance = random.Random(seed)  # noqa: S311  # a test repeats itself
    sizes = [chance.choice([10, 300, 1_500, 3_000, 9_000, 40_000]) for _ in range(80)]
    put(pod, slot, sizes)
    sealed = sealed_of(pod)
    assert all(all_fragments(pod, sealed.values()))
    ids = chance.sample(sorted(sealed), 60)
    for first in range(0, 60, 20):
        erase(pod, *ids[first : first + 20])
        assert not any(all_fragments(pod, [sealed[item_id] for item_id in ids[: first + 20]]))
    assert pod.check().findings == []
    assert sorted(pod.whole_ids()) == sorted(set(sealed) - set(ids))


def test_it_is_in_no_page_when_erase_returns(pod: TestPod, slot: OpenedSlot, tmp_path: Path) -> None:
    """Not only once the vault is closed; nor was it moved elsewhere by what came before or comes after."""
    put(pod, slot, [400] * 10)
    sealed, statements = sealed_of(pod), statements_of(pod, ["item-0004"])
    with pod.writer() as writer:
        writer.commit(pod.policy, [pod.submission(slot, id="later-1", text="y")])
        writer.erase(pod.policy, statements)
        crashed = pod.crashed(tmp_path / "crashed")
    assert crashed.folder.wal.stat().st_size == 0
    assert fragments(crashed, sealed["item-0004"]) == 0
    assert fragments(crashed, sealed["item-0005"]) > 0
    assert "item-0004" not in crashed.whole_ids()


def test_a_crash_before_the_log_is_emptied_leaves_it_to_the_next_opening(
    pod: TestPod, slot: OpenedSlot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The statement is committed, the old page lies in the vault: whoever opens it empties the log first."""
    put(pod, slot, [400] * 10)
    sealed, statements = sealed_of(pod), statements_of(pod, ["item-0004"])
    with pod.writer() as writer:
        with monkeypatch.context() as killed:
            killed.setattr(Writer, "_move_log", lambda _: False)
            writer.erase(pod.policy, statements)
        crashed = pod.crashed(tmp_path / "crashed")
    assert fragments(crashed, sealed["item-0004"]) > 0
    assert "item-0004" not in crashed.whole_ids()
    writer = crashed.open_writer()
    opened = crashed.crashed(tmp_path / "opened")
    assert writer.close()
    assert fragments(opened, sealed["item-0004"]) == 0


def test_a_kill_before_commit_erases_nothing(
    pod: TestPod, slot: OpenedSlot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The statement and the missing item are one transaction."""
    put(pod, slot, [400] * 10)
    statements = statements_of(pod, ["item-0004"])
    with pod.writer() as writer:
        monkeypatch.setattr(
            "vault.connection.AppendConnection.commit", lambda _: pod.crashed(tmp_path / "crashed")
        )
        writer.erase(pod.policy, statements)
        monkeypatch.undo()
    assert "item-0004" in TestPod(tmp_path / "crashed", pod.keys, pod.policy).whole_ids()


def test_while_a_snapshot_is_taken_the_log_is_emptied_later(
    pod: TestPod, slot: OpenedSlot, tmp_path: Path
) -> None:
    """With the next commit; the snapshot itself may hold what was erased."""
    put(pod, slot, [400] * 10)
    sealed, statements = sealed_of(pod), statements_of(pod, ["item-0004"])
    with pod.writer() as writer:
        with copying(pod.folder.path, PATIENCE):
            assert writer.erase(pod.policy, statements).items == 1
            meanwhile = pod.crashed(tmp_path / "meanwhile")
        writer.commit(pod.policy, [pod.submission(slot, id="later-1", text="y")])
        after = pod.crashed(tmp_path / "after")
    assert fragments(meanwhile, sealed["item-0004"]) > 0
    assert fragments(after, sealed["item-0004"]) == 0


def test_everything_else_verifies_as_before(pod: TestPod, slot: OpenedSlot) -> None:
    """Receipts of others and its own; a retry is 200 with the same receipt, other content 409."""
    submissions = [pod.submission(slot, id=f"item-{number}", text="x") for number in range(5)]
    with pod.writer() as writer:
        before = [answer.receipt for answer in writer.commit(pod.policy, submissions)]
    erase(pod, "item-2")
    with pod.writer() as writer:
        again = writer.commit(pod.policy, submissions)
        (conflict,) = writer.commit(pod.policy, [pod.submission(slot, id="item-2", text="other")])
    assert [answer.receipt for answer in again] == before
    assert {answer.outcome for answer in again} == {Outcome.RETRY}
    assert conflict.outcome is Outcome.CONFLICT
    for submission, receipt in zip(submissions, before, strict=True):
        pod.verify(submission, receipt)
    with pod.reader() as reader:
        assert reader.counts() == (1, 5)
        assert [item.id for item in reader.items()] == ["item-0", "item-1", "item-3", "item-4"]
    report = pod.check()
    assert (report.findings, report.erased) == ([], 1)


def test_the_same_statement_again_erases_nothing_more(pod: TestPod, slot: OpenedSlot) -> None:
    """A request is looked at again by every server that starts."""
    put(pod, slot, [10] * 3)
    statements = statements_of(pod, ["item-0001"])
    with pod.writer() as writer:
        assert writer.erase(pod.policy, statements * 2).items == 1
        erased = writer.erase(pod.policy, statements)
    assert (erased.items, erased.refusals) == (0, [])
    with pod.reader() as reader:
        ((kept,),) = reader.rows.execute("SELECT statement FROM erasure")
    assert kept == statements[0]


def _altered(pod: TestPod, how: str) -> bytes:
    """A statement that must not hold."""
    with pod.reader() as reader:
        (batch, *_) = reader.batches()
        rows = reader.sealed_items(batch)
    header, identity = batch.header, pod.keys.identity
    statements: dict[str, Any] = {
        "another's digest": lambda: sign_erasure(header, 0, rows[1].digest, 1, identity),
        "no digest": lambda: sign_erasure(header, 0, b"", 1, identity),
        "a stranger's": lambda: sign_erasure(header, 0, rows[0].digest, 1, Identity(bytes(32))),
        "beyond its batch": lambda: sign_erasure(header, 3, rows[0].digest, 1, identity),
        "cut": lambda: sign_erasure(header, 0, rows[0].digest, 1, identity)[:-1],
        "nothing": lambda: b"",
        "of a batch that is not here": lambda: sign_erasure(header, 0, rows[0].digest, 1, identity).replace(
            header.uid, bytes(16)
        ),
        "of another pod": lambda: sign_erasure(header, 0, rows[0].digest, 1, identity).replace(
            header.pod_id, bytes(32)
        ),
        "of a later format": lambda: sign_erasure(header, 0, rows[0].digest, 1, identity).replace(
            b"erasure/v1", b"erasure/v2"
        ),
    }
    statement: bytes = statements[how]()
    return statement


@pytest.mark.parametrize(
    "how",
    [
        "another's digest",
        "no digest",
        "a stranger's",
        "beyond its batch",
        "cut",
        "nothing",
        "of a batch that is not here",
        "of another pod",
        "of a later format",
    ],
)
def test_a_statement_that_does_not_hold_erases_nothing(pod: TestPod, slot: OpenedSlot, how: str) -> None:
    """And hinders no other that came with it."""
    put(pod, slot, [10] * 5, batch=3)
    bad, good = _altered(pod, how), statements_of(pod, ["item-0004"])
    with pod.writer() as writer:
        erased = writer.erase(pod.policy, [bad, *good])
    assert erased.items == 1
    assert len(erased.refusals) == 1
    assert "item-0004" not in pod.whole_ids()
    assert len(pod.whole_ids()) == 4


def test_many_are_erased_a_few_at_a_time(pod: TestPod, slot: OpenedSlot) -> None:
    """Each transaction's zeroed pages leave the log before the next."""
    put(pod, slot, [10] * (2 * ERASED_AT_ONCE + 1), batch=512)
    sealed = sealed_of(pod)
    erase(pod, *sealed)
    assert pod.whole_ids() == []
    assert not any(all_fragments(pod, sealed.values()))


def test_a_vault_that_was_replaced_meanwhile_acknowledges_no_erasure(pod: TestPod, slot: OpenedSlot) -> None:
    """As with items: what is done to a file nobody finds again is not done."""
    put(pod, slot, [10])
    statements = statements_of(pod, ["item-0000"])
    writer = pod.open_writer()
    kept = pod.folder.vault.with_name("kept")
    os.link(pod.folder.vault, kept)
    pod.folder.vault.unlink()
    with pytest.raises(OutcomeUnknownError):
        writer.erase(pod.policy, statements)
    kept.rename(pod.folder.vault)
    assert writer.close()
