"""What a maintainer asks of a running server: done in good order, and nobody else is heard."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.pods import PATIENCE, TestPod, new_pod
from tests.support.server import Server, serving
from tests.vault.test_erasing import all_fragments, sealed_of, statements_of
from vault.holding import hold
from vault.links import Invite
from vault.locks import Lock, hold_vault
from vault.opening import Identity
from vault.requests import Erase, Hold, Request, requests_folder, sign_request, write_request

LOOKS_SECONDS = 1.0
"""A server has looked at least twice."""


def now_ms() -> int:
    """The real time: a real server judges by it."""
    return time.time_ns() // 1_000_000


@contextlib.contextmanager
def holding(pod: TestPod) -> Iterator[Lock]:
    """Hold a pod's vault, as a tool does."""
    with hold(
        pod.folder,
        pod.policy.pod_id,
        pod.keys.identity,
        entropy=os.urandom,
        now_ms=now_ms,
        patience=PATIENCE,
    ) as lock:
        yield lock


def send(server: Server, pod: TestPod, invite: Invite, item_id: str) -> int:
    """Send one item; return the status."""
    key = invite.database_key.reveal().hex()
    return server.create_item(pod.owner, key, {"type": "Note", "id": item_id, "text": "x"}).status


def send_patiently(server: Server, pod: TestPod, invite: Invite, item_id: str) -> int:
    """Send one item again while the server says 503; return the last status."""
    deadline = time.monotonic() + 60
    while (status := send(server, pod, invite, item_id)) == 503 and time.monotonic() < deadline:
        time.sleep(0.05)
    return status


def ask(pod: TestPod, request: Request, identity: Identity | None = None) -> Path:
    """Put a request there; return its path."""
    request_id = os.urandom(16)
    content = sign_request(pod.policy.pod_id, request_id, request, identity or pod.keys.identity)
    write_request(pod.folder, request_id, content)
    return requests_folder(pod.folder) / request_id.hex()


def test_a_held_vault_is_home_alone_and_nothing_is_lost(pod: TestPod, invite: Invite, server: Server) -> None:
    """Under load: what was acknowledged before, meanwhile by home, and after is all there, once."""
    acknowledged: list[str] = []
    statuses: list[int] = []
    is_over = threading.Event()

    def load(sender: int) -> None:
        number = 0
        while not is_over.is_set():
            item_id = f"item-{sender}-{number}"
            status = send(server, pod, invite, item_id)
            statuses.append(status)
            if status == 200:
                acknowledged.append(item_id)
                number += 1
            else:
                time.sleep(0.01)

    senders = [threading.Thread(target=load, args=(sender,)) for sender in range(4)]
    for sender in senders:
        sender.start()
    while len(acknowledged) < 20:
        time.sleep(0.01)
    with holding(pod) as lock:
        assert not pod.folder.wal.exists(), "the server closed it well"
        lock.close()
        with pod.writer() as writer:
            slot = pod.opened(invite)
            writer.commit(pod.policy, [pod.submission(slot, id="from-home", text="x")])
        before = len(acknowledged)
        with hold_vault(pod.folder.path):
            time.sleep(LOOKS_SECONDS)
        assert len(acknowledged) == before
    deadline = time.monotonic() + 60
    while len(acknowledged) < before + 20 and time.monotonic() < deadline:
        time.sleep(0.01)
    is_over.set()
    for thread in senders:
        thread.join()

    assert set(statuses) == {200, 503}
    assert len(acknowledged) >= before + 20
    assert server.stop() == 0
    assert sorted(pod.whole_ids()) == sorted([*acknowledged, "from-home"])


def test_who_comes_meanwhile_is_told_to_try_again(pod: TestPod, invite: Invite, server: Server) -> None:
    """503 and how long to wait; who may not write is told what they are always told."""
    assert send(server, pod, invite, "item-01") == 200
    key = invite.database_key.reveal().hex()
    wrong = server.create_item(pod.owner, "00" * 32, {"type": "Note"})
    with holding(pod):
        held = server.create_item(pod.owner, key, {"type": "Note", "text": "x"})
        assert held.status == 503
        assert 5 <= int(held.headers["retry-after"]) <= 15
        assert b"maintainer is working on it" in held.body
        again = server.create_item(pod.owner, "00" * 32, {"type": "Note"})
        assert (again.status, again.body) == (403, wrong.body)
    assert send_patiently(server, pod, invite, "item-02") == 200


