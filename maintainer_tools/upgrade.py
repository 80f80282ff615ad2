"""The command `upgrade`: a vault of an earlier format, brought to this program's."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import click

from maintainer_tools.alone import nobody_copying
from maintainer_tools.console import clean, say
from maintainer_tools.file_key_rotation import key_of_vault
from maintainer_tools.homes import PATIENCE, Home, find_home, home_policy, open_identity
from vault.database import inspect_format
from vault.database import upgrade as upgrade_vault
from vault.keys import FileKey
from vault.locks import Patience, hold_vault
from vault.migrations import STEPS, Step
from vault.pod import PodFolder
from vault.snapshot import take_snapshot


@click.command("upgrade")
@click.argument("home", type=click.Path(path_type=Path))
def upgrade(home: Path) -> None:
    """Bring the vault of HOME to this program's format, after a snapshot of it.

    The pod's server must not have it open: stop it, or wait until it is idle.
    """
    found = find_home(home)
    identity = open_identity(found)
    # A rotation that was interrupted is gone on with in this program's format: by `rotate`, afterwards.
    file_key = key_of_vault(found, identity, home_policy(found, identity))
    upgrade_home(found, file_key, datetime.now(UTC))


def upgrade_home(
    home: Home,
    file_key: FileKey,
    now: datetime,
    *,
    steps: Sequence[Step] = STEPS,
    patience: Patience = PATIENCE,
) -> Path | None:
    """Upgrade a home's vault to the last of ``steps``.

    Args:
        home: Whose.
        file_key: Its pod's.
        now: UTC; stands in the snapshot's name.
        steps: All from 1.
        patience: How long to wait for someone who copies the vault.

    Returns:
        The snapshot taken before, or None if there was nothing to do.

    Raises:
        LockedError: The vault is open, or being copied.
        VaultError: As ``vault.database.upgrade`` and ``vault.snapshot.take_snapshot``.
    """
    pod = home.pod
    with hold_vault(pod.path):
        before = inspect_format(pod.vault, file_key)
        if before == steps[-1].number:
            say(f"The vault has format {before}, the newest this program knows; nothing to do.")
            return None
        out = home.path / f"before-upgrade-{before}-{now:%Y%m%dT%H%M%SZ}"
        take_snapshot(pod.path, out, patience)
        say(f"Copied the pod as it was into {clean(str(out))}.")
        _upgrade(pod, file_key, steps, patience)
    say(f"Upgraded the vault from format {before} to {steps[-1].number}.")
    return out


def _upgrade(pod: PodFolder, file_key: FileKey, steps: Sequence[Step], patience: Patience) -> None:
    with nobody_copying(pod, patience):
        upgrade_vault(pod.vault, file_key, steps)
