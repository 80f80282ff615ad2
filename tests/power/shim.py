"""Building the shim, starting a process under it, and telling it what to do from inside that process."""

from __future__ import annotations

import ctypes
import functools
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from enum import IntEnum
from pathlib import Path

from tests.support.server import ROOT

SOURCE = Path(__file__).with_name("shim.c")
FLAGS = ["-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-fvisibility=hidden", "-pthread"]
NO_COMPILER = (
    "no C compiler (cc) is installed here, which builds the shim under the vault's files; "
    "install one (Debian: apt-get install gcc libc6-dev)"
)


class Kind(IntEnum):
    """Calls that can be failed; the numbers are those of ``enum kind`` in shim.c."""

    ANY = -1
    OPEN = 0
    WRITE = 1
    SYNC = 2
    RENAME = 3
    TRUNCATE = 4
    UNLINK = 5
    MKDIR = 6


class How(IntEnum):
    """Which calls fail; the numbers are those of ``enum how`` in shim.c."""

    ONCE = 0
    FROM_HERE = 1
    SHORT_FIRST = 2
    """The call does half of what it was asked, and the next one fails."""


def has_compiler() -> bool:
    """Whether the shim can be built here."""
    return shutil.which("cc") is not None


@functools.cache
def _built() -> tuple[tempfile.TemporaryDirectory[str], Path]:
    folder = tempfile.TemporaryDirectory(prefix="shim-")
    library = Path(folder.name) / "shim.so"
    subprocess.run(["cc", *FLAGS, "-o", library, SOURCE], check=True)
    return folder, library


def environment(folder: Path, log: Path | None = None, *, is_deaf_to_folders: bool = False) -> dict[str, str]:
    """What a process is started with to have the shim under its files.

    Args:
        folder: Only what lies below it is seen.
        log: Records are appended to it; None records nothing.
        is_deaf_to_folders: Whether the fsync of a folder does nothing: a planted bug.
    """
    named = os.environ | {
        "LD_PRELOAD": str(_built()[1]),
        "SHIM_FOLDER": str(folder.resolve()),
        "PYTHONPATH": str(ROOT),
    }
    named |= {"SHIM_LOG": str(log)} if log else {}
    return named | ({"SHIM_DEAF": "folders"} if is_deaf_to_folders else {})


def run_under(environment: Mapping[str, str], module: str, *arguments: object) -> str:
    """Run ``python -m module`` to its end and return what it printed.

    Raises:
        subprocess.CalledProcessError: It failed; its stderr was shown.
    """
    command = [sys.executable, "-m", module, *map(str, arguments)]
    return subprocess.run(
        command, env=dict(environment), cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True
    ).stdout


class Shim:
    """The shim this process was started under."""

    def __init__(self) -> None:
        self._library = ctypes.CDLL(None)
        self._library.shim_mark.argtypes = [ctypes.c_char_p, ctypes.c_size_t]

    def mark(self, note: bytes) -> None:
        """Put a note into the log, behind all that was done so far."""
        self._library.shim_mark(note, len(note))

    def arm(self, kind: Kind = Kind.ANY, number: int = 0, error: int = 0, how: How = How.ONCE) -> None:
        """Count calls from now on, and fail the ``number``-th of a kind with errno ``error``; 0 is none."""
        self._library.shim_arm(kind, number, error, how)

    def calls(self, kind: Kind) -> int:
        """How many calls of a kind there were since ``arm``."""
        return int(self._library.shim_calls(kind))

    def disarm(self) -> bool:
        """Let every call through; returns whether one was failed."""
        return bool(self._library.shim_disarm())
