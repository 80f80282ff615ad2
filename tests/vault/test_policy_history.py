"""Which policies home believes that a segment was taken under."""

from __future__ import annotations

import hashlib
from pathlib import Path

from tests.support.collecting import World, pair_of
from tests.support.pods import new_pod
from vault.examining import Reason
from vault.policy_history import History


def test_the_policies_a_function_had_are_known_or_given(world: World) -> None:
    """The vault has those that a server took; of others home keeps what was deployed."""
    slot = world.pod.slot()
    world.put(world.function.send(slot, id="item-1", text="x"))
    deployed = world.pod.policy
    world.pod.slot("later")
    collector, refused = world.collect()
    assert (collector.told.taken, [each.reason for each in refused]) == (0, [Reason.POLICY])
    assert "put the pod.toml and slots.json" in refused[0].sentence
    history = History(world.pod.policy, [(deployed.pod_toml, deployed.slots_json)])
    _, refused = world.collect_with(history)
    assert (refused, history.refused) == ([], [])
    assert len(world.items()) == 1
    # The vault has it from now on.
    world.put(world.function.deposit(slot, world.pod.submission(slot, id="item-2", text="x")))
    assert world.reasons() == []


def test_one_copy_may_be_altered_where_another_is_whole(world: World) -> None:
    """Whichever comes first: what was deployed lies in the home, and the vault has its own."""
    before = world.pod.policy
    altered = (before.pod_toml + b"# altered", before.slots_json)
    world.pod.slot("later")
    for pairs in ([altered, pair_of(before)], [pair_of(before), altered]):
        history = History(world.pod.policy, pairs)
        found = history.policy_of(before.digest)
        assert found is not None
        assert found.digest == before.digest
        assert {policy.digest for policy in history.policies()} == {before.digest, world.pod.policy.digest}


def test_policies_that_home_does_not_trust_do_not_count(world: World, tmp_path: Path) -> None:
    """Of another pod, of a stranger, of the future, or altered."""
    (tmp_path / "other").mkdir()
    other, pod = new_pod(tmp_path / "other", seed=7), world.pod
    before = pod.policy
    pod.slot("later")
    future = pod.policy
    for pair in (
        pair_of(other.policy),
        (before.pod_toml, before.slots_json[:-2] + b" \n"),
        pair_of(future),
    ):
        history = History(before, [pair])
        assert history.policy_of(hashlib.sha256(pair[1]).digest()) is None
        assert len(history.refused) == 1
        assert history.policy_of(before.digest) is before
