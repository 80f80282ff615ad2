"""Saying which of several files an error is about."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from vault.errors import VaultError


@contextlib.contextmanager
def naming(path: str | Path) -> Iterator[None]:
    """Put a file's name before the sentence of every ``VaultError`` of the block."""
    try:
        yield
    except VaultError as exc:
        exc.args = (f"{path}: {exc}",)
        raise
