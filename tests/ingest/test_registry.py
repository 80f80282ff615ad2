"""The registry in one process: what stays open and known, for how long, and how many."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest

from ingest.admission import Admission
from ingest.door import Call, Door, Tools
from ingest.logs import Log
from ingest.pods import Pod
from ingest.problems import PAUSED, RATE_OVER_LIMIT, VAULTS_FULL, Problem, Refused
from ingest.registry import Registry
from ingest.remote_vault import RemoteVault
from ingest.settings import Settings
from tests.support.pods import TestPod, make_pod
from tests.support.vaults import vault_in_a_thread
from vault.errors import StorageError
from vault.judging import Outcome
from vault.links import Invite
from vault.locks import hold_vault
from vault.pod import PodFolder
from vault.requests import Erase, Hold, Request, sign_request, write_request
from vault.store import Writer, open_writer
from vault.submissions import Answer, submit

IDLE_SECONDS = 1.0


class _House:
    """A door with real pods and a monotone clock that a test moves."""

    def __init__(self, *pods: TestPod, max_open_vaults: int = 64) -> None:
        self.now = 100.0
        self.lines: list[bytes] = []
        self.maintained = pods[0]
        settings = Settings(
            pods=tuple(pod.folder.path for pod in pods),
            idle_seconds=IDLE_SECONDS,
            max_open_vaults=max_open_vaults,
        )
        log = Log(self.lines.append, now_ms=pods[0].clock, entropy=os.urandom)
        clock = pods[0].clock
        self.registry = Registry(settings, self._vault, log=log, clock=lambda: self.now, now_ms=clock)
        self.door = Door(settings, self.registry, Tools(pods[0].clock, lambda: self.now, os.urandom, log))

    def _vault(self, folder: PodFolder) -> RemoteVault:
        return vault_in_a_thread(folder, self.maintained.clock)

    def admit(self, maintained: TestPod, invite: Invite) -> Admission:
        """Let a key in, as a request does."""
        call = Call(b"", None, False, 0.0, owner=maintained.keys.owner_key.raw, body_bytes=100)  # noqa: FBT003
        return self.door.admit(call, invite.database_key)

    async def store(self, maintained: TestPod, invite: Invite) -> Answer:
        """Store one item."""
        admission = self.admit(maintained, invite)
        answer = await admission.pod.store(admission.slot, submit(admission.slot, maintained.item()), 100)
        assert isinstance(answer, Answer)
        return answer

    async def settle(self) -> None:
        """Let what closes call back."""
        await asyncio.sleep(0.1)

    async def close_idle(self) -> None:
        """What the watching task does at each look."""
        self.registry._close_idle()
        await self.settle()

    def pod(self, maintained: TestPod) -> Pod:
        """The pod as the door has it."""
        return self.registry.by_owner[maintained.keys.owner_key.raw]


@pytest.fixture
def maintained(tmp_path: Path) -> TestPod:
    """A pod of its own."""
    return make_pod(tmp_path / "home")


async def test_an_idle_pod_keeps_no_key(maintained: TestPod) -> None:
    """Neither the slot's keys nor the connection that holds the file key."""
    invite, house = maintained.invite(), _House(maintained)
    await house.registry.load()
    assert (await house.store(maintained, invite)).outcome is Outcome.STORED
    pod = house.pod(maintained)

    house.now += IDLE_SECONDS / 2
    await house.close_idle()
    assert pod.is_open
    assert pod.opened

    house.now += IDLE_SECONDS
    await house.close_idle()
    assert not pod.is_open
    assert not pod.opened
    assert pod._vault._connection is None
    hold_vault(maintained.folder.path).close()


async def test_a_key_that_stored_nothing_is_dropped_too(maintained: TestPod) -> None:
    """It was admitted, and then its item was refused."""
    invite, house = maintained.invite(), _House(maintained)
    await house.registry.load()
    house.admit(maintained, invite)
    pod = house.pod(maintained)
    assert pod.opened

    house.now += IDLE_SECONDS
    await house.close_idle()

    assert not pod.is_open
    assert not pod.opened


async def test_an_item_that_comes_while_a_vault_is_being_closed_is_stored(maintained: TestPod) -> None:
    """The writer closes, then opens again; nobody is turned away, and the pod counts as open."""
    invite, house = maintained.invite(), _House(maintained)
    await house.registry.load()
    await house.store(maintained, invite)
    house.now += IDLE_SECONDS
    house.registry._close_idle()

    assert (await house.store(maintained, invite)).outcome is Outcome.STORED
    await house.settle()
    assert house.pod(maintained).is_open
    await house.registry.stop()
    assert not house.pod(maintained).is_open
    assert len(maintained.items()) == 2


