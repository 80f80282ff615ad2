"""Promises, as a contributor gets them from a function, or from anyone.

What is put together is signed by the function's log key, whatever it says.
Promises of ours: one that is read is written again with the same bytes; one
that holds was signed by a function of this pod, and its path leads to the
header's root by RFC 6962's own definition.
"""

from __future__ import annotations

import hashlib
from base64 import b64decode, b64encode
from collections.abc import Iterator

import msgspec

from tests.fuzz.target import Shape, Target
from tests.fuzz.trees import root_of_path
from tests.support.vectors import load, vectors
from tests.vectors import world
from vault.encoding import pae, unpae
from vault.errors import DamagedError, ForeignPodError, FormatTooNewError, MalformedError, VaultError
from vault.header import item_leaf, parse_header
from vault.keys import PodId, is_signed
from vault.promises import MAX_PROMISE_BYTES, Promise, decode_promise, encode_promise, verify_promise
from vault.receipts import decode_receipt

KEY = world.FUNCTION_KEY
_KNOWN = load("receipts/accept-receipt-for-a-known-item.json")
POD_ID = PodId(bytes.fromhex(_KNOWN["pod_id"]))
_HEADER, _SIGNATURE = 4, 6


def run(data: bytes) -> None:
    """Read it, and check it."""
    text = data.decode("ascii", "replace")
    try:
        promise = decode_promise(text)
    except (MalformedError, FormatTooNewError):
        return
    assert encode_promise(promise) == text
    assert len(text) <= MAX_PROMISE_BYTES
    try:
        header = verify_promise(promise, pod_id=POD_ID, function_keys=[KEY.public])
    except (DamagedError, ForeignPodError, FormatTooNewError, MalformedError):
        return
    assert (header, header.pod_id) == (parse_header(promise.header), POD_ID)
    assert is_signed(KEY.public, promise.signature, promise.header)
    leaf = item_leaf(POD_ID, header.uid, promise.index, promise.c, promise.digest)
    assert root_of_path(promise.index, header.count, leaf, promise.item_path) == header.item_root


def _split(data: bytes) -> list[bytes]:
    return unpae(b64decode(data, validate=True), 7)


def _join(fields: list[bytes]) -> bytes:
    """Signed by the function, which the header names if it is one."""
    if len(fields) > _SIGNATURE:
        fields[_HEADER] = _named(fields[_HEADER])
        fields[_SIGNATURE] = KEY.sign(fields[_HEADER])
    return b64encode(pae(*fields))


def _named(packed: bytes) -> bytes:
    try:
        header = parse_header(packed)
    except VaultError:
        return packed
    return msgspec.structs.replace(header, log_key_hash=hashlib.sha256(KEY.public).digest()).pack()


def _seeds() -> Iterator[bytes]:
    for vector in vectors("receipts"):
        try:
            receipt = decode_receipt(vector["receipt"])
        except VaultError:
            continue
        promise = Promise(
            receipt.c, receipt.digest, receipt.index, receipt.header, receipt.item_path, bytes(64)
        )
        yield encode_promise(promise).encode()
        yield _join(_split(encode_promise(promise).encode()))


TARGET = Target(run, _seeds, 2_048, (Shape(_split, _join),))
