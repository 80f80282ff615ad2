"""The real command in a process of its own, as a person runs it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
SECONDS = 240


@dataclass(frozen=True)
class Ran:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Standard output, decoded."""
        return json.loads(self.out)


def shared_pod(
    *arguments: str | Path,
    cwd: Path,
    stdin: str = "",
    environment: Mapping[str, str] | None = None,
) -> Ran:
    """Run ``shared-pod`` in ``cwd``, without a terminal."""
    done = subprocess.run(
        [sys.executable, "-m", "maintainer_tools", *map(str, arguments)],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "100", **(environment or {})},
        input=stdin,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    return Ran(done.returncode, done.stdout, done.stderr)


def succeed(
    *arguments: str | Path, cwd: Path, stdin: str = "", environment: Mapping[str, str] | None = None
) -> Ran:
    """Run ``shared-pod``; whatever it says belongs to the failure when it does not end with 0."""
    ran = shared_pod(*arguments, cwd=cwd, stdin=stdin, environment=environment)
    assert ran.code == 0, f"{arguments} ended with {ran.code}:\n{ran.out}\n{ran.err}"
    return ran
