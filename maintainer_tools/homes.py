"""Finding what a command names: a home, or the pod in it; and changing its policy.

A home is the maintainer's folder with ``identity`` and ``pod``. Commands that
need no identity take a pod's folder too. A change of pod.toml or slots.json is
read, signed and published under a lock on the identity file, so that two
commands at once never sign the same revision. FORMAT.md, "Files" and "Policy".
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

from maintainer_tools.asking import ask_passphrase
from maintainer_tools.console import say
from maintainer_tools.exits import CredentialsMissingError
from vault.disk import storage_error
from vault.errors import LockedError, MissingError, PolicyError
from vault.files import read_file
from vault.founding import IDENTITY_FILE, POD_FOLDER
from vault.identity_file import read_identity
from vault.invites import publish, reissue
from vault.keys import parse_hex_32
from vault.locks import Patience
from vault.opening import Identity
from vault.pod import PodFolder, parse_hex_line
from vault.policies import Policy, check_signer, load_policy, parse_policy

PATIENCE = Patience(10.0, time.monotonic, time.sleep)
"""How long a command waits for another process: a checkpoint or a change takes far less."""

ROTATION_FILE = "rotation"
SIGNER_FILE = "signer"
_SIGNER_BYTES = 100
_POLL_SECONDS = 0.05


class Home(msgspec.Struct, frozen=True):
    """A maintainer's folder that has all it needs.

    Attributes:
        path: As the command line named it.
        pod: The pod's folder in it.
    """

    path: Path
    pod: PodFolder

    @property
    def identity_file(self) -> Path:
        """The one secret."""
        return self.path / IDENTITY_FILE

    @property
    def signer_file(self) -> Path:
        """Whom a home that joined another's pod trusts in place of its own identity."""
        return self.path / SIGNER_FILE

    @property
    def is_joined(self) -> bool:
        """Whether the pod is another's: this home reads it and changes nothing."""
        return os.path.lexists(self.signer_file)

    @property
    def rotation_file(self) -> Path:
        """The coming file key, sealed to the identity, while `rotate --file-key` is not done."""
        return self.path / ROTATION_FILE


def find_pod(path: Path) -> PodFolder:
    """Find the pod that ``path`` names: a home, or a pod's own folder.

    Raises:
        MissingError: It is neither; the sentence says what was found.
    """
    for folder in (PodFolder(path / POD_FOLDER), PodFolder(path)):
        if _is_pod(folder):
            return folder
    raise MissingError(_what_instead(path))


def find_home(path: Path) -> Home:
    """Find the home that ``path`` names.

    Raises:
        MissingError: There is no pod.
        CredentialsMissingError: There is a pod, but no identity.
    """
    pod = find_pod(path)
    home = Home(path, pod)
    if pod.path == path or not os.path.lexists(home.identity_file):
        raise CredentialsMissingError(
            f"{path} holds a pod but no identity, and without it nothing in the pod can be read or decided; "
            "name the maintainer's home, or make it again with `recover`"
        )
    return home


def open_identity(home: Home) -> Identity:
    """Read a home's identity, asking for its passphrase if it has one.

    Raises:
        VaultError: As ``vault.identity_file.read_identity``, or nobody could be asked.
    """
    return read_identity(home.identity_file, ask_passphrase)


def identity_at(path: Path) -> Identity:
    """Read the identity of a folder that need not hold a pod.

    Raises:
        CredentialsMissingError: It has none, or nobody could be asked for its passphrase.
        VaultError: As ``vault.identity_file.read_identity``.
    """
    if not os.path.lexists(path / IDENTITY_FILE):
        raise CredentialsMissingError(
            f"{path} has no identity; make one with `identity new`, or a pod with `init`"
        )
    return read_identity(path / IDENTITY_FILE, ask_passphrase)


def root_of(home: Home, identity: Identity) -> bytes:
    """The signer a home trusts, 32 bytes: its identity's, or whose pod it joined.

    Raises:
        MalformedError: The file that names it holds something else.
        StorageError: It cannot be read.
    """
    if not home.is_joined:
        return identity.signer
    return parse_hex_32(parse_hex_line(read_file(home.signer_file, _SIGNER_BYTES), SIGNER_FILE), SIGNER_FILE)


