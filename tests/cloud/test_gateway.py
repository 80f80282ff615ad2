"""`serve --store`: the whole chain on one's own machine, from a certified store to items at home."""

from __future__ import annotations

import contextlib
import http.client
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cloud.verdicts import Check, Verdict, write_verdict
from ingest import gateway
from tests.support import stores
from tests.support.command import shared_pod
from tests.support.deploying import Deployed, deploy, verified
from tests.support.pods import new_pod
from tests.support.server import ROOT, Server, serving
from tests.support.stores import Store, between
from vault.links import Invite

RECEIPT = {"Pod-Receipt": "1"}


@pytest.fixture
def site(tmp_path: Path, store: Store) -> Deployed:
    """A pod that functions take items in for."""
    return deploy(new_pod(tmp_path, policy="infer"), tmp_path, store)


@pytest.fixture
def invite(site: Deployed) -> Invite:
    """Into it."""
    return site.invite()


def certified(site: Deployed, endpoint: str | None = None, *, at_ms: int | None = None) -> list[str]:
    """The options that name the store, a verdict about it, and the key."""
    address = site.store.address(*([endpoint] if endpoint else []))
    path = site.bundle.parent / "store.verdict"
    made_ms = time.time_ns() // 1_000_000 if at_ms is None else at_ms
    write_verdict(path, Verdict(str(address), made_ms, {}, (Check("x", is_passed=True, said=""),)))
    return ["--store", str(address), "--log-key", f"file:{site.key_file}", "--verdict", str(path)]


@contextlib.contextmanager
def gated(site: Deployed, endpoint: str | None = None) -> Iterator[Server]:
    """A running gateway, with the rights of a function."""
    options, environment = certified(site, endpoint), site.role.environment
    with serving(site.bundle, options=options, environment=environment, module="ingest.gateway") as server:
        yield server


def test_items_go_through_a_server_into_the_store(site: Deployed, invite: Invite) -> None:
    """Answered as ever, with a promise; a retry has the same; other content is 409; many are all there."""
    key = invite.database_key.reveal().hex()
    with gated(site) as server:
        first = server.create_item(
            site.pod.owner, key, {"type": "Note", "id": "item-1", "text": "x"}, RECEIPT
        )
        again = server.create_item(
            site.pod.owner, key, {"type": "Note", "id": "item-1", "text": "x"}, RECEIPT
        )
        other = server.create_item(site.pod.owner, key, {"type": "Note", "id": "item-1", "text": "y"})
        stranger = server.create_item(site.pod.owner, "0" * 64, {"type": "Note"})
        statuses: list[int] = []

        def send(number: int) -> None:
            payload = {"type": "Note", "id": f"many-{number:03}", "text": "x"}
            statuses.append(server.create_item(site.pod.owner, key, payload).status)

        threads = [threading.Thread(target=send, args=(number,)) for number in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        log = server.log
        assert server.stop() == 0

    assert (first.status, again.status, other.status, stranger.status) == (200, 200, 409, 403)
    verified(first.headers["pod-promise"], site)
    assert again.headers["pod-promise"] == first.headers["pod-promise"]
    assert statuses == [200] * 20
    expected = {"item-1", *(f"many-{number:03}" for number in range(20))}
    assert {item["id"] for item in site.items()} == expected
    for secret in (key, site.role.secret_key, site.function.key.reveal().hex()):
        assert secret not in log


def test_a_revoked_invite_ends_within_a_second(site: Deployed, invite: Invite) -> None:
    """A gateway reads the policy again, as a server does."""
    key = invite.database_key.reveal().hex()
    with gated(site) as server:
        assert server.create_item(site.pod.owner, key, {"type": "Note", "text": "x"}).status == 200
        site.pod.revoke(invite)
        site.publish()
        deadline = time.monotonic() + 60
        while server.create_item(site.pod.owner, key, {"type": "Note", "text": "x"}).status != 403:
            assert time.monotonic() < deadline
            time.sleep(0.05)


def test_a_kill_loses_nothing_that_was_acknowledged(site: Deployed, invite: Invite) -> None:
    """Through a store that cuts answers now and then: each 200 is in the store, once."""
    key = invite.database_key.reveal().hex()
    acknowledged: list[str] = []
    with between(site.store.endpoint) as way:
        way.faults = [("PUT", stores.lost), ("PUT", stores.slow_down), ("PUT", stores.done_and_slow_down)]
        with gated(site, way.endpoint) as server:

            def load(sender: int) -> None:
                with contextlib.suppress(OSError, http.client.HTTPException):
                    for number in range(1_000):
                        item_id = f"item-{sender}-{number}"
                        payload = {"type": "Note", "id": item_id, "text": "x"}
                        if server.create_item(site.pod.owner, key, payload).status == 200:
                            acknowledged.append(item_id)

            threads = [threading.Thread(target=load, args=(sender,)) for sender in range(4)]
            for thread in threads:
                thread.start()
            deadline = time.monotonic() + 60
            while len(acknowledged) < 20:
                assert time.monotonic() < deadline, server.log
                time.sleep(0.02)
            server.stop_group(signal.SIGKILL)
            for thread in threads:
                thread.join()
    found = [item["id"] for item in site.items()]
    assert set(acknowledged) <= set(found)
    assert len(found) == len(set(found))


@pytest.mark.parametrize("wrong", ["old", "other", "none"])
def test_a_store_without_a_fresh_verdict_is_refused(
    site: Deployed,
    wrong: str,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """By the command, and by the server itself."""
    options = certified(
        site, "http://127.0.0.1:9" if wrong == "other" else None, at_ms=0 if wrong == "old" else None
    )
    options[1] = str(site.store.address())
    if wrong == "none":
        Path(options[-1]).unlink()
    ended = shared_pod("serve", site.bundle, *options, cwd=site.bundle.parent)
    assert ended.code == (10 if wrong == "none" else 24)
    assert "store certify" in ended.err
    monkeypatch.setattr(gateway, "run", lambda *_: pytest.fail("it serves"))
    with pytest.raises(SystemExit) as exited:
        gateway.main([*options, str(site.bundle)])
    assert exited.value.code == 2
    assert "error:" in capfd.readouterr().err


def test_a_gateway_without_its_key_says_so_and_ends(site: Deployed) -> None:
    """Nothing is served that could not be signed."""
    options = certified(site)
    site.key_file.write_text("hush-hush\n")
    ended = subprocess.run(
        [sys.executable, "-m", "ingest.gateway", "--port", "0", *options, site.bundle],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert ended.returncode == 1
    assert "cannot_start" in ended.stderr
    assert "hush-hush" not in ended.stderr
