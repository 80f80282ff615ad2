"""Certifying an object store: is a conditional put exact there, and does what is put there come back?

Tried on the bucket itself, as it is configured, through every way there is to
it: some stores ignore the condition, some only in a versioned bucket, some only
when writers race. What is written lies in a folder of its own below the
address's prefix, and is removed again as far as that is allowed. FORMAT.md,
"Objects".
"""

from __future__ import annotations

import base64
import contextlib
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

from cloud.bodies import read_body
from cloud.placing import put_once
from cloud.s3 import AgainError, ExistsError, ask, make_client, make_clients
from cloud.store_address import StoreAddress
from cloud.trying import DEADLINE_SECONDS, Tools, keep_trying
from cloud.verdicts import Check, Verdict
from vault.errors import MissingError, StorageError

RACES = 40
TAGGED_RACES = 10
RACERS = 12
"""A store that honours the condition one by one was seen to let several of so many win 36 of 40 races."""
_MOST_READ_BYTES = 1_000
"""More than anything it puts; another's object is not what was put, however long it is."""
_NAME_BYTES = 16
_SECRET_BYTES = 30
_BARRIER_SECONDS = 60.0
_UNKNOWN = "not told"
_OTHER_STORE = "several items could take one id in it: use another store"
_PLAIN_BUCKET = (
    "this bucket is versioned or locked, and some stores keep the condition only in one that is neither: "
    "certify a new bucket without either, or use another store"
)
_NO_TAGS = (
    "if it keeps none, add tags=none to its address and certify that: "
    "who then repeats an item whose answer was lost is told 409"
)
_OTHERS_OUT = "take the right to write away from everybody else, or use a store that asks for keys"
_SAME_EVERYWHERE = "name only ways that show the same at once, or use another store"

Result = TypeVar("Result")


def _tags_of(content: bytes) -> dict[str, str]:
    """Tags of one put and no other; like a function's, without a space: Ceph keeps the plus it is sent as."""
    return {"shared-pod": "1", "c": content.decode("latin-1").replace(" ", "-")}


class _Failed(Exception):  # noqa: N818  # names the fact; it ends one check and no more
    """What a store did that it must not, and what to do about it; its sentence."""


