"""Real pods for tests: founded, with invites, in a temporary folder.

Two rooms meet here, as they do on a maintainer's machine: the test is the
maintainer and holds the identity; the server under test gets the pod's folder.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from vault.caveats import Caveats
from vault.founding import POD_FOLDER, Founding, draw_keys, found_home
from vault.invites import issue, publish, reissue, revoke
from vault.links import Invite
from vault.pod import PodFolder
from vault.policies import Policy, load_policy

POD_TOML = 'format = 1\nowner_key = "{owner}"\nname = "Test pod"\npolicy = "{policy}"\n{more}'


@dataclass
class TestPod:
    """A pod and its maintainer.

    Attributes:
        home: The maintainer's folder.
        keys: Every key of the pod.
        policy: The policy published last.
    """

    __test__ = False

    home: Path
    keys: Founding
    policy: Policy

    @property
    def folder(self) -> PodFolder:
        """What a server gets."""
        return PodFolder(self.home / POD_FOLDER)

    @property
    def owner(self) -> str:
        """64 lower-case hex digits."""
        return self.keys.owner_key.hex

    def invite(self, name: str = "field-team", **caveats: object) -> Invite:
        """Issue and publish an invite."""
        policy, invite = issue(
            self.policy,
            self.keys.identity,
            name=name,
            caveats=Caveats(**caveats),  # type: ignore[arg-type]  # a test names caveats as the command line does
            url="",
            entropy=os.urandom,
        )
        self._publish(policy)
        return invite

    def revoke(self, invite: Invite) -> None:
        """Revoke an invite and publish."""
        self._publish(revoke(self.policy, self.keys.identity, invite.slot))

    def rewrite(self, *, policy: str = "extend", more: str = "") -> None:
        """Publish another pod.toml."""
        pod_toml = POD_TOML.format(owner=self.owner, policy=policy, more=more).encode()
        self._publish(reissue(self.policy, self.keys.identity, pod_toml))

    def _publish(self, policy: Policy) -> None:
        publish(self.folder, policy)
        self.policy = load_policy(self.folder)


def make_pod(home: Path, *, policy: str = "extend", more: str = "") -> TestPod:
    """Found a pod at ``home``, which does not exist yet.

    Args:
        home: The maintainer's folder.
        policy: extend, closed or infer.
        more: Further lines of pod.toml.
    """
    keys = draw_keys(os.urandom)
    pod_toml = POD_TOML.format(owner=keys.owner_key.hex, policy=policy, more=more).encode()
    founded = found_home(home, keys, pod_toml, passphrase=None, entropy=os.urandom)
    return TestPod(home, keys, founded)
