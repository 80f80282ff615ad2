"""From `deploy prepare` to `collect`: what was laid out takes items in, and home brings them in."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cloud.verdicts import Check, Verdict, write_verdict
from ingest.function import Function
from maintainer_tools.times import now_ms
from tests.support.maintaining import succeed
from tests.support.pods import TestPod, make_pod
from tests.support.runtime_api import item_event
from tests.support.stores import Store
from vault.links import Invite, parse_invite
from vault.promises import decode_promise, verify_promise


class Deployed:
    """A home, its folder ``deploy``, and functions that run from what lies there."""

    def __init__(self, store: Store) -> None:
        self.pod: TestPod = make_pod(Path("plants"), policy="infer", more='url = "https://pod.example.org"\n')
        self.store = store
        self.running: list[Function] = []

    def deploy(self) -> Function:
        """Prepare, and start a function with what the template gives it; the key comes from home's file."""
        succeed("deploy", "prepare", "plants")
        function = Function(
            {
                "POD_STORE": str(self.store.address()),
                "POD_LOG_KEY": f"file:{Path('plants/function.key').absolute()}",
                "POD_BUNDLE": str(Path("deploy/code/pods").absolute()),
            }
        )
        self.running.append(function)
        return function

    def invite(self, name: str) -> Invite:
        """Make an invite with the command."""
        (link,) = succeed("invite", "new", "plants", "--name", name).lines
        return parse_invite(link)

    def send(self, function: Function, invite: Invite, **payload: object) -> dict[str, Any]:
        """The answer to one item."""
        key = invite.database_key.reveal().hex()
        headers = {"pod-receipt": "1"}
        return function.answer(item_event(self.pod.owner, key, {"type": "Note"} | payload, headers))


@pytest.fixture
def site(tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch) -> Iterator[Deployed]:
    """Of the test's own, with the rights of the role."""
    monkeypatch.chdir(tmp_path)
    made = Deployed(store)
    yield made
    for function in made.running:
        function.end()


def collected(store: Store, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Collect, with the rights of the maintainer, who may list and read; the ids in the vault."""
    for name, value in store.admin.environment.items():
        monkeypatch.setenv(name, value)
    address = str(store.address())
    checks = (Check("x", is_passed=True, said=""),)
    write_verdict(Path("store.verdict"), Verdict(address, now_ms(), {}, checks))
    succeed("collect", "plants", "--from", address)
    return sorted(json.loads(line)["id"] for line in succeed("ls", "plants", "--json").lines)


def test_what_was_prepared_takes_items_in_and_home_collects_them(
    site: Deployed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The promise is signed by the key that was drawn; the invite knows it."""
    site.deploy()
    invite = site.invite("field-team")
    answer = site.send(site.deploy(), invite, id="item-1", text="hello")
    assert answer["statusCode"] == 200, answer
    promise = decode_promise(answer["headers"]["pod-receipt"])
    verify_promise(promise, pod_id=site.pod.policy.pod_id, function_keys=invite.function_keys)

    assert collected(site.store, monkeypatch) == ["item-1"]


def test_a_revocation_counts_from_the_next_deployment_on(
    site: Deployed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until then the old bundle accepts it, and home takes what it accepted; then it is a stranger's."""
    site.deploy()
    invite = site.invite("field-team")
    before = site.deploy()
    assert site.send(before, invite, id="item-1")["statusCode"] == 200
    succeed("invite", "revoke", "plants", "field-team")
    assert site.send(before, invite, id="item-2")["statusCode"] == 200
    assert site.send(site.deploy(), invite, id="item-3")["statusCode"] == 403

    assert collected(site.store, monkeypatch) == ["item-1", "item-2"]
