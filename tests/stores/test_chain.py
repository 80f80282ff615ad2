"""The whole chain on machines of one's own: a real store, real servers in front of it, and home."""

from __future__ import annotations

import csv
import json
import secrets
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.stores.ceph import Ceph
from tests.stores.conftest import Record
from tests.stores.owning import owned_bucket
from tests.stores.programs import Program, is_listening
from tests.support.command import ROOT, succeed
from tests.support.deploying import deploy, verified
from tests.support.pods import make_pod
from tests.support.ports import free_port
from tests.support.runtime_api import deployed, item_event
from tests.support.stores import PREFIX, Keys, Store

ROWS = 300
PROCESSES = 16
ROUNDS = 20
RECEIPT = {"pod-receipt": "1"}


class Site:
    """A home, and a server that puts its items into a bucket on Ceph; commands as people run them.

    Args:
        folder: Of the test.
        store: The bucket, by its owner.
        function: Keys of the user that servers have.
        ways: The store's endpoints.
    """

    def __init__(self, folder: Path, store: Store, function: Keys, ways: list[str]) -> None:
        self.folder = folder
        self._store, self._function = store, function
        self.address = str(store.address(*ways))
        self.port = free_port()
        self.home("init", "birds", "--policy", "infer", "--url", f"http://127.0.0.1:{self.port}")
        self.home("deploy", "prepare", "birds")
        self.home("store", "certify", self.address)

    def home(self, *arguments: str) -> str:
        """Run a command with the maintainer's keys to the store; what it prints."""
        return succeed(*arguments, cwd=self.folder, environment=self._store.admin.environment).out

    def collect(self) -> dict[str, Any]:
        """Collect from the store; what is said at the end."""
        said = self.home("collect", "birds", "--from", self.address, "--json").splitlines()
        return dict(json.loads(said[-1]))

    def items(self) -> list[dict[str, Any]]:
        """What is in the vault, by number."""
        listed = self.home("ls", "birds", "--json", "--type", "Bird", "--limit", str(2 * ROWS)).splitlines()
        return sorted(map(json.loads, listed), key=lambda item: int(item["number"]))

    @contextmanager
    def served(self) -> Iterator[Program]:
        """Run `serve --store`, with the rights of the function's user alone."""
        command = [sys.executable, "-m", "maintainer_tools", "serve", "birds", "--port", str(self.port)]
        command += ["--store", self.address, "--log-key", "file:birds/function.key"]
        environment = {**self._function.environment, "PYTHONPATH": str(ROOT), "HOME": str(self.folder)}
        server = Program("serve", command, self.folder / "serve.log", environment, self.folder)
        try:
            server.await_ready(lambda: is_listening(self.port))
            yield server
        finally:
            server.stop()


@pytest.fixture
def bucket(ceph: Ceph) -> tuple[Store, Keys]:
    """A bucket, and the keys of a user who may put items into it."""
    return owned_bucket(ceph)


