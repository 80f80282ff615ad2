"""Nothing that a test started is left, however the test ends."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.stores.programs import Program, scratch_folder
from tests.support.server import ROOT
from tests.support.waiting import eventually, is_running

_STARTING = """
import sys
from tests.stores.programs import Program, scratch_folder
with scratch_folder("programs-") as folder:
    program = Program("sleep", ["sh", "-c", "echo started; exec sleep 1000"], folder / "log")
    program.await_ready(lambda: "started" in program.last_words())
    print(program.pid, folder, flush=True)
    sys.stdin.read()
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_they_die_with_who_started_them(how: signal.Signals) -> None:
    """By whatever signal; and their folder is removed."""
    with subprocess.Popen(
        [sys.executable, "-c", _STARTING],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as starting:
        assert starting.stdout is not None
        pid, folder = starting.stdout.readline().split()
        assert is_running(int(pid))
        assert Path(folder, "log").exists()
        starting.send_signal(how)
        starting.wait(30)
    assert eventually(lambda: not is_running(int(pid)))
    assert eventually(lambda: not Path(folder).exists())


def test_one_that_ends_says_why(tmp_path: Path) -> None:
    """Rather than that it is late."""
    program = Program("cat", ["cat", tmp_path / "nothing"], tmp_path / "log")
    with pytest.raises(AssertionError, match=r"cat ended: .*No such file"):
        program.await_ready(lambda: False)


def test_one_that_does_not_end_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With what it started."""
    monkeypatch.setattr("tests.stores.programs.STOP_SECONDS", 0.2)
    deaf = 'trap "" TERM; echo ready; while :; do sleep 0.1; done'
    program = Program("deaf", ["sh", "-c", deaf], tmp_path / "log")
    program.await_ready(lambda: "ready" in program.last_words())
    program.stop()
    assert not program.is_running
    assert not is_running(program.pid)


def test_a_folder_is_removed_when_its_test_fails() -> None:
    """As when it passes."""

    def fail() -> None:
        with scratch_folder("programs-") as folder:
            made.append(folder)
            (folder / "file").touch()
            raise ZeroDivisionError

    made: list[Path] = []
    with pytest.raises(ZeroDivisionError):
        fail()
    assert not made[0].exists()
