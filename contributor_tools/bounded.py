"""Reading what a person named, and never more of it than it can be.

A file, a pipe or standard input: a receipt, an item. It comes from strangers,
so its size is bounded before anything is parsed.
"""

from __future__ import annotations

import sys
from pathlib import Path

from contributor_tools.console import clean
from vault.errors import MalformedError, MissingError, StorageError

STDIN = "-"


def read_bounded(path: str, most_bytes: int) -> bytes:
    """Read all of a small file.

    Args:
        path: A file, or `-` for standard input.
        most_bytes: Most bytes it may have.

    Raises:
        MissingError: It is not there.
        MalformedError: It is larger.
        StorageError: The operating system refuses.
    """
    name = "standard input" if path == STDIN else clean(path)
    try:
        content = _read(path, most_bytes + 1)
    except FileNotFoundError as exc:
        raise MissingError(f"{name} is not there") from exc
    except OSError as exc:
        raise StorageError(f"{name} could not be read: {exc.strerror}") from exc
    if len(content) > most_bytes:
        raise MalformedError(f"{name} is larger than {most_bytes} bytes, so it is not what was expected here")
    return content


def _read(path: str, most_bytes: int) -> bytes:
    if path == STDIN:
        return sys.stdin.buffer.read(most_bytes)
    with Path(path).open("rb") as file:
        return file.read(most_bytes)
