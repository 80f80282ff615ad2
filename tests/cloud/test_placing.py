"""Objects placed where there is none: exactly once, whatever the store and the network do."""

from __future__ import annotations

import base64
import hashlib
import threading
from collections.abc import Callable, Iterator

import pytest

from cloud.placing import Placing, Taken
from cloud.s3 import AgainError, make_clients
from cloud.store_address import StoreAddress
from cloud.trying import DEADLINE_SECONDS, MOST_WAIT_SECONDS, Tools
from tests.support import stores
from tests.support.pods import seeded_entropy
from tests.support.stores import PREFIX, Keys, Store, between
from vault.errors import StorageError

TAGS = {"shared-pod": "1", "c": "one-of-its-own"}
OTHER_TAGS = {"shared-pod": "1", "c": "another"}
KEY = "v1/0/pod/name"


class Time:
    """Seconds that pass only where somebody waits."""

    def __init__(self) -> None:
        self.now = 0.0
        self.waits: list[float] = []

    def clock(self) -> float:
        """Read it."""
        return self.now

    def sleep(self, seconds: float) -> None:
        """Let so much of it pass."""
        self.waits.append(seconds)
        self.now += seconds


def placing_at(address: StoreAddress, time: Time | None = None) -> Placing:
    """The way into a store; waiting costs nothing."""
    time = time or Time()
    return Placing(address, make_clients(address), Tools(time.clock, time.sleep, seeded_entropy()))


@pytest.fixture
def way(store: Store) -> Iterator[stores.Between]:
    """What stands between."""
    with between(store.endpoint) as way:
        yield way


def test_an_object_is_placed_with_its_tags(store: Store) -> None:
    """All of it, below the prefix, with nothing but the rights of a function."""
    assert placing_at(store.address()).put_new(KEY, b"content", TAGS) is None

    assert store.keys_of_objects() == [PREFIX + KEY]
    assert store.content(PREFIX + KEY) == b"content"
    assert store.tags(PREFIX + KEY) == TAGS


def test_what_stands_there_is_left_and_told(store: Store) -> None:
    """Its tags come back, its content stays."""
    placing = placing_at(store.address())
    placing.put_new(KEY, b"first", TAGS)

    assert placing.put_new(KEY, b"second", OTHER_TAGS) == Taken(TAGS)
    assert store.content(PREFIX + KEY) == b"first"
    assert store.tags(PREFIX + KEY) == TAGS


@pytest.mark.parametrize(
    "fault",
    [stores.slow_down, stores.conflict, stores.lost, stores.refused, stores.done_and_slow_down],
)
@pytest.mark.parametrize("times", [1, 3])
def test_a_put_that_fails_is_tried_again_and_succeeds_once(
    store: Store, way: stores.Between, fault: stores.Fault, times: int
) -> None:
    """412 after an answer of our own that was lost is our own success: the tags say so."""
    way.faults = [("PUT", fault)] * times

    assert placing_at(store.address(way.endpoint)).put_new(KEY, b"content", TAGS) is None
    assert store.keys_of_objects() == [PREFIX + KEY]
    assert not way.faults


@pytest.mark.parametrize("fault", [stores.lost, stores.slow_down, stores.refused])
def test_another_that_came_first_is_never_taken_for_our_own(
    store: Store, way: stores.Between, fault: stores.Fault
) -> None:
    """Even where our own answers were lost: what stands there is the other's."""
    placing_at(store.address()).put_new(KEY, b"first", OTHER_TAGS)
    way.faults = [("PUT", fault)] * 2

    assert placing_at(store.address(way.endpoint)).put_new(KEY, b"second", TAGS) == Taken(OTHER_TAGS)
    assert store.content(PREFIX + KEY) == b"first"


@pytest.mark.parametrize("fault", [stores.slow_down, stores.lost, stores.refused, stores.headless])
def test_tags_that_do_not_come_are_asked_for_again(
    store: Store, way: stores.Between, fault: stores.Fault
) -> None:
    """Nothing is said before they are known."""
    placing_at(store.address()).put_new(KEY, b"first", OTHER_TAGS)
    way.faults = [("GET", fault)] * 2

    assert placing_at(store.address(way.endpoint)).put_new(KEY, b"second", TAGS) == Taken(OTHER_TAGS)


