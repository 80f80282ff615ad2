"""Invite files: one line with the link, for its holder alone."""

from __future__ import annotations

import sys
from pathlib import Path

from maintainer_tools.new_files import write_private
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
        raw = read_file(path, MAX_INVITE_CHARACTERS + 1, may_be_pipe=True)
    return parse_invite(parse_hex_line(raw, "invite"))
