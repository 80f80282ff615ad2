"""A pod, a function of it, a store between them, and home, which collects."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.functions import Function, new_function
from tests.support.pods import TestPod, new_pod
from vault.collecting import Collector
from vault.depositing import Deposit
from vault.examining import Examined, Examiner, Quarantined, Reason
from vault.keyring import Keyring
from vault.locks import hold_vault
from vault.policies import Policy
from vault.policy_history import History, policy_pairs
from vault.properties import ValueType
from vault.slots import OpenedSlot
from vault.stored import StoredItem


@dataclass
class World:
    """A pod, its function, and what home collected."""

    function: Function
    store: dict[str, bytes] = field(default_factory=dict)

    @property
    def pod(self) -> TestPod:
        """Its pod."""
        return self.function.pod

    def put(self, *deposits: Deposit) -> None:
        """Put deposits into the store."""
        self.store |= {deposit.key: deposit.content for deposit in deposits}

    def collect(self, **options: Any) -> tuple[Collector, list[Quarantined]]:
        """Collect everything in one transaction."""
        pod = self.pod
        with hold_vault(pod.folder.path):
            history = History(pod.policy, policy_pairs(pod.folder, pod.keys.file_key))
        return self.collect_with(history, **options)

    def collect_with(self, history: History, **options: Any) -> tuple[Collector, list[Quarantined]]:
        """The same with policies that are given."""
        pod = self.pod
        examiner = self.examiner(history)
        refused: list[Quarantined] = []
        with pod.writer() as writer:
            writer.accept(pod.policy)
            collector = Collector(writer, pod.policy, examiner.secrets, entropy=pod.entropy, **options)
            looked = [examiner.examine(key, content) for key, content in self.store.items()]
            refused += [each for each in looked if isinstance(each, Quarantined)]
            refused += collector.take([each for each in looked if isinstance(each, Examined)])
        return collector, refused

    def examiner(self, history: History) -> Examiner:
        """Who looks at segments for home."""
        pod = self.pod
        keyring = Keyring(pod.keys.identity, pod.keys.file_key, history)
        return Examiner(pod.policy, history, keyring, self.function.scratch)

    def reasons(self, **options: Any) -> list[Reason]:
        """Why segments were not taken."""
        return [refused.reason for refused in self.collect(**options)[1]]

    def items(self) -> list[StoredItem]:
        """What the vault holds, in which a check finds nothing."""
        assert self.pod.check().findings == []
        return self.pod.items()

    def view(self, slot: OpenedSlot) -> dict[str, ValueType]:
        """What one slot declared."""
        with self.pod.reader() as reader:
            return reader.own_view(slot.number)


def new_world(folder: Path, policy: str = "infer") -> World:
    """A pod of a schema policy in a folder, with nothing collected yet."""
    return World(new_function(new_pod(folder, policy), folder / "scratch"))


def pair_of(policy: Policy) -> tuple[bytes, bytes]:
    """A policy's pod.toml and slots.json."""
    return policy.pod_toml, policy.slots_json
