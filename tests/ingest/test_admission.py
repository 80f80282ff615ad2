"""Admission: the same work for everyone who may not write, and no key kept as it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec
import pytest

from ingest.admission import Admissions, owner_bytes
from ingest.committer import Load
from ingest.logs import Log
from ingest.pods import Pod
from ingest.problems import NOT_ADMITTED, Refused
from tests.support.pods import START_MS, TestPod, make_pod, seeded_entropy
from tests.support.vaults import vault_in_a_thread
from vault.keys import DatabaseKey, PodId
from vault.links import Invite

DIGEST_KEY = bytes(32)


class _CountingKey(DatabaseKey):
    """A database key that notes what is derived from it."""

    __slots__ = ("uses",)

    def __init__(self, raw: bytes) -> None:
        super().__init__(raw)
        self.uses: list[str] = []

    def derive(self, use: str, pod_id: PodId) -> bytes:
        """Derive, and note the use."""
        self.uses.append(use)
        return super().derive(use, pod_id)


class _Served:
    """A pod as the door holds it, with slots in every state."""

    def __init__(self, maintained: TestPod) -> None:
        self.good = maintained.invite("good")
        self.expired = maintained.invite("expired", expires=START_MS)
        self.revoked = maintained.invite("revoked")
        maintained.revoke(self.revoked)
        log = Log(lambda _: None, now_ms=lambda: START_MS, entropy=seeded_entropy())
        vault = vault_in_a_thread(maintained.folder, lambda: START_MS)
        self.pod = Pod(maintained.folder, maintained.policy, vault, log, Load())
        self.owner = maintained.keys.owner_key.raw
        self.admissions = Admissions({self.owner: self.pod}, DIGEST_KEY)


@pytest.fixture
def served(tmp_path: Path) -> _Served:
    """A pod and its door."""
    return _Served(make_pod(tmp_path / "home"))


def _counting(invite: Invite) -> _CountingKey:
    return _CountingKey(invite.database_key.reveal())


STRANGERS: Mapping[str, Callable[[_Served], tuple[bytes, _CountingKey]]] = {
    "unknown-owner": lambda served: (b"x" * 32, _counting(served.good)),
    "malformed-owner": lambda served: (owner_bytes(b"no-hex"), _counting(served.good)),
    "wrong-key": lambda served: (served.owner, _CountingKey(bytes(32))),
    "revoked": lambda served: (served.owner, _counting(served.revoked)),
    "expired": lambda served: (served.owner, _counting(served.expired)),
}


@pytest.mark.parametrize("stranger", STRANGERS.values(), ids=STRANGERS)
def test_everyone_who_may_not_write_costs_the_same_work(
    served: _Served, stranger: Callable[[_Served], tuple[bytes, _CountingKey]]
) -> None:
    """One derivation and one look into an index, every time: nothing to measure a state by."""
    owner, key = stranger(served)
    for _ in range(2):
        with pytest.raises(Refused) as refused:
            served.admissions.admit(owner, key, START_MS)
        assert refused.value.problem is NOT_ADMITTED

    assert key.uses == ["lookup", "lookup"]
    assert served.pod.opened == {}


def test_a_slot_whose_wrap_does_not_open_is_no_slot(served: _Served) -> None:
    """A maintainer's policy that was spoilt before it was signed: the constant answer, and no key kept."""
    policy = served.pod.policy
    spoilt = msgspec.structs.replace(policy.slot_by_number[served.good.slot], wrap=bytes(60))
    served.pod.policy = msgspec.structs.replace(policy, slot_by_lookup={spoilt.lookup: spoilt})

    with pytest.raises(Refused) as refused:
        served.admissions.admit(served.owner, _counting(served.good), START_MS)

    assert refused.value.problem is NOT_ADMITTED
    assert served.pod.opened == {}


def test_a_slot_is_opened_once_while_its_vault_is_open(served: _Served) -> None:
    """Unwrapping is cheap, and still most of admission's cost."""
    key = _counting(served.good)
    first = served.admissions.admit(served.owner, key, START_MS)
    opened = list(key.uses)
    second = served.admissions.admit(served.owner, key, START_MS)

    assert first == second
    assert first.slot.number == served.good.slot
    assert opened.count("lookup") == 1
    assert key.uses == opened


def test_an_open_slot_is_found_by_nothing_that_is_a_key(served: _Served) -> None:
    """What stays in memory is a digest under this process's key."""
    served.admissions.admit(served.owner, _counting(served.good), START_MS)
    (digest,) = served.pod.opened
    other = Admissions({served.owner: served.pod}, b"k" * 32)
    other.admit(served.owner, _counting(served.good), START_MS)

    assert served.good.database_key.reveal() not in digest
    assert len(served.pod.opened) == 2


def test_an_open_slot_expires_all_the_same(tmp_path: Path) -> None:
    """Having been admitted is no reason to be admitted."""
    maintained = make_pod(tmp_path / "home")
    invite = maintained.invite("later", expires=START_MS + 1)
    served = _Served(maintained)
    key = _counting(invite)
    served.admissions.admit(served.owner, key, START_MS)

    with pytest.raises(Refused):
        served.admissions.admit(served.owner, key, START_MS + 1)


@pytest.mark.parametrize(
    "text", [b"", b"a" * 63, b"a" * 65, b"g" * 64, b"a" * 64 + b"\n", b"\xff" * 64, b"%61" * 64]
)
def test_a_malformed_owner_is_a_nobody(text: bytes) -> None:
    """It goes the way of an unknown one."""
    assert owner_bytes(text) == bytes(32)


def test_an_owners_case_makes_no_second_pod() -> None:
    """Owner keys are compared by their bytes."""
    assert owner_bytes(b"aB" * 32) == owner_bytes(b"Ab" * 32) == b"\xab" * 32
