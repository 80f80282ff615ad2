"""A copy taken while a server writes: whole, of one moment, and without any key."""

from __future__ import annotations

import os
import stat
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.child import Child
from tests.support.vaultfile import FILE_KEY, ITEMS, make_vault
from tests.support.writer import ACKNOWLEDGED
from vault import snapshot
from vault.clone import clone
from vault.database import connect_read
from vault.errors import DiskFullError, LockedError, MissingError, StorageError
from vault.locks import COPY_LOCK, TURN_LOCK, VAULT_LOCK, Patience, WriterTurn
from vault.snapshot import private_snapshot, take_snapshot

AT_ONCE = Patience(0, time.monotonic, time.sleep)
PATIENT = Patience(20, time.monotonic, time.sleep)
OTHERS = {"pod.toml": b"name = 'pod'", "slots.json": b"{}", "log.head": b"note"}


@pytest.fixture
def pod(tmp_path: Path) -> Path:
    """A pod's folder with every file a server's has."""
    folder = tmp_path / "pod"
    folder.mkdir(mode=0o700)
    make_vault(folder)
    for name, content in OTHERS.items():
        (folder / name).write_bytes(content)
    (folder / "log.key").write_text("secret")
    return folder


@pytest.fixture
def writer(pod: Path) -> Iterator[Child]:
    """A process that has the vault open, as a server has."""
    with Child("writer", pod) as writer:
        yield writer


def _batches(folder: Path) -> int:
    """Return how many batches a copy holds, after both checks have passed."""
    with connect_read(folder / "vault.db", FILE_KEY) as connection:
        assert connection.problems() == []
        ((count, items),) = connection.execute(
            "SELECT (SELECT count(*) FROM batch), (SELECT count(*) FROM item)"
        )
    assert items == count * ITEMS
    return int(count)


def test_a_snapshot_holds_what_the_write_ahead_log_holds(pod: Path, tmp_path: Path, writer: Child) -> None:
    """A vault copied without its log looks whole and lacks every batch since the last checkpoint."""
    for _ in range(3):
        writer.ask("commit")
    taken = take_snapshot(pod, tmp_path / "out", AT_ONCE)
    assert _batches(taken.folder) == 3


def test_a_snapshot_has_every_file_but_secrets_and_locks(pod: Path, tmp_path: Path, writer: Child) -> None:
    """With the log key in a copy, two machines could sign one log."""
    writer.ask("commit")
    assert {"log.key", VAULT_LOCK, COPY_LOCK, TURN_LOCK} < set(os.listdir(pod))
    taken = take_snapshot(pod, tmp_path / "out", AT_ONCE)
    assert set(os.listdir(taken.folder)) == {"vault.db", "vault.db-wal", *OTHERS}
    for name, content in OTHERS.items():
        assert (taken.folder / name).read_bytes() == content
    assert taken.size_bytes == sum(path.stat().st_size for path in taken.folder.iterdir())


def test_a_snapshot_is_private(pod: Path, tmp_path: Path) -> None:
    """Whatever modes the pod's own files have."""
    (pod / "pod.toml").chmod(0o644)
    folder = take_snapshot(pod, tmp_path / "out", AT_ONCE).folder
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}


def test_a_pod_that_no_server_writes_is_copied(pod: Path, tmp_path: Path) -> None:
    """Without a log, a head, or the other files too: a rescue copies what is there."""
    for name in OTHERS:
        (pod / name).unlink()
    taken = take_snapshot(pod, tmp_path / "out", AT_ONCE)
    assert os.listdir(taken.folder) == ["vault.db"]
    assert _batches(taken.folder) == 0


def test_files_are_copied_in_the_one_safe_order(pod: Path, tmp_path: Path, writer: Child) -> None:
    """The head first, so that it never names more than the copy holds; the log after the vault."""
    writer.ask("commit")
    order: list[str] = []

    def copy(source: Path, target: Path) -> None:
        order.append(source.name)
        clone(source, target)

    take_snapshot(pod, tmp_path / "out", AT_ONCE, copy)
    assert order == ["log.head", "vault.db", "vault.db-wal", "pod.toml", "slots.json"]


def test_a_naive_copy_around_a_checkpoint_is_empty_and_passes_every_check(
    pod: Path, tmp_path: Path, writer: Child
) -> None:
    """What the locks are for: the pages leave the log between the copying of the two files."""
    for _ in range(5):
        writer.ask("commit")
    out = tmp_path / "out"
    out.mkdir()
    clone(pod / "vault.db", out / "vault.db")
    assert writer.ask("truncate") == "True"
    clone(pod / "vault.db-wal", out / "vault.db-wal")
    assert _batches(out) == 0


def test_a_snapshot_around_a_checkpoint_is_whole(pod: Path, tmp_path: Path, writer: Child) -> None:
    """The same moment, forced in the same place: the checkpoint waits, and commits go on."""
    for _ in range(5):
        writer.ask("commit")
    answers: list[str] = []

    def copy(source: Path, target: Path) -> None:
        clone(source, target)
        if source.name == "vault.db":
            answers.extend([writer.ask("truncate"), writer.ask("commit")])

    taken = take_snapshot(pod, tmp_path / "out", AT_ONCE, copy)
    assert answers == ["False", "6"]
    assert _batches(taken.folder) == 6
    assert writer.ask("truncate") == "True"