async def test_a_new_policy_drops_open_slots(maintained: TestPod) -> None:
    """A slot's caveats are the policy's; what was opened under the old one is opened again."""
    invite, house = maintained.invite(), _House(maintained)
    await house.registry.load()
    house.admit(maintained, invite)
    maintained.invite("another")
    await house.registry._look()

    assert not house.pod(maintained).opened
    assert house.pod(maintained).policy.revision == maintained.policy.revision


async def test_what_waits_is_judged_by_the_policy_in_force_when_its_batch_closes(maintained: TestPod) -> None:
    """Revoked while it waited: not stored, although it was admitted."""
    invite, house = maintained.invite(), _House(maintained)
    await house.registry.load()
    admission = house.admit(maintained, invite)
    waiting = admission.pod.store(admission.slot, submit(admission.slot, maintained.item()), 100)
    maintained.revoke(invite)
    house.pod(maintained).take(maintained.policy)
    answer = await waiting

    assert isinstance(answer, Answer)
    assert answer.outcome is Outcome.CLOSED
    await house.registry.stop()
    assert maintained.items() == []


async def test_a_pod_is_turned_away_where_every_open_vault_is_in_use(tmp_path: Path) -> None:
    """The cap is for memory and threads; whoever works is not closed for who comes later."""
    first, second = make_pod(tmp_path / "first"), make_pod(tmp_path / "second")
    invites = first.invite(), second.invite()
    house = _House(first, second, max_open_vaults=1)
    await house.registry.load()
    admission = house.admit(first, invites[0])
    waiting = admission.pod.store(admission.slot, submit(admission.slot, first.item()), 100)

    with pytest.raises(Refused) as refused:
        house.admit(second, invites[1])
    assert refused.value.problem is VAULTS_FULL

    await waiting
    assert (await house.store(second, invites[1])).outcome is Outcome.STORED
    await house.settle()
    assert [house.pod(pod).is_open for pod in (first, second)] == [False, True]
    await house.registry.stop()


async def test_a_key_that_was_admitted_and_then_refused_is_dropped(tmp_path: Path) -> None:
    """The vault is not opened for it, so no closing drops it: for want of room, or by the slot's rate."""
    first, second = make_pod(tmp_path / "first"), make_pod(tmp_path / "second")
    invites = first.invite(), second.invite()
    limited = second.invite("limited", rate=(5, 50))
    house = _House(first, second, max_open_vaults=1)
    await house.registry.load()
    admission = house.admit(first, invites[0])
    waiting = admission.pod.store(admission.slot, submit(admission.slot, first.item()), 100)
    pod = house.pod(second)
    for invite, problem in ((invites[1], VAULTS_FULL), (limited, RATE_OVER_LIMIT)):
        with pytest.raises(Refused) as refused:
            house.admit(second, invite)
        assert refused.value.problem is problem
    assert not pod.is_open
    assert len(pod.opened) == 2

    await house.close_idle()
    assert not pod.opened
    assert isinstance(await waiting, Answer)
    await house.registry.stop()


async def test_a_folder_without_policy_files_is_looked_at_again(maintained: TestPod) -> None:
    """A pod that is being copied here is served once it is whole."""
    away = maintained.folder.path.rename(maintained.home / "away")
    house = _House(maintained)
    await house.registry.load()
    assert house.registry.by_owner == {}
    assert b"policy_refused" in b"".join(house.lines)

    away.rename(maintained.folder.path)
    await house.registry._look()
    assert house.pod(maintained).pod_id == maintained.policy.pod_id


async def test_a_publication_seen_between_its_two_files_is_no_news(maintained: TestPod) -> None:
    """No pair verifies at that moment; a maintainer must not find an error for every invite."""
    house = _House(maintained)
    await house.registry.load()
    before = {path: path.read_bytes() for path in (maintained.folder.pod_toml, maintained.folder.slots_json)}
    maintained.rewrite(policy="closed")
    slots_json = maintained.folder.slots_json.read_bytes()
    maintained.folder.slots_json.write_bytes(before[maintained.folder.slots_json])
    await house.registry._look()
    maintained.folder.slots_json.write_bytes(slots_json)
    await house.registry._look()
    await house.registry._look()

    assert house.lines == []
    assert house.pod(maintained).policy.config.policy == "closed"


async def test_a_pair_that_stays_wrong_is_said_once(maintained: TestPod) -> None:
    """At the first look that finds it unchanged, and not again at every look."""
    house = _House(maintained)
    await house.registry.load()
    maintained.folder.slots_json.write_bytes(b"")
    for _ in range(5):
        await house.registry._look()

    assert len(house.lines) == 1


def _openings(monkeypatch: pytest.MonkeyPatch) -> list[Writer]:
    """Every writer that is opened from now on."""
    opened: list[Writer] = []

    def opening(*arguments: Any, **named: Any) -> Writer:
        opened.append(open_writer(*arguments, **named))
        return opened[-1]

    monkeypatch.setattr("ingest.vault_thread.open_writer", opening)
    return opened