def home_policy(home: Home, identity: Identity) -> Policy:
    """Load a home's policy, of the signer it trusts; raises what ``trusted_policy`` and ``root_of`` do."""
    return trusted_policy(home.pod, identity, root_of(home, identity))


def trusted_policy(pod: PodFolder, identity: Identity, root: bytes | None = None) -> Policy:
    """Load a pod's policy: with edits by hand, but of a trusted signer.

    Args:
        pod: Its folder.
        identity: The reader's.
        root: The signer that is trusted; None for the identity's own.

    Raises:
        PolicyError: Someone this identity never endorsed signed it.
        VaultError: As ``vault.policies.load_policy``.
    """
    policy = load_policy(pod, is_edited=True)
    check_signer(policy, identity.signer if root is None else root)
    return policy


def is_edited_by_hand(policy: Policy) -> bool:
    """Whether pod.toml is another than the one slots.json signs."""
    try:
        parse_policy(policy.pod_toml, policy.slots_json)
    except PolicyError:
        return True
    return False


class Change:
    """A policy about to change, its home locked.

    Args:
        home: Whose.
        identity: Its identity, a signer.
        policy: As it stands in the pod's folder.

    Attributes:
        found: As it stands in the pod's folder.
        policy: To go on from: an edit of pod.toml by hand is signed already, not published.
        is_edited: Whether there was such an edit.
    """

    def __init__(self, home: Home, identity: Identity, policy: Policy) -> None:
        self._pod = home.pod
        self.found = policy
        self.is_edited = is_edited_by_hand(policy)
        self.policy = reissue(policy, identity, policy.pod_toml) if self.is_edited else policy

    def publish(self, policy: Policy) -> None:
        """Put the changed policy into the pod's folder."""
        publish(self._pod, policy)
        if self.is_edited:
            say("pod.toml was edited by hand; the edit is signed with this change and in force now.")


@contextlib.contextmanager
def changing(home: Home, identity: Identity, patience: Patience = PATIENCE) -> Iterator[Change]:
    """Hold a home's lock while its policy changes.

    Args:
        home: Whose.
        identity: Its identity, a signer.
        patience: How long to wait for another command.

    Raises:
        LockedError: Another command has been changing it all the while.
        PolicyError: Its policy is not this identity's.
        VaultError: As ``vault.policies.load_policy``.
    """
    require_own(home)
    with _locked(home.identity_file, patience):
        yield Change(home, identity, trusted_policy(home.pod, identity))


@contextlib.contextmanager
def alone(home: Home, patience: Patience = PATIENCE) -> Iterator[None]:
    """Hold a home's lock while one of its own files changes.

    Raises:
        LockedError: Another command has been changing it all the while.
    """
    with _locked(home.identity_file, patience):
        yield


def require_own(home: Home) -> None:
    """Refuse to change the pod of another maintainer.

    Raises:
        PolicyError: This home joined it.
    """
    if home.is_joined:
        raise PolicyError(
            f"{home.path} joined another maintainer's pod: it reads, and changes nothing; ask them to"
        )


@contextlib.contextmanager
def _locked(path: Path, patience: Patience) -> Iterator[None]:
    # Opened to read: the lock leaves the identity file alone, and it may be a link.
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as exc:
        raise storage_error(path, exc) from exc
    try:
        _await_exclusive(descriptor, path, patience)
        yield
    finally:
        os.close(descriptor)


def _await_exclusive(descriptor: int, path: Path, patience: Patience) -> None:
    deadline = patience.clock() + patience.timeout_seconds
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if patience.clock() >= deadline:
                raise LockedError(
                    f"{path.parent}: another command is changing this pod; try again when it is done"
                ) from None
            patience.sleep(_POLL_SECONDS)
        else:
            return


def _is_pod(folder: PodFolder) -> bool:
    return any(path.exists() for path in (folder.pod_toml, folder.slots_json, folder.vault))


def _what_instead(path: Path) -> str:
    if not os.path.lexists(path):
        return f"{path} does not exist; name a home, or make one with `init`"
    if not path.is_dir():
        return f"{path} is a file; name the folder that is the home"
    return f"{path} holds no pod: a home made by `init`, or a pod's folder with its pod.toml, was expected"