def test_a_server_that_starts_while_it_is_asked_does_not_open(pod: TestPod, invite: Invite) -> None:
    """Before its first answer it has looked; the hold of a tool that died ends by itself."""
    until_ms = now_ms() + 3_000
    ask(pod, Hold(until_ms))
    with serving(pod.folder.path) as server:
        statuses = [send(server, pod, invite, "item-01")]
        while now_ms() < until_ms + 2_000 and statuses[-1] != 200:
            time.sleep(0.05)
            statuses.append(send(server, pod, invite, "item-01"))
    assert statuses[0] == 503
    assert statuses[-1] == 200


def test_what_is_no_request_of_this_maintainer_holds_nothing(
    pod: TestPod, invite: Invite, server: Server, tmp_path: Path
) -> None:
    """A stranger's, another pod's, a replayed copy, a cut one, a link, one for tomorrow: each said once."""
    now = now_ms()
    ask(pod, Hold(now + 60_000), identity=Identity(os.urandom(32)))
    own = ask(pod, Hold(now + 60_000))
    folder = requests_folder(pod.folder)
    (folder / os.urandom(16).hex()).write_bytes(own.read_bytes())
    own.write_bytes(own.read_bytes()[:-1])
    (tmp_path / "other").mkdir()
    other = new_pod(tmp_path / "other", seed=2)
    foreign_id = os.urandom(16)
    write_request(
        pod.folder,
        foreign_id,
        sign_request(other.policy.pod_id, foreign_id, Hold(now + 60_000), pod.keys.identity),
    )
    (folder / os.urandom(16).hex()).symlink_to(own)
    time.sleep(LOOKS_SECONDS)
    assert send(server, pod, invite, "item-01") == 200
    ask(pod, Hold(now + 36_000_000))
    time.sleep(LOOKS_SECONDS)
    assert send(server, pod, invite, "item-02") == 200

    said = [line["error"] for line in server.events if line["event"] == "request_refused"]
    expected = ["DamagedError", "DamagedError", "ForeignPodError", "MalformedError", "StorageError"]
    assert sorted(said) == expected
    assert str(pod.folder.path) not in server.log


def test_ten_thousand_files_stop_nothing(pod: TestPod, invite: Invite, server: Server) -> None:
    """Somebody filled the folder: it is said, and items go on being stored."""
    folder = requests_folder(pod.folder)
    folder.mkdir()
    for number in range(10_000):
        (folder / number.to_bytes(16, "big").hex()).touch()
    deadline = time.monotonic() + 60
    while not any("more files than" in line.get("sentence", "") for line in server.events):
        assert time.monotonic() < deadline, "it is not said that there are too many"
        time.sleep(0.05)
    assert send(server, pod, invite, "item-01") == 200


def test_a_folder_that_is_none_is_said_once(pod: TestPod, invite: Invite, server: Server) -> None:
    """A file in its place asks for nothing; put right, it is looked at again."""
    requests_folder(pod.folder).write_bytes(b"")
    time.sleep(LOOKS_SECONDS)
    assert [line["error"] for line in server.events if line["event"] == "request_refused"] == ["StorageError"]
    requests_folder(pod.folder).unlink()
    with holding(pod):
        deadline = time.monotonic() + 60
        while send(server, pod, invite, "item-01") != 503:
            assert time.monotonic() < deadline
            time.sleep(0.05)


