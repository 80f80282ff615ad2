"""Segments fetched from an object store: all of them, whole, through a network that fails."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from cloud.store_address import StoreAddress
from cloud.trying import Tools
from cloud.verdicts import Check, Verdict, write_verdict
from maintainer_tools import s3_source
from maintainer_tools.s3_source import S3Source
from maintainer_tools.times import now_ms
from tests.cloud.test_placing import Time
from tests.support import stores
from tests.support.deploying import deploy
from tests.support.maintaining import run, succeed
from tests.support.pods import make_pod, properties_toml, seeded_entropy
from tests.support.stores import PREFIX, Store, between, new_bucket, running_store
from vault.errors import MissingError, StorageError


@pytest.fixture(scope="module")
def running() -> Iterator[Store]:
    """One store for the tests of this module."""
    with running_store() as store:
        yield store


@pytest.fixture
def store(running: Store, monkeypatch: pytest.MonkeyPatch) -> Store:
    """A bucket of the test's own; this process is its administrator."""
    for name, value in running.admin.environment.items():
        monkeypatch.setenv(name, value)
    return new_bucket(running)


def source_of(address: StoreAddress) -> S3Source:
    """Its segments; waiting costs nothing."""
    time = Time()
    return S3Source(address, Tools(time.clock, time.sleep, seeded_entropy()))


def lay(store: Store, *keys: str, content: bytes = b"content") -> None:
    """Put objects below the prefix."""
    for key in keys:
        store.client().put_object(Bucket=store.bucket, Key=PREFIX + key, Body=content)


