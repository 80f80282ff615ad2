"""Counting in a process of its own: what is counted against goes in as JSON, what was found comes out."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from os import environ
from pathlib import Path
from typing import TypeVar

import msgspec

from tests.support.server import ROOT

COUNTING_SECONDS = 600.0

T = TypeVar("T")


def count_apart(
    module: str, *folders: Path, given: object, kind: type[T], environment: Mapping[str, str] | None = None
) -> T:
    """Run ``python -m module FOLDER...``.

    Args:
        module: Takes JSON from standard input and prints JSON.
        folders: Its arguments.
        given: What it takes.
        kind: What it prints.
        environment: Added to this process's own.
    """
    ended = subprocess.run(
        [sys.executable, "-m", module, *map(str, folders)],
        cwd=ROOT,
        env={**environ, **(environment or {})},
        input=msgspec.json.encode(given),
        stdout=subprocess.PIPE,
        check=True,
        timeout=COUNTING_SECONDS,
    )
    return msgspec.json.decode(ended.stdout, type=kind)
