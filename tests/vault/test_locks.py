"""Locks between real processes: one writer, copies at any time, and nobody kept out for good."""

from __future__ import annotations

import errno
import fcntl
import itertools
import os
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.child import Child
from vault.errors import LockedError, StorageError
from vault.locks import COPY_LOCK, TURN_LOCK, VAULT_LOCK, Lock, Patience, WriterTurn, copying, hold_vault

AT_ONCE = Patience(0, time.monotonic, time.sleep)


@pytest.fixture
def turn(tmp_path: Path) -> Iterator[WriterTurn]:
    """The writer's way to copy.lock, in this process."""
    turn = WriterTurn(tmp_path)
    yield turn
    turn.close()


def test_a_second_process_cannot_write(tmp_path: Path) -> None:
    """Two writers would sign a fork of the log."""
    with Child("locker", tmp_path) as other, hold_vault(tmp_path):
        assert other.ask("hold") == "False"


def test_a_refused_writer_is_told_to_stop_the_other(tmp_path: Path) -> None:
    """The sentence is all a person sees; no file stays open."""
    with Child("locker", tmp_path) as other:
        assert other.ask("hold") == "True"
        before = len(os.listdir("/proc/self/fd"))
        with pytest.raises(LockedError, match="another process has this vault open for writing; stop it"):
            hold_vault(tmp_path)
        assert len(os.listdir("/proc/self/fd")) == before


def test_a_second_holder_in_the_same_process_is_refused(tmp_path: Path) -> None:
    """A lock belongs to the open file, so a pod opened twice by mistake is seen."""
    with hold_vault(tmp_path), pytest.raises(LockedError):
        hold_vault(tmp_path)


def test_the_lock_of_a_killed_process_is_free(tmp_path: Path) -> None:
    """After a crash nobody should have to remove a file."""
    with Child("locker", tmp_path) as other:
        assert other.ask("hold") == "True"
        other.kill()
        hold_vault(tmp_path).close()


def test_a_closed_lock_is_free_and_closing_twice_is_harmless(tmp_path: Path) -> None:
    """Error paths close what may be closed already."""
    lock = hold_vault(tmp_path)
    lock.close()
    lock.close()
    hold_vault(tmp_path).close()


def test_lock_files_are_private(tmp_path: Path) -> None:
    """Who can open a lock file can stop the server."""
    with hold_vault(tmp_path), copying(tmp_path, AT_ONCE):
        modes = {name: stat.S_IMODE((tmp_path / name).stat().st_mode) for name in os.listdir(tmp_path)}
    assert modes == {VAULT_LOCK: 0o600, COPY_LOCK: 0o600, TURN_LOCK: 0o600}


def test_a_started_program_does_not_inherit_the_lock(tmp_path: Path) -> None:
    """A program the server starts must not keep the vault locked after the server's end."""
    program = [sys.executable, "-c", "print(flush=True); input()"]
    with hold_vault(tmp_path):
        child = subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, close_fds=False)
        assert child.stdout is not None
        child.stdout.readline()
    try:
        hold_vault(tmp_path).close()
    finally:
        child.communicate(b"\n")


def test_a_lock_file_that_is_a_link_is_refused(tmp_path: Path) -> None:
    """Locking another file than everyone else is no lock."""
    (tmp_path / "elsewhere").touch()
    (tmp_path / VAULT_LOCK).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StorageError, match=r"vault\.lock"):
        hold_vault(tmp_path)


