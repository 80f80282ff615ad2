"""From `deploy prepare` to `collect`: what was laid out takes items in, and home brings them in."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from cfnlint.decode import cfn_yaml

from cloud.verdicts import Check, Verdict, write_verdict
from ingest.function import Function
from maintainer_tools.times import now_ms
from tests.support.maintaining import run, succeed
from tests.support.pods import TestPod, make_pod
from tests.support.runtime_api import deployed as running
from tests.support.runtime_api import front_door, http_event, item_event
from tests.support.server import serving
from tests.support.stores import PREFIX, REGION, Keys, Store, _user
from vault.links import Invite, parse_invite
from vault.promises import decode_promise, verify_promise


class Deployed:
    """A home, its folder ``deploy``, and functions that run from what lies there."""

    def __init__(self, store: Store) -> None:
        self.pod: TestPod = make_pod(Path("plants"), policy="infer", more='url = "https://pod.example.org"\n')
        self.store = store
        self.running: list[Function] = []

    def deploy(self) -> Function:
        """Prepare, and start a function with what the template gives it; its key comes from home's file."""
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
    promise = decode_promise(answer["headers"]["pod-promise"])
    verify_promise(promise, pod_id=site.pod.policy.pod_id, function_keys=invite.function_keys)

    assert collected(site.store, monkeypatch) == ["item-1"]


def test_an_invite_that_is_older_than_the_key_is_told_so_until_it_is_refreshed(site: Deployed) -> None:
    """Its holder can send; the promise proves nothing with it, and everything with the new link."""
    invite = site.invite("early")
    answer = site.send(site.deploy(), invite, id="item-1", text="x")
    assert answer["statusCode"] == 200
    Path("promise").write_text(f"Pod-Promise: {answer['headers']['pod-promise']}\n")
    Path("item").write_text('{"type": "Note", "id": "item-1", "text": "x"}')
    words = ("promise", "verify", "promise", "--invite", "early.invite", "--item", "item")
    ended = run(*words)
    assert ended.code == 31
    assert "your invite is older than it" in ended.out
    assert "`invite refresh`" in ended.out
    succeed("invite", "refresh", "plants", "early.invite")
    assert "PROVEN" in succeed(*words).lines[0]


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


LOG_KEY = "/shared-pod/log-key"
ACCOUNT = "123456789012"


def role_of_the_template(store: Store, *more: dict[str, str]) -> Keys:
    """Keys with the rights that template.yaml gives a function, on this store's bucket, and no others."""
    read = cfn_yaml.load(str(Path(__file__).parents[2] / "template.yaml"))
    policy = read["Resources"]["FunctionRole"]["Properties"]["Policies"][0]["PolicyDocument"]
    filled = _filled(policy, store)
    filled["Statement"] += more
    return _user(store.client("iam"), f"role-{uuid.uuid4().hex}", filled)


def _filled(value: Any, store: Store) -> Any:
    """What a deployment makes of references."""
    match value:
        case {"Fn::Sub": text}:
            names = {
                "Bucket.Arn": f"arn:aws:s3:::{store.bucket}",
                "AWS::Partition": "aws",
                "AWS::Region": REGION,
                "AWS::AccountId": ACCOUNT,
                "LogKeyName": LOG_KEY,
            }
            for name, known in names.items():
                text = text.replace(f"${{{name}}}", known)
            assert "${" not in text
            return text
        case {"Fn::GetAtt": [name, _]}:
            return f"arn:aws:any:{REGION}:{ACCOUNT}:{name}"
        case dict():
            return {str(name): _filled(each, store) for name, each in value.items()}
        case list():
            return [_filled(each, store) for each in value]
    return str(value)


