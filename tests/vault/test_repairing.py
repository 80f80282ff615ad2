"""Repairing: a new file is whole or not there, and is of the vault that was looked at."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.pods import TestPod
from vault import repairing
from vault.database import connect_read
from vault.errors import BusyError, DamagedError, StorageError
from vault.ledger import Ledger
from vault.reader import Reader
from vault.repairing import Plan, replace_vault, write_repaired
from vault.sqlcipher import open_keyed


@pytest.fixture
def reader(pod: TestPod) -> Iterator[Reader]:
    """A copy with five batches of one item."""
    slot = pod.slot()
    with pod.writer() as writer:
        for number in range(1, 6):
            writer.commit(pod.policy, [pod.submission(slot, id=f"item-{number}", text="x")])
    with pod.reader() as opened:
        yield opened


def plan(last: int, epoch: int = 2) -> Plan:
    """Keep the first batches."""
    return Plan(epoch, [(1, last)], last, last, 5 - last, 0)


def repaired(pod: TestPod, reader: Reader, target: Path, kept: Plan) -> Ledger:
    """Write it."""
    return write_repaired(reader, kept, target, pod.keys.file_key, pod.keys.log_key)


def test_many_batches_are_committed_in_parts(
    pod: TestPod, reader: Reader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A write-ahead log as large as the vault would need its space twice."""
    monkeypatch.setattr(repairing, "_BATCHES_A_COMMIT", 2)

    ledger = repaired(pod, reader, tmp_path / "new.db", plan(5))

    assert ledger.size == 5
    assert not (tmp_path / "new.db-wal").exists()
    with connect_read(tmp_path / "new.db", pod.keys.file_key) as rows:
        assert rows.problems() == []
        assert rows.execute("SELECT count(*) FROM item") == [(5,)]


def test_an_epoch_that_only_a_witness_has_seen_ends_empty(
    pod: TestPod, reader: Reader, tmp_path: Path
) -> None:
    """Nothing of it is here, so nothing of it is claimed."""
    repaired(pod, reader, tmp_path / "new.db", plan(5, epoch=4))

    with connect_read(tmp_path / "new.db", pod.keys.file_key) as rows:
        names = [name for (name,) in rows.execute("SELECT key FROM meta ORDER BY key")]
        ((end,),) = rows.execute("SELECT value FROM meta WHERE key = 'epoch/3'")
    assert names == ["epoch", "epoch/1", "epoch/2", "epoch/3", "format", "pod_id"]
    assert b"\n0\n" in end


def test_a_plan_of_another_vault_writes_nothing(pod: TestPod, reader: Reader, tmp_path: Path) -> None:
    """It changed while somebody was asked."""
    with pytest.raises(DamagedError, match="batch 6 was there when the vault was audited"):
        repaired(pod, reader, tmp_path / "new.db", plan(6))
    with pytest.raises(DamagedError, match="batch 6 was there"):
        repaired(pod, reader, tmp_path / "new.db", Plan(2, [(1, 2), (6, 6)], 3, 2, 0, 0))

    assert list(tmp_path.glob("new.db*")) == []


def test_what_is_there_is_not_overwritten(pod: TestPod, reader: Reader, tmp_path: Path) -> None:
    """A file of an interrupted repair is removed on purpose, or not at all."""
    (tmp_path / "new.db").write_bytes(b"x")

    with pytest.raises(StorageError, match="exists already"):
        repaired(pod, reader, tmp_path / "new.db", plan(5))
    assert (tmp_path / "new.db").read_bytes() == b"x"


def test_what_the_system_refuses_of_a_policy_is_raised(
    pod: TestPod, reader: Reader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A policy is left out because it is damaged, never because a disk is slow."""

    def refuse(*_: object) -> None:
        raise StorageError("vault.db: the operating system refused")

    monkeypatch.setattr(repairing, "parse_policy", refuse)
    with pytest.raises(StorageError):
        repaired(pod, reader, tmp_path / "new.db", plan(5))


def test_a_vault_that_is_read_in_place_is_not_replaced(pod: TestPod, tmp_path: Path) -> None:
    """Its reader would go on in a file that nobody finds again."""
    slot = pod.slot()
    crashed = pod.crash_after(tmp_path / "crashed", pod.submission(slot, text="x"))
    fresh = crashed.folder.path / "vault.db.new"
    fresh.write_bytes(b"x")
    holder = open_keyed(crashed.folder.vault, pod.keys.file_key)
    cursor = holder.execute("SELECT * FROM meta")
    next(iter(cursor))
    holder_writes = open_keyed(crashed.folder.vault, pod.keys.file_key)
    holder_writes.execute("INSERT INTO meta VALUES ('note', x'00')")

    with pytest.raises(BusyError, match="reads the vault in place"):
        replace_vault(crashed.folder.vault, pod.keys.file_key, fresh)
    for connection in (holder, holder_writes):
        connection.close()


def test_a_new_file_that_is_not_there_replaces_nothing(pod: TestPod) -> None:
    """The vault stays."""
    before = pod.folder.vault.read_bytes()

    with pytest.raises(StorageError):
        replace_vault(pod.folder.vault, pod.keys.file_key, pod.folder.path / "missing")
    assert pod.folder.vault.read_bytes() == before
