"""Invites for tests that need no pod behind them."""

from __future__ import annotations

from pathlib import Path

import msgspec

from vault.keys import DatabaseKey, OwnerKey
from vault.links import Invite, format_invite

INVITE = Invite(
    url="https://plants.example.org",
    owner_key=OwnerKey(bytes(range(32))),
    database_key=DatabaseKey(bytes(range(100, 132))),
    slot=1,
    log_keys=(bytes(32),),
    signer=bytes(32),
    name="field-team",
    pod_name="Street plants",
)
"""Its keys are public knowledge."""


def invite_to(url: str) -> Invite:
    """The invite, to another address."""
    return msgspec.structs.replace(INVITE, url=url)


def write_invite(path: Path, invite: Invite) -> Path:
    """Write an invite's file as `invite new` does: one line, mode 0600."""
    path.touch(mode=0o600)
    path.write_text(format_invite(invite) + "\n")
    return path
