"""The command `rewrap`: old items for a recipient that came later."""

from __future__ import annotations

import os
from pathlib import Path

import click

from maintainer_tools.alone import alone_with, require_served
from maintainer_tools.console import put_json, say
from maintainer_tools.homes import PATIENCE, Home, changing, find_home, open_identity
from vault.inspecting import inspect
from vault.keys import FileKey
from vault.opening import Identity
from vault.policies import Policy, check_successor
from vault.reader import file_key_of
from vault.rewrapping import accept
from vault.rewrapping import rewrap as add_wraps


@click.command("rewrap")
@click.argument("home", type=click.Path(path_type=Path))
@click.option("--json", "is_json", is_flag=True, help="Print one JSON object.")
def rewrap(home: Path, *, is_json: bool) -> None:
    """Let every recipient of HOME's pod open the items that came before them.

    A running server lets go of the vault for that time. Interrupted, run it
    again: it goes on where it stopped.
    """
    found = find_home(home)
    require_served(found)
    identity = open_identity(found)
    with changing(found, identity) as change:
        if change.is_edited:
            change.publish(change.policy)
        added = _rewrap(found, identity, change.policy)
    if is_json:
        put_json({"message_type": "summary", "added": added})
    say(f"Added {added} keys of batches." if added else "Every recipient opens every batch already.")


def _rewrap(home: Home, identity: Identity, policy: Policy) -> int:
    file_key = file_key_of(policy, identity)
    with alone_with(home.pod, policy.pod_id, identity, entropy=os.urandom, patience=PATIENCE):
        return rewrap_alone(home, identity, policy, file_key)


def rewrap_alone(home: Home, identity: Identity, policy: Policy, file_key: FileKey) -> int:
    """Wrap every batch for all recipients of a policy, and let none be taken under an earlier one.

    Args:
        home: Whose pod; the caller has its vault alone.
        identity: Opens every batch.
        policy: Published.
        file_key: Of the vault.

    Returns:
        How many wraps were added.

    Raises:
        VaultError: As ``vault.inspecting.inspect`` and ``vault.rewrapping.rewrap``.
    """
    vault = home.pod.vault
    accepted = inspect(home.pod, policy, file_key).policy
    if check_successor(accepted, policy):
        accept(vault, file_key, policy)
    return add_wraps(vault, file_key, identity, pod_id=policy.pod_id, recipients=policy.recipients)
