"""Everything fails that can in front of a real store, its own daemons too: nothing acknowledged is lost."""

from __future__ import annotations

from pathlib import Path

from tests.store_faults.counting import count_round
from tests.store_faults.engines import engine_of
from tests.store_faults.round import Plan, run_round
from tests.stores.ceph import Ceph

PLAN = Plan(items=100, kills=5, gateways=2, functions=1, collections_killed=1)
"""Each kind of process that a round knows is killed once."""


def test_a_round_of_faults_is_clean(tmp_path: Path, ceph: Ceph) -> None:
    """`make store-faults STORE=ceph` does the same at length."""
    ended = run_round(tmp_path, "real", engine_of(ceph, ceph.store()), PLAN)
    result = count_round(ended.site.pod.home, tmp_path / "promises", ended.given)
    result.left = ended.left

    assert result.wrong == {}, result
    assert result.redeemed == result.vault.acknowledged >= PLAN.items
    assert {"storage daemon", "store's gateway 1", "store's gateway 2"} <= ended.killed.keys()
