"""Segments in an object store; the half of a store's rights that functions do not have: to list, and to read.

What may pass is tried again, for longer than a function may: nobody waits at
the other end.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from cloud.s3 import ask, make_clients
from cloud.store_address import StoreAddress
from cloud.trying import Tools, keep_trying
from vault.errors import StorageError

DEADLINE_SECONDS = 60.0
FETCHED_AT_ONCE = 16
"""Each takes tens of milliseconds, most of them waiting."""
_MOST_LISTED = 1_000


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
        token: str | None = None
        while True:
            page = self._list(prefix, token)
            for entry in page.get("Contents", ()):
                yield str(entry.get("Key", "")).removeprefix(self._address.prefix)
            before, token = token, page.get("NextContinuationToken")
            if not page.get("IsTruncated"):
                return
            if not token or token == before:
                raise StorageError("the object store's list says that it goes on, and does not")

    def _list(self, prefix: str, token: str | None) -> dict[str, Any]:
        place = {"Bucket": self._address.bucket, "Prefix": self._address.prefix + prefix}
        more = {"ContinuationToken": token} if token else {}
        return keep_trying(
            lambda tried: dict(
                ask(self._client(tried).list_objects_v2, **place, **more, MaxKeys=_MOST_LISTED)
            ),
            self._tools,
            DEADLINE_SECONDS,
        )

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
        parts, size = [], 0
        # A body that was cut is noticed by the read that finds its end.
        while size <= most_bytes and (part := answer["Body"].read(most_bytes + 1 - size)):
            parts.append(part)
            size += len(part)
        if size > most_bytes:
            answer["Body"].close()
        return b"".join(parts)

    def _client(self, tried: int) -> Any:
        return self._clients[tried % len(self._clients)]
