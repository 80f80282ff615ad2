"""Segments in an object store; the half of a store's rights that functions do not have: to list, and to read.

What may pass is tried again, for longer than a function may: nobody waits at
the other end.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from cloud.bodies import read_body
from cloud.s3 import AgainError, ask, make_clients
from cloud.store_address import StoreAddress
from cloud.trying import Tools, keep_trying

DEADLINE_SECONDS = 60.0
FETCHED_AT_ONCE = 16
"""Each takes tens of milliseconds, most of them waiting."""
_PAGE = {"MaxKeys": 1_000}
_SAID_AGAIN = ("Prefix", "ContinuationToken")
"""What a page repeats of what was asked."""


class S3Source:
    """Segments in a store; see ``vault.objects.SegmentSource``.

    Args:
        address: Of the store.
        tools: Clock and randomness.
    """

    def __init__(self, address: StoreAddress, tools: Tools) -> None:
        self._address = address
        self._clients = make_clients(address)
        self._tools = tools

    def keys(self, prefix: str) -> Iterator[str]:
        """Yield the key of every object below a prefix, without the address's own prefix.

        Raises:
            StorageError: The store cannot be listed.
        """
        followed: dict[str, None] = {}
        while True:
            page = self._list(prefix, followed)
            for entry in page.get("Contents", ()):
                yield str(entry.get("Key", "")).removeprefix(self._address.prefix)
            if not page["IsTruncated"]:
                return
            followed[page["NextContinuationToken"]] = None

    def _list(self, prefix: str, followed: dict[str, None]) -> dict[str, Any]:
        """The next page, after those that these tokens led to."""
        asked = {"Bucket": self._address.bucket, "Prefix": self._address.prefix + prefix}
        asked |= {"ContinuationToken": next(reversed(followed))} if followed else {}

        def attempt(tried: int) -> dict[str, Any]:
            page = dict(ask(self._client(tried).list_objects_v2, **asked, **_PAGE))
            _check_page(page, asked, followed)
            return page

        return keep_trying(attempt, self._tools, DEADLINE_SECONDS)

    def fetch(self, key: str, most_bytes: int) -> bytes:
        """Return an object's bytes; of a larger one the first ``most_bytes`` + 1.

        Raises:
            MissingError: There is no such object any more.
            StorageError: The store does not give it.
        """
        return keep_trying(
            lambda tried: ask(self._fetch, client=self._client(tried), key=key, most_bytes=most_bytes),
            self._tools,
            DEADLINE_SECONDS,
        )

    def _fetch(self, client: Any, key: str, most_bytes: int) -> bytes:
        answer = client.get_object(Bucket=self._address.bucket, Key=self._address.prefix + key)
        return read_body(answer, most_bytes)

    def _client(self, tried: int) -> Any:
        return self._clients[tried % len(self._clients)]


def _check_page(page: Mapping[str, Any], asked: Mapping[str, str], followed: Collection[str]) -> None:
    """Refuse a page that is not whole, or not the one that was asked for.

    An answer that ends among its headers reads as one without a body, and that as an empty list.

    Raises:
        AgainError: It is none.
    """
    is_asked = all(page.get(name, asked.get(name)) == asked.get(name) for name in _SAID_AGAIN)
    if "IsTruncated" not in page or not is_asked:
        raise AgainError("the object store answered with a list that was cut off, or with another; try again")
    token = page.get("NextContinuationToken")
    if page["IsTruncated"] and (not token or token in followed):
        raise AgainError("the object store's list says that it goes on, and does not")
