"""Receipts: what one proves, what it weighs, and that nothing in it can be changed unseen."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.vectors import cases, load, refusal
from vault.encoding import pae
from vault.errors import (
    DamagedError,
    ForeignPodError,
    FormatTooNewError,
    MalformedError,
)
from vault.header import Header, item_leaf, log_leaf
from vault.keys import LogKey, OwnerKey, PodId
from vault.notes import Checkpoint, origin_of, sign_checkpoint
from vault.receipts import (
    MAX_RECEIPT_BYTES,
    Receipt,
    decode_receipt,
    encode_receipt,
    receipt_text,
    verify_receipt,
)
from vault.tree import Frontier, SmallTree, peaks_of

POD_ID = OwnerKey(bytes(range(32))).pod_id
LOG_KEY = LogKey(bytes(range(32, 64)))
Refused = (MalformedError, FormatTooNewError, ForeignPodError, DamagedError)


def _mark(number: int) -> bytes:
    return hashlib.sha256(b"%d" % number).digest()


def _receipt(count: int, index: int, batch: int) -> Receipt:
    """What a pod answers for item ``index`` of ``count`` in batch number ``batch``."""
    uid = _mark(batch)[:16]
    contents = [(_mark(2 * place), _mark(2 * place + 1)) for place in range(count)]
    items = SmallTree([item_leaf(POD_ID, uid, place, *content) for place, content in enumerate(contents)])
    header = _header(uid, count, items.root)
    log = Frontier.of(batch - 1, [_mark(level) for level, _ in peaks_of(batch - 1)])
    log_path = tuple(log.next_path())
    log.append(log_leaf(header))
    c, digest = contents[index]
    return Receipt(
        c=c,
        digest=digest,
        index=index,
        header=header,
        item_path=tuple(items.path(index)),
        batch=batch,
        log_path=log_path,
        checkpoint=sign_checkpoint(Checkpoint(origin_of(POD_ID, 1), batch, log.root()), LOG_KEY),
    )


def _header(uid: bytes, count: int, item_root: bytes) -> bytes:
    return Header(
        pod_id=POD_ID,
        uid=uid,
        log_key_hash=hashlib.sha256(LOG_KEY.public).digest(),
        ms=1_700_000_000_000,
        count=count,
        item_root=item_root,
        commit=_mark(-1),
        wraps_hash=_mark(-2),
        policy=_mark(-3),
    ).pack()


receipts = st.tuples(st.integers(1, 40), st.integers(0, 39), st.integers(1, 2**30)).map(
    lambda parts: _receipt(parts[0], parts[1] % parts[0], parts[2])
)


@pytest.mark.parametrize("vector", cases("receipts"))
def test_receipt_vectors(vector: dict[str, Any]) -> None:
    """Each proves what it says, or is refused where and how it says."""
    if vector.get("at") == "decode":
        with refusal(vector):
            decode_receipt(vector["receipt"])
        return
    receipt = decode_receipt(vector["receipt"])
    assert encode_receipt(receipt) == vector["receipt"]
    if vector.get("at") == "verify":
        with refusal(vector):
            _verify(receipt, vector)
        return
    assert _verify(receipt, vector) == vector["proves"]


def _verify(receipt: Receipt, vector: dict[str, Any]) -> dict[str, object]:
    proven = verify_receipt(
        receipt,
        pod_id=PodId(bytes.fromhex(vector["pod_id"])),
        log_keys=[bytes.fromhex(key) for key in vector["log_keys"]],
        function_keys=[bytes.fromhex(key) for key in vector["function_keys"]],
        c=None if vector["c"] is None else bytes.fromhex(vector["c"]),
        epoch=vector["epoch"],
    )
    return {
        "c": receipt.c.hex(),
        "digest": receipt.digest.hex(),
        "index": receipt.index,
        "batch": proven.checkpoint.size,
        "ms": proven.header.ms,
        "epoch": proven.epoch,
    }


@pytest.mark.parametrize("name", ["receipt", "last-of-512-items", "largest"])
def test_a_receipt_is_a_tlog_proof(name: str) -> None:
    """Other people's tools read it: c2sp.org/tlog-proof, written out here from its specification."""
    vector = load(f"receipts/accept-{name}.json")
    receipt = decode_receipt(vector["receipt"])
    extra = pae(
        b"receipt/v1",
        receipt.c,
        receipt.digest,
        receipt.index.to_bytes(4, "little"),
        receipt.header,
        b"".join(receipt.item_path),
    )
    lines = [
        "c2sp.org/tlog-proof@v1",
        "extra " + base64.b64encode(extra).decode(),
        f"index {receipt.batch - 1}",
        *(base64.b64encode(each).decode() for each in receipt.log_path),
        "",
        receipt.checkpoint.decode(),
    ]
    assert receipt_text(receipt) == "\n".join(lines).encode()
    assert base64.b64decode(vector["receipt"]) == receipt_text(receipt)


def test_the_largest_receipt_fits_a_header_line() -> None:
    """Proxies refuse lines from 4,096 bytes on; 2^30 batches of 512 items stay below with room."""
    largest = encode_receipt(_receipt(count=512, index=0, batch=2**30))
    assert len(largest) == 3_520
    assert len(largest) <= MAX_RECEIPT_BYTES
    assert len(encode_receipt(_receipt(count=512, index=0, batch=2**37))) <= MAX_RECEIPT_BYTES


