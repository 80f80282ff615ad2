"""Invite files: one line with the link, for its holder alone."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from vault.disk import storage_error, sync
from vault.errors import StorageError
from vault.links import MAX_INVITE_CHARACTERS, Invite, format_invite, parse_invite
from vault.pod import parse_hex_line, read_file

SUFFIX = ".invite"
_STDIN = "-"


def write_invite(path: Path, invite: Invite) -> None:
    """Write an invite's file, mode 0600, durable on return.

    Raises:
        StorageError: Something is at ``path`` already, or the file cannot be written.
    """
    write_private(path, format_invite(invite).encode() + b"\n")


def write_private(path: Path, content: bytes) -> None:
    """Write a new file that nobody else may read, durable on return.

    Raises:
        StorageError: Something is at ``path`` already, or the file cannot be written.
        DiskFullError: No space is left; nothing stays.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError as exc:
        raise StorageError(
            f"{path} exists already and was left as it is; move it away, or choose another name"
        ) from exc
    except OSError as exc:
        raise storage_error(path, exc) from exc
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        sync(path)
        sync(path.absolute().parent)
    except OSError as exc:
        path.unlink(missing_ok=True)
        raise storage_error(path, exc) from exc


def read_invite(path: Path) -> Invite:
    """Read an invite's file, or standard input where ``path`` is ``-``.

    Raises:
        MissingError: There is no such file.
        MalformedError: It holds no invite; it is not quoted.
        StorageError: It cannot be read.
    """
    if str(path) == _STDIN:
        raw = sys.stdin.buffer.read(MAX_INVITE_CHARACTERS + 1)
    else:
        raw = read_file(path, MAX_INVITE_CHARACTERS + 1)
    return parse_invite(parse_hex_line(raw, "invite"))