def test_items_go_from_send_into_the_vault(ceph: Ceph, bucket: tuple[Store, Keys], tmp_path: Path) -> None:
    """By a server and two gateways of the store; each item once, and each with a promise that is kept."""
    store, function = bucket
    site = Site(tmp_path, store, function, ceph.endpoints)
    site.home("invite", "new", "birds", "--name", "team")
    with (tmp_path / "seen.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["species", "number"])
        rows.writerows(["Parus major", number] for number in range(ROWS))
    with site.served():
        sending = ["send", "seen.csv", "--invite", "team.invite", "--type", "Bird", "--yes", "--json"]
        sent = json.loads(site.home(*sending, "--receipts", "kept"))
    assert (sent["accepted"], sent["rejected"], sent["not_sent"]) == (ROWS, 0, 0)

    first = site.collect()
    assert (first["duplicates"], first["quarantined"]) == (0, 0)
    assert [item["number"] for item in site.items()] == list(range(ROWS))
    site.home("audit", "birds")
    second = site.collect()
    assert (second["taken"], second["collected_before"]) == (0, first["taken"])
    assert [item["number"] for item in site.items()] == list(range(ROWS))

    for item in site.items()[::50]:
        kept = f"kept/{item['id']}"
        site.home("promise", "verify", f"{kept}.promise", "--invite", "team.invite", "--item", f"{kept}.json")


def test_the_users_have_the_rights_that_the_page_says(bucket: tuple[Store, Keys]) -> None:
    """A function's user puts, and reads tags; home reads what that user put. Nobody else does anything."""
    store, function = bucket
    mine, home = store.client(keys=function), store.client()
    at = {"Bucket": store.bucket, "Key": f"{PREFIX}one"}
    mine.put_object(**at, Body=b"content", IfNoneMatch="*", Tagging="a=b")
    assert mine.get_object_tagging(**at)["TagSet"] == [{"Key": "a", "Value": "b"}]
    assert home.get_object(**at)["Body"].read() == b"content"
    assert home.get_object_tagging(**at)["TagSet"] == [{"Key": "a", "Value": "b"}]

    outside = {"Bucket": store.bucket, "Key": "other"}
    refused: list[Callable[[], object]] = [
        lambda: mine.get_object(**at),
        lambda: mine.head_object(**at),
        lambda: mine.delete_object(**at),
        lambda: mine.put_object_acl(**at, ACL="public-read"),
        lambda: mine.list_objects_v2(Bucket=store.bucket),
        lambda: mine.put_object(**outside, Body=b""),
        lambda: mine.create_bucket(Bucket=f"{store.bucket}-own"),
        lambda: mine.put_bucket_policy(Bucket=store.bucket, Policy="{}"),
        lambda: mine.delete_bucket_policy(Bucket=store.bucket),
        lambda: mine.put_bucket_versioning(
            Bucket=store.bucket, VersioningConfiguration={"Status": "Enabled"}
        ),
    ]
    for ask in refused:
        with pytest.raises(ClientError, match=r"AccessDenied|403|TooManyBuckets"):
            ask()
    home.delete_object(**at)


def test_a_server_with_a_wrong_secret_stores_nothing(bucket: tuple[Store, Keys], tmp_path: Path) -> None:
    """It answers 503, and says why in its log, without the secret."""
    store, function = bucket
    wrong = replace(function, secret_key=secrets.token_hex(20))
    site = deploy(make_pod(tmp_path / "home", policy="infer"), tmp_path, store, wrong)
    invite = site.invite()
    event = item_event(site.pod.owner, invite.database_key.reveal().hex(), {"type": "Note", "text": "x"})
    with deployed(site.environment(), tmp_path / "log") as runtime:
        answer = runtime.invoke(event).content
        log = runtime.log
    assert answer["statusCode"] == 503, answer
    assert "403" in log
    assert wrong.secret_key not in log
    assert store.keys_of_objects() == []


def test_of_sixteen_processes_on_one_id_exactly_one_wins(
    ceph: Ceph, bucket: tuple[Store, Keys], tmp_path: Path, record: Record
) -> None:
    """By two gateways, again and again: one is answered 200, the others 409; home finds that one.

    Who then sends what won has the same promise, from every process.
    """
    store, function = bucket
    site = deploy(make_pod(tmp_path / "home", policy="infer"), tmp_path, store, function)
    key = site.invite().database_key.reveal().hex()
    began = time.monotonic()

    def event(number: int, text: str) -> object:
        payload = {"type": "Note", "id": f"item-{number:02}", "text": text}
        return item_event(site.pod.owner, key, payload, RECEIPT)

    with ExitStack() as stack:
        # Each half asks another gateway first.
        runtimes = []
        for number, ways in enumerate((ceph.endpoints, ceph.endpoints[::-1])):
            environment = site.environment() | {"POD_STORE": str(store.address(*ways))}
            log = tmp_path / f"log-{number}"
            runtimes.append(stack.enter_context(deployed(environment, log, processes=PROCESSES // 2)))
        for runtime in runtimes:
            runtime.wait_until_ready()

        def at_once(number: int, texts: list[str]) -> list[dict[str, Any]]:
            barrier = threading.Barrier(PROCESSES)
            for half, runtime in enumerate(runtimes):
                runtime.hand_out([event(number, text) for text in texts[half :: len(runtimes)]], barrier)
            return [runtime.told().content for runtime in runtimes for _ in range(PROCESSES // 2)]

        winners = []
        for number in range(ROUNDS):
            answers = at_once(number, [str(process) for process in range(PROCESSES)])
            assert sorted(answer["statusCode"] for answer in answers) == [200] + [409] * (PROCESSES - 1)
            (winner,) = [answer for answer in answers if answer["statusCode"] == 200]
            winners.append(winner["headers"]["pod-promise"])
        texts = {item["id"]: item["text"] for item in site.items()}
        assert len(texts) == len(store.keys_of_objects()) == ROUNDS

        again = at_once(0, [texts["item-00"]] * PROCESSES)
        assert [answer["statusCode"] for answer in again] == [200] * PROCESSES
        assert {answer["headers"]["pod-promise"] for answer in again} == {winners[0]}
        same = at_once(ROUNDS, ["the same"] * PROCESSES)
        assert [answer["statusCode"] for answer in same] == [200] * PROCESSES
        assert len({answer["headers"]["pod-promise"] for answer in same}) == 1
    for promise in winners:
        verified(promise, site)
    assert len(store.keys_of_objects()) == ROUNDS + 1
    seconds = f"{time.monotonic() - began:.0f} s"
    record(f"{PROCESSES} processes race for each of {ROUNDS} ids", "one won each", seconds)
