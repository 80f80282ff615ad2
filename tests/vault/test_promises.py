"""A promise: what a contributor holds until the batch is collected, checked offline like a receipt."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.functions import Function, new_function
from tests.support.pods import new_pod
from vault.encoding import le32, pae
from vault.errors import DamagedError, Fault, ForeignPodError, FormatTooNewError, MalformedError
from vault.header import Header, item_leaves
from vault.keys import LogKey, PodId
from vault.notes import to_base64
from vault.promises import MAX_PROMISE_BYTES, Promise, decode_promise, encode_promise, verify_promise
from vault.tree import SmallTree

POD_ID = PodId(b"p" * 32)
KEY = LogKey(b"k" * 32)
OTHER = LogKey(b"o" * 32)


def made(count: int = 1, index: int = 0, **changes: Any) -> Promise:
    """A promise of one of so many items, or one whose header says other things."""
    uid = b"u" * 16
    commitments = [bytes([place % 256]) * 32 for place in range(count)]
    leaves = item_leaves(POD_ID, uid, commitments, commitments)
    header: dict[str, Any] = {
        "pod_id": POD_ID,
        "uid": uid,
        "log_key_hash": _hash(KEY.public),
        "ms": 5,
        "count": count,
        "item_root": SmallTree(leaves).root,
        "commit": bytes(32),
        "wraps_hash": bytes(32),
        "policy": bytes(32),
    }
    packed = Header(**(header | changes)).pack()
    path = tuple(SmallTree(leaves).path(index))
    return Promise(commitments[index], commitments[index], index, packed, path, KEY.sign(packed))


def _hash(key: bytes) -> bytes:
    return hashlib.sha256(key).digest()


def verify(promise: Promise, **changes: Any) -> Header:
    """Verify as the contributor of the pod does."""
    return verify_promise(
        promise, **({"pod_id": POD_ID, "function_keys": [OTHER.public, KEY.public]} | changes)
    )


@pytest.mark.parametrize(("count", "index"), [(1, 0), (2, 1), (3, 2), (512, 0), (512, 511)])
def test_a_promise_travels_and_holds(count: int, index: int) -> None:
    """Of a batch of any size, although functions make batches of one."""
    promise = made(count, index)
    encoded = encode_promise(promise)
    assert len(encoded) <= MAX_PROMISE_BYTES
    assert decode_promise(encoded) == promise
    assert verify(decode_promise(encoded), c=promise.c).count == count


def test_lengths_on_the_wire() -> None:
    """As the specification says."""
    assert (len(encode_promise(made())), len(encode_promise(made(512)))) == (708, 1092)


@pytest.mark.parametrize(
    ("fault", "promise", "changes"),
    [
        (Fault.OTHER_ITEM, made(), {"c": b"x" * 32}),
        (Fault.UNKNOWN_LOG_KEY, made(), {"function_keys": [OTHER.public]}),
        (Fault.UNKNOWN_LOG_KEY, made(), {"function_keys": []}),
        (Fault.ITEM_PATH, msgspec.structs.replace(made(), digest=bytes(31) + b"x"), {}),
        (Fault.ITEM_PATH, msgspec.structs.replace(made(3, 2), item_path=made(3).item_path[:1]), {}),
        (Fault.SIGNATURE, msgspec.structs.replace(made(), signature=bytes(64)), {}),
        (Fault.SIGNATURE, msgspec.structs.replace(made(), signature=OTHER.sign(made().header)), {}),
    ],
)  # fmt: skip
def test_what_does_not_match_is_said(fault: Fault, promise: Promise, changes: dict[str, Any]) -> None:
    """Each with the reason that its remedy follows from."""
    with pytest.raises(DamagedError) as raised:
        verify(promise, **changes)
    assert raised.value.fault is fault


def test_another_pods_promise_is_another_pods() -> None:
    """Whatever else holds."""
    with pytest.raises(ForeignPodError, match="the promise's header is of another pod"):
        verify(made(), pod_id=PodId(bytes(32)))


@pytest.mark.parametrize("changes", [{"index": 1}, {"item_path": (bytes(32),)}, {"header": b""}])
def test_what_cannot_be_is_malformed(changes: dict[str, Any]) -> None:
    """A place beyond the batch, a path too long, no header."""
    with pytest.raises(MalformedError):
        verify(msgspec.structs.replace(made(), **changes))


def _encoded(*fields: bytes) -> str:
    return to_base64(pae(*fields))


RIGHT = (b"promise/v1", bytes(32), bytes(32), le32(0), b"header", b"", bytes(64))


@pytest.mark.parametrize(
    "encoded",
    [
        "",
        "=",
        "a" * (MAX_PROMISE_BYTES + 1),
        _encoded(*RIGHT[:-1]),
        _encoded(*RIGHT, b""),
        _encoded(b"receipt/v1", *RIGHT[1:]),
        _encoded(*RIGHT[:1], bytes(31), *RIGHT[2:]),
        _encoded(*RIGHT[:2], bytes(33), *RIGHT[3:]),
        _encoded(*RIGHT[:3], bytes(8), *RIGHT[4:]),
        _encoded(*RIGHT[:5], bytes(31), RIGHT[6]),
        _encoded(*RIGHT[:6], bytes(63)),
        _encoded(*RIGHT) + "\n",
        "é",
    ],
)
def test_other_texts_are_malformed(encoded: str) -> None:
    """Nothing of them is taken."""
    with pytest.raises(MalformedError):
        decode_promise(encoded)


def test_a_later_promise_is_a_later_format() -> None:
    """This program is too old for it."""
    with pytest.raises(FormatTooNewError):
        decode_promise(_encoded(b"promise/v2"))


@given(st.text(max_size=900))
def test_any_text_is_read_or_refused(text: str) -> None:
    """In our words."""
    with pytest.raises(MalformedError):
        decode_promise(text)


def test_a_functions_promise_holds_and_the_vaults_key_gives_none(tmp_path: Path) -> None:
    """The whole way, with a real pod."""
    function: Function = new_function(new_pod(tmp_path, "infer"), tmp_path / "scratch")
    slot = function.pod.slot()
    submission = function.pod.submission(slot, text="x")
    promise = decode_promise(function.deposit(slot, submission).promise)
    policy = function.pod.policy
    keys, pod_id = policy.function_logs, policy.pod_id
    header = verify_promise(promise, pod_id=pod_id, function_keys=keys, c=submission.c)
    assert header.ms == function.pod.clock()
    with pytest.raises(DamagedError, match="not one of this pod's"):
        verify_promise(promise, pod_id=pod_id, function_keys=policy.vault_logs)