async def test_a_rest_that_fails_has_the_vault_verified_anew(
    maintained: TestPod, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody waits for it, and nobody is told; the next batch does not trust what it left."""
    invite, house = maintained.invite(), _House(maintained)
    await house.registry.load()

    def fail(_: Writer) -> None:
        raise StorageError("the disk went away")

    opened = _openings(monkeypatch)
    with monkeypatch.context() as broken:
        broken.setattr("vault.store.Writer.rest", fail)
        await house.store(maintained, invite)
        await house.settle()
    assert (await house.store(maintained, invite)).outcome is Outcome.STORED
    assert len(opened) == 2
    await house.registry.stop()


async def test_after_a_failure_the_vault_is_opened_and_verified_anew(
    maintained: TestPod, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a connection is worth after an error nobody knows."""
    invite, house = maintained.invite(), _House(maintained)
    await house.registry.load()
    opened = _openings(monkeypatch)
    await house.store(maintained, invite)
    await house.store(maintained, invite)
    assert len(opened) == 1

    with monkeypatch.context() as broken:
        broken.setattr("vault.store.Writer.commit", lambda *_: 1 / 0)
        admission = house.admit(maintained, invite)
        failed = await admission.pod.store(admission.slot, submit(admission.slot, maintained.item()), 100)
    assert isinstance(failed, Problem)
    assert (await house.store(maintained, invite)).outcome is Outcome.STORED
    assert len(opened) == 2
    await house.registry.stop()


def _ask(maintained: TestPod, request: Request) -> None:
    request_id = os.urandom(16)
    content = sign_request(maintained.policy.pod_id, request_id, request, maintained.keys.identity)
    write_request(maintained.folder, request_id, content)


def _said(house: _House, event: bytes) -> int:
    return sum(b'"event":"%s"' % event in line for line in house.lines)


async def test_a_held_pod_is_closed_and_keeps_no_key(maintained: TestPod) -> None:
    """What was admitted before is stored; then nothing of the pod stays here, whoever asks."""
    invite, house = maintained.invite(), _House(maintained)
    await house.registry.load()
    pod = house.pod(maintained)
    admission = house.admit(maintained, invite)
    waiting = admission.pod.store(admission.slot, submit(admission.slot, maintained.item()), 100)
    _ask(maintained, Hold(maintained.clock() + 1_000))
    await house.registry._look_at_requests()
    await house.close_idle()
    assert isinstance(await waiting, Answer)
    await house.close_idle()
    hold_vault(maintained.folder.path).close()
    with pytest.raises(Refused) as refused:
        house.admit(maintained, invite)
    assert refused.value.problem is PAUSED
    assert not pod.opened

    maintained.clock.ms += 1_000
    assert (await house.store(maintained, invite)).outcome is Outcome.STORED
    await house.registry.stop()


async def test_an_erasure_that_failed_is_tried_again_once_the_vault_was_closed(
    maintained: TestPod, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not at every look: whatever it was, it would fill the log; what was stored goes on being stored."""
    invite, house = maintained.invite(), _House(maintained)
    await house.registry.load()
    await house.store(maintained, invite)
    _ask(maintained, Erase(()))
    with monkeypatch.context() as broken:
        broken.setattr("vault.store.Writer.erase", lambda *_: 1 / 0)
        for _ in range(3):
            await house.registry._look_at_requests()
            await house.settle()
    assert (_said(house, b"erase_failed"), _said(house, b"erased")) == (1, 0)

    house.now += 2 * IDLE_SECONDS
    await house.close_idle()
    await house.store(maintained, invite)
    for _ in range(3):
        await house.registry._look_at_requests()
        await house.settle()
    assert (_said(house, b"erase_failed"), _said(house, b"erased")) == (1, 1)
    await house.registry.stop()


async def test_an_erasure_waits_for_the_vault_to_be_open(maintained: TestPod) -> None:
    """A key was admitted and stored nothing: the writer has not opened, and is asked again."""
    invite, house = maintained.invite(), _House(maintained)
    await house.registry.load()
    house.admit(maintained, invite)
    _ask(maintained, Erase(()))
    await house.registry._look_at_requests()
    await house.settle()
    assert _said(house, b"erased") == 0
    await house.store(maintained, invite)
    await house.registry._look_at_requests()
    await house.settle()
    assert _said(house, b"erased") == 1
    await house.registry.stop()


async def test_a_writer_that_has_not_opened_looks_at_nothing(maintained: TestPod) -> None:
    """Its first batch failed, so that it is connected and holds no vault."""
    invite, house = maintained.invite(), _House(maintained)
    await house.registry.load()
    _ask(maintained, Erase(()))
    with hold_vault(maintained.folder.path):
        admission = house.admit(maintained, invite)
        answer = await admission.pod.store(admission.slot, submit(admission.slot, maintained.item()), 100)
    assert isinstance(answer, Problem)
    await house.registry._look_at_requests()
    await house.settle()
    assert _said(house, b"erased") == 0
    await house.registry.stop()
