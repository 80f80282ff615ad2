"""A function takes items in as a server does, and puts each into the object store, once."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ingest.function import Function
from ingest.registry import Registry
from tests.support import stores
from tests.support.deploying import Deployed, deploy, verified
from tests.support.pods import new_pod
from tests.support.runtime_api import deployed as running
from tests.support.runtime_api import http_event, item_event
from tests.support.stores import Store, between
from vault.links import Invite
from vault.objects import decode_tags

RECEIPT = {"pod-receipt": "1"}


@pytest.fixture
def site(tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch) -> Deployed:
    """A deployed function, whose rights this process has."""
    site = deploy(new_pod(tmp_path, policy="infer"), tmp_path, store)
    for name, value in site.role.environment.items():
        monkeypatch.setenv(name, value)
    return site


@pytest.fixture
def invite(site: Deployed) -> Invite:
    """Into its pod."""
    return site.invite()


Make = Callable[[dict[str, str]], Function]


@pytest.fixture
def make() -> Iterator[Make]:
    """Makes functions in this process, as many as a test wants."""
    with contextlib.ExitStack() as ending:

        def make(environment: dict[str, str]) -> Function:
            function = Function(environment)
            ending.callback(function.end)
            return function

        yield make


@pytest.fixture
def function(site: Deployed, invite: Invite, make: Make) -> Function:  # noqa: ARG001  # deployed with it
    """The function in this process."""
    return make(site.environment())


def event(site: Deployed, invite: Invite, headers: dict[str, str] | None = None, **payload: object) -> Any:
    """One item; a Note."""
    return item_event(site.pod.owner, invite.database_key.reveal().hex(), {"type": "Note"} | payload, headers)


def test_an_item_becomes_a_segment(site: Deployed, invite: Invite, function: Function) -> None:
    """Answered with its id; home verifies and opens what is in the store."""
    answer = function.answer(event(site, invite, id="item-1", text="hello", size=3))

    assert answer["statusCode"] == 200
    assert answer["body"] == '"item-1"'
    assert answer["headers"]["content-type"] == "application/json"
    assert "pod-promise" not in answer["headers"]
    assert site.items() == [{"type": "Note", "id": "item-1", "text": "hello", "size": 3}]


def test_an_item_without_an_id_gets_one(site: Deployed, invite: Invite, function: Function) -> None:
    """As from a server."""
    item_id = json.loads(function.answer(event(site, invite, text="x"))["body"])
    assert [item["id"] for item in site.items()] == [item_id]


def test_a_promise_is_given_when_it_is_asked_for(site: Deployed, invite: Invite, function: Function) -> None:
    """It is the item's, signed by the function, about the header in the store."""
    answer = function.answer(event(site, invite, RECEIPT, id="item-1", text="x"))
    submission = site.pod.submission(site.pod.opened(invite), id="item-1", text="x")

    header = verified(answer["headers"]["pod-promise"], site, submission.c)
    assert header in [policy_header(site, key) for key in site.keys]


def policy_header(site: Deployed, key: str) -> bytes:
    """The header that an object's tags tell of."""
    return decode_tags(site.store.tags(stores.PREFIX + key)).header


def test_the_same_again_gets_the_first_promise(
    site: Deployed, invite: Invite, function: Function, make: Make
) -> None:
    """Whatever process is asked, whether it knew of the first or not; nothing is stored twice."""
    first = function.answer(event(site, invite, RECEIPT, id="item-1", text="x"))
    again = make(site.environment()).answer(event(site, invite, RECEIPT, id="item-1", text="x"))
    quiet = function.answer(event(site, invite, id="item-1", text="x"))

    assert again == first
    assert (quiet["statusCode"], quiet["body"]) == (200, '"item-1"')
    assert "pod-promise" not in quiet["headers"]
    assert len(site.keys) == 1


def test_other_content_under_the_same_id_is_409(site: Deployed, invite: Invite, function: Function) -> None:
    """And the first stays."""
    function.answer(event(site, invite, id="item-1", text="x"))
    answer = function.answer(event(site, invite, RECEIPT, id="item-1", text="y"))

    assert answer["statusCode"] == 409
    assert "pod-promise" not in answer["headers"]
    assert [item["text"] for item in site.items()] == ["x"]


def test_another_contributor_has_ids_of_their_own(site: Deployed, invite: Invite, make: Make) -> None:
    """Nobody can probe for an id."""
    other = site.invite("other-team")
    function = make(site.environment())
    assert function.answer(event(site, invite, id="item-1", text="x"))["statusCode"] == 200
    assert function.answer(event(site, other, id="item-1", text="y"))["statusCode"] == 200
    assert sorted(item["text"] for item in site.items()) == ["x", "y"]