class Certifier:
    """Tries one store with the keys of the environment, which may put, tag and read there.

    And list: without that right a store does not say that something is not there.

    Args:
        address: Of the store.
        tools: Clock and randomness.
        now_ms: UTC milliseconds.
    """

    def __init__(self, address: StoreAddress, tools: Tools, now_ms: Callable[[], int]) -> None:
        self._address = address
        self._tools = tools
        self._now_ms = now_ms
        self._clients = make_clients(address)
        self._folder = f"{address.prefix}certify/{tools.entropy(_NAME_BYTES).hex()}/"
        self._lock = threading.Lock()
        self._made: set[str] = set()
        self._is_exact = True

    def certify(self, tell: Callable[[Check], None]) -> Verdict:
        """Try everything, and remove what was written.

        Args:
            tell: Is told each result as it comes.
        """
        checks = []
        try:
            for check in self._checks():
                tell(check)
                checks.append(check)
        finally:
            self._remove()
        return Verdict(str(self._address), self._now_ms(), self._configuration(), tuple(checks))

    def _checks(self) -> Iterator[Check]:
        tried: tuple[tuple[str, Callable[[], str]], ...] = (
            ("one after the other", self._try_sequence),
            ("at once", self._try_races),
            ("tags", self._try_tags),
            ("a wrong secret", self._try_wrong_secret),
            ("no secret", self._try_no_secret),
        )
        for name, attempt in tried:
            try:
                yield Check(name, is_passed=True, said=attempt())
            except _Failed as failed:
                self._is_exact = False
                yield Check(name, is_passed=False, said=str(failed))
            except (StorageError, MissingError) as exc:
                yield Check(name, is_passed=False, said=f"it could not be tried: {exc}")

    def _try_sequence(self) -> str:
        """A put is there at once, by every way; a second one is refused and changes nothing."""
        for number, client in enumerate(self._clients):
            key, content = f"sequence-{number}", f"first by way {number}".encode()
            if not self._put_patiently(client, key, content) and self._read(client, key) != content:
                raise _Failed(f"it says that an object is there where none was put; {_OTHER_STORE}")
            for other in self._clients:
                if self._read(other, key) != content:
                    raise _Failed(
                        f"what it answered 200 for is not what is read right after; {_SAME_EVERYWHERE}"
                    )
                if self._put_patiently(other, key, b"second"):
                    raise _Failed(
                        "it ignores the condition: a second put under one key was answered 200; "
                        f"{self._what_then()}"
                    )
                if self._read(other, key) != content:
                    raise _Failed(f"a put that it refused changed what was there; {_OTHER_STORE}")
        return f"the first put stands, by {self._ways()}"

    def _try_races(self) -> str:
        """Of writers that race for a key, one is told that it won, and its object stands there."""
        with ThreadPoolExecutor(max_workers=RACERS) as threads:
            for number in range(RACES):
                self._race(f"race-{number}", threads)
        return f"{RACERS} writers raced for each of {RACES} keys by {self._ways()}; one won each"

    def _race(self, key: str, threads: ThreadPoolExecutor, *, is_tagged: bool = False) -> None:
        barrier = threading.Barrier(RACERS)

        def run(number: int) -> tuple[bytes, bool | None]:
            content = f"racer {number}".encode()
            barrier.wait(_BARRIER_SECONDS)
            try:
                client, tags = self._clients[number % len(self._clients)], _tags_of(content)
                return content, self._put(client, key, content, tags if is_tagged else None)
            except AgainError:
                # Busy: whether it was carried out is not known.
                return content, None

        ended = list(threads.map(run, range(RACERS)))
        won = [content for content, is_stored in ended if is_stored]
        may_have_won = won or [content for content, is_stored in ended if is_stored is None]
        if len(won) > 1:
            raise _Failed(
                f"{len(won)} of {RACERS} writers who raced for one key were each told that they won; "
                f"{self._what_then()}"
            )
        if any(self._read(client, key) not in may_have_won for client in self._clients):
            raise _Failed(
                f"what stands there is not what the writer put who was told that it won; {_SAME_EVERYWHERE}"
            )
        if is_tagged:
            self._require_tags(key, _tags_of(self._read(self._clients[0], key) or b""))

    def _try_tags(self) -> str:
        """What was set with a put comes back; or the address says that it does not."""
        if not self._address.keeps_tags:
            return "none are asked for: who sends an item again is told 409"
        try:
            self._try_tagged()
        except (StorageError, MissingError) as exc:
            raise _Failed(f"they could not be tried: {exc}; {_NO_TAGS}") from exc
        return "what was set with a put comes back, also where writers race"

    def _try_tagged(self) -> None:
        for number, client in enumerate(self._clients):
            key, content = f"tags-{number}", f"tagged by way {number}".encode()
            self._put_patiently(client, key, content, _tags_of(content))
            self._require_tags(key, _tags_of(content))
        # Where the condition does not hold, that is said already.
        with ThreadPoolExecutor(max_workers=RACERS) as threads:
            for number in range(TAGGED_RACES if self._is_exact else 0):
                self._race(f"tagged-race-{number}", threads, is_tagged=True)

    def _require_tags(self, key: str, tags: dict[str, str]) -> None:
        if not all(tags.items() <= self._tags(client, key).items() for client in self._clients):
            raise _Failed(f"tags that were set with a put do not come back; {_NO_TAGS}")

    def _try_wrong_secret(self) -> str:
        """Whoever has a wrong secret puts nothing, where who has the right one does."""
        secret = base64.b64encode(self._tools.entropy(_SECRET_BYTES)).decode()
        return self._try_stranger("a wrong secret", lambda way: make_client(self._address, way, secret))

    def _try_no_secret(self) -> str:
        """Whoever has none puts nothing either."""
        return self._try_stranger("no secret", lambda way: make_client(self._address, way, is_signing=False))

    def _try_stranger(self, secret: str, make: Callable[[str | None], Any]) -> str:
        for number, endpoint in enumerate(self._address.endpoints or (None,)):
            key = f"{secret.replace(' ', '-')}-{number}"
            # Whoever may put nothing is refused with any secret, and that says nothing.
            self._put_patiently(self._clients[number], f"{key}-right", b"by who may")
            with contextlib.closing(make(endpoint)) as stranger:
                self._require_refused(stranger, key, secret)
        return "is refused"

    def _require_refused(self, stranger: Any, key: str, secret: str) -> None:
        try:
            is_stored = self._put_patiently(stranger, key, b"by a stranger")
        except AgainError:
            raise
        except StorageError:
            if self._read(self._clients[0], key) is not None:
                raise _Failed(f"a put with {secret} was refused, and stored; {_OTHERS_OUT}") from None
            return
        done = "stored" if is_stored else "judged by its condition"
        raise _Failed(f"a put with {secret} was {done}; {_OTHERS_OUT}")

    def _what_then(self) -> str:
        """What to do about a bucket in which the condition does not hold."""
        configuration = self._configuration()
        is_plain = "Enabled" not in {configuration["versioning"], configuration["lock"]}
        return _OTHER_STORE if is_plain else _PLAIN_BUCKET

    def _put(self, client: Any, name: str, content: bytes, tags: dict[str, str] | None = None) -> bool:
        """Put once, as a function does; False if something stands there."""
        with self._lock:
            self._made.add(name)
        try:
            put_once(client, self._at(name), content, tags)
        except ExistsError:
            return False
        return True

    def _put_patiently(
        self, client: Any, name: str, content: bytes, tags: dict[str, str] | None = None
    ) -> bool:
        return self._patiently(lambda: self._put(client, name, content, tags))

    def _read(self, client: Any, name: str) -> bytes | None:
        """The beginning of what stands there; None for nothing."""

        def read() -> bytes:
            return read_body(client.get_object(**self._at(name)), _MOST_READ_BYTES)

        with contextlib.suppress(MissingError):
            return self._patiently(partial(ask, read))
        return None

    def _tags(self, client: Any, name: str) -> dict[str, str]:
        found = self._patiently(partial(ask, client.get_object_tagging, **self._at(name)))
        return {entry.get("Key", ""): entry.get("Value", "") for entry in found.get("TagSet", ())}

    def _patiently(self, attempt: Callable[[], Result]) -> Result:
        return keep_trying(lambda _: attempt(), self._tools, DEADLINE_SECONDS)

    def _at(self, name: str) -> dict[str, str]:
        return {"Bucket": self._address.bucket, "Key": self._folder + name}

    def _ways(self) -> str:
        count = len(self._clients)
        return "one way" if count == 1 else f"{count} ways"

    def _remove(self) -> None:
        # A locked bucket keeps them, and keys that may not delete leave them: they are a few and small.
        for name in sorted(self._made):
            with contextlib.suppress(StorageError, MissingError):
                ask(self._clients[0].delete_object, **self._at(name))

    def _configuration(self) -> dict[str, str]:
        """How the bucket is set up, as far as the store tells these keys."""
        client, bucket = self._clients[0], {"Bucket": self._address.bucket}
        asked: dict[str, Callable[[], object]] = {
            "versioning": lambda: client.get_bucket_versioning(**bucket).get("Status", "never"),
            "lock": lambda: client.get_object_lock_configuration(**bucket)["ObjectLockConfiguration"][
                "ObjectLockEnabled"
            ],
            "encryption": lambda: client.get_bucket_encryption(**bucket)["ServerSideEncryptionConfiguration"][
                "Rules"
            ][0]["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"],
        }
        return {name: self._told(question) for name, question in asked.items()}

    @staticmethod
    def _told(question: Callable[[], object]) -> str:
        try:
            return str(ask(question))[:40]
        except (StorageError, MissingError, ExistsError, KeyError, IndexError, TypeError):
            # Not configured, or not for these keys to know; many stores do not know the question.
            return _UNKNOWN
