"""Audits of vaults made by hand: bounded in time and memory, and never silent."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.pods import PATIENCE, TestPod
from vault import auditing, checking
from vault.auditing import Audit, Auditor, Ranges, joined
from vault.errors import StorageError, VaultError
from vault.pod import PodFolder
from vault.reader import open_reader
from vault.receipt_files import ReceiptFile
from vault.snapshot import private_snapshot


def audited(pod: TestPod) -> Audit:
    """An audit, nothing kept elsewhere."""
    refusals: list[VaultError] = []
    with (
        private_snapshot(pod.folder.path, PATIENCE) as copy,
        open_reader(PodFolder(copy), pod.keys.identity, on_refusal=refusals.append) as reader,
    ):
        auditor = Auditor(reader, refusals, witnesses=[], head=None)
        auditor.run(lambda _: None, is_opening=True)
        return auditor.end()


def test_ranges_are_joined() -> None:
    """Whatever order and overlap they have."""
    ranges = Ranges()
    for number in (1, 2, 5, 6, 9):
        ranges.add(number)

    assert list(ranges.up_to(5)) == [(1, 2), (5, 5)]
    assert joined([(5, 6), (1, 2), (3, 3), (6, 8), (7, 7)]) == [(1, 3), (5, 8)]


def test_a_number_made_by_hand_is_not_counted_up_to(grown: TestPod, monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch may say that it is the 2^60th; what is before the gap is proven as ever."""
    monkeypatch.setattr(auditing, "MAX_GAP", 10)
    with grown.forging() as vault:
        vault.execute("UPDATE batch SET batch = 1 << 60 WHERE batch = 5")

    found = audited(grown)

    assert found.proven == [(1, 4)]
    assert found.batches < 20
    assert "batch 1152921504606846976: it is missing or out of order" in found.findings


def test_a_leaf_of_another_length_proves_nothing(grown: TestPod) -> None:
    """The log of the stored leaves ends there; the headers still give theirs."""
    with grown.forging() as vault:
        vault.execute("UPDATE node SET hash = x'00' WHERE level = 0 AND i = 1")

    assert audited(grown).proven == [(1, 5)]


def test_an_end_of_an_epoch_that_nobody_signed_is_a_finding(grown: TestPod) -> None:
    """It keeps nothing, and stops nothing."""
    with grown.forging() as vault:
        vault.execute("UPDATE meta SET value = x'02000000' WHERE key = 'epoch'")
        vault.execute("INSERT INTO meta VALUES ('epoch/1', x'00')")

    found = audited(grown)

    assert any(finding.startswith("an earlier epoch: ") for finding in found.findings)
    assert found.proven == []


def test_findings_are_bounded(grown: TestPod, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file made by hand can be wrong in as many places as it has bytes."""
    monkeypatch.setattr(checking, "MAX_FINDINGS", 3)
    with grown.forging() as vault:
        vault.execute("UPDATE batch SET header = x'00'")

    assert len(audited(grown).findings) == 4  # and why it was refused


def test_what_the_system_refuses_of_a_row_is_no_finding(
    grown: TestPod, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor anything but the end of the audit."""

    def refuse(*_: object) -> None:
        raise StorageError("vault.db: the operating system refused")

    monkeypatch.setattr("vault.reader.Reader.sealed_items", refuse)
    with pytest.raises(StorageError):
        grown.check()


def test_what_the_system_refuses_of_a_receipt_is_no_finding(grown: TestPod) -> None:
    """The vault is not at fault."""

    def read() -> ReceiptFile:
        raise StorageError("receipt: the operating system refused")

    with grown.reader() as reader:
        auditor = Auditor(reader, [], witnesses=[], head=None)
        auditor.run(lambda _: None, is_opening=False)
        with pytest.raises(StorageError):
            auditor.receipt("one", read)


def test_a_vault_that_opens_no_more_is_closed(grown: TestPod, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the system refuses while the log is loaded is raised; the copy can be removed."""

    def refuse(*_: object, **__: object) -> None:
        raise StorageError("vault.db: the operating system refused")

    monkeypatch.setattr("vault.reader.load_ledger", refuse)
    with pytest.raises(StorageError), grown.reader():
        pass


def test_a_torn_vault_is_read_on(grown: TestPod, tmp_path: Path) -> None:
    """Yesterday's file beside today's log: refused to a server, a finding to an audit."""
    old = grown.folder.vault.read_bytes()
    slot = grown.slots["field-team"]
    for number in range(6, 46):
        with grown.writer() as writer:
            writer.commit(grown.policy, [grown.submission(slot, id=f"item-{number}", text="x" * 500)])
    crashed = grown.crash_after(tmp_path / "crashed", grown.submission(slot, id="the-last", text="x"))
    crashed.folder.vault.write_bytes(old)

    found = audited(crashed)

    assert found.findings[0].startswith("vault.db and vault.db-wal are of different times")