def test_whoever_may_not_write_gets_the_servers_403(site: Deployed, invite: Invite, make: Make) -> None:
    """A wrong key, an unknown owner, a revoked slot: the same bytes; nothing is put."""
    revoked = site.invite("gone")
    site.pod.revoke(revoked)
    site.publish()
    function = make(site.environment())
    answers = [
        function.answer(item_event(site.pod.owner, "0" * 64, {"type": "Note"})),
        function.answer(item_event("0" * 64, invite.database_key.reveal().hex(), {"type": "Note"})),
        function.answer(event(site, revoked, text="x")),
    ]

    assert [answer["statusCode"] for answer in answers] == [403] * 3
    assert answers[0] == answers[1] == answers[2]
    assert site.keys == []


def test_caveats_that_need_no_counting_are_kept(site: Deployed, make: Make) -> None:
    """Type, size and rate; counted ones wait for the collection."""
    small = site.invite("small", types=("Note",), max_item_bytes=60, rate=(2, 10_000))
    function = make(site.environment())
    assert function.answer(event(site, small, type="Other"))["statusCode"] == 403
    assert function.answer(event(site, small, text="x" * 100))["statusCode"] == 403
    limited = function.answer(event(site, small, text="x"))
    assert limited["statusCode"] == 429
    assert int(limited["headers"]["retry-after"]) > 0


def test_a_repeated_declaration_stores_nothing(site: Deployed, invite: Invite, function: Function) -> None:
    """200, and no promise."""
    declared = event(
        site,
        invite,
        RECEIPT,
        type="ItemPropertySchema",
        itemType="Note",
        propertyName="text",
        valueType="Text",
    )
    answer = function.answer(declared)
    assert answer["statusCode"] == 200
    assert "pod-promise" not in answer["headers"]
    assert site.keys == []


@pytest.mark.parametrize(
    "odd",
    [None, [], "x", {"version": "1.0", "httpMethod": "POST"}, {"Records": []}, {"source": "aws.events"}],
)
def test_an_event_that_is_no_request_is_answered(function: Function, odd: object) -> None:
    """Never raised: an error's text would be shown."""
    assert function.answer(odd)["statusCode"] == 400


def test_version_names_no_pod(site: Deployed, function: Function) -> None:
    """As a server's."""
    answer = function.answer(http_event("GET", "/version"))
    assert answer["statusCode"] == 200
    assert json.loads(answer["body"])["api"] == ["create_item", "version"]
    assert site.pod.owner not in answer["body"]


def test_no_key_stays_after_an_answer(site: Deployed, invite: Invite, function: Function) -> None:
    """A frozen process holds the function's own key, and no contributor's."""
    assert function.answer(event(site, invite, text="x"))["statusCode"] == 200
    assert function._started is not None
    assert [pod.opened for pod in function._started._registry.by_owner.values()] == [{}]


@pytest.mark.parametrize("fault", [stores.lost, stores.slow_down, stores.refused, stores.conflict])
def test_a_store_that_fails_for_a_while_loses_and_doubles_nothing(
    site: Deployed, invite: Invite, fault: stores.Fault, make: Make
) -> None:
    """200 only for what is in the store."""
    with between(site.store.endpoint) as way:
        way.faults = [("PUT", fault)] * 2
        function = make(site.environment(way.endpoint))
        answer = function.answer(event(site, invite, RECEIPT, id="item-1", text="x"))

    assert answer["statusCode"] == 200
    assert verified(answer["headers"]["pod-promise"], site) == policy_header(site, site.keys[0])
    assert len(site.items()) == 1


def test_a_store_that_stays_away_is_503_and_nothing_is_promised(
    site: Deployed,
    invite: Invite,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    make: Make,
) -> None:
    """Try again; the log says why, and holds no key."""
    monkeypatch.setattr("cloud.placing.Placing.__init__.__defaults__", (0.2,))
    with between(site.store.endpoint) as way:
        way.always = stores.slow_down
        answer = make(site.environment(way.endpoint)).answer(event(site, invite, RECEIPT, text="x"))

    assert answer["statusCode"] == 503
    assert "retry-after" in answer["headers"]
    assert "pod-promise" not in answer["headers"]
    log = capfd.readouterr().err
    assert "503 SlowDown" in log
    for secret in (invite.database_key.reveal().hex(), site.role.secret_key, site.role.access_key):
        assert secret not in log


