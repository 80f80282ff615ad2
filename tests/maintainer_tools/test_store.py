"""`store certify`: a store that keeps its word is accepted, every other is rejected and said why."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from moto import settings

from cloud.store_address import StoreAddress, parse_store_address
from cloud.verdicts import FRESH_MS, Check, Verdict, read_verdict, require_accepted, write_verdict
from tests.support import stores
from tests.support.maintaining import Ended, run
from tests.support.stores import Passing, Store, between, new_bucket, running_store
from vault.errors import MalformedError, MissingError, PolicyError

FILE = Path("store.verdict")


@pytest.fixture(scope="module")
def running() -> Iterator[Store]:
    """One store for the tests of this module."""
    with running_store() as store:
        yield store


@pytest.fixture
def store(running: Store, monkeypatch: pytest.MonkeyPatch) -> Store:
    """A bucket of the test's own; this process is its administrator. Few races: the store is in Python."""
    monkeypatch.setattr("maintainer_tools.certifying.RACES", 2)
    monkeypatch.setattr("maintainer_tools.certifying.TAGGED_RACES", 1)
    monkeypatch.setattr("maintainer_tools.certifying.DEADLINE_SECONDS", 1.0)
    for name, value in running.admin.environment.items():
        monkeypatch.setenv(name, value)
    return new_bucket(running)


def certify(address: StoreAddress, *more: str) -> Ended:
    """Run it."""
    return run("store", "certify", str(address), *more)


def failed() -> list[str]:
    """Which checks failed, in the file that was written."""
    return [check.name for check in read_verdict(FILE).checks if not check.is_passed]


def test_a_store_that_keeps_its_word_is_accepted(store: Store) -> None:
    """By every way there is to it; what was written is removed; the verdict says what the bucket is like."""
    store.client().put_bucket_versioning(Bucket=store.bucket, VersioningConfiguration={"Status": "Enabled"})
    with between(store.endpoint) as way:
        address = store.address(store.endpoint, way.endpoint)
        ended = certify(address, "--json")
        assert "PUT" in way.passed

    assert ended.code == 0, ended.err
    assert ended.json["is_accepted"] is True
    assert ended.json["configuration"]["versioning"] == "Enabled"
    assert "12 writers raced for each of 2 keys by 2 ways; one won each" in ended.err
    assert store.keys_of_objects() == []
    require_accepted(read_verdict(FILE), address, ended.json["at_ms"])


def test_a_store_whose_tags_are_not_asked_for_is_accepted_as_that(store: Store) -> None:
    """The verdict is about the weaker rule, and about no other."""
    address = store.address(keeps_tags=False)
    assert certify(address).code == 0
    verdict = read_verdict(FILE)
    with pytest.raises(PolicyError, match="another store"):
        require_accepted(verdict, store.address(), verdict.at_ms)


def overwriting(store: Store) -> Callable[[Passing], None]:
    """A store that ignores the condition."""

    def put(passing: Passing) -> None:
        status, headers, body = passing.forward()
        if passing.command == "PUT" and status == 412:
            key = passing.path.split("?")[0].removeprefix(f"/{store.bucket}/")
            store.client().put_object(Bucket=store.bucket, Key=key, Body=passing.body)
            status, body = 200, b""
        passing.give(status, headers, body)

    return put


def racing(store: Store, where: str = "/race-") -> Callable[[Passing], None]:
    """A store that honours the condition, unless writers race."""
    ignoring = overwriting(store)

    def put(passing: Passing) -> None:
        if where in passing.path:
            ignoring(passing)
        else:
            passing.give(*passing.forward())

    return put


racing_with_tags = partial(racing, where="/tagged-race-")


def pretending(_: Store) -> Callable[[Passing], None]:
    """A store that says 412, and overwrites all the same."""

    def put(passing: Passing) -> None:
        status, headers, body = passing.forward()
        if (
            passing.command == "GET"
            and "sequence-" in passing.path
            and passing.server.passed.count("PUT") > 1
        ):
            body = b"second"
        passing.give(status, headers, body)

    return put


def late(_: Store) -> Callable[[Passing], None]:
    """A store that answers 200 before anybody can read it."""

    def get(passing: Passing) -> None:
        if passing.command == "GET" and "sequence-" in passing.path:
            passing.give(404, [], b"<Error><Code>NoSuchKey</Code></Error>")
        else:
            passing.give(*passing.forward())

    return get


def endless(_: Store) -> Callable[[Passing], None]:
    """A store that has a terabyte where a few bytes were put."""

    def get(passing: Passing) -> None:
        if passing.command != "GET" or "sequence-" not in passing.path:
            passing.give(*passing.forward())
            return
        passing.send_response_only(200)
        passing.send_header("Content-Length", str(1 << 40))
        passing.end_headers()
        with contextlib.suppress(OSError):
            while True:
                passing.wfile.write(bytes(1 << 16))
        passing.cut()

    return get


