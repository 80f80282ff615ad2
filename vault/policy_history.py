"""A pod's policies over time, as far as home has them and trusts who signed them.

A batch names the policy it was taken under by its digest; a function's may be
one that no server ever took. Not here: which policy may follow which
(``vault.policies``). FORMAT.md, "Collecting".
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable

from vault.database import connect_inspect
from vault.errors import VaultError
from vault.keys import FileKey, PodId
from vault.pod import PodFolder
from vault.policies import Policy, parse_policy, past_signers
from vault.rows import typed


def policy_pairs(folder: PodFolder, file_key: FileKey) -> list[tuple[bytes, bytes]]:
    """Every pod.toml and slots.json in a vault; the caller has ``vault.lock``, and no connection to it.

    Raises:
        VaultError: As ``vault.database.connect_inspect``.
    """
    with connect_inspect(folder.vault, file_key) as rows:
        return typed(rows.execute("SELECT pod_toml, slots_json FROM policy"), list[tuple[bytes, bytes]])


class History:
    """The pod's policies by digest, as far as home has them and trusts their signers.

    Args:
        present: Home's own, published.
        pairs: Untrusted pod.toml and slots.json, of the vault's rows and of what was deployed.

    Attributes:
        refused: Why a pair does not count, a sentence each.
    """

    def __init__(self, present: Policy, pairs: Iterable[tuple[bytes, bytes]]) -> None:
        self._present = present
        self._known: dict[bytes, Policy] = {present.digest: present}
        self._pairs: dict[bytes, list[tuple[bytes, bytes]]] = defaultdict(list)
        for pair in pairs:
            self._pairs[hashlib.sha256(pair[1]).digest()].append(pair)
        self.refused: list[str] = []

    @property
    def pod_id(self) -> PodId:
        """Whose they are."""
        return self._present.pod_id

    def policy_of(self, digest: bytes) -> Policy | None:
        """The policy of that digest; None if there is none that counts."""
        # One copy may be altered where another is whole.
        for pair in self._pairs.pop(digest, ()):
            if digest not in self._known:
                self._take(pair)
        return self._known.get(digest)

    def policies(self) -> list[Policy]:
        """Every policy that counts."""
        for digest in list(self._pairs):
            self.policy_of(digest)
        return list(self._known.values())

    def _take(self, pair: tuple[bytes, bytes]) -> None:
        present = self._present
        try:
            policy = parse_policy(*pair)
        except VaultError as exc:
            self.refused.append(str(exc))
            return
        if policy.pod_id != present.pod_id or policy.signer not in past_signers(present):
            self.refused.append("a policy is signed by someone this pod's policy does not know")
        elif policy.revision > present.revision:
            self.refused.append(
                "a policy is of a later revision than the pod's own; put the newest pair there"
            )
        else:
            self._known[policy.digest] = policy