def answered(function: Function, sent: object) -> int:
    """The status of one answer."""
    status: int = function.answer(sent)["statusCode"]
    return status


def test_tags_that_a_stranger_set_answer_nothing(site: Deployed, invite: Invite, function: Function) -> None:
    """Neither 200 nor 409 can be said: 503."""
    function.answer(event(site, invite, id="item-1", text="x"))
    (key,) = site.keys
    tags = site.store.tags(stores.PREFIX + key)
    where = {"Bucket": site.store.bucket, "Key": stores.PREFIX + key}
    forged = [*(tags | {"signature": tags["signature"][::-1]}).items()]
    tag_set = [{"Key": name, "Value": value} for name, value in forged]
    store = site.store.client()
    store.put_object_tagging(**where, Tagging={"TagSet": tag_set})
    assert [answered(function, event(site, invite, id="item-1", text=text)) for text in "xy"] == [503, 503]
    store.delete_object_tagging(**where)
    assert [answered(function, event(site, invite, id="item-1", text=text)) for text in "xy"] == [503, 503]


def test_a_store_without_tags_has_the_weaker_rule(site: Deployed, invite: Invite, make: Make) -> None:
    """Whoever comes second is told 409, the same content or not; it is chosen in the address."""
    function = make(site.environment(keeps_tags=False))
    assert function.answer(event(site, invite, RECEIPT, id="item-1", text="x"))["statusCode"] == 200
    again = function.answer(event(site, invite, RECEIPT, id="item-1", text="x"))
    assert again["statusCode"] == 409
    assert "if yours was sent before without an answer, it is that one" in again["body"]
    assert "pod-promise" not in again["headers"]


@pytest.mark.parametrize("policy", ["extend", "unlisted"])
def test_a_policy_that_needs_a_vault_or_lists_no_key_serves_nobody(
    site: Deployed, invite: Invite, policy: str, capfd: pytest.CaptureFixture[str], make: Make
) -> None:
    """503, and the log says what to change."""
    if policy == "extend":
        site.pod.rewrite(policy="extend")
        site.publish()
    else:
        site.key_file.write_text("11" * 32 + "\n")
    answer = make(site.environment()).answer(event(site, invite, text="x"))
    assert answer["statusCode"] == 503
    assert (
        "with functions use closed or infer" if policy == "extend" else "log key"
    ) in capfd.readouterr().err


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("POD_STORE", ""),
        ("POD_STORE", "s3://AK:hush-hush@bucket"),
        ("POD_LOG_KEY", ""),
        ("POD_LOG_KEY", "hush-hush"),
        ("POD_LOG_KEY", "file:/nowhere/at-all"),
        ("POD_LOG_KEY", "ssm:/no/such/name"),
        ("POD_BUNDLE", "/nowhere"),
    ],
)
def test_a_function_that_cannot_start_says_so_and_tries_again(
    site: Deployed,
    invite: Invite,
    name: str,
    value: str,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    make: Make,
) -> None:
    """503 to everyone, also to who asks for nothing; nothing secret in the log."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", site.store.endpoint)
    environment = site.environment()
    right, environment[name] = environment[name], value
    function = make(environment)
    assert function.answer(event(site, invite, text="x"))["statusCode"] == 503
    assert function.answer(http_event("GET", "/version"))["statusCode"] == 503
    log = capfd.readouterr().err
    assert log.count('"cannot_start"') == 2
    assert "hush-hush" not in log
    environment[name] = right
    assert function.answer(event(site, invite, text="x"))["statusCode"] == 200


@pytest.mark.parametrize("service", ["ssm", "secretsmanager"])
def test_the_key_is_read_from_the_clouds_stores(
    site: Deployed, invite: Invite, service: str, monkeypatch: pytest.MonkeyPatch, make: Make
) -> None:
    """From where it lies encrypted; the role needs that one right more."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", site.store.endpoint)
    for name, value in site.store.admin.environment.items():
        monkeypatch.setenv(name, value)
    secret, client = site.key_file.read_text(), site.store.client(service)
    if service == "ssm":
        client.put_parameter(Name="/pod/function-key", Value=secret, Type="SecureString")
    else:
        client.create_secret(Name="/pod/function-key", SecretString=secret)
    function = make(site.environment() | {"POD_LOG_KEY": f"{service}:/pod/function-key"})
    assert function.answer(event(site, invite, text="x"))["statusCode"] == 200