def test_the_templates_role_is_enough_and_opens_nothing(
    site: Deployed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the store: items are put, a retry is told from a conflict; the same rights do nothing else.

    The store in these tests judges rights to other services, and conditions,
    less finely than the cloud does; those are compared in ``test_template``.
    """
    role = role_of_the_template(site.store)
    for name, value in role.environment.items():
        monkeypatch.setenv(name, value)
    invite = site.invite("field-team")
    function = site.deploy()
    first = site.send(function, invite, id="item-1", text="x")
    assert first["statusCode"] == 200, first
    assert site.send(function, invite, id="item-1", text="x") == first
    assert site.send(function, invite, id="item-1", text="y")["statusCode"] == 409

    (stored,) = site.store.keys_of_objects()
    mine = site.store.client(keys=role)
    at = {"Bucket": site.store.bucket, "Key": stored}
    outside = {"Bucket": site.store.bucket, "Key": f"{PREFIX}other"}
    refused: list[Callable[[], object]] = [
        lambda: mine.get_object(**at),
        lambda: mine.delete_object(**at),
        lambda: mine.delete_object_tagging(**at),
        lambda: mine.list_objects_v2(Bucket=site.store.bucket),
        lambda: mine.put_object(**outside, Body=b""),
        lambda: mine.put_bucket_policy(Bucket=site.store.bucket, Policy="{}"),
    ]
    for ask in refused:
        with pytest.raises(ClientError) as told:
            ask()
        assert told.value.response["Error"]["Code"] == "AccessDenied"


def test_what_was_erased_stays_so_and_can_be_taken_out_of_the_store(
    site: Deployed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`erase` names the object; done as docs/serverless.md says, its bytes are gone, its id stays taken."""
    client, bucket = site.store.client(), site.store.bucket
    client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    site.deploy()
    invite = site.invite("field-team")
    function = site.deploy()
    answers = [site.send(function, invite, id=f"item-{number}", text="x") for number in range(2)]
    assert collected(site.store, monkeypatch) == ["item-0", "item-1"]
    address = str(site.store.address())

    erased, summary = map(json.loads, succeed("erase", "plants", "item-0", "--yes", "--json").lines)
    key = PREFIX + erased["object"]
    assert key in site.store.keys_of_objects()
    assert summary["state"] == "erased"
    assert collected(site.store, monkeypatch) == ["item-1"]
    assert succeed("collect", "plants", "--from", address, "--again", "--json").json["collected_before"] == 2
    assert [json.loads(line)["id"] for line in succeed("ls", "plants", "--json").lines] == ["item-1"]

    tags = client.get_object_tagging(Bucket=bucket, Key=key)["TagSet"]
    versions = client.list_object_versions(Bucket=bucket, Prefix=key)["Versions"]
    for version in versions:
        client.delete_object(Bucket=bucket, Key=key, VersionId=version["VersionId"])
    client.put_object(Bucket=bucket, Key=key, IfNoneMatch="*")
    client.put_object_tagging(Bucket=bucket, Key=key, Tagging={"TagSet": tags})

    (left,) = client.list_object_versions(Bucket=bucket, Prefix=key)["Versions"]
    assert left["Size"] == 0
    assert site.send(function, invite, id="item-0", text="x") == answers[0]
    assert site.send(function, invite, id="item-0", text="y")["statusCode"] == 409
    ended = succeed("collect", "plants", "--from", address, "--again", "--json")
    assert (ended.json["collected_before"], ended.json["quarantined"]) == (2, 0)
    assert [json.loads(line)["id"] for line in succeed("ls", "plants", "--json").lines] == ["item-1"]


def test_an_id_that_was_freed_in_the_store_stays_erased_at_home(
    site: Deployed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its object deleted and nothing put in its place: what comes under it is told 200, and is not taken."""
    site.deploy()
    invite = site.invite("field-team")
    function = site.deploy()
    assert site.send(function, invite, id="item-0", text="x")["statusCode"] == 200
    assert collected(site.store, monkeypatch) == ["item-0"]
    assert "came through a function" in succeed("erase", "plants", "item-0", "--yes").err
    for content, reason in (("x", "erased"), ("y", "conflict")):
        for key in site.store.keys_of_objects():
            site.store.client().delete_object(Bucket=site.store.bucket, Key=key)
        assert site.send(function, invite, id="item-0", text=content)["statusCode"] == 200
        ended = run("collect", "plants", "--from", str(site.store.address()), "--again", "--json")
        assert (ended.code, json.loads(ended.lines[0])["reason"]) == (3, reason)
        assert succeed("ls", "plants", "--json").lines == []


ROWS = "place,species,mass\nshore,Chinstrap,3.5\nislet,Gentoo,5\nshore,Gentoo,\n"
_OF_THE_WAY = ("_from", "_seq", "_received", "id", "dateCreated", "dateModified", "dateServerModified")


def settings_of_the_template(store: Store) -> dict[str, str]:
    """What template.yaml gives its function; the bucket's address leads to this store, not to the cloud."""
    read = cfn_yaml.load(str(Path(__file__).parents[2] / "template.yaml"))
    given = read["Resources"]["Function"]["Properties"]["Environment"]["Variables"]
    names = {"Bucket": store.bucket, "AWS::Region": REGION, "LogKeyName": LOG_KEY}
    found = {}
    for name, value in given.items():
        text = str(value["Fn::Sub"])
        for reference, known in names.items():
            text = text.replace(f"${{{reference}}}", known)
        assert "${" not in text
        found[str(name)] = text
    return found | {"POD_STORE": f"{found['POD_STORE']}&endpoint={store.endpoint}"}


def contents(home: str) -> list[dict[str, Any]]:
    """What is exported, without what differs from one way to another: times, places, ids.

    `send` declares what it sends, each time; a function stores that again, for
    it cannot know what its slot declared before.
    """
    exported = succeed("export", home, "-", "--format", "jsonl", "--type", "Find")
    rows = [json.loads(line) for line in exported.lines]
    return sorted(
        ({name: row[name] for name in row if name not in _OF_THE_WAY} for row in rows), key=json.dumps
    )


def test_the_whole_chain_without_a_cloud_gives_what_a_server_gives(
    site: Deployed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The code that was laid out and the template's settings, in the real runtime, with the role's rights.

    `send` puts a table in, and another into a server; at home no command knows
    the difference, and each promise becomes a receipt that is proven.
    """
    Path("table.csv").write_text(ROWS)
    succeed("deploy", "prepare", "plants")
    site.store.client("ssm").put_parameter(
        Name=LOG_KEY, Value=Path("plants/function.key").read_text(), Type="SecureString"
    )
    environment = {
        # This store asks for rights to parameters without saying to which one.
        **role_of_the_template(
            site.store, {"Effect": "Allow", "Action": "ssm:GetParameter", "Resource": "*"}
        ).environment,
        **settings_of_the_template(site.store),
        "AWS_ENDPOINT_URL": site.store.endpoint,
    }
    words = ("send", "table.csv", "--type", "Find", "--yes", "--receipts")
    succeed("invite", "new", "plants", "--name", "field-team")
    succeed("deploy", "prepare", "plants")
    with (
        running(environment, Path("log"), code=Path("deploy/code").absolute()) as runtime,
        front_door(runtime) as url,
    ):
        succeed("invite", "refresh", "plants", "field-team.invite", "--url", url)
        assert runtime.invoke(http_event("GET", "/version")).content["statusCode"] == 200, runtime.log
        succeed(*words, "promises", "--invite", "field-team.invite")
        again = succeed(*words, "promises", "--invite", "field-team.invite", "--json").json
    assert (again["accepted"], again["rejected"]) == (3, 0)
    secret = Path("plants/function.key").read_text().strip()
    assert secret not in Path("log").read_text()
    promises = sorted(Path("promises").glob("*.promise"))
    assert len(promises) == 3
    sent = [("--invite", "field-team.invite", "--item", path.with_suffix(".json")) for path in promises]
    for path, options in zip(promises, sent, strict=True):
        assert "PROVEN" in succeed("promise", "verify", path, *options).lines[0]
    collected(site.store, monkeypatch)

    served = make_pod(Path("served"), policy="infer")
    succeed("invite", "new", "served", "--name", "field-team-2", "--url", url)
    with serving(served.folder.path.absolute()) as server:
        url = f"http://127.0.0.1:{server.port}"
        succeed("invite", "refresh", "served", "field-team-2.invite", "--url", url)
        succeed(*words, "receipts", "--invite", "field-team-2.invite")

    assert contents("plants") == contents("served") != []
    finds = []
    for home in ("plants", "served"):
        shown = [line.split("\t") for line in succeed("ls", home).lines]
        finds.append(sorted(summary for _, kind, _, summary in shown if kind == "Find"))
        audit = succeed("audit", home, "--json").json
        assert (audit["items"], audit["findings"]) == (len(shown), [])
        assert succeed("check", home).lines[-1] == "ok"
    assert finds[0] == finds[1]
    succeed("promise", "redeem", "plants", *promises)
    for path, options in zip(promises, sent, strict=True):
        receipt = path.with_name(f"{path.name}.receipt")
        assert "PROVEN: the pod accepted" in succeed("receipt", "verify", receipt, *options).lines[0]
