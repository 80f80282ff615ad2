"""Processes whose wall clock is wrong: a library of ours answers in place of the C library's."""

from __future__ import annotations

import functools
import subprocess
import tempfile
from pathlib import Path

from tests.power.shim import FLAGS

_SOURCE = Path(__file__).with_name("clock.c")


@functools.cache
def _built() -> tuple[tempfile.TemporaryDirectory[str], Path]:
    folder = tempfile.TemporaryDirectory(prefix="clock-")
    library = Path(folder.name) / "clock.so"
    subprocess.run(["cc", *FLAGS, "-o", library, _SOURCE, "-ldl"], check=True)
    return folder, library


def wrong_by(seconds: int) -> dict[str, str]:
    """The environment of a process whose clock is ahead by so many seconds; behind, if negative."""
    if not seconds:
        return {}
    _, library = _built()
    return {"LD_PRELOAD": str(library), "CLOCK_OFFSET_SECONDS": str(seconds)}
