"""What is kept free: room for the log to be moved, whatever a batch holds."""

from __future__ import annotations

from pathlib import Path

import pytest

from ingest.reserve import BATCH_BYTES, ITEM_BYTES, KEPT_BYTES, has_room, needed_bytes
from tests.support.pods import TestPod, make_pod
from vault.errors import StorageError
from vault.pod import PodFolder


@pytest.fixture
def pod(tmp_path: Path) -> TestPod:
    """A pod of its own."""
    return make_pod(tmp_path / "home")


def test_an_item_is_needed_twice(pod: TestPod) -> None:
    """Once in the log, once where the log is moved to."""
    small = pod.submission(pod.slot(), sha256="")
    large = pod.submission(pod.slots["field-team"], sha256="x" * 100_000)

    for item, content in ((small, 0), (large, 200_000)):
        needed = needed_bytes(pod.folder, [item]) - KEPT_BYTES - BATCH_BYTES - ITEM_BYTES
        assert content <= needed < content + 1_000


def test_what_waits_in_the_log_is_needed_once_more(pod: TestPod) -> None:
    """It has yet to be moved."""
    empty = needed_bytes(pod.folder, [])
    pod.folder.wal.write_bytes(bytes(50_000))

    assert needed_bytes(pod.folder, []) == empty + 50_000


@pytest.mark.parametrize("items", [1, 512])
def test_a_batch_and_its_log_take_no_more_than_was_asked_for(pod: TestPod, items: int) -> None:
    """The estimate holds for what is really written: the whole log, and what the vault grows by."""
    slot = pod.slot()
    batch = [pod.submission(slot, sha256="x" * 5_000) for _ in range(items)]
    asked = needed_bytes(pod.folder, batch) - KEPT_BYTES
    before = pod.folder.vault.stat().st_size

    with pod.writer() as writer:
        writer.commit(pod.policy, batch)
        log_bytes = pod.folder.wal.stat().st_size
    grown = pod.folder.vault.stat().st_size - before

    assert grown > 5_000 * items
    assert log_bytes + grown <= asked


def test_a_folder_that_is_gone_is_said(tmp_path: Path) -> None:
    """A disk that was unmounted is no disk with room."""
    with pytest.raises(StorageError):
        has_room(PodFolder(tmp_path / "gone"), [])
