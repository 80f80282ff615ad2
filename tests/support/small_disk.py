"""A disk that is really full: Python code run where a small file system of its own is mounted."""

from __future__ import annotations

import functools
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

WITHOUT = (
    "no small disk can be mounted here: run as root; or install unshare (Debian: util-linux) and let users "
    "have namespaces: sysctl user.max_user_namespaces=10000 kernel.apparmor_restrict_unprivileged_userns=0"
)
NAMESPACE = ("unshare", "--user", "--map-root-user", "--mount")
"""What gives a command mounts of its own."""
_MOUNT = """
mount -t tmpfs -o "size=$1k" tmpfs "$2" || exit
test -z "$3" || cp -a "$3"/. "$2" || exit
shift 3
exec "$@"
"""


@functools.cache
def can_mount() -> bool:
    """Whether this machine lets the tests mount a small disk."""
    if shutil.which(NAMESPACE[0]) is None:
        return False
    return subprocess.run([*NAMESPACE, "true"], capture_output=True, check=False).returncode == 0


def small_disk(folder: Path, size_kib: int, content: Path | None = None) -> tuple[str, ...]:
    """What to put before a command, so that a small disk lies at ``folder`` for it, or skip.

    Args:
        folder: Stays empty for everybody else; the command's process has it at /proc/PID/root.
        size_kib: What fits on it.
        content: A folder whose files are copied there first.
    """
    if not can_mount():
        pytest.skip(WITHOUT)
    return (*NAMESPACE, "sh", "-c", _MOUNT, "sh", str(size_kib), str(folder), str(content or ""))


def run_on_small_disk(folder: Path, size_kib: int, program: str) -> str:
    """Run Python code whose ``sys.argv[1]`` is a folder on a small disk, or skip.

    Returns:
        What it printed; it must end well, and say nothing on standard error.
    """
    ended = subprocess.run(
        [*small_disk(folder, size_kib), sys.executable, "-c", program, str(folder)],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    return ended.stdout
