"""A new identity for a pod: the old one endorses it, it opens everything, then the old one is let go.

At every moment the file ``identity`` opens all of the pod and is trusted by it:
the policy in between names both. What stands where it broke off is told by the
files beside it, ``identity.next`` and ``identity.before``, and by the policy's
recipients. Running the same command again goes on. FORMAT.md, "Policy" and
"Rewrapping".
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from maintainer_tools.alone import alone_with, require_served
from maintainer_tools.asking import ask_passphrase
from maintainer_tools.homes import PATIENCE, Home, changing
from maintainer_tools.rewrap import rewrap_alone
from vault.disk import storage_error, sync
from vault.errors import LockedError, StorageError
from vault.files import read_file, replace_file
from vault.identity_file import is_protected, read_identity, write_identity
from vault.invites import issued_slots
from vault.locks import Patience
from vault.opening import Identity
from vault.policies import Policy
from vault.reader import file_key_of
from vault.recipients import hand_over, let_go
from vault.rewrapping import require_open
from vault.sealing import Entropy

_MOST_BYTES = 1_000
COMING, BEFORE = ".next", ".before"
"""After the name of the file that holds the identity: what follows it, and what it followed."""


class IdentityFiles:
    """Where a home's identities lie: beside the file that ``identity`` is, or leads to.

    Args:
        home: Whose.

    Attributes:
        present: The identity in force at home.
        coming: What follows it, until it takes its place.
        before: What it followed.
    """

    __slots__ = ("before", "coming", "present")

    def __init__(self, home: Home) -> None:
        self.present = home.identity_file.resolve()
        self.coming = self.present.with_name(self.present.name + COMING)
        self.before = self.present.with_name(self.present.name + BEFORE)


def rotate_identity(
    home: Home,
    identity: Identity,
    *,
    ask_new_passphrase: Callable[[], str | None],
    entropy: Entropy,
    patience: Patience = PATIENCE,
) -> Path:
    """Give a home another identity, or finish where this was interrupted.

    Args:
        home: Whose; its pod's folder is the one its server writes.
        identity: What its file holds now.
        ask_new_passphrase: Gives what protects the new file, None for nothing.
        entropy: Source of the identity, a salt and nonces.
        patience: How long to wait for the server, and for someone who copies the vault.

    Returns:
        The file that holds the identity before.

    Raises:
        LockedError: The vault stayed open for longer than ``patience``, or a
            rotation of the file key is not finished.
        MissingError: The pod's folder is a copy.
        StorageError: The identity of an earlier rotation is still there.
        DamagedError: The new identity does not open every batch: nobody may
            have planted one for it. The old one stays in force.
        VaultError: As ``maintainer_tools.rewrap.rewrap_alone``.
    """
    require_served(home)
    if home.rotation_file.exists():
        raise LockedError("a rotation of the file key was interrupted; run `rotate --file-key` again first")
    files = IdentityFiles(home)
    if files.coming.exists() or not files.before.exists():
        coming = _coming(files, ask_new_passphrase, entropy)
        _give_everything(home, identity, coming, entropy, patience)
        _replace(files)
        old, new = identity, coming
    else:
        old, new = identity_before(files.before), identity
    _let_go(home, files, old, new)
    return files.before


def identity_before(path: Path) -> Identity:
    """Read an identity that was replaced, asking for its passphrase if it has one.

    Raises:
        VaultError: As ``vault.identity_file.read_identity``, or nobody could be asked.
    """
    return read_identity(path, ask_passphrase)


def _coming(files: IdentityFiles, ask_new_passphrase: Callable[[], str | None], entropy: Entropy) -> Identity:
    if files.coming.exists():
        return read_identity(files.coming, ask_passphrase)
    coming = Identity(entropy(32))
    write_identity(files.coming, coming, ask_new_passphrase(), entropy)
    return coming


def _give_everything(home: Home, old: Identity, new: Identity, entropy: Entropy, patience: Patience) -> None:
    """Make the new identity recipient and signer, and prove that it alone opens all there is."""
    with changing(home, old) as change:
        policy = hand_over(change.policy, old, new)
        if policy is not change.found:
            change.publish(policy)
        file_key = file_key_of(policy, new)
        issued_slots(policy, new)
        with alone_with(home.pod, policy.pod_id, old, entropy=entropy, patience=patience):
            rewrap_alone(home, old, policy, file_key)
            require_open(home.pod.vault, file_key, new)


def _replace(files: IdentityFiles) -> None:
    content = read_file(files.present, _MOST_BYTES)
    if files.before.exists() and read_file(files.before, _MOST_BYTES) != content:
        raise StorageError(f"{files.before} holds an identity of another time; move it away, then try again")
    replace_file(files.before, content)
    try:
        files.coming.replace(files.present)
    except OSError as exc:
        raise storage_error(files.present, exc) from exc
    sync(files.present.parent)


def _let_go(home: Home, files: IdentityFiles, old: Identity, new: Identity) -> None:
    with changing(home, new) as change:
        if not _names(change.policy, old):
            raise StorageError(
                f"the rotation before is finished, and {files.before} still holds the identity of before it; "
                "move that away, then run this again for another one"
            )
        change.publish(let_go(change.policy, new, old))


def _names(policy: Policy, identity: Identity) -> bool:
    return identity.recipient in policy.recipients


def is_protected_file(home: Home) -> bool:
    """Whether a home's identity file asks for a passphrase."""
    return is_protected(read_file(home.identity_file, _MOST_BYTES))