def untagged(_: Store) -> Callable[[Passing], None]:
    """A store that takes tags and forgets them."""

    def get(passing: Passing) -> None:
        if passing.command == "GET" and "tagging" in passing.path:
            passing.give(200, [], b"<Tagging><TagSet></TagSet></Tagging>")
        else:
            passing.give(*passing.forward())

    return get


def losing_tags_in_races(_: Store) -> Callable[[Passing], None]:
    """A store where the tags of a put are not those of the one that won."""

    def get(passing: Passing) -> None:
        if passing.command == "GET" and "tagged-race-" in passing.path and "tagging" in passing.path:
            tags = (
                "<Tag><Key>shared-pod</Key><Value>1</Value></Tag><Tag><Key>c</Key><Value>other</Value></Tag>"
            )
            passing.give(200, [], f"<Tagging><TagSet>{tags}</TagSet></Tagging>".encode())
        else:
            passing.give(*passing.forward())

    return get


def without_tags(_: Store) -> Callable[[Passing], None]:
    """A store that knows no tags."""

    def put(passing: Passing) -> None:
        if passing.headers.get("x-amz-tagging"):
            passing.give(501, [], b"<Error><Code>NotImplemented</Code></Error>")
        else:
            passing.give(*passing.forward())

    return put


def public(store: Store) -> Callable[[Passing], None]:
    """A bucket into which everybody may write."""

    def put(passing: Passing) -> None:
        if passing.command != "PUT" or "Authorization" in passing.headers:
            passing.give(*passing.forward())
            return
        key = passing.path.split("?")[0].removeprefix(f"/{store.bucket}/")
        store.client().put_object(Bucket=store.bucket, Key=key, Body=passing.body)
        passing.give(200, [], b"")

    return put


def keeping_what_it_refuses(store: Store) -> Callable[[Passing], None]:
    """A store that refuses who signs nothing, after it stored what they put."""
    everybody = public(store)

    def put(passing: Passing) -> None:
        if "Authorization" not in passing.headers:
            passing.give = lambda *_: None  # type: ignore[method-assign]  # it stores, and does not say so
            everybody(passing)
            del passing.give
            passing.give(403, [], b"<Error><Code>AccessDenied</Code></Error>")
        else:
            everybody(passing)

    return put


@pytest.mark.parametrize(
    ("bad", "checks", "advice"),
    [
        (overwriting, ["one after the other", "at once"], "use another store"),
        (racing, ["at once"], "use another store"),
        (racing_with_tags, ["tags"], "use another store"),
        (pretending, ["one after the other"], "use another store"),
        (late, ["one after the other"], "name only ways that show the same at once"),
        (endless, ["one after the other"], "name only ways that show the same at once"),
        (untagged, ["tags"], "add tags=none"),
        (losing_tags_in_races, ["tags"], "add tags=none"),
        (without_tags, ["tags"], "add tags=none"),
        (public, ["no secret"], "take the right to write away from everybody else"),
        (keeping_what_it_refuses, ["no secret"], "take the right to write away from everybody else"),
    ],
)
def test_a_store_that_does_not_is_rejected(
    store: Store, bad: Callable[[Store], Callable[[Passing], None]], checks: list[str], advice: str
) -> None:
    """Exit code 3, what to do about it, and a verdict that nobody accepts."""
    with between(store.endpoint) as way:
        way.always = bad(store)
        address = store.address(way.endpoint)
        ended = certify(address)

    assert ended.code == 3, ended.err
    assert failed() == checks, ended.err
    assert "NOT accepted" in ended.err
    for line in ended.err.splitlines():
        assert advice in line or not line.startswith("FAILED"), line
    verdict = read_verdict(FILE)
    with pytest.raises(PolicyError, match=re.escape(", ".join(checks))):
        require_accepted(verdict, address, verdict.at_ms)