def test_sixteen_functions_at_once_with_one_item_give_one_promise(
    site: Deployed, invite: Invite, make: Make
) -> None:
    """Who sends the same again, anywhere, is told the same."""
    functions = [make(site.environment()) for _ in range(16)]
    barrier = threading.Barrier(16)
    answers: list[dict[str, Any]] = []

    def race(function: Function) -> None:
        barrier.wait()
        answers.append(function.answer(event(site, invite, RECEIPT, id="item-1", text="x")))

    threads = [threading.Thread(target=race, args=(function,)) for function in functions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert {answer["statusCode"] for answer in answers} == {200}
    assert len({answer["headers"]["pod-promise"] for answer in answers}) == 1
    assert len(site.keys) == 1


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    """Where processes write."""
    folder = tmp_path / "logs"
    folder.mkdir()
    return folder


def test_the_real_runtime_runs_it(site: Deployed, invite: Invite, logs: Path) -> None:
    """Events in, answers out; what is no event is answered too, and no answer is an error."""
    with running(site.environment(), logs / "log") as runtime:
        stored = runtime.invoke(event(site, invite, RECEIPT, id="item-1", text="x"))
        odd = runtime.invoke({"Records": []})
        refused = runtime.invoke(event(site, invite, id="item-1", text="y"))
        log = runtime.log

    assert (stored.kind, stored.content["statusCode"]) == ("response", 200)
    verified(stored.content["headers"]["pod-promise"], site)
    assert "pod-receipt" not in stored.content["headers"], "that one is a receipt's, and this is none"
    assert (odd.kind, odd.content["statusCode"]) == ("response", 400)
    assert (refused.kind, refused.content["statusCode"]) == ("response", 409)
    assert len(site.items()) == 1
    for secret in (invite.database_key.reveal().hex(), site.function.key.reveal().hex(), "item-1"):
        assert secret not in log


def test_nothing_is_drawn_read_or_connected_before_it_is_thawed(
    site: Deployed, invite: Invite, logs: Path
) -> None:
    """A snapshot of it holds no key and no connection; each thawed process draws its own."""
    secret = site.key_file.read_bytes()
    site.key_file.unlink()
    with (
        between(site.store.endpoint) as way,
        running(site.environment(way.endpoint), logs / "log", frozen=True) as runtime,
    ):
        runtime.wait_until_frozen()
        assert way.passed == []
        assert runtime.log == "", "it has not even looked for the key"
        site.key_file.write_bytes(secret)
        runtime.thaw()
        runtime.wait_until_ready()
        site.key_file.unlink()
        answer = runtime.invoke(event(site, invite, text="x"))
    assert answer.content["statusCode"] == 200, "the key was read when it was thawed"


def test_sixteen_processes_at_once_on_one_id_store_it_once(
    site: Deployed, invite: Invite, logs: Path
) -> None:
    """Real processes, none of which begins before each has its event: one wins, and home finds that one.

    They share nothing but the store; what they draw themselves never collides.
    """
    with running(site.environment(), logs / "log", processes=16) as runtime:
        runtime.wait_until_ready()
        told = runtime.invoke_at_once(
            [event(site, invite, RECEIPT, id="item-1", text=str(number)) for number in range(16)]
        )
        (won,) = site.items()
        made = runtime.invoke_at_once([event(site, invite, text="x")] * 16)
        log = runtime.log

    answers = [each.content for each in told]
    assert sorted(answer["statusCode"] for answer in answers) == [200] + [409] * 15, log
    (promise,) = [answer["headers"]["pod-promise"] for answer in answers if answer["statusCode"] == 200]
    submission = site.pod.submission(site.pod.opened(invite), id="item-1", text=won["text"])
    verified(promise, site, submission.c)
    assert len({each.content["body"] for each in made}) == 16
    assert len(site.items()) == 17


def test_a_start_that_fails_late_leaves_nothing_open(
    site: Deployed, invite: Invite, function: Function, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every event tries again: what one leaves open would add up until nothing more can be opened."""

    async def fail(_: Registry) -> None:
        await asyncio.sleep(0)
        raise ZeroDivisionError

    with monkeypatch.context() as broken:
        broken.setattr(Registry, "load", fail)
        assert function.answer(event(site, invite, text="x"))["statusCode"] == 503
        before = len(os.listdir("/proc/self/fd"))
        for _ in range(3):
            assert function.answer(event(site, invite, text="x"))["statusCode"] == 503
        assert len(os.listdir("/proc/self/fd")) == before
    assert function.answer(event(site, invite, text="x"))["statusCode"] == 200
