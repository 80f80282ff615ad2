"""A command of ours, run as a person runs it, and what it took: time, processor, memory."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import msgspec

POLL_SECONDS = 0.05


class Cost(msgspec.Struct, frozen=True):
    """What one command took.

    Attributes:
        seconds: By the clock on the wall.
        cpu_seconds: Of processor, its children's included.
        peak_mb: The most memory it had resident at once.
    """

    seconds: float
    cpu_seconds: float
    peak_mb: float


def _peak_mb(pid: int) -> float:
    """A process's most resident memory since it began to run its program; 0 when it has ended."""
    # Not ru_maxrss of wait4: that begins with what this process had when it forked.
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    except FileNotFoundError:
        return 0.0
    found = [line.split()[1] for line in lines if line.startswith("VmHWM:")]
    return int(found[0]) * 1024 / 1e6 if found else 0.0


def run_command(*arguments: str | Path, temporary: Path, nice: int = 0, out: Path | None = None) -> Cost:
    """Run ``shared-pod`` to its end.

    Args:
        arguments: The command line after ``shared-pod``.
        temporary: A folder: for private copies, and for what is said.
        nice: How far it stands back for others, nice(1).
        out: Where its standard output goes; nowhere unless given.

    Raises:
        ChildProcessError: It ended with another code than 0; what it said is in the message.
    """
    command = ["nice", f"-n{nice}", sys.executable, "-m", "maintainer_tools", *map(str, arguments)]
    environment: Mapping[str, str] = {**os.environ, "TMPDIR": str(temporary)}
    with (temporary / "said").open("w+b") as said, (out or Path(os.devnull)).open("wb") as writing:
        began = time.perf_counter()
        process = subprocess.Popen(command, env=environment, stdout=writing, stderr=said)
        peak = 0.0
        while os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            peak = max(peak, _peak_mb(process.pid))
            time.sleep(POLL_SECONDS)
        _, status, used = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            said.seek(0)
            sentence = said.read().decode(errors="replace")
            raise ChildProcessError(f"{shlex.join(command)} ended with {process.returncode}: {sentence}")
    return Cost(seconds, used.ru_utime + used.ru_stime, peak)