def test_a_key_that_became_free_is_put_again(store: Store, way: stores.Between) -> None:
    """A deletion between the refusal and the look leaves nothing to answer from."""
    placing_at(store.address()).put_new(KEY, b"first", OTHER_TAGS)

    def deleted(passing: stores.Passing) -> None:
        store.client().delete_object(Bucket=store.bucket, Key=PREFIX + KEY)
        passing.give(*passing.forward())

    way.faults = [("GET", deleted)]

    assert placing_at(store.address(way.endpoint)).put_new(KEY, b"second", TAGS) is None
    assert store.content(PREFIX + KEY) == b"second"


@pytest.mark.parametrize("fault", [stores.slow_down, stores.refused, stores.conflict])
def test_tries_end_at_the_deadline(store: Store, way: stores.Between, fault: stores.Fault) -> None:
    """Waits grow and are bounded; nothing is acknowledged."""
    time = Time()
    way.always = fault

    with pytest.raises(AgainError):
        placing_at(store.address(way.endpoint), time).put_new(KEY, b"content", TAGS)

    assert time.now <= DEADLINE_SECONDS
    assert len(time.waits) > 8
    assert len(way.passed) == len(time.waits) + 1, "nothing tries again but we"
    assert 0 < max(time.waits) <= MOST_WAIT_SECONDS
    assert len(set(time.waits)) == len(time.waits), "waits are random"
    assert store.keys_of_objects() == []


def test_one_endpoint_that_is_gone_does_not_stop_the_others(store: Store) -> None:
    """Each try takes the next way."""
    gone = "http://127.0.0.1:9"
    address = store.address(gone, store.endpoint)

    assert placing_at(address).put_new(KEY, b"content", TAGS) is None