def test_a_missing_folder_is_refused_and_leaves_no_file_open(tmp_path: Path) -> None:
    """A writer needs both locks or none."""
    with pytest.raises(StorageError, match=r"turn\.lock: the operating system refused: No such file"):
        WriterTurn(tmp_path / "absent")
    (tmp_path / COPY_LOCK).symlink_to(tmp_path / "elsewhere")
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(StorageError, match=r"copy\.lock"):
        WriterTurn(tmp_path)
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_file_system_without_locks_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lock that cannot be had is no lock; only EWOULDBLOCK means that another has it."""

    def no_locks(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    with Lock(tmp_path / VAULT_LOCK) as lock:
        monkeypatch.setattr(fcntl, "flock", no_locks)
        with pytest.raises(StorageError, match="No locks available"):
            lock.try_exclusive()


def test_copies_go_on_side_by_side(tmp_path: Path) -> None:
    """Two people may pull at once."""
    with Child("locker", tmp_path) as other, copying(tmp_path, AT_ONCE):
        assert other.ask("copy") == "True"


def test_a_checkpoint_waits_for_copies(tmp_path: Path, turn: WriterTurn) -> None:
    """A page that moves while it is copied can leave a copy without rows."""
    with Child("locker", tmp_path) as reader:
        assert reader.ask("copy") == "True"
        assert turn.try_exclusive() is None
        reader.ask("end")
        held = turn.try_exclusive()
        assert held is not None
        with held:
            assert reader.ask("copy") == "False"
        assert reader.ask("copy") == "True"


def test_a_killed_reader_does_not_stop_checkpoints(tmp_path: Path, turn: WriterTurn) -> None:
    """Else one crashed pull would let the WAL grow until the server refuses items."""
    with Child("locker", tmp_path) as reader:
        assert reader.ask("copy") == "True"
        reader.kill()
        assert turn.try_exclusive() is not None


def test_readers_who_follow_one_another_do_not_starve_the_writer(tmp_path: Path, turn: WriterTurn) -> None:
    """Once the writer asked, no new copy begins before its checkpoint; running ones end in peace."""
    with Child("locker", tmp_path) as early, Child("locker", tmp_path) as late:
        assert early.ask("copy") == "True"
        assert turn.try_exclusive() is None
        assert late.ask("copy") == "False"
        early.ask("end")
        assert late.ask("copy") == "False"
        held = turn.try_exclusive()
        assert held is not None
        with held:
            pass
        assert late.ask("copy") == "True"


def test_without_the_turn_readers_would_starve_the_writer(tmp_path: Path) -> None:
    """The reason for turn.lock: with copy.lock alone, each reader begins before the last one ends."""
    with (
        Lock(tmp_path / COPY_LOCK) as writer,
        Lock(tmp_path / COPY_LOCK) as one,
        Lock(tmp_path / COPY_LOCK) as two,
    ):
        readers = [one, two] * 5
        assert one.try_shared()
        for leaving, coming in itertools.pairwise(readers):
            assert coming.try_shared()
            leaving.release()
            assert not writer.try_exclusive()


def test_a_writer_that_gives_up_lets_copies_begin(tmp_path: Path, turn: WriterTurn) -> None:
    """A server that stops trying to close must not keep readers out."""
    with Child("locker", tmp_path) as reader:
        assert reader.ask("copy") == "True"
        assert turn.try_exclusive() is None
        turn.give_up()
        with copying(tmp_path, AT_ONCE):
            assert reader.ask("end") == "True"


def test_a_failed_checkpoint_frees_both_locks(tmp_path: Path, turn: WriterTurn) -> None:
    """An error is no reason to keep readers out."""
    held = turn.try_exclusive()
    assert held is not None
    with pytest.raises(StorageError), held:
        raise StorageError
    with copying(tmp_path, AT_ONCE):
        pass


def test_a_copy_waits_as_long_as_it_was_told_and_no_longer(tmp_path: Path) -> None:
    """The clock is the caller's, so this test takes no time."""
    now = 0.0
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        nonlocal now
        now += seconds
        slept.append(seconds)

    with Child("locker", tmp_path) as writer:
        assert writer.ask("turn") == "True"
        with (
            pytest.raises(LockedError, match="try again in a moment"),
            copying(tmp_path, Patience(1, lambda: now, sleep)),
        ):
            pytest.fail("the writer holds copy.lock")
    assert sum(slept) == pytest.approx(1, abs=0.02)


def test_a_copy_begins_when_the_checkpoint_is_done(tmp_path: Path, turn: WriterTurn) -> None:
    """Waiting is polling: the lock is taken at the first look after it is free."""
    held = turn.try_exclusive()
    assert held is not None
    waited: list[float] = []

    def sleep(seconds: float) -> None:
        waited.append(seconds)
        turn.give_up()

    with copying(tmp_path, Patience(1, time.monotonic, sleep)):
        assert len(waited) == 1
