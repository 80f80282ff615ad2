"""Placing an object where there is none, exactly once, through a store and a network that fail.

A try whose answer was lost may have been carried out, and the next one then
meets its own object: the tags tell, because each call's are its own (they hold
the random uid of its batch). FORMAT.md, "Objects".
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import urlencode

from cloud.s3 import AgainError, ExistsError, ask
from cloud.store_address import StoreAddress
from cloud.trying import DEADLINE_SECONDS, Tools, keep_trying
from vault.errors import MissingError

_TYPE = "application/octet-stream"


class Taken(NamedTuple):
    """What stood under a key already.

    Attributes:
        tags: The object's, untrusted; None where the store keeps none.
    """

    tags: Mapping[str, str] | None


def put_once(client: Any, place: Mapping[str, str], content: bytes, tags: Mapping[str, str] | None) -> None:
    """Put an object where there is none, in one try.

    Args:
        client: Of ``cloud.s3``.
        place: ``Bucket`` and ``Key``.
        content: The object.
        tags: Its tags; None to set none.

    Raises:
        ExistsError: There is one.
        StorageError: As ``cloud.s3.ask``.
    """
    own = {"Tagging": urlencode(tags)} if tags is not None else {}
    checksum = base64.b64encode(hashlib.sha256(content).digest()).decode()
    ask(
        client.put_object,
        **place,
        **own,
        Body=content,
        ContentType=_TYPE,
        ChecksumSHA256=checksum,
        IfNoneMatch="*",
    )


class Placing:
    """One store to put objects into. Several threads use it.

    Args:
        address: Of the store.
        clients: One for each way there, of ``make_clients``.
        tools: Clock and randomness.
        deadline_seconds: How long after its beginning a call still begins a try.
    """

    def __init__(
        self,
        address: StoreAddress,
        clients: Sequence[Any],
        tools: Tools,
        deadline_seconds: float = DEADLINE_SECONDS,
    ) -> None:
        self._address = address
        self._clients = clients
        self._tools = tools
        self._deadline_seconds = deadline_seconds

    def put_new(self, key: str, content: bytes, tags: Mapping[str, str]) -> Taken | None:
        """Put an object under a key that has none.

        Args:
            key: Below the address's prefix.
            content: The object.
            tags: Its tags, those of no other call.

        Returns:
            None: this call's object stands there, durable as the store says.
            Else what stood there before; then nothing was changed.

        Raises:
            StorageError: The store refuses, or failed until the deadline. In
                the second case the object may stand there all the same.
        """
        clients = self._clients
        return keep_trying(
            lambda tried: self._try(clients[tried % len(clients)], key, content, tags),
            self._tools,
            self._deadline_seconds,
        )

    def _try(self, client: Any, key: str, content: bytes, tags: Mapping[str, str]) -> Taken | None:
        place = {"Bucket": self._address.bucket, "Key": self._address.prefix + key}
        try:
            put_once(client, place, content, tags if self._address.keeps_tags else None)
        except ExistsError:
            return self._look(client, place, tags)
        return None

    def _look(self, client: Any, place: Mapping[str, str], tags: Mapping[str, str]) -> Taken | None:
        if not self._address.keeps_tags:
            return Taken(None)
        try:
            found = ask(client.get_object_tagging, **place)
        except MissingError as exc:
            # Deleted since the put was refused: it is free again.
            raise AgainError("the object store had an object and then had none; try again") from exc
        if "TagSet" not in found:
            # An answer that ends among its headers reads as one without a body.
            raise AgainError("the object store's answer about tags was cut off; try again")
        standing = {entry.get("Key", ""): entry.get("Value", "") for entry in found["TagSet"]}
        # Only this call knew its tags before the store did.
        is_own = tags.items() <= standing.items()
        return None if is_own else Taken(standing)