def test_items_are_erased_under_load(pod: TestPod, invite: Invite) -> None:
    """What is acknowledged is there, what is erased is gone, from every page; a retry is still 200."""
    with serving(pod.folder.path, options=["--idle-seconds", "60"]) as server:
        for number in range(20):
            assert send(server, pod, invite, f"early-{number:02}") == 200
        sealed = sealed_of(pod)
        gone = [f"early-{number:02}" for number in range(0, 20, 2)]
        acknowledged: list[str] = []
        is_over = threading.Event()

        def load(sender: int) -> None:
            number = 0
            while not is_over.is_set():
                item_id = f"item-{sender}-{number}"
                assert send(server, pod, invite, item_id) == 200
                acknowledged.append(item_id)
                number += 1

        senders = [threading.Thread(target=load, args=(sender,)) for sender in range(4)]
        for sender in senders:
            sender.start()
        ask(pod, Erase(tuple(statements_of(pod, gone))))
        assert server.wait_for("erased")["items"] == len(gone)
        enough = len(acknowledged) + 20
        while len(acknowledged) < enough and any(sender.is_alive() for sender in senders):
            time.sleep(0.01)
        is_over.set()
        for thread in senders:
            thread.join()
        assert send(server, pod, invite, gone[0]) == 200
        assert server.stop() == 0

    kept = [f"early-{number:02}" for number in range(1, 20, 2)]
    assert len(acknowledged) >= enough
    assert sorted(pod.whole_ids()) == sorted([*kept, *acknowledged])
    assert not any(all_fragments(pod, [sealed[item_id] for item_id in gone]))
    assert all(all_fragments(pod, [sealed[item_id] for item_id in kept]))


def test_a_locked_server_erases_when_it_opens(pod: TestPod, invite: Invite) -> None:
    """Even for a moment: nobody has brought the key before, and it is gone right after."""
    with serving(pod.folder.path, options=["--idle-seconds", "0.01"]) as server:
        assert send(server, pod, invite, "item-01") == 200
        server_is_closed(pod)
        ask(pod, Erase(tuple(statements_of(pod, ["item-01"]))))
        time.sleep(LOOKS_SECONDS)
        assert [item.id for item in pod.items()] == ["item-01"]
        assert send(server, pod, invite, "item-02") == 200
        assert server.wait_for("erased")["items"] == 1
        assert server.stop() == 0
    assert pod.whole_ids() == ["item-02"]


def server_is_closed(pod: TestPod) -> None:
    """Wait until nobody has the vault open."""
    with holding(pod):
        return


@pytest.mark.parametrize("delay_ms", [0, 20, 60, 120, 200, 260, 300, 400])
def test_a_kill_around_an_erasure_loses_nothing(pod: TestPod, invite: Invite, delay_ms: int) -> None:
    """At any moment: each item is there or erased, and the next server finishes it."""
    with serving(pod.folder.path, options=["--idle-seconds", "60"]) as server:
        for number in range(8):
            assert send(server, pod, invite, f"item-{number:02}") == 200
        gone = [f"item-{number:02}" for number in range(4)]
        sealed = sealed_of(pod)
        ask(pod, Erase(tuple(statements_of(pod, gone))))
        time.sleep(delay_ms / 1000)
        server.kill()
    assert set(pod.whole_ids()) >= {f"item-{number:02}" for number in range(4, 8)}
    with serving(pod.folder.path) as server:
        assert send(server, pod, invite, "item-09") == 200
        assert server.wait_for("erased")["items"] in {0, 4}
        assert server.stop() == 0
    assert sorted(pod.whole_ids()) == [*(f"item-{number:02}" for number in range(4, 8)), "item-09"]
    assert not any(all_fragments(pod, [sealed[item_id] for item_id in gone]))


def test_an_erasure_that_does_not_hold_is_said_once(pod: TestPod, invite: Invite) -> None:
    """By a stranger, and by the maintainer about nothing; every later look and opening is quiet about it."""
    with serving(pod.folder.path, options=["--idle-seconds", "0.3"]) as server:
        assert send(server, pod, invite, "item-01") == 200
        stranger = Identity(os.urandom(32))
        bad = statements_of(pod, ["item-01"], identity=stranger)
        ask(pod, Erase(tuple(bad)), identity=stranger)
        ask(pod, Erase((*bad, b"", b"x" * 100)))
        for number in range(2, 6):
            assert send(server, pod, invite, f"item-{number:02}") == 200
            time.sleep(0.6)
        said = [line["event"] for line in server.events]
        assert said.count("erase_refused") == 3
        assert said.count("request_refused") == 1
        assert server.stop() == 0
    assert len(pod.whole_ids()) == 5
