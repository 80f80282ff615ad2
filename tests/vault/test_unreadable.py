"""What is as it was logged and is no item: reading goes on past it; what is not as it was logged stops it."""

from __future__ import annotations

import hashlib
from pathlib import Path

import msgspec
import pytest

from tests.support.pods import TestPod
from vault import sealing, unreadable
from vault.auditing import Auditor
from vault.encoding import mp
from vault.errors import DamagedError, FormatTooNewError, MalformedError
from vault.reader import Reader
from vault.repairing import Plan, write_repaired
from vault.rows import typed
from vault.submissions import Submission
from vault.unreadable import PassedOver, Unreadable

GARBAGE = (b"", b"\xff", b"\x81" * 300, mp({"type": "../x", "id": "abcdef"}))


def _forged(pod: TestPod, canonical: bytes) -> Submission:
    """What a worker that was taken over has committed."""
    honest = pod.submission(pod.slots["field-team"])
    return msgspec.structs.replace(honest, item=msgspec.structs.replace(honest.item, canonical=canonical))


def _mixed(pod: TestPod, *between: Submission) -> TestPod:
    """Batch 1: item-1, what is given, item-2. Batch 2: item-3."""
    slot = pod.slots["field-team"]
    first, second, third = (pod.submission(slot, id=f"item-{number}", text="x") for number in (1, 2, 3))
    with pod.writer() as writer:
        writer.commit(pod.policy, [first, *between, second])
        writer.commit(pod.policy, [third])
    return pod


@pytest.fixture
def mixed(pod: TestPod) -> TestPod:
    """Garbage between items."""
    pod.slot()
    return _mixed(pod, *(_forged(pod, canonical) for canonical in GARBAGE))


def _ids(reader: Reader, *, is_newest_first: bool = False) -> list[str]:
    return [item.id for item in reader.items(is_newest_first=is_newest_first)]


def test_reading_goes_on_past_what_was_sealed_so(mixed: TestPod) -> None:
    """Every item is there, in order; what is passed over is named, by place and slot."""
    with mixed.reader() as reader:
        assert _ids(reader) == ["item-1", "item-2", "item-3"]
        assert reader.passed_over.count == len(GARBAGE)
        first, *_ = reader.passed_over.items
        assert _ids(reader, is_newest_first=True) == ["item-3", "item-2", "item-1"]
        assert [item.seq for item in reader.passed_over.items] == [2, 3, 4, 5]
        assert list(reader.unreadable()) == reader.passed_over.items

    sentence = "a flat MessagePack map with text keys was expected"
    assert first == Unreadable(2, 1, 1, mixed.clock(), 1, "field-team", sentence)


def test_of_a_salt_that_is_none_the_slot_is_known(pod: TestPod) -> None:
    """The item may be whole; whoever sealed it is named nevertheless."""
    slot = pod.slot()
    honest = pod.submission(slot, id="item-9")
    _mixed(pod, msgspec.structs.replace(honest, salt=b"short"))

    with pod.reader() as reader:
        assert _ids(reader) == ["item-1", "item-2", "item-3"]
        (found,) = reader.passed_over.items
    assert (found.slot_name, found.why) == ("field-team", "sealed item: a salt of 32 bytes was expected")


