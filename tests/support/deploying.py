"""A pod whose items go into an object store: what a function is deployed with, and what it put there."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.functions import Function, new_function
from tests.support.pods import TestPod
from tests.support.stores import PREFIX, Keys, Store
from vault.examining import Examined, Examiner, Quarantined
from vault.keyring import Keyring
from vault.links import Invite
from vault.policies import Policy
from vault.policy_history import History
from vault.promises import decode_promise, verify_promise


@dataclass
class Deployed:
    """A function with a bundle, a key and a store.

    Attributes:
        function: Its pod and key.
        bundle: What it judges by.
        key_file: Its log key.
        store: Where it puts segments.
        role: What it may do there.
        published: Every policy it was deployed with.
    """

    function: Function
    bundle: Path
    key_file: Path
    store: Store
    role: Keys
    published: list[Policy] = field(default_factory=list)

    @property
    def pod(self) -> TestPod:
        """Its pod."""
        return self.function.pod

    def publish(self) -> None:
        """Deploy again, with the policy published last."""
        self.bundle.mkdir(exist_ok=True)
        (self.bundle / "pod.toml").write_bytes(self.pod.policy.pod_toml)
        (self.bundle / "slots.json").write_bytes(self.pod.policy.slots_json)
        self.published.append(self.pod.policy)

    def invite(self, name: str = "field-team", **caveats: object) -> Invite:
        """Issue an invite, and deploy again."""
        invite = self.pod.invite(name, **caveats)
        self.publish()
        return invite

    def environment(self, endpoint: str | None = None, **changes: Any) -> dict[str, str]:
        """What a function's process is given, the rights of its role with it."""
        address = self.store.address(*([endpoint] if endpoint else []), **changes)
        return {
            **self.role.environment,
            "POD_STORE": str(address),
            "POD_LOG_KEY": f"file:{self.key_file}",
            "POD_BUNDLE": str(self.bundle),
        }

    @property
    def keys(self) -> list[str]:
        """The keys of this pod's objects, the prefix taken off."""
        mine = f"/{self.pod.policy.pod_id.hex()}/"
        return [key.removeprefix(PREFIX) for key in self.store.keys_of_objects() if mine in key]

    def items(self) -> list[dict[str, Any]]:
        """Everything in the store, examined as home does before it collects; in the order of their keys."""
        pod = self.pod
        history = History(pod.policy, [(policy.pod_toml, policy.slots_json) for policy in self.published])
        with tempfile.TemporaryDirectory() as scratch:
            keyring = Keyring(pod.keys.identity, pod.keys.file_key, history)
            examiner = Examiner(pod.policy, history, keyring, Path(scratch))
            found = [examiner.examine(key, self.store.content(PREFIX + key)) for key in sorted(self.keys)]
        return [_members(examined) for examined in found]


def _members(examined: Examined | Quarantined) -> dict[str, Any]:
    assert isinstance(examined, Examined), examined
    item = examined.item
    return {"type": item.type, "id": item.id, **item.fields}


def deploy(pod: TestPod, folder: Path, store: Store, role: Keys | None = None) -> Deployed:
    """Draw a function's key, list it, and lay out what it is deployed with."""
    function = new_function(pod, folder / "scratch")
    key_file = folder / "function.key"
    key_file.write_text(f"{function.key.reveal().hex()}\n")
    deployed = Deployed(function, folder / "bundle", key_file, store, role or store.role())
    deployed.publish()
    return deployed


def verified(promise: str, deployed: Deployed, c: bytes | None = None) -> bytes:
    """Check a promise as its contributor does; return the header it is about."""
    read = decode_promise(promise)
    pod_id = deployed.pod.policy.pod_id
    verify_promise(read, pod_id=pod_id, function_keys=deployed.pod.policy.function_logs, c=c)
    return read.header
