"""Programs in Go that tests build: the other implementations of what our files say.

Without a Go toolchain, or with one too old, such tests are skipped, and say so.
With one, a module that cannot be had is a failure: nobody should believe a
reader agreed that was never built.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

LEAST = (1, 26)
WITHOUT = (
    "Go 1.26 or later is not installed here, so no other implementation reads our files; install it from "
    "https://go.dev/dl"
)


def go(folder: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run ``go`` in a module's folder, with exactly the modules that its go.sum names."""
    environment = {**os.environ, "GOTOOLCHAIN": "local", "GOFLAGS": "-mod=readonly -buildvcs=false"}
    return subprocess.run(
        ["go", *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=570,
        check=False,
    )


def _has_go() -> bool:
    if shutil.which("go") is None:
        return False
    version = subprocess.run(["go", "version"], capture_output=True, text=True, check=False).stdout
    found = re.search(r"go(\d+)\.(\d+)", version)
    return found is not None and tuple(map(int, found.groups())) >= LEAST


def build(folder: Path, program: Path) -> Path:
    """Build a module's program; skip the test where there is no Go."""
    if not _has_go():
        pytest.skip(WITHOUT)
    fetched = go(folder, "mod", "download")
    if fetched.returncode:
        pytest.fail(f"Go is here, but the modules in {folder.name}/go.mod cannot be had:\n{fetched.stderr}")
    built = go(folder, "build", "-o", program, ".")
    if built.returncode:
        pytest.fail(f"{folder.name} does not build:\n{built.stderr}")
    return program
