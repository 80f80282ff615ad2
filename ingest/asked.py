"""What a pod's maintainer asks of this server: the requests in its folder, read when they change.

Runs in a thread, changes nothing, and opens no vault. A file that is no request
of this pod's maintainer asks for nothing, and is told about once. What is
done about the others is the pod's matter; the writer process reads what it
erases itself. FORMAT.md, "Requests".
"""

from __future__ import annotations

from typing import NamedTuple

from vault.errors import StorageError, VaultError
from vault.pod import PodFolder
from vault.policies import Policy
from vault.requests import MOST_REQUESTS, Found, Hold, Listing, list_requests, read_request

Sighting = tuple[bytes, Found]
"""One file under one policy, which is named by its digest."""


class Asked(NamedTuple):
    """What is asked now.

    Attributes:
        holds: Let go of the vault.
        erasing: The files that ask for items to be erased.
        refusals: Why files that were not there before ask for nothing.
    """

    holds: tuple[Hold, ...]
    erasing: frozenset[Sighting]
    refusals: tuple[VaultError, ...]


class Asking:
    """The requests of one pod, and what they looked like last.

    Args:
        folder: The pod's folder.
    """

    __slots__ = ("_folder", "_refused", "_seen")

    def __init__(self, folder: PodFolder) -> None:
        self._folder = folder
        self._seen: tuple[bytes, Listing] | str | None = None
        self._refused: set[Sighting] = set()

    def look(self, policy: Policy) -> Asked | None:
        """Read the requests if there are others, or another policy to judge them by.

        Args:
            policy: In force.

        Returns:
            What is asked; None if it is what was asked before.
        """
        try:
            listing = list_requests(self._folder)
        except StorageError as exc:
            return self._unreadable(exc)
        if self._seen == (policy.digest, listing):
            return None
        self._seen = policy.digest, listing
        return self._read(listing, policy)

    def _unreadable(self, error: StorageError) -> Asked | None:
        if self._seen == str(error):
            return None
        self._seen = str(error)
        return Asked((), frozenset(), (error,))

    def _read(self, listing: Listing, policy: Policy) -> Asked:
        holds: list[Hold] = []
        erasing: set[Sighting] = set()
        refused: dict[Sighting, VaultError] = {}
        for found in listing.found:
            sighting = policy.digest, found
            try:
                request = read_request(found, pod_id=policy.pod_id, signers=policy.signers)
            except VaultError as exc:
                refused[sighting] = exc
            else:
                if isinstance(request, Hold):
                    holds.append(request)
                else:
                    erasing.add(sighting)
        fresh = [error for sighting, error in refused.items() if sighting not in self._refused]
        self._refused = set(refused)
        if listing.is_cut:
            # First: the log takes so many lines a second.
            fresh.insert(0, StorageError(_CUT))
        return Asked(tuple(holds), frozenset(erasing), tuple(fresh))


_CUT = (
    f"requests: more files than the {MOST_REQUESTS} that are looked at; "
    "remove those that home did not write, and the others are seen"
)