def test_a_store_that_takes_any_secret_is_rejected(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever reaches it could put what they want, and delete it."""
    monkeypatch.setattr(settings, "INITIAL_NO_AUTH_ACTION_COUNT", float("inf"))
    assert certify(store.address()).code == 3
    assert failed() == ["a wrong secret", "no secret"]


def test_a_store_that_is_not_there_is_rejected(store: Store) -> None:
    """Nothing could be tried, so nothing is accepted."""
    ended = certify(store.address("http://127.0.0.1:9"))
    assert ended.code == 3
    assert len(failed()) == 5
    assert "could not be tried" in ended.err


def test_keys_that_may_do_nothing_prove_nothing(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """That a wrong secret is refused as well says nothing then."""
    for name, value in store.role("s3:GetObject").environment.items():
        monkeypatch.setenv(name, value)
    ended = certify(store.address())
    assert ended.code == 3
    assert len(failed()) == 5
    assert "403 AccessDenied; check the bucket, the keys" in ended.err


@pytest.mark.parametrize("how", ["versioned", "locked"])
def test_a_bucket_that_may_be_the_reason_is_named(store: Store, how: str) -> None:
    """Some stores honour the condition in a plain bucket only: another bucket may do."""
    if how == "locked":
        store = replace(store, bucket=f"{store.bucket}-locked")
        store.client().create_bucket(Bucket=store.bucket, ObjectLockEnabledForBucket=True)
    else:
        store.client().put_bucket_versioning(
            Bucket=store.bucket, VersioningConfiguration={"Status": "Enabled"}
        )
    with between(store.endpoint) as way:
        way.always = overwriting(store)
        ended = certify(store.address(way.endpoint))
    assert failed() == ["one after the other", "at once"]
    assert ended.err.count("certify a new bucket without either") == 2


def test_a_store_that_is_slow_or_cut_now_and_then_is_accepted(store: Store) -> None:
    """What may pass is tried again."""
    with between(store.endpoint) as way:
        way.faults = [("PUT", stores.slow_down), ("PUT", stores.lost), ("GET", stores.refused)]
        ended = certify(store.address(way.endpoint))
    assert ended.code == 0, ended.err


def test_keys_on_the_command_line_are_refused(store: Store) -> None:  # noqa: ARG001  # none is asked
    """And not repeated."""
    ended = run("store", "certify", "s3://AKIA:hush-hush@bucket/x")
    assert ended.code == 25
    assert "hush-hush" not in ended.err
    assert not FILE.exists()


def test_a_verdict_is_written_and_read(tmp_path: Path) -> None:
    """Anything else is refused."""
    path = tmp_path / "verdict"
    verdict = Verdict("s3://bucket/", 1_000, {"lock": "x"}, (Check("tags", is_passed=True, said="fine"),))
    write_verdict(path, verdict)
    assert read_verdict(path) == verdict
    with pytest.raises(MissingError):
        read_verdict(tmp_path / "none")
    members = json.loads(path.read_text())
    for bad in (
        b"",
        b"[]",
        b"\xff",
        b"[" * 10_000,
        json.dumps(members | {"format": "x"}).encode(),
        json.dumps(members | {"checks": [{"name": "x", "is_passed": "yes", "said": ""}]}).encode(),
    ):
        path.write_bytes(bad)
        with pytest.raises(MalformedError):
            read_verdict(path)


@pytest.mark.parametrize(
    ("url", "passed_ms", "is_accepted"),
    [
        ("s3://bucket/other?endpoint=https://b&endpoint=https://a", 0, True),
        ("s3://bucket?endpoint=https://a&endpoint=https://b", FRESH_MS, True),
        ("s3://bucket?endpoint=https://a&endpoint=https://b", FRESH_MS + 1, False),
        ("s3://bucket?endpoint=https://a&endpoint=https://b", -1, False),
        ("s3://bucket?endpoint=https://a", 0, False),
        ("s3://bucket?endpoint=https://a&endpoint=https://b&endpoint=https://c", 0, False),
        ("s3://other?endpoint=https://a&endpoint=https://b", 0, False),
        ("s3://bucket?endpoint=https://a&endpoint=https://b&region=x", 0, False),
        ("s3://bucket?endpoint=https://a&endpoint=https://b&tags=none", 0, False),
    ],
)
def test_a_verdict_speaks_for_one_store_for_a_while(url: str, passed_ms: int, *, is_accepted: bool) -> None:
    """The same bucket, by the same ways, with the same rule for tags; any prefix."""
    checks = (Check("tags", is_passed=True, said=""),)
    verdict = Verdict("s3://bucket/p?endpoint=https://a&endpoint=https://b", 1_000, {}, checks)
    if is_accepted:
        require_accepted(verdict, parse_store_address(url), 1_000 + passed_ms)
        return
    with pytest.raises(PolicyError, match="run `store certify`"):
        require_accepted(verdict, parse_store_address(url), 1_000 + passed_ms)


def test_a_verdict_that_tried_nothing_accepts_nothing() -> None:
    """An empty list is not "all passed"."""
    with pytest.raises(PolicyError, match="nothing was tried"):
        require_accepted(Verdict("s3://bucket", 1, {}, ()), StoreAddress("bucket"), 1)