def test_every_key_of_a_prefix_is_listed(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over as many pages as it takes, once each, through a store that fails now and then."""
    monkeypatch.setitem(s3_source._PAGE, "MaxKeys", 2)
    expected = [f"v1/0/pod/{number}" for number in range(5)]
    lay(store, *expected, "v1/1/pod/other", "v1/0/another/x")
    with between(store.endpoint) as way:
        way.faults = [("GET", stores.slow_down), ("GET", stores.refused)]
        found = list(source_of(store.address(way.endpoint)).keys("v1/0/pod/"))
    assert sorted(found) == expected
    assert list(source_of(store.address()).keys("v1/2/")) == []


def test_an_object_is_fetched_whole(store: Store) -> None:
    """An answer that was cut in the middle is no object."""
    lay(store, "v1/a", content=b"x" * 100_000)

    def halved(passing: stores.Passing) -> None:
        _, _, body = passing.forward()
        passing.send_response_only(200)
        passing.send_header("Content-Length", str(len(body)))
        passing.end_headers()
        passing.wfile.write(body[: len(body) // 2])
        passing.cut()

    with between(store.endpoint) as way:
        way.faults = [
            ("GET", halved),
            ("GET", stores.slow_down),
            ("GET", stores.headless),
            ("GET", stores.lost),
        ]
        assert source_of(store.address(way.endpoint)).fetch("v1/a", 1 << 20) == b"x" * 100_000
        assert not way.faults


def test_of_a_large_object_no_more_is_read_than_tells_that_it_is(store: Store) -> None:
    """Whoever may put there must not fill the memory of who collects."""
    lay(store, "v1/a", content=b"x" * 100_000)
    assert source_of(store.address()).fetch("v1/a", 10) == b"x" * 11
    assert source_of(store.address()).fetch("v1/a", 100_000) == b"x" * 100_000


def test_what_is_gone_or_refused_is_told_apart(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Gone since it was listed; and no right to read, which a function never has."""
    with pytest.raises(MissingError):
        source_of(store.address()).fetch("v1/none", 10)
    lay(store, "v1/a")
    for name, value in store.role().environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(StorageError, match="403"):
        source_of(store.address()).fetch("v1/a", 10)
    with pytest.raises(StorageError, match="403"):
        list(source_of(store.address()).keys("v1/"))


def test_a_list_that_never_ends_is_ended(store: Store) -> None:
    """The same page again and again."""
    page = (
        b"<ListBucketResult><IsTruncated>true</IsTruncated>"
        b"<NextContinuationToken>again</NextContinuationToken></ListBucketResult>"
    )
    with between(store.endpoint) as way:
        way.always = lambda passing: passing.give(200, [], page)
        with pytest.raises(StorageError, match="does not"):
            list(source_of(store.address(way.endpoint)).keys("v1/"))


def test_a_list_that_goes_round_is_ended(store: Store) -> None:
    """Each page leads to the other."""
    tokens = itertools.cycle(("one", "two"))

    def turn(passing: stores.Passing) -> None:
        page = f"<NextContinuationToken>{next(tokens)}</NextContinuationToken><IsTruncated>true</IsTruncated>"
        passing.give(200, [], f"<ListBucketResult>{page}</ListBucketResult>".encode())

    with between(store.endpoint) as way:
        way.always = turn
        with pytest.raises(StorageError, match="does not"):
            list(source_of(store.address(way.endpoint)).keys("v1/"))


def test_a_list_that_was_cut_off_is_not_an_empty_one(store: Store) -> None:
    """Its answer ended among the headers, which reads as an answer without a body."""
    lay(store, "v1/0/pod/1")
    with between(store.endpoint) as way:
        way.faults = [("GET", stores.headless)] * 2
        assert list(source_of(store.address(way.endpoint)).keys("v1/0/pod/")) == ["v1/0/pod/1"]
        assert not way.faults
        way.always = stores.headless
        with pytest.raises(StorageError, match="cut off"):
            list(source_of(store.address(way.endpoint)).keys("v1/0/pod/"))


@pytest.fixture
def five(store: Store, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Keys of three pages."""
    monkeypatch.setitem(s3_source._PAGE, "MaxKeys", 2)
    keys = [f"v1/0/pod/{number}" for number in range(5)]
    lay(store, *keys)
    return keys


def test_a_page_that_comes_again_is_not_the_next_one(store: Store, five: list[str]) -> None:
    """It leads where one was already; the next one is asked for again."""
    pages: list[tuple[int, list[tuple[str, str]], bytes]] = []

    def keep(passing: stores.Passing) -> None:
        pages.append(passing.forward())
        passing.give(*pages[-1])

    with between(store.endpoint) as way:
        way.faults = [("GET", keep), ("GET", lambda passing: passing.give(*pages[0]))]
        assert list(source_of(store.address(way.endpoint)).keys("v1/0/pod/")) == five
        assert not way.faults


def test_a_page_of_something_else_is_none(store: Store, five: list[str]) -> None:
    """A store says what a page answers; taken for the first, the last would leave out what lies before."""

    def another(said: bytes) -> stores.Fault:
        page = b"<ListBucketResult>" + said + b"<IsTruncated>false</IsTruncated></ListBucketResult>"
        return lambda passing: passing.give(200, [], page)

    with between(store.endpoint) as way:
        said = (b"<ContinuationToken>three</ContinuationToken>", b"<Prefix>pods/v1/1/pod/</Prefix>")
        way.faults = [("GET", another(one)) for one in said]
        assert list(source_of(store.address(way.endpoint)).keys("v1/0/pod/")) == five
        assert not way.faults


def test_a_list_that_the_library_cannot_read_is_asked_for_again(store: Store, five: list[str]) -> None:
    """A number that is none, or there twice: the library's parser raises whatever it stumbles over."""

    def bad(size: bytes) -> stores.Fault:
        page = b"<ListBucketResult><Contents><Key>x</Key>" + size + b"</Contents></ListBucketResult>"
        return lambda passing: passing.give(200, [], page)

    with between(store.endpoint) as way:
        way.faults = [("GET", bad(size)) for size in (b"<Size>x</Size>", b"<Size>1</Size><Size>1</Size>")]
        assert list(source_of(store.address(way.endpoint)).keys("v1/0/pod/")) == five
        assert not way.faults


def test_items_are_collected_from_a_store(store: Store, tmp_path: Path) -> None:
    """From the address that functions put them under."""
    pod = make_pod(Path("plants"), policy="infer", more=properties_toml({"text": "Text"}))
    site = deploy(pod, tmp_path, store)
    slot = pod.slot()
    for number in range(3):
        deposit = site.function.send(slot, id=f"item-{number}", text="x")
        lay(store, deposit.key, content=deposit.content)
    uncertified = run("collect", "plants", "--from", str(store.address()))
    assert uncertified.code == 10
    assert "store certify" in uncertified.err
    checks = (Check("x", is_passed=True, said=""),)
    write_verdict(Path("store.verdict"), Verdict(str(store.address()), now_ms(), {}, checks))
    ended = run("collect", "plants", "--from", str(store.address()))
    assert ended.code == 0, ended.err
    assert "Collected 3 items" in ended.err
    assert len(succeed("ls", "plants", "--json").lines) == 3
