# ruff: noqa: INP001 - a folder on PYTHONPATH, not a package: an __init__ would hide it
"""Test-only: a process started with this folder on PYTHONPATH dumps its loaded modules on SIGUSR1.

Python imports this module by itself at start-up. The list goes to the file that
MODULES_DUMP names; worker processes inherit the handler.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from types import FrameType


def _dump(_number: int, _frame: FrameType | None) -> None:
    path = Path(os.environ["MODULES_DUMP"])
    partial = path.with_suffix(".partial")
    partial.write_text("\n".join(sorted(sys.modules)), encoding="utf-8")
    partial.rename(path)


if "MODULES_DUMP" in os.environ:
    signal.signal(signal.SIGUSR1, _dump)
