"""A new file key for a pod: a new vault.db beside the old one, then slots.json, each replaced whole.

What stands where it broke off is told by two questions: which key opens
vault.db, and which one slots.json gives. Home's file ``rotation`` has the new
key from before vault.db is replaced until slots.json is, so that at no moment a
key that is needed is nowhere. While the two disagree a server opens nothing, and
so acknowledges nothing. Running the same command again goes on. FORMAT.md,
"Rotation".
"""

from __future__ import annotations

from pathlib import Path

from maintainer_tools.alone import alone_with, require_served
from maintainer_tools.homes import PATIENCE, Change, Home
from vault.disk import storage_error, sync
from vault.errors import WrongKeyError
from vault.files import read_file, replace_file
from vault.fresh import discard_vault, fresh_beside, put_in_place, remove_vault
from vault.inspecting import inspect
from vault.keys import FileKey
from vault.locks import Patience
from vault.opening import Identity
from vault.page_one import verify_page_one
from vault.pod import PodFolder, parse_hex_line
from vault.policies import Policy
from vault.reader import file_key_of
from vault.rekeying import format_rotation, is_keyed, parse_rotation, rekey
from vault.rewriting import rewrite
from vault.sealing import Entropy
from vault.undoing import on_failure

_MOST_BYTES = 4096
"""Largest ``rotation`` read; ours has about 1,700."""


def key_of_vault(home: Home, identity: Identity, policy: Policy) -> FileKey:
    """The file key that opens a home's vault: of an interrupted rotation that got so far, else its policy's.

    Args:
        home: Whose.
        identity: Its identity.
        policy: Its policy.

    Raises:
        VaultError: The file ``rotation`` is not of its form, or vault.db cannot be read.
    """
    begun = _begun(home, identity, policy)
    return begun if begun is not None and _opens(home.pod, begun) else file_key_of(policy, identity)


def rotate_file_key(
    home: Home, change: Change, identity: Identity, *, entropy: Entropy, patience: Patience = PATIENCE
) -> None:
    """Give a pod another file key, or finish where this was interrupted.

    Args:
        home: Whose; its pod's folder is the one its server writes.
        change: Its policy about to change, the home locked.
        identity: Its identity.
        entropy: Source of the key and of nonces.
        patience: How long to wait for the server, and for someone who copies the vault.

    Raises:
        LockedError: The vault stayed open, or being copied, for longer than ``patience``.
        MissingError: The folder is a copy: it has no log.key.
        PolicyError: slots.json is older than the one the vault accepted.
        DiskFullError: There is no space for a second vault; nothing was changed.
        FormatTooNewError: A slot has a limit this version does not know.
        VaultError: As ``vault.inspecting.inspect`` and ``vault.rewriting.rewrite``.
    """
    pod = home.pod
    require_served(home)
    with alone_with(pod, change.policy.pod_id, identity, entropy=entropy, patience=patience):
        new_key = _begun(home, identity, change.policy)
        if new_key is None or not _opens(pod, new_key):
            new_key = FileKey(entropy(32))
            _replace_vault(home, change, identity, new_key, entropy)
        policy = change.policy
        if not is_keyed(policy, identity, new_key):
            inspect(pod, change.found, new_key)
            change.publish(rekey(policy, identity, new_key, entropy))
        _remove(home.rotation_file)


def _begun(home: Home, identity: Identity, policy: Policy) -> FileKey | None:
    """The key an interrupted rotation was about to give."""
    if not home.rotation_file.exists():
        return None
    line = parse_hex_line(read_file(home.rotation_file, _MOST_BYTES), "rotation")
    return parse_rotation(line, identity, policy.pod_id)


def _opens(pod: PodFolder, file_key: FileKey) -> bool:
    try:
        verify_page_one(pod.vault, file_key)
    except WrongKeyError:
        return False
    return True


def _replace_vault(
    home: Home, change: Change, identity: Identity, new_key: FileKey, entropy: Entropy
) -> None:
    pod, fresh = home.pod, fresh_beside(home.pod.vault)
    file_key = file_key_of(change.policy, identity)
    # What was found, not what is about to follow it: nobody may have put an older slots.json here.
    inspected = inspect(pod, change.found, file_key)
    # Whatever refuses does so before anything is written.
    rekey(change.policy, identity, new_key, entropy)
    remove_vault(fresh)
    rewrite(pod.vault, file_key, fresh, new_key, checkpoint=inspected.ledger.checkpoint)
    with on_failure(discard_vault, fresh):
        replace_file(home.rotation_file, format_rotation(new_key, identity, change.policy.pod_id))
        put_in_place(fresh, pod.vault)


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as exc:
        raise storage_error(path, exc) from exc
    sync(path.parent)
