"""Looking at a pod's policy files: what changed, and does the new pair verify?

Files are compared by inode, size and time of change; only a changed pair is
read. Runs in a thread, changes nothing, and decides nothing: whether a
verified policy may follow the one in force is the pod's question. FORMAT.md,
"Policy".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from vault.errors import VaultError
from vault.files import read_file
from vault.pod import MAX_POD_TOML_BYTES, PodFolder, parse_pod_toml
from vault.policies import Policy, load_policy

_Signature = tuple[tuple[int, int, int], ...]


class Watched:
    """One pod's folder and what its policy files looked like last.

    Args:
        folder: The pod's folder.
    """

    __slots__ = ("folder", "seen")

    def __init__(self, folder: PodFolder) -> None:
        self.folder = folder
        self.seen: _Signature | None = None


class Sight(NamedTuple):
    """A pair that changed.

    Attributes:
        watched: Whose.
        policy: What it says now, or why it does not verify.
        claimed_owner: The owner key in pod.toml, verified or not; None if it has none.
    """

    watched: Watched
    policy: Policy | VaultError
    claimed_owner: bytes | None


def _signature(folder: PodFolder) -> _Signature:
    found = []
    for path in (folder.pod_toml, folder.slots_json):
        try:
            status = path.stat()
        except OSError:
            found.append((0, 0, 0))
        else:
            found.append((status.st_ino, status.st_size, status.st_ctime_ns))
    return tuple(found)


def _claimed_owner(folder: PodFolder) -> bytes | None:
    try:
        return parse_pod_toml(read_file(folder.pod_toml, MAX_POD_TOML_BYTES)).owner_key.raw
    except VaultError:
        return None


def _sight(watched: Watched) -> Sight:
    try:
        policy = load_policy(watched.folder)
    except VaultError as exc:
        return Sight(watched, exc, _claimed_owner(watched.folder))
    return Sight(watched, policy, policy.config.owner_key.raw)


def look(folders: Iterable[Watched]) -> Iterator[Sight]:
    """Read every pair that changed since it was looked at last."""
    for watched in folders:
        signature = _signature(watched.folder)
        if signature != watched.seen:
            watched.seen = signature
            yield _sight(watched)
