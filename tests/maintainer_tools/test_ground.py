"""What a pod stands on: modes, disk, fsync, who listens."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path
from typing import NamedTuple

import pytest

from maintainer_tools.findings import Mark
from maintainer_tools.ground import (
    IMPLAUSIBLE_SECONDS,
    examine_kind,
    examine_listening,
    examine_modes,
    examine_space,
    examine_sync,
    examine_versions,
    file_system_of,
)
from tests.support.pods import TestPod
from vault.pod import PodFolder


def test_what_is_gone_meanwhile_has_no_mode(tmp_path: Path) -> None:
    """A server that closes its vault takes files away while they are looked at."""
    assert list(examine_modes([tmp_path / "vault.db-wal"])) == []


def test_files_and_folders_are_told_apart(tmp_path: Path) -> None:
    """A home's own files lie beside one another; a folder is said with what is in it."""
    for name in ("identity", "recovery.json"):
        (tmp_path / name).touch(0o600)
    tmp_path.chmod(0o700)
    paths = [tmp_path / "identity", tmp_path / "recovery.json"]

    (of_files,), (of_folder,) = examine_modes(paths), examine_modes([tmp_path, *paths])

    assert of_files.sentence == "only one user may read identity, recovery.json"
    assert of_folder.sentence == f"only one user may read {tmp_path.name} and what is in it (2)"


def test_a_package_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """A home on a laptop needs no server."""
    monkeypatch.setattr("maintainer_tools.ground._PACKAGES", ("no-such-package",))

    assert "no-such-package not installed" in examine_versions().sentence


class _Usage(NamedTuple):
    free: int


@pytest.mark.parametrize(
    ("free", "mark"), [(10 << 30, Mark.OK), (512 << 20, Mark.WARN), (1 << 20, Mark.FAIL)]
)
def test_room_on_the_disk(pod: TestPod, monkeypatch: pytest.MonkeyPatch, free: int, mark: Mark) -> None:
    """A gibibyte may go into the log while a snapshot is taken."""
    monkeypatch.setattr(shutil, "disk_usage", lambda _: _Usage(free))

    assert examine_space(pod.folder).mark is mark


@pytest.mark.parametrize(
    ("kind", "mark"),
    [("ext4", Mark.OK), ("tmpfs", Mark.FAIL), ("nfs4", Mark.WARN), ("fuse.sshfs", Mark.WARN)],
)
def test_kinds_of_file_systems(pod: TestPod, tmp_path: Path, kind: str, mark: Mark) -> None:
    """The one mounted last and nearest counts."""
    mounts = tmp_path / "mountinfo"
    place = str(pod.home.resolve()).replace(" ", "\\040")
    lines = [
        "22 1 8:1 / / rw - ext4 /dev/a rw",
        f"23 22 0:1 / {place} rw - xfs x rw",
        f"24 23 0:2 / {place} rw shared:1 - {kind} x rw",
        "25 22 0:3 / /elsewhere rw - proc x rw",
    ]
    mounts.write_text("\n".join(lines) + "\n")

    assert examine_kind(pod.folder, mounts).mark is mark
    assert file_system_of(pod.folder.path.resolve(), tmp_path / "none") == "unknown"


@pytest.mark.parametrize(("seconds", "mark"), [(0.002, Mark.OK), (IMPLAUSIBLE_SECONDS / 20, Mark.WARN)])
def test_an_fsync_too_fast_to_be_true(pod: TestPod, seconds: float, mark: Mark) -> None:
    """By a clock that the test moves; nothing of the probe stays."""
    ticks = iter(range(1000))
    before = sorted(os.listdir(pod.folder.path))

    assert examine_sync(pod.folder, lambda: next(ticks) * seconds).mark is mark
    assert sorted(os.listdir(pod.folder.path)) == before


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    """Named, not raised: the rest is examined too."""
    assert examine_sync(PodFolder(tmp_path / "gone"), time.perf_counter).mark is Mark.FAIL


@pytest.mark.parametrize(
    ("host", "mark"),
    [
        *[("127.0.0.1", Mark.OK), ("::1", Mark.OK), ("localhost", Mark.OK)],
        *[("0.0.0.0", Mark.WARN), ("::", Mark.WARN), ("pod.example.org", Mark.WARN), ("", Mark.WARN)],  # noqa: S104
    ],
)
def test_who_can_overhear(host: str, mark: Mark) -> None:
    """Anything but loopback is in clear on some wire."""
    assert examine_listening(host).mark is mark