def test_snapshots_of_a_busy_writer_hold_all_that_was_acknowledged(
    pod: Path, tmp_path: Path, writer: Child
) -> None:
    """300 commits, a checkpoint after every tenth, and copies as fast as they can be taken."""
    acknowledged = pod / ACKNOWLEDGED
    acknowledged.write_text("0")
    writer.tell("run")
    before = 0
    number = 0
    while before < 300:
        number += 1
        before = int(acknowledged.read_text() or before)
        taken = take_snapshot(pod, tmp_path / str(number), PATIENT)
        assert _batches(taken.folder) >= before
    assert int(writer.answer()) > 0
    assert number > 3


def test_an_existing_folder_is_left_as_it_is(pod: Path, tmp_path: Path) -> None:
    """Also an empty one, and a link that leads nowhere; renaming would replace the first."""
    (tmp_path / "out").mkdir()
    (tmp_path / "link").symlink_to("nowhere")
    for name in ("out", "link"):
        with pytest.raises(StorageError, match="exists already and was left as it is"):
            take_snapshot(pod, tmp_path / name, AT_ONCE)
    assert sorted(os.listdir(tmp_path)) == ["link", "out", "pod"]


def test_an_interrupted_snapshot_is_neither_used_nor_removed(pod: Path, tmp_path: Path) -> None:
    """It may be running; a person can tell."""
    (tmp_path / "out.partial").mkdir()
    with pytest.raises(StorageError, match=r"out\.partial is of an interrupted snapshot; remove it"):
        take_snapshot(pod, tmp_path / "out", AT_ONCE)
    assert sorted(os.listdir(tmp_path)) == ["out.partial", "pod"]


def test_a_place_that_is_not_there_is_not_made(pod: Path, tmp_path: Path) -> None:
    """A misspelt path should be noticed."""
    with pytest.raises(StorageError, match="No such file"):
        take_snapshot(pod, tmp_path / "absent" / "out", AT_ONCE)


@pytest.mark.parametrize("name", ["log.head", "vault.db", "slots.json"])
def test_a_full_disk_leaves_nothing(pod: Path, tmp_path: Path, name: str) -> None:
    """At whichever file the space ends."""

    def copy(source: Path, target: Path) -> None:
        clone(source, target)
        if source.name == name:
            raise DiskFullError(name)

    with pytest.raises(DiskFullError):
        take_snapshot(pod, tmp_path / "out", AT_ONCE, copy)
    assert os.listdir(tmp_path) == ["pod"]


def test_a_place_taken_meanwhile_leaves_nothing_of_ours(pod: Path, tmp_path: Path) -> None:
    """The finished copy is renamed at the end; another's folder is not replaced."""
    out = tmp_path / "out"

    def copy(source: Path, target: Path) -> None:
        clone(source, target)
        out.mkdir(exist_ok=True)
        (out / "theirs").touch()

    with pytest.raises(StorageError, match=r"out: the operating system refused"):
        take_snapshot(pod, out, AT_ONCE, copy)
    assert sorted(os.listdir(tmp_path)) == ["out", "pod"]
    assert os.listdir(out) == ["theirs"]


def test_a_snapshot_is_synced_before_it_has_its_name(
    pod: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A copy that a power cut could empty is no copy."""
    out = tmp_path / "out"
    synced: list[tuple[str, bool]] = []
    monkeypatch.setattr(snapshot, "sync", lambda path: synced.append((path.name, out.exists())))
    take_snapshot(pod, out, AT_ONCE)
    names = {("vault.db", False), *((name, False) for name in OTHERS), ("out.partial", False)}
    assert set(synced) == names | {(tmp_path.name, True)}
    assert synced[-2:] == [("out.partial", False), (tmp_path.name, True)]


def test_a_folder_without_a_vault_is_said_so(tmp_path: Path) -> None:
    """And no lock files are left in a folder that is none of ours."""
    with pytest.raises(MissingError, match="nothing to copy"):
        take_snapshot(tmp_path, tmp_path / "out", AT_ONCE)
    assert os.listdir(tmp_path) == []


def test_a_snapshot_waits_for_a_checkpoint_only_so_long(pod: Path, tmp_path: Path) -> None:
    """A stuck server is said to be in the way; nothing is left."""
    turn = WriterTurn(pod)
    assert turn.try_exclusive() is not None
    with pytest.raises(LockedError):
        take_snapshot(pod, tmp_path / "out", AT_ONCE)
    turn.close()
    assert os.listdir(tmp_path) == ["pod"]


def test_a_private_snapshot_is_gone_afterwards(
    pod: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, writer: Child
) -> None:
    """A tool reads it and leaves no trace, in good times and bad."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    writer.ask("commit")
    with private_snapshot(pod, AT_ONCE) as folder:
        assert folder.parent == tmp_path
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert _batches(folder) == 1
    assert os.listdir(tmp_path) == ["pod"]
    with pytest.raises(MissingError), private_snapshot(pod, AT_ONCE):
        raise MissingError
    assert os.listdir(tmp_path) == ["pod"]


def test_without_a_temporary_folder_the_sentence_names_its_setting(
    pod: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There is no other place a tool may put an opened vault."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "absent"))
    with pytest.raises(StorageError, match="set TMPDIR"), private_snapshot(pod, AT_ONCE):
        pytest.fail("there is no such folder")


def test_reading_a_private_snapshot_leaves_the_pod_alone(pod: Path, writer: Child) -> None:
    """The copy's log is emptied, not the server's."""
    writer.ask("commit")
    files = ("vault.db", "vault.db-wal")
    before = [(pod / name).read_bytes() for name in files]
    with private_snapshot(pod, AT_ONCE) as folder:
        assert _batches(folder) == 1
    assert [(pod / name).read_bytes() for name in files] == before
    assert writer.ask("commit") == "2"
