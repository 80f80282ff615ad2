"""A vault in a new file, under another key: every row, or nothing."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from tests.support.pods import TestPod, new_pod
from tests.support.small_disk import run_on_small_disk
from vault import rewriting
from vault.connection import ReadConnection
from vault.database import connect_read
from vault.errors import BusyError, DamagedError, StorageError, WrongKeyError
from vault.inspecting import inspect
from vault.keys import FileKey
from vault.rewriting import rewrite
from vault.wal import PAGE_BYTES

NEW_KEY = FileKey(bytes(range(32)))


@pytest.fixture
def pod(tmp_path: Path) -> TestPod:
    """A pod with an item."""
    pod = new_pod(tmp_path)
    slot = pod.slot()
    with pod.writer() as writer:
        writer.commit(pod.policy, [pod.submission(slot, text="a")])
    return pod


def _target(pod: TestPod) -> Path:
    return pod.folder.path / "vault.db.new"


def _rewrite(pod: TestPod) -> None:
    checkpoint = inspect(pod.folder, pod.policy, pod.keys.file_key).ledger.checkpoint
    rewrite(pod.folder.vault, pod.keys.file_key, _target(pod), NEW_KEY, checkpoint=checkpoint)


def test_the_new_file_opens_under_the_new_key_alone(pod: TestPod) -> None:
    """Private, and with no log beside it."""
    before = pod.digests()
    _rewrite(pod)
    assert pod.digests() == before
    assert stat.S_IMODE(_target(pod).stat().st_mode) == 0o600
    assert NEW_KEY.reveal() not in _target(pod).read_bytes()
    with pytest.raises(WrongKeyError):
        connect_read(_target(pod), pod.keys.file_key)
    with connect_read(_target(pod), NEW_KEY) as rows:
        assert rows.execute("SELECT count(*) FROM item") == [(1,)]
        assert rows.execute("PRAGMA journal_mode") == [("wal",)]
    assert sorted(os.listdir(pod.folder.path)).count("vault.db.new-wal") == 0


def test_what_is_there_is_not_written_over(pod: TestPod) -> None:
    """Whoever made it may want it."""
    _target(pod).write_bytes(b"mine")
    with pytest.raises(StorageError, match="exists already"):
        _rewrite(pod)
    assert _target(pod).read_bytes() == b"mine"
    with pytest.raises(StorageError):
        rewrite(
            pod.folder.vault, pod.keys.file_key, pod.home / "none" / "vault.db.new", NEW_KEY, checkpoint=b""
        )


def test_a_wrong_key_writes_nothing(pod: TestPod) -> None:
    """It is asked first."""
    with pytest.raises(WrongKeyError):
        rewrite(pod.folder.vault, NEW_KEY, _target(pod), NEW_KEY, checkpoint=b"")
    assert not _target(pod).exists()


@pytest.mark.parametrize(
    "forgery",
    ["UPDATE batch SET wraps = x'00'", "DELETE FROM node", "INSERT INTO meta VALUES ('other', x'01')"],
)
def test_a_row_that_came_out_otherwise_is_found(
    pod: TestPod, monkeypatch: pytest.MonkeyPatch, forgery: str
) -> None:
    """Changed, missing or too many: the new file is removed."""
    export = rewriting._export

    def forge(source: Path, file_key: FileKey, target: Path, new_key: FileKey) -> None:
        export(source, file_key, target, new_key)
        with pod.forging() as connection:
            connection.execute(forgery)

    monkeypatch.setattr(rewriting, "_export", forge)
    with pytest.raises(DamagedError, match="was not written as it was read"):
        _rewrite(pod)
    assert not _target(pod).exists()


def test_a_new_file_that_fails_its_check_is_removed(pod: TestPod, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that does not keep what it was given."""
    monkeypatch.setattr(ReadConnection, "problems", lambda _: ["page 2"])
    with pytest.raises(DamagedError, match="page 2"):
        _rewrite(pod)
    assert not _target(pod).exists()


def test_a_log_that_does_not_empty_stops_it(pod: TestPod, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody reads the vault in place, against the locks."""
    monkeypatch.setattr(rewriting, "holds_frames", lambda _: True)
    with pytest.raises(BusyError):
        _rewrite(pod)
    assert not _target(pod).exists()


def test_a_vault_put_there_since_it_was_inspected_is_not_taken_over(pod: TestPod) -> None:
    """An older one opens under the same key; its rows would be copied, and look whole."""
    older = pod.folder.vault.read_bytes()
    slot = pod.slot("other")
    with pod.writer() as writer:
        writer.commit(pod.policy, [pod.submission(slot, text="b")])
    checkpoint = inspect(pod.folder, pod.policy, pod.keys.file_key).ledger.checkpoint
    pod.folder.vault.write_bytes(older)
    with pytest.raises(DamagedError, match="was replaced while it was read"):
        rewrite(pod.folder.vault, pod.keys.file_key, _target(pod), NEW_KEY, checkpoint=checkpoint)
    assert not _target(pod).exists()


def test_a_vault_without_a_batch_is_written(tmp_path: Path) -> None:
    """It has no checkpoint."""
    pod = new_pod(tmp_path)
    _rewrite(pod)
    with pytest.raises(StorageError):
        _rewrite(pod)


def test_a_copy_that_cannot_be_written_is_the_disks_fault(pod: TestPod) -> None:
    """SQLCipher's export answers as if its statement were wrong; here no journal can be made."""
    _target(pod).with_name("vault.db.new-journal").mkdir()
    with pytest.raises(StorageError, match="could not be opened"):
        _rewrite(pod)
    assert not _target(pod).exists()
    assert pod.check().findings == []


def test_a_damaged_page_of_the_source_is_damage(pod: TestPod) -> None:
    """Whichever it is; only the first is looked at before."""
    content = pod.folder.vault.read_bytes()
    for at in range(PAGE_BYTES + 100, len(content), PAGE_BYTES):
        pod.folder.vault.write_bytes(content[:at] + bytes((content[at] ^ 1,)) + content[at + 1 :])
        with pytest.raises(DamagedError, match="a page of the vault fails its checks"):
            rewrite(pod.folder.vault, pod.keys.file_key, _target(pod), NEW_KEY, checkpoint=b"")
        assert not _target(pod).exists()


_REWRITING = """
import os, sys
from pathlib import Path
from tests.support.pods import new_pod
from vault.errors import DiskFullError
from vault.inspecting import inspect
from vault.keys import FileKey
from vault.rewriting import rewrite
from vault.wal import PAGE_BYTES

disk = Path(sys.argv[1])
pod = new_pod(disk)
slot = pod.slot()
with pod.writer() as writer:
    writer.commit(pod.policy, [pod.submission(slot, text="a" * 5000) for _ in range(40)])
space = os.statvfs(disk)
(disk / "filler").write_bytes(bytes(space.f_bavail * space.f_frsize - (100 << 10)))
checkpoint = inspect(pod.folder, pod.policy, pod.keys.file_key).ledger.checkpoint
fresh = pod.folder.path / "vault.db.new"
try:
    rewrite(pod.folder.vault, pod.keys.file_key, fresh, FileKey(bytes(32)), checkpoint=checkpoint)
except DiskFullError as exc:
    print(exc)
assert not fresh.exists()
"""


def test_a_full_disk_is_said_to_be_full(tmp_path: Path) -> None:
    """What a second vault needs is what most often lacks."""
    assert run_on_small_disk(tmp_path, 2_000, _REWRITING).startswith("no space is left on the disk")
