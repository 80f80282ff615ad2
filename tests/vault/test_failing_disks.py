"""A writer whose disk fails, fills up or is taken away acknowledges nothing that is not there."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from tests.support.child import Child
from tests.support.pods import TestPod
from tests.support.small_disk import small_disk
from vault.errors import (
    OutcomeUnknownError,
)
from vault.judging import Outcome


def _rename_back_and_forth(path: Path) -> None:
    aside = path.with_name("aside")
    path.rename(aside)
    shutil.copy(aside, path)


REPLACED: dict[str, Callable[[TestPod], object]] = {
    "vault.db removed": lambda pod: pod.folder.vault.unlink(),
    "vault.db renamed": lambda pod: pod.folder.vault.rename(pod.folder.path / "aside"),
    "vault.db replaced": lambda pod: _rename_back_and_forth(pod.folder.vault),
    "log removed": lambda pod: pod.folder.wal.unlink(),
    "log renamed": lambda pod: pod.folder.wal.rename(pod.folder.path / "aside"),
    "log replaced": lambda pod: _rename_back_and_forth(pod.folder.wal),
}


@pytest.mark.parametrize("replace", REPLACED.values(), ids=REPLACED)
@pytest.mark.parametrize("payload", [{"id": "item-1", "text": "x"}, {"id": "item-4", "text": "x"}])
def test_nothing_is_answered_from_files_that_were_replaced(
    used: TestPod, tmp_path: Path, replace: Callable[[TestPod], object], payload: dict[str, str]
) -> None:
    """SQLite would go on writing to them: both a new item and a retry would be acknowledged into nothing."""
    crashed = used.crashed_writing(tmp_path)
    writer = crashed.open_writer()
    crashed.put(writer, id="before", text="x")
    replace(crashed)

    with pytest.raises(OutcomeUnknownError, match="was replaced while the server had it open"):
        crashed.put(writer, **payload)

    assert writer.close()


def test_a_vault_that_is_put_back_goes_on(used: TestPod) -> None:
    """What was acknowledged is there; what was not may be, once."""
    writer = used.open_writer()
    used.put(writer, id="before", text="x")
    aside = used.folder.path / "aside"
    used.folder.wal.rename(aside)
    with pytest.raises(OutcomeUnknownError):
        used.put(writer, id="unknown", text="x")
    aside.rename(used.folder.wal)
    assert writer.close()

    with used.writer() as writer:
        assert used.put(writer, id="before", text="x").outcome is Outcome.RETRY
        assert used.put(writer, id="unknown", text="x").outcome in {Outcome.RETRY, Outcome.STORED}

    assert used.whole_ids() == ["item-1", "item-2", "before", "unknown"]


def test_a_failure_before_commit_leaves_no_trace(used: TestPod) -> None:
    """In the vault, and in the writer's memory: counters, views and the log go on as they were."""
    slot = used.slots["field-team"]
    batch = [used.declaration(slot, "height", "Integer"), used.submission(slot, id="item-3", height=3)]
    with used.writer() as writer:
        writer._tools = msgspec.structs.replace(writer._tools, entropy=no_entropy)
        with pytest.raises(RuntimeError, match="no randomness"):
            writer.commit(used.policy, batch)
        writer._tools = msgspec.structs.replace(writer._tools, entropy=os.urandom)

        answers = writer.commit(used.policy, batch)

    assert [answer.outcome for answer in answers] == [Outcome.STORED, Outcome.STORED]
    assert used.whole_ids() == ["item-1", "item-2", "height-Integer", "item-3"]


def no_entropy(_: int) -> bytes:
    """Stand for an operating system without randomness."""
    raise RuntimeError("no randomness")


def deposit(pod: TestPod, folder: Path, acknowledged: Path, *prefix: str) -> Child:
    """A process that deposits items."""
    key = pod.invite().database_key.reveal().hex()
    return Child("depositor", folder, key, acknowledged, prefix=prefix)


def test_a_write_that_fails_acknowledges_nothing(pod: TestPod, tmp_path: Path) -> None:
    """COMMIT returned an error, so nobody knows; the next opening finds out, and all of it is whole."""
    acknowledged = tmp_path / "acknowledged"
    with deposit(pod, pod.folder.path, acknowledged) as child:
        assert child.ask("commit") == "ok"
        assert child.ask("limit") == "ok"
        assert child.ask("commit") == "OutcomeUnknownError"
        assert child.ask("unlimit") == "ok"
        assert child.ask("close") == "True"

    with pod.writer():
        pass
    assert pod.whole_ids() == acknowledged.read_text().split()
    assert len(pod.whole_ids()) == 3


def test_a_close_that_cannot_move_the_log_loses_nothing(pod: TestPod, tmp_path: Path) -> None:
    """It is closed all the same, and the next opening moves it."""
    acknowledged = tmp_path / "acknowledged"
    with deposit(pod, pod.folder.path, acknowledged) as child:
        for _ in range(3):
            assert child.ask("commit") == "ok"
        pages = pod.folder.vault.stat().st_size
        child.ask("limit")
        assert pod.folder.wal.stat().st_size + 5000 > pages
        assert child.ask("close") in {"StorageError", "True"}

    with pod.writer():
        pass
    assert pod.whole_ids() == acknowledged.read_text().split()


def test_a_full_disk_stores_nothing_and_goes_on_when_there_is_room(pod: TestPod, tmp_path: Path) -> None:
    """507 is an answer about one batch: the same writer takes the next, once somebody made room."""
    disk, acknowledged = tmp_path / "disk", tmp_path / "acknowledged"
    disk.mkdir()
    (pod.folder.path / "ballast").write_bytes(bytes(100_000))
    with deposit(pod, disk, acknowledged, *small_disk(disk, 400, pod.folder.path)) as child:
        answers = [child.ask("commit") for _ in range(30)]
        inside = Path(f"/proc/{child.pid}/root{disk}")
        (inside / "ballast").unlink()
        assert child.ask("commit") == "ok"
        shutil.copytree(inside, tmp_path / "after")

    assert set(answers) == {"ok", "DiskFullError"}
    assert answers == sorted(answers, reverse=True)
    shutil.rmtree(pod.folder.path)
    (tmp_path / "after").rename(pod.folder.path)
    with pod.writer():
        pass
    assert pod.whole_ids() == acknowledged.read_text().split()
