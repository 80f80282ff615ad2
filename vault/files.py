"""Small files: read up to a bound, and written whole or not at all."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import BinaryIO

from vault.disk import open_regular, storage_error, sync
from vault.errors import MalformedError, MissingError, StorageError

PRIVATE_FILE = 0o600
PRIVATE_FOLDER = 0o700
STDIN = "-"
"""What a person writes in a file's place for standard input."""


def _write_new(path: Path, content: bytes, *, is_synced: bool) -> None:
    descriptor = os.open(
        path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, PRIVATE_FILE
    )
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        if is_synced:
            file.flush()
            os.fsync(file.fileno())


def replace_file(path: Path, content: bytes, *, is_synced: bool = True) -> None:
    """Replace ``path`` atomically; readers see the old bytes or the new ones.

    Args:
        path: The file; its neighbour ``path`` + ``.new`` is used meanwhile.
        content: All of it.
        is_synced: Whether content and name are durable on return. The log's
            head is not: a power cut may bring back an older one, which is safe.

    Raises:
        DiskFullError: No space is left; ``path`` is untouched.
        StorageError: The operating system refuses; ``path`` is untouched.
    """
    fresh = path.with_name(path.name + ".new")
    try:
        _write_new(fresh, content, is_synced=is_synced)
        fresh.replace(path)
        if is_synced:
            sync(path.parent)
    except OSError as exc:
        with contextlib.suppress(OSError):
            fresh.unlink()
        raise storage_error(path, exc) from exc


def read_file(path: Path, limit_bytes: int, *, may_be_pipe: bool = False) -> bytes:
    """Read a small file.

    Args:
        path: Of the file.
        limit_bytes: Most bytes it may have.
        may_be_pipe: Whether it need not be a regular file: true for what a
            person named, false for what lies in a pod's folder.

    Raises:
        MissingError: It is not there.
        MalformedError: It is larger than ``limit_bytes``.
        StorageError: The operating system refuses, or it is no regular file.
    """
    try:
        with path.open("rb") if may_be_pipe else open_regular(path) as file:
            return _read_bounded(file, limit_bytes, path.name)
    except FileNotFoundError as exc:
        hint = "" if may_be_pipe else "; is this a pod's folder?"
        raise MissingError(f"{path.name} is not in {path.parent}{hint}") from exc
    except OSError as exc:
        raise StorageError(f"{path.name} in {path.parent} could not be read: {exc.strerror}") from exc


def read_given(path: str | Path, limit_bytes: int, stdin: BinaryIO) -> bytes:
    """Read what a person named: a file, a pipe, or ``-`` for standard input.

    Args:
        path: As they named it.
        limit_bytes: Most bytes it may have.
        stdin: Standard input.

    Raises:
        VaultError: As ``read_file``.
    """
    if str(path) == STDIN:
        return _read_bounded(stdin, limit_bytes, "standard input")
    return read_file(Path(path), limit_bytes, may_be_pipe=True)


def _read_bounded(file: BinaryIO, limit_bytes: int, name: str) -> bytes:
    content = file.read(limit_bytes + 1)
    if len(content) > limit_bytes:
        raise MalformedError(
            f"{name} is larger than {limit_bytes} bytes, so it is not what was expected here"
        )
    return content