def test_what_does_not_open_and_was_logged_so_is_passed_over(
    pod: TestPod, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever takes the writer over too seals under another nonce; no slot is known then."""
    slot = pod.slot()
    with pod.writer() as writer:
        writer.commit(pod.policy, [pod.submission(slot, id="item-1")])
        with monkeypatch.context() as patched:
            patched.setattr(sealing, "item_nonce", lambda _: bytes(12)[::-1] + b"")
            patched.setattr(sealing, "item_aad", lambda *_: bytes(40))
            writer.commit(pod.policy, [pod.submission(slot, id="item-2")])
        writer.commit(pod.policy, [pod.submission(slot, id="item-3")])

    with pod.reader() as reader:
        assert _ids(reader) == ["item-1", "item-3"]
        (found,) = reader.passed_over.items
    assert (found.seq, found.slot, found.slot_name) == (2, None, "")
    assert "does not open" in found.why
    report = pod.check()
    assert report.unreadable == 1
    assert any(finding.startswith("item 2 (batch 2): ") for finding in report.findings)


def test_what_is_of_a_later_format_stops_reading(pod: TestPod, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is an item, of a program that this one is too old for; nothing must call it garbage."""
    pod.slot()
    with monkeypatch.context() as patched:
        patched.setattr(sealing, "ITEM_LABEL", b"item/v2")
        _mixed(pod, _forged(pod, b""))

    with pod.reader() as reader, pytest.raises(FormatTooNewError):
        _ids(reader)
    report = pod.check()
    assert report.unreadable == 0
    assert any(finding.startswith("item 2 (batch 1): ") for finding in report.findings)


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE item SET sealed = zeroblob(length(sealed)) WHERE seq = 2",
        "UPDATE item SET sealed = zeroblob(length(sealed)) WHERE seq = 1",
        "UPDATE item SET sealed = (SELECT sealed FROM item WHERE seq = 3) WHERE seq = 2",
        "UPDATE item SET c = zeroblob(32) WHERE seq = 1",
        "UPDATE item SET digest = zeroblob(32) WHERE seq = 6",
        "DELETE FROM item WHERE seq = 2",
    ],
)
def test_what_is_not_as_it_was_logged_stops_reading(mixed: TestPod, damage: str) -> None:
    """Garbage in a batch must not make what was altered in it look like more garbage."""
    with mixed.forging() as vault:
        vault.execute(damage)

    with mixed.reader() as reader, pytest.raises((DamagedError, MalformedError)):
        _ids(reader)


def test_an_altered_item_whose_digest_was_altered_with_it_stops_reading(mixed: TestPod) -> None:
    """The header is what says which bytes were sealed."""
    with mixed.forging() as vault:
        ((sealed,),) = vault.execute("SELECT sealed FROM item WHERE seq = 7").fetchall()
        other = sealed[:-1] + bytes([sealed[-1] ^ 1])
        digest = hashlib.sha256(other).digest()
        vault.execute("UPDATE item SET sealed = ?, digest = ? WHERE seq = 7", (other, digest))

    with mixed.reader() as reader, pytest.raises(DamagedError, match="altered or moved"):
        _ids(reader)


def test_a_check_counts_and_names_them(mixed: TestPod) -> None:
    """By batch and invite; every other item is checked."""
    report = mixed.check()

    assert (report.items, report.unreadable) == (3 + len(GARBAGE), len(GARBAGE))
    named = [finding for finding in report.findings if finding.startswith("item 2 ")]
    assert named == ["item 2 (batch 1, by field-team): a flat MessagePack map with text keys was expected"]


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE item SET sealed = zeroblob(length(sealed)) WHERE seq = 1",
        "UPDATE item SET c = zeroblob(32) WHERE seq = 1",
        "DELETE FROM item WHERE seq = 6",
    ],
)
def test_in_a_batch_that_was_altered_a_check_counts_none(mixed: TestPod, damage: str) -> None:
    """A better copy may have them; nobody is told to erase them."""
    with mixed.forging() as vault:
        vault.execute(damage)

    report = mixed.check()

    assert report.unreadable == 0
    assert any(finding.startswith("item 2 (batch 1, by field-team): ") for finding in report.findings)


def test_reading_goes_on_past_what_was_erased_beside_them(mixed: TestPod) -> None:
    """An item of the same batch that went is not there, and is not unreadable."""
    with mixed.reader() as reader:
        statements = [
            reader.sign_erasure(item, mixed.clock()) for item in reader.items() if item.id == "item-1"
        ]
    with mixed.writer() as writer:
        assert writer.erase(mixed.policy, statements).items == 1

    with mixed.reader() as reader:
        assert _ids(reader) == ["item-2", "item-3"]
        assert reader.passed_over.count == len(GARBAGE)


def test_erased_ones_are_no_more(mixed: TestPod) -> None:
    """A statement names a place, not an id; a check finds nothing then."""
    with mixed.reader() as reader:
        statements = [reader.sign_erasure(item, mixed.clock()) for item in reader.unreadable()]
    with mixed.writer() as writer:
        assert writer.erase(mixed.policy, statements).items == len(GARBAGE)

    assert mixed.whole_ids() == ["item-1", "item-2", "item-3"]
    with mixed.reader() as reader:
        assert list(reader.unreadable()) == []


