"""Rotating while a real server is under load: 503 for a moment, nothing lost, the same invites go on."""

from __future__ import annotations

import collections
import contextlib
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from tests.support.maintaining import succeed
from tests.support.pods import TestPod, new_pod
from tests.support.server import Server, serving
from vault.links import Invite
from vault.policies import load_policy
from vault.reader import file_key_of
from vault.rekeying import format_rotation

BEFORE = 20
"""Items that are acknowledged before and after what is done meanwhile."""
SECONDS = 30


class _Senders:
    """Threads that send items, and remember each answer."""

    def __init__(self, server: Server, pod: TestPod, invites: list[Invite]) -> None:
        self._server = server
        self._pod = pod
        self._is_done = threading.Event()
        self.acknowledged: set[str] = set()
        self.statuses: collections.Counter[int] = collections.Counter()
        self._threads = [threading.Thread(target=self._send, args=(invite,)) for invite in invites]

    def _send(self, invite: Invite) -> None:
        number = 0
        while not self._is_done.is_set():
            number += 1
            item = {"type": "Note", "id": f"{invite.name}-{number:06}", "text": "x"}
            key = invite.database_key.reveal().hex()
            answer = self._server.create_item(self._pod.owner, key, item)
            self.statuses[answer.status] += 1
            if answer.status == 200:
                self.acknowledged.add(f"{invite.name}/{answer.json}")
            else:
                time.sleep(0.02)

    @contextlib.contextmanager
    def sending(self) -> Iterator[None]:
        for thread in self._threads:
            thread.start()
        try:
            yield
        finally:
            self._is_done.set()
            for thread in self._threads:
                thread.join(SECONDS)

    def wait_for_more(self) -> None:
        """Wait until some more are acknowledged."""
        enough, deadline = len(self.acknowledged) + BEFORE, time.monotonic() + SECONDS
        while len(self.acknowledged) < enough:
            assert time.monotonic() < deadline, self._server.log
            time.sleep(0.02)


def test_rotating_under_load_loses_nothing(tmp_path: Path) -> None:
    """Keys and an identity in a row: who sends notices a 503, and goes on with the invite they have."""
    pod = new_pod(tmp_path)
    invites = [pod.invite("one"), pod.invite("two")]
    revoked = pod.invite("three")
    with serving(pod.folder.path) as server:
        senders = _Senders(server, pod, invites)
        with senders.sending():
            senders.wait_for_more()
            for what in ("--file-key", "--identity", "--file-key"):
                succeed("rotate", pod.home, what)
                senders.wait_for_more()
            succeed("invite", "revoke", pod.home, "three", "--rotate")
            senders.wait_for_more()
        assert set(senders.statuses) <= {200, 503}
        assert senders.statuses[503] > 0
        key = revoked.database_key.reveal().hex()
        assert server.create_item(pod.owner, key, {"type": "Note", "text": "x"}).status == 403
        assert server.stop() == 0
    succeed("check", pod.home)
    lines = [json.loads(line) for line in succeed("export", pod.home, "-", "--format", "jsonl").lines]
    stored = [f"{line['_from']}/{line['id']}" for line in lines]
    assert len(stored) == len(set(stored))
    assert senders.acknowledged <= set(stored)


def test_a_server_waits_for_an_interrupted_rotation_to_be_finished(tmp_path: Path) -> None:
    """Killed between the two renames: 503, nothing stored; the same command again, and it is 200."""
    pod = new_pod(tmp_path)
    invite = pod.invite("one")
    key = invite.database_key.reveal().hex()
    slots_json = pod.folder.slots_json.read_bytes()
    succeed("rotate", pod.home, "--file-key")
    new_key = file_key_of(load_policy(pod.folder), pod.keys.identity)
    pod.folder.slots_json.write_bytes(slots_json)
    (pod.home / "rotation").write_bytes(format_rotation(new_key, pod.keys.identity, pod.policy.pod_id))
    with serving(pod.folder.path) as server:
        item = {"type": "Note", "id": "note-1", "text": "x"}
        assert server.create_item(pod.owner, key, item).status == 503
        succeed("rotate", pod.home, "--file-key")
        deadline = time.monotonic() + SECONDS
        while server.create_item(pod.owner, key, item).status == 503:
            assert time.monotonic() < deadline, server.log
            time.sleep(0.05)
        assert server.create_item(pod.owner, key, item).status == 200
        assert server.stop() == 0
    assert pod.check().items == 1


def test_an_older_slots_json_put_back_under_a_server_opens_nothing(tmp_path: Path) -> None:
    """The server in memory refuses it; one that is started with it opens no vault."""
    pod = new_pod(tmp_path)
    revoked, kept = pod.invite("revoked"), pod.invite("kept")
    older = pod.folder.slots_json.read_bytes()
    keys = {name: invite.database_key.reveal().hex() for name, invite in (("r", revoked), ("k", kept))}
    note = {"type": "Note", "text": "x"}
    with serving(pod.folder.path) as server:
        assert server.create_item(pod.owner, keys["r"], note).status == 200
        succeed("invite", "revoke", pod.home, "revoked", "--rotate")
        newest = pod.folder.slots_json.read_bytes()
        deadline = time.monotonic() + SECONDS
        while server.create_item(pod.owner, keys["k"], note).status != 200:
            assert time.monotonic() < deadline, server.log
            time.sleep(0.05)
        pod.folder.slots_json.write_bytes(older)
        server.wait_for("policy_refused")
        assert server.create_item(pod.owner, keys["r"], note).status == 403
        assert server.create_item(pod.owner, keys["k"], note).status == 200
    with serving(pod.folder.path) as server:
        assert server.create_item(pod.owner, keys["r"], note).status == 503
    pod.folder.slots_json.write_bytes(newest)
    assert pod.check().findings == []
