"""Receipt files: read strictly, refreshes in a chain, nothing taken back."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.vectors import cases, load, refusal
from vault.errors import FormatTooNewError, MalformedError
from vault.keys import PodId
from vault.receipt_files import (
    MAX_RECEIPT_FILE_BYTES,
    ReceiptFile,
    check_continues,
    format_receipt_file,
    parse_receipt_file,
    verify_receipt_file,
)

WHOLE = load("receipt-files/accept-three-refreshes.json")["file"]


def _content(vector: dict[str, Any]) -> bytes:
    return bytes.fromhex(vector["file_hex"]) if "file_hex" in vector else str(vector["file"]).encode()


@pytest.mark.parametrize("vector", cases("receipt-files"))
def test_receipt_file_vectors(vector: dict[str, Any]) -> None:
    """Each proves what it says, or is refused where and how it says."""
    if vector.get("at") == "read":
        with refusal(vector):
            parse_receipt_file(_content(vector))
        return
    file = parse_receipt_file(_content(vector))
    assert parse_receipt_file(format_receipt_file(file)) == file
    if vector.get("at") == "verify":
        with refusal(vector):
            _verify(file, vector)
        return
    proven = _verify(file, vector)
    earlier = None if vector["earlier"] is None else parse_receipt_file(vector["earlier"].encode())
    if vector.get("at") == "continue":
        assert earlier is not None
        with refusal(vector):
            check_continues(file, earlier)
        return
    assert proven == vector["proves"]
    if earlier is not None:
        check_continues(file, earlier)


def _verify(file: ReceiptFile, vector: dict[str, Any]) -> dict[str, object]:
    proven = verify_receipt_file(
        file,
        pod_id=PodId(bytes.fromhex(vector["pod_id"])),
        log_keys=[bytes.fromhex(key) for key in vector["log_keys"]],
        function_keys=[bytes.fromhex(key) for key in vector["function_keys"]],
        c=bytes.fromhex(vector["c"]),
    )
    return {
        "item_id": file.item_id,
        "c": file.receipt.c.hex(),
        "index": file.receipt.index,
        "batch": file.receipt.batch,
        "ms": proven.receipt.header.ms,
        "epoch": proven.receipt.epoch,
        "sizes": [checkpoint.size for checkpoint in proven.checkpoints],
    }


def test_a_file_has_one_form() -> None:
    """What was read is written again, byte for byte."""
    assert format_receipt_file(parse_receipt_file(WHOLE.encode())).decode() == WHOLE


def test_a_larger_file_is_refused_unread() -> None:
    """Of exactly the limit it is read, and is no receipt."""
    with pytest.raises(MalformedError, match="at most 1048576 bytes"):
        parse_receipt_file(b" " * (MAX_RECEIPT_FILE_BYTES + 1))
    with pytest.raises(MalformedError, match="tlog-proof"):
        parse_receipt_file(b" " * MAX_RECEIPT_FILE_BYTES)


def _with_one_byte_changed(place: tuple[int, int]) -> bytes:
    content = bytearray(WHOLE.encode())
    content[place[0] % len(content)] ^= place[1]
    return bytes(content)


any_content = st.one_of(
    st.binary(),
    st.text(alphabet="shared-pod-receipt/v123 -\r\n:PR=", max_size=80).map(str.encode),
    st.tuples(st.integers(0, len(WHOLE) - 1), st.integers(1, 255)).map(_with_one_byte_changed),
    st.integers(0, len(WHOLE)).map(lambda end: WHOLE.encode()[:end]),
)


@given(content=any_content)
def test_any_bytes_give_a_file_or_our_error(content: bytes) -> None:
    """A maintainer is sent anything, and so is a contributor."""
    try:
        file = parse_receipt_file(content)
    except (MalformedError, FormatTooNewError):
        return
    assert parse_receipt_file(format_receipt_file(file)) == file