def test_a_wrong_secret_is_refused_at_once(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Trying again would not help; the error shows no key."""
    keys = Keys(store.role().access_key, "not-the-secret")
    for name, value in keys.environment.items():
        monkeypatch.setenv(name, value)
    time = Time()

    with pytest.raises(StorageError, match="403") as refused:
        placing_at(store.address(), time).put_new(KEY, b"content", TAGS)

    assert not isinstance(refused.value, AgainError)
    assert not time.waits
    assert "not-the-secret" not in str(refused.value)
    assert keys.access_key not in str(refused.value)


# The stores' simulation lets a put set tags without s3:PutObjectTagging; AWS does not.
@pytest.mark.parametrize("missing", ["s3:PutObject", "s3:GetObjectTagging"])
def test_each_right_of_a_function_is_needed(
    store: Store, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    """A role with less fails at once, and says so."""
    rights = [right for right in stores.FUNCTION_RIGHTS if right != missing]
    placing_at(store.address()).put_new(KEY, b"first", TAGS)
    for name, value in store.role(*rights).environment.items():
        monkeypatch.setenv(name, value)

    with pytest.raises(StorageError, match="403"):
        placing_at(store.address()).put_new(KEY, b"content", OTHER_TAGS)


def test_no_credentials_are_said(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without keys is told which to give."""
    address = store.address()
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")

    with pytest.raises(StorageError, match="AWS_ACCESS_KEY_ID"):
        placing_at(address).put_new(KEY, b"content", TAGS)


def test_a_bucket_that_is_not_there_is_said(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """No try helps."""
    for name, value in store.admin.environment.items():
        monkeypatch.setenv(name, value)
    store.bucket = "no-such-bucket"

    with pytest.raises(StorageError, match="404 NoSuchBucket; check the bucket"):
        placing_at(store.address()).put_new(KEY, b"content", TAGS)


def test_a_store_without_tags_answers_taken_and_no_more(store: Store, way: stores.Between) -> None:
    """The weaker rule: whose object it is cannot be told, not even after a lost answer of our own."""
    placing = placing_at(store.address(way.endpoint, keeps_tags=False))
    assert placing.put_new(KEY, b"content", TAGS) is None
    assert placing.put_new(KEY, b"content", TAGS) == Taken(None)
    way.faults = [("PUT", stores.lost)]
    assert placing.put_new("v1/0/pod/b", b"content", TAGS) == Taken(None)
    assert store.tags(PREFIX + KEY) == {}
    assert "GET" not in way.passed


def test_of_sixteen_at_once_one_wins(store: Store) -> None:
    """And all others are told of exactly that one."""
    placing = placing_at(store.address())
    barrier = threading.Barrier(16)
    results: list[tuple[str, Taken | None]] = []

    def race(number: int) -> None:
        tags = {"c": f"racer-{number}"}
        barrier.wait()
        results.append((f"racer-{number}", placing.put_new(KEY, tags["c"].encode(), tags)))

    _in_threads(race, 16)

    winners = [name for name, taken in results if taken is None]
    assert len(results) == 16
    assert len(winners) == 1
    assert {str(taken) for _, taken in results if taken} == {str(Taken({"c": winners[0]}))}
    assert store.content(PREFIX + KEY) == winners[0].encode()


def _in_threads(run: Callable[[int], None], count: int) -> None:
    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


@pytest.mark.parametrize(
    ("status", "body", "is_again"),
    [
        (500, b"", True),
        (503, b"not XML at all", True),
        (429, b"", True),
        (400, b"<Error><Code>RequestTimeout</Code></Error>", True),
        (501, b"<Error><Code>NotImplemented</Code></Error>", False),
        (403, b"<Error><Code>RequestTimeTooSkewed</Code></Error>", False),
        (403, b"<Error><Code>a secret <script></Code></Error>", False),
        (400, b"<Error><Code>ExpiredToken</Code></Error>", False),
    ],
)
def test_what_a_store_answers_is_tried_again_or_told(
    store: Store, way: stores.Between, status: int, body: bytes, *, is_again: bool
) -> None:
    """And of its text only a code that looks like one."""
    way.always = lambda passing: passing.give(status, [], body)

    with pytest.raises(StorageError) as refused:
        placing_at(store.address(way.endpoint)).put_new(KEY, b"content", TAGS)

    assert isinstance(refused.value, AgainError) is is_again
    assert "secret" not in str(refused.value).replace("AWS_SECRET", "")


def test_an_answer_that_takes_too_long_is_tried_again(
    store: Store, way: stores.Between, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store had done it: the next try finds its own object."""
    monkeypatch.setattr("cloud.s3.READ_SECONDS", 0.3)
    silent = threading.Event()

    def hang(passing: stores.Passing) -> None:
        passing.forward()
        silent.wait(5)
        passing.cut()

    way.faults = [("PUT", hang)]
    placing = placing_at(store.address(way.endpoint))
    assert placing.put_new(KEY, b"content", TAGS) is None
    silent.set()
    assert store.keys_of_objects() == [PREFIX + KEY]


def test_the_hash_of_the_body_and_the_condition_are_signed(store: Store, way: stores.Between) -> None:
    """What a store checks: nobody on the way changes the body, or takes the condition off."""
    heads: list[dict[str, str]] = []

    def noted(passing: stores.Passing) -> None:
        heads.append({name.lower(): value for name, value in passing.headers.items()})
        passing.give(*passing.forward())

    way.always = noted
    placing_at(store.address(way.endpoint)).put_new(KEY, b"content", TAGS)

    (head,) = heads
    digest = hashlib.sha256(b"content")
    signed = head["authorization"].partition("SignedHeaders=")[2].partition(",")[0].split(";")
    assert head["if-none-match"] == "*"
    assert head["x-amz-content-sha256"] == digest.hexdigest()
    assert head["x-amz-checksum-sha256"] == base64.b64encode(digest.digest()).decode()
    assert {"if-none-match", "x-amz-content-sha256", "x-amz-checksum-sha256", "x-amz-tagging"} <= set(signed)
