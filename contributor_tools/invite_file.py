"""Reading an invite from where it is not seen: a file, or standard input.

Never from an argument: arguments stand in process lists and shell histories.
"""

from __future__ import annotations

import stat
import sys
from pathlib import Path

from contributor_tools.console import clean
from vault.errors import MalformedError
from vault.files import STDIN, read_given
from vault.links import MAX_INVITE_CHARACTERS, Invite, parse_invite

_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def read_invite(path: str) -> Invite:
    """Read an invite.

    Args:
        path: A file, or `-` for standard input.

    Raises:
        MissingError: Nothing is there.
        MalformedError: What is there is no invite; it is not quoted.
        StorageError: The operating system refuses.
    """
    try:
        raw = read_given(path, MAX_INVITE_CHARACTERS + 1, sys.stdin.buffer)
        return parse_invite(raw.decode("ascii", "replace"))
    except MalformedError as exc:
        raise MalformedError(f"{clean(path)} holds no whole invite: {exc}") from exc


def exposure(path: str) -> str | None:
    """Say whether others on this machine can read an invite file; None if they cannot."""
    if path == STDIN or not Path(path).stat().st_mode & _OTHERS:
        return None
    return f"others on this machine can read {clean(path)}, which holds a key; make it yours alone: chmod 600"
