"""Founding a pod: home and pod folder, made whole or not at all.

Only the maintainer's tools do this; a server never creates a vault, because
whoever creates it chooses its key. FORMAT.md, "Files".
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import msgspec

from vault.database import PolicyRow, create
from vault.disk import storage_error, sync
from vault.errors import MissingError, StorageError
from vault.files import PRIVATE_FOLDER, replace_file
from vault.identity_file import format_identity
from vault.invites import found_policy
from vault.keys import FileKey, LogKey, OwnerKey
from vault.meta import first_meta
from vault.opening import Identity
from vault.pod import PodFolder
from vault.policies import Policy, parse_policy
from vault.sealing import Entropy
from vault.undoing import on_failure

IDENTITY_FILE = "identity"
POD_FOLDER = "pod"


class Founding(msgspec.Struct, frozen=True):
    """The keys of a pod that is about to be made.

    Attributes:
        owner_key: Names the pod; public.
        identity: The maintainer's one secret.
        file_key: Opens the vault.
        log_key: Signs the log.
    """

    owner_key: OwnerKey
    identity: Identity
    file_key: FileKey
    log_key: LogKey


def draw_keys(entropy: Entropy) -> Founding:
    """Draw every key of a new pod, 32 random bytes each."""
    return Founding(
        owner_key=OwnerKey(entropy(32)),
        identity=Identity(entropy(32)),
        file_key=FileKey(entropy(32)),
        log_key=LogKey(entropy(32)),
    )


def _make_folder(path: Path) -> None:
    try:
        path.mkdir(mode=PRIVATE_FOLDER)
    except FileExistsError as exc:
        raise StorageError(
            f"{path} exists already; choose a folder that does not, or remove it yourself"
        ) from exc
    except FileNotFoundError as exc:
        raise MissingError(f"{path.parent} does not exist; make it first") from exc
    except OSError as exc:
        raise storage_error(path, exc) from exc


def found_pod_folder(folder: PodFolder, keys: Founding, pod_toml: bytes) -> Policy:
    """Fill an empty pod folder: pod.toml, slots.json, log.key, vault.db.

    Args:
        folder: Exists, empty, mode 0700.
        keys: The pod's keys.
        pod_toml: Names ``keys.owner_key``.

    Raises:
        MalformedError: ``pod_toml`` is not its format.
        PolicyError: It names another owner key.
        StorageError: A file cannot be written.
    """
    pod_id = keys.owner_key.pod_id
    slots_json = found_policy(
        pod_toml, keys.identity, pod_id=pod_id, file_key=keys.file_key, log_public=keys.log_key.public
    )
    policy = parse_policy(pod_toml, slots_json)
    replace_file(folder.pod_toml, pod_toml)
    replace_file(folder.slots_json, slots_json)
    replace_file(folder.log_key, keys.log_key.reveal().hex().encode() + b"\n")
    create(
        folder.vault,
        keys.file_key,
        meta=first_meta(pod_id),
        policy_row=PolicyRow(policy.revision, policy.digest, policy.pod_toml, policy.slots_json),
    )
    return policy


def found_home(
    home: Path, keys: Founding, pod_toml: bytes, *, passphrase: str | None, entropy: Entropy
) -> Policy:
    """Make a home with its pod folder, durable on return.

    Args:
        home: Does not exist yet; its parent does.
        keys: The pod's keys.
        pod_toml: Names ``keys.owner_key``.
        passphrase: Protects the identity file; None leaves it in clear, mode 0600.
        entropy: Source of the identity file's salt and nonce.

    Raises:
        MalformedError: ``pod_toml`` is not its format; nothing is left, as below.
        PolicyError: It names another owner key.
        StorageError: ``home`` exists, or a file cannot be written.
        MissingError: The parent folder does not exist.
    """
    if os.path.lexists(home):
        raise StorageError(f"{home} exists already; choose a folder that does not, or remove it yourself")
    partial = home.with_name(home.name + ".partial")
    _make_folder(partial)
    with on_failure(shutil.rmtree, partial, ignore_errors=True):
        policy = _fill_home(partial, keys, pod_toml, passphrase, entropy)
        _rename(partial, home)
    sync(home.parent)
    return policy


def _fill_home(
    home: Path, keys: Founding, pod_toml: bytes, passphrase: str | None, entropy: Entropy
) -> Policy:
    folder = PodFolder(home / POD_FOLDER)
    _make_folder(folder.path)
    policy = found_pod_folder(folder, keys, pod_toml)
    replace_file(home / IDENTITY_FILE, format_identity(keys.identity, passphrase, entropy))
    return policy


def _rename(partial: Path, home: Path) -> None:
    try:
        partial.rename(home)
    except OSError as exc:
        raise storage_error(home, exc) from exc
