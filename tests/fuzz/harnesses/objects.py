"""What an object store says: lists of keys as XML, keys, and tags of objects, as anybody may have set them.

The list is read by the library's own parser, as in a request. Promises: a list
is keys or an error of the store's, also where it has no end; a key that is
accepted is the one its name gives; tags that are accepted are written again as
they were, and one promise alone; what they prove, the function signed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import count, islice
from typing import Any

from botocore.parsers import create_parser
from botocore.session import get_session

from cloud.store_address import StoreAddress
from cloud.trying import Tools
from maintainer_tools.s3_source import S3Source
from tests.fuzz.target import Shape, Target
from tests.support.vectors import vectors
from tests.vectors import world
from vault.encoding import pae, unpae
from vault.errors import DamagedError, ForeignPodError, FormatTooNewError, MalformedError, StorageError
from vault.keys import is_signed
from vault.objects import KEY_ROOT, decode_tags, encode_tags, name_in_key, object_key
from vault.promises import verify_promise

_LABEL = b"objects/v1"
_MOST_KEYS = 3_000
_ADDRESS = StoreAddress("bucket", "pods/", ("http://127.0.0.1:9",), "us-east-1")
_SHAPE = get_session().get_service_model("s3").operation_model("ListObjectsV2").output_shape
_PARSER = create_parser("rest-xml")


class _Client:
    """A store that always gives the same list."""

    def __init__(self, body: bytes) -> None:
        self.body = body

    def list_objects_v2(self, **_: object) -> Mapping[str, Any]:
        """It, read as the library reads it."""
        parsed: dict[str, Any] = _PARSER.parse({"status_code": 200, "headers": {}, "body": self.body}, _SHAPE)
        return parsed


_CLOCK = count(step=20)
"""Seconds; a store that fails is asked a few times."""
_SOURCE = S3Source(_ADDRESS, Tools(lambda: float(next(_CLOCK)), lambda _: None, bytes))


def run(data: bytes) -> None:
    """Read a list, then what fields there are as a key and as tags."""
    try:
        label, listed, key, *tags = unpae(data)
    except (MalformedError, ValueError):
        _list(data)
        return
    del label
    _list(listed)
    _key(key.decode("utf-8", "replace"))
    texts = [tag.decode("utf-8", "replace") for tag in tags]
    _tags(dict(zip(texts[::2], texts[1::2], strict=False)))


def _list(body: bytes) -> None:
    _SOURCE._clients = (_Client(body),)
    try:
        for key in islice(_SOURCE.keys(KEY_ROOT), _MOST_KEYS):
            assert type(key) is str
            _key(key)
    except StorageError:
        return


def _key(key: str) -> None:
    try:
        name = name_in_key(key, world.POD_ID)
    except MalformedError:
        return
    assert object_key(world.POD_ID, name) == key


def _tags(tags: Mapping[str, str]) -> None:
    try:
        promise = decode_tags(tags)
    except (MalformedError, FormatTooNewError):
        return
    assert encode_tags(promise).items() <= tags.items()
    try:
        verify_promise(promise, pod_id=world.POD_ID, function_keys=[world.FUNCTION_KEY.public])
    except (DamagedError, ForeignPodError, FormatTooNewError, MalformedError):
        return
    assert is_signed(world.FUNCTION_KEY.public, promise.signature, promise.header)


def _split(data: bytes) -> list[bytes]:
    return unpae(data)


_ENTRY = "<Contents><Key>pods/{}</Key><Size>4096</Size></Contents>"
_XML = (
    '<?xml version="1.0"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
    "<IsTruncated>{}</IsTruncated>{}{}</ListBucketResult>"
)


def _seeds() -> Iterator[bytes]:
    keys = [vector["key"] for vector in vectors("objects/keys")]
    entries = "".join(map(_ENTRY.format, keys))
    lists = [
        _XML.format("false", "", entries),
        _XML.format("true", "<NextContinuationToken>x</NextContinuationToken>", entries),
        _XML.format("true", "", ""),
        _XML.format("x", "", "<Contents/>"),
    ]
    yield from (listed.encode() for listed in lists)
    for vector in vectors("objects/tags"):
        tags = [text.encode() for pair in vector["tags"].items() for text in pair]
        yield pae(_LABEL, lists[2].encode(), keys[0].encode(), *tags)


TARGET = Target(run, _seeds, 4_096, (Shape(_split, lambda fields: pae(*fields)),))
