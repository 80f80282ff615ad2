"""What an object store sees of a segment: its key and its tags; and what is asked of a store to collect.

The key is the arbiter of ids: it follows from the item's name alone, and a
store that puts only what is not there lets one writer win. The tags are the
promise of what was put, so that a retry is answered without a right to read
objects. Both come back from a store as anybody may have set them. Not here:
any store. FORMAT.md, "Objects".
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Mapping
from typing import Protocol

from vault.errors import FormatTooNewError, MalformedError
from vault.items import NAME_BYTES
from vault.keys import PodId
from vault.promises import SIGNATURE_BYTES, Promise
from vault.tree import HASH_BYTES

KEY_ROOT = "v1/"
"""Every key begins with it."""

SHARDS = "0123456789abcdef"
"""Names begin with a time: sharded by their random end, no part of a store has all of today's writes."""

MAX_TAG_CHARACTERS = 256
"""Of a tag's value in S3; its keys have at most 128, an object at most 10 tags."""

HEADER_BYTES = 325
_MARK, _MARK_VALUE = "shared-pod", "1"
_LATER_MARK = re.compile(r"[1-9][0-9]{0,8}", re.ASCII)
_PARTS = ("header-1", "header-2")
_HALF = 217  # of the header's 434 characters
_TAGS = (_MARK, "c", "digest", *_PARTS, "signature")
_KEY = re.compile(r"v1/([0-9a-f])/([0-9a-f]{64})/([0-9a-f]{44})", re.ASCII)


class SegmentSource(Protocol):
    """Where segments lie: an object store, a folder."""

    def keys(self, prefix: str) -> Iterator[str]:
        """Yield the key of every object below a prefix, in any order, each once.

        Args:
            prefix: As ``prefixes`` gives it.

        Raises:
            StorageError: The store cannot be listed.
        """

    def fetch(self, key: str, most_bytes: int) -> bytes:
        """Return an object's bytes; of a larger one the first ``most_bytes`` + 1. Several threads call it.

        Raises:
            MissingError: There is no such object any more.
            StorageError: The store does not give it.
        """


def object_key(pod_id: PodId, name: bytes) -> str:
    """The key of the segment of one item: ``v1/<shard>/<pod id>/<name>``, 114 characters.

    Args:
        pod_id: 32 bytes.
        name: The item's 22 bytes.
    """
    digits = name.hex()
    return f"{KEY_ROOT}{digits[-1]}/{pod_id.hex()}/{digits}"


def prefixes(pod_id: PodId) -> Iterator[str]:
    """Every prefix under which a pod's segments lie."""
    return (f"{KEY_ROOT}{shard}/{pod_id.hex()}/" for shard in SHARDS)


def name_in_key(key: str, pod_id: PodId) -> bytes:
    """Read the item's name from a segment's key; the exact inverse of ``object_key``.

    Args:
        key: Untrusted.
        pod_id: The pod it must be of.

    Raises:
        MalformedError: It is not what ``object_key`` gives for this pod and any name.
    """
    found = _KEY.fullmatch(key)
    name = bytes.fromhex(found[3]) if found else b""
    if len(name) != NAME_BYTES or object_key(pod_id, name) != key:
        raise MalformedError("an object's key is not that of a segment of this pod")
    return name


def encode_tags(promise: Promise) -> dict[str, str]:
    """The tags of a segment of one item: six, of at most 256 characters each, none of which needs escaping.

    Args:
        promise: Of its one item; its header as ``vault.header`` packs it.

    Raises:
        MalformedError: Of a batch of several items, which tags cannot hold.
    """
    if promise.index or promise.item_path or len(promise.header) != HEADER_BYTES:
        raise MalformedError("tags hold the promise of a batch of one item")
    header = _to_base64url(promise.header)
    values = (
        _MARK_VALUE,
        _to_base64url(promise.c),
        _to_base64url(promise.digest),
        header[:_HALF],
        header[_HALF:],
        _to_base64url(promise.signature),
    )
    return dict(zip(_TAGS, values, strict=True))


def decode_tags(tags: Mapping[str, str]) -> Promise:
    """Read the promise from an object's tags; nothing of it is verified.

    Args:
        tags: Untrusted. Others than ours are ignored: accounts have rules that add some.

    Raises:
        FormatTooNewError: Of a later format.
        MalformedError: One of ours is missing, or not what ``encode_tags`` writes.
    """
    mark = tags.get(_MARK, "")
    if mark != _MARK_VALUE:
        if _LATER_MARK.fullmatch(mark):
            raise FormatTooNewError("an object's tags are of a later format; update this program")
        raise MalformedError("an object without the tags of a segment stands under an item's key")
    promise = Promise(
        c=_field(tags, ("c",), HASH_BYTES),
        digest=_field(tags, ("digest",), HASH_BYTES),
        index=0,
        header=_field(tags, _PARTS, HEADER_BYTES),
        item_path=(),
        signature=_field(tags, ("signature",), SIGNATURE_BYTES),
    )
    if encode_tags(promise) != {name: tags[name] for name in _TAGS if name in tags}:
        raise MalformedError("an object's tags are not in their one form")
    return promise


def _field(tags: Mapping[str, str], names: tuple[str, ...], count: int) -> bytes:
    text = "".join(tags.get(name, "") for name in names)
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), b"-_", validate=True)
    except (binascii.Error, ValueError) as exc:
        raise MalformedError(f"an object's tag {names[0]} is not of its form") from exc
    if len(raw) != count:
        raise MalformedError(f"an object's tag {names[0]} is not of its form")
    return raw


def _to_base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")