def test_a_receipt_of_exactly_the_limit_is_read() -> None:
    """Witnesses' signatures may fill it up to the limit, and not beyond."""
    receipt = _receipt(1, 0, 1)
    room = MAX_RECEIPT_BYTES // 4 * 3 - len(receipt_text(receipt))
    shortest = len("\u2014  AAAAAAA=\n".encode())
    for name_bytes, is_read in [(room - shortest, True), (room - shortest + 1, False)]:
        line = f"\u2014 {'w' * name_bytes} AAAAAAA=\n".encode()
        encoded = encode_receipt(msgspec.structs.replace(receipt, checkpoint=receipt.checkpoint + line))
        assert (len(encoded) == MAX_RECEIPT_BYTES) is is_read
        if is_read:
            assert encode_receipt(decode_receipt(encoded)) == encoded
        else:
            with pytest.raises(MalformedError, match=r"a receipt of at most 4000 characters was expected"):
                decode_receipt(encoded)


@given(receipt=receipts)
def test_a_receipt_is_read_as_it_was_given_and_verifies(receipt: Receipt) -> None:
    """Any item of any batch, at any place in the log."""
    found = decode_receipt(encode_receipt(receipt))
    assert found == receipt
    proven = verify_receipt(found, pod_id=POD_ID, log_keys=[LOG_KEY.public], c=receipt.c, epoch=1)
    assert (proven.checkpoint.size, proven.header.pack()) == (receipt.batch, receipt.header)


@given(receipt=receipts, data=st.data())
def test_a_changed_receipt_is_refused(receipt: Receipt, data: st.DataObject) -> None:
    """Every byte of the text is covered: by a hash, by the signature, or by there being one form."""
    text = bytearray(receipt_text(receipt))
    text[data.draw(st.integers(0, len(text) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(Refused):
        verify_receipt(
            decode_receipt(base64.b64encode(text).decode()),
            pod_id=POD_ID,
            log_keys=[LOG_KEY.public],
        )


@given(receipt=receipts, data=st.data())
def test_a_cut_receipt_is_refused(receipt: Receipt, data: st.DataObject) -> None:
    """A header that a proxy truncated is no receipt."""
    encoded = encode_receipt(receipt)
    kept = data.draw(st.integers(0, len(encoded) - 1))
    with pytest.raises(MalformedError):
        decode_receipt(encoded[:kept])


any_receipt = st.one_of(
    st.text(),
    st.binary().map(lambda raw: base64.b64encode(raw).decode()),
    st.builds(
        lambda lines, note: base64.b64encode("\n".join(lines).encode() + b"\n\n" + note).decode(),
        st.lists(
            st.sampled_from(["c2sp.org/tlog-proof@v1", "extra ", "index 0", "index 5"])
            | st.lists(st.binary(max_size=33)).map(
                lambda fields: "extra " + base64.b64encode(pae(b"receipt/v1", *fields)).decode()
            )
            | st.text(max_size=8),
            max_size=5,
        ),
        st.binary(max_size=20) | st.just(_receipt(1, 0, 1).checkpoint),
    ),
)


@given(encoded=any_receipt)
def test_any_text_gives_a_receipt_or_our_error(encoded: str) -> None:
    """A contributor may check anything that was handed to them."""
    try:
        receipt = decode_receipt(encoded)
    except (MalformedError, FormatTooNewError):
        return
    assert encode_receipt(receipt) == encoded


@given(
    c=st.binary(max_size=40),
    digest=st.binary(max_size=40),
    index=st.integers(0, 2**32 - 1),
    header=st.binary() | st.just(_receipt(2, 0, 3).header),
    path=st.lists(st.binary(min_size=32, max_size=32), max_size=3).map(tuple),
    note=st.binary() | st.just(_receipt(2, 0, 3).checkpoint),
)
def test_no_made_up_receipt_verifies(
    c: bytes, digest: bytes, index: int, header: bytes, path: tuple[bytes, ...], note: bytes
) -> None:
    """Whatever parts are put together, without the log key it is refused as ours."""
    made_up = Receipt(
        c=c,
        digest=digest,
        index=index,
        header=header,
        item_path=path,
        batch=3,
        log_path=path,
        checkpoint=note,
    )
    with pytest.raises(Refused):
        verify_receipt(made_up, pod_id=POD_ID, log_keys=[LOG_KEY.public])


def test_another_pods_receipt_is_named_before_another_item() -> None:
    """Whoever checks with the wrong invite is told of the wrong pod, not of a wrong item."""
    with pytest.raises(ForeignPodError, match="check it with that pod's invite"):
        verify_receipt(_receipt(1, 0, 1), pod_id=PodId(bytes(32)), log_keys=[LOG_KEY.public], c=bytes(32))


def test_a_checkpoint_of_an_empty_log_proves_nothing() -> None:
    """Size 0 is a checkpoint, but no leaf is the last of no leaves."""
    note = sign_checkpoint(Checkpoint(origin_of(POD_ID, 1), 0, bytes(32)), LOG_KEY)
    receipt = msgspec.structs.replace(_receipt(1, 0, 1), checkpoint=note)
    with pytest.raises(MalformedError, match="leaf -1 is not in a tree of 0 leaves"):
        verify_receipt(receipt, pod_id=POD_ID, log_keys=[LOG_KEY.public])
