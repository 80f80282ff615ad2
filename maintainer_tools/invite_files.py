"""Invite files: one line with the link, for its holder alone."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from maintainer_tools.homes import Change
from maintainer_tools.new_files import write_private
from vault.caveats import Caveats
from vault.files import read_given, replace_file
from vault.invites import issue, refreshed
from vault.links import MAX_INVITE_CHARACTERS, Invite, format_invite, parse_invite
from vault.opening import Identity
from vault.pod import parse_hex_line
from vault.policies import Policy
from vault.undoing import on_failure

SUFFIX = ".invite"


def issue_into(
    path: Path, change: Change, identity: Identity, *, name: str, caveats: Caveats, url: str
) -> Invite:
    """Issue an invite, keep it in a new file of mode 0600, and publish it.

    The file first, or a slot would be open that nobody can use.

    Args:
        path: Of the file.
        change: The policy it becomes part of.
        identity: A signer of it.
        name: Whose it is.
        caveats: Its limits.
        url: Where its holder sends to.

    Raises:
        StorageError: Something is at ``path`` already, or a file cannot be written.
        VaultError: As ``vault.invites.issue``.
    """
    policy, made = issue(change.policy, identity, name=name, caveats=caveats, url=url, entropy=os.urandom)
    write_private(path, format_invite(made).encode() + b"\n")
    with on_failure(path.unlink):
        change.publish(policy)
    return made


def refresh_file(path: Path, policy: Policy, identity: Identity, *, url: str | None) -> Invite:
    """Write the invite of a file again, as it would be made today.

    Args:
        path: The file; replaced as a whole.
        policy: The pod's.
        identity: A recipient of it.
        url: Where its holder sends to; None for where they did.

    Raises:
        MissingError: There is no such file.
        StorageError: It cannot be written.
        VaultError: As ``read_invite`` and ``vault.invites.refreshed``.
    """
    before = read_invite(path)
    made = refreshed(policy, identity, before, url=url or before.url)
    replace_file(path, format_invite(made).encode() + b"\n")
    return made


def read_invite(path: Path) -> Invite:
    """Read an invite's file, or standard input where ``path`` is ``-``.

    Raises:
        MissingError: There is no such file.
        MalformedError: It holds no invite; it is not quoted.
        StorageError: It cannot be read.
    """
    raw = read_given(path, MAX_INVITE_CHARACTERS + 1, sys.stdin.buffer)
    return parse_invite(parse_hex_line(raw, "invite"))