def test_a_repair_counts_what_it_keeps_of_them(mixed: TestPod, tmp_path: Path) -> None:
    """Whatever was left out with batch 2: the slot's counters are those of all that is in batch 1."""
    with mixed.reader() as reader:
        ((size,),) = reader.rows.execute("SELECT sum(length(sealed) - 99) FROM item WHERE seq < 7")
        plan = Plan(2, [(1, 1)], 1, 1, 1, 0)
        write_repaired(reader, plan, tmp_path / "new.db", mixed.keys.file_key, mixed.keys.log_key)
    (tmp_path / "new.db").replace(mixed.folder.vault)
    mixed.folder.log_head.unlink()

    with mixed.reader() as reader:
        slots = reader.rows.execute("SELECT items, bytes FROM slot")
        assert typed(slots, list[tuple[int, int]]) == [(2 + len(GARBAGE), size)]
        assert _ids(reader) == ["item-1", "item-2"]


def test_a_repair_counts_nothing_that_names_no_slot(
    pod: TestPod, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It can be kept, and counted for nobody."""
    slot = pod.slot()
    with pod.writer() as writer:
        with monkeypatch.context() as patched:
            patched.setattr(sealing, "item_aad", lambda *_: bytes(40))
            writer.commit(pod.policy, [pod.submission(slot, id="item-1")])
        writer.commit(pod.policy, [pod.submission(slot, id="item-2")])
    with pod.forging() as vault:
        vault.execute("UPDATE slot SET items = 9")

    with pod.reader() as reader:
        plan = Plan(2, [(1, 2)], 2, 2, 0, 0)
        write_repaired(reader, plan, tmp_path / "new.db", pod.keys.file_key, pod.keys.log_key)
    (tmp_path / "new.db").replace(pod.folder.vault)
    pod.folder.log_head.unlink()

    with pod.reader() as reader:
        assert reader.rows.execute("SELECT items FROM slot") == [(1,)]


def test_an_audit_with_items_closed_sees_no_fault_in_them(mixed: TestPod) -> None:
    """They are what was logged, which is all that it proves."""
    with mixed.reader() as reader:
        auditor = Auditor(reader, [], witnesses=[], head=None)
        auditor.run(lambda _: None, is_opening=False)
        audit = auditor.end()
    assert (audit.findings, audit.proven) == ([], [(1, 2)])


def test_views_that_do_not_open_are_passed_over(pod: TestPod) -> None:
    """Whoever has a worker may have a view sealed under a key of their own; the others are read."""
    slot, other = pod.slot(), pod.slot("other")
    poisoned = pod.declaration(slot, "height", "Real")
    forged = msgspec.structs.replace(poisoned.slot, view_key=bytes(32))
    with pod.writer() as writer:
        writer.commit(pod.policy, [msgspec.structs.replace(poisoned, slot=forged)])
        writer.commit(pod.policy, [pod.declaration(other, "width", "Real")])

    with pod.reader() as reader:
        assert reader.views() == {"other": {"width": "Real"}}
        assert reader.passed_over.views == {
            "field-team": "the view of slot 1 does not open: it was altered",
        }


def test_a_batch_that_no_reader_takes_is_not_written(pod: TestPod, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that was taken over must not make a batch at which every later reading stops."""
    pod.slot()
    monkeypatch.setattr(sealing, "MAX_SEALED_BYTES", 1_000)
    with pod.writer() as writer:
        with pytest.raises(MalformedError, match="at most 1000 sealed bytes"):
            writer.commit(pod.policy, [_forged(pod, bytes(500)), _forged(pod, bytes(500))])
        writer.commit(pod.policy, [_forged(pod, bytes(500))])

    assert pod.items() == []


@pytest.mark.parametrize("column", ["name", "c", "digest"])
def test_rows_that_would_fill_the_memory_are_damage(mixed: TestPod, column: str) -> None:
    """Whoever has the file key can make them, and nobody takes them in."""
    with mixed.forging() as vault:
        vault.execute(f"UPDATE item SET {column} = zeroblob(70000000) WHERE seq = 1")

    with mixed.reader() as reader, pytest.raises(DamagedError, match="larger than any batch"):
        _ids(reader)


def test_only_so_many_are_kept_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """Millions can be put in; a pass begun again counts none twice."""
    monkeypatch.setattr(unreadable, "MOST_LISTED", 2)
    passed_over = PassedOver()
    for _ in range(2):
        passed_over.begin()
        for seq in range(5):
            passed_over.add(Unreadable(seq, 1, seq, 0, 1, "x", "why"))

    assert passed_over.count == 5
    assert [item.seq for item in passed_over.items] == [0, 1]
