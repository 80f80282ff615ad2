"""Each way a receipt or a refresh does not hold has its sentence, its reason and its exit code."""

from __future__ import annotations

import base64
from collections.abc import Callable

import msgspec
import pytest

from contributor_tools.exits import Exit
from tests.support.receipts import Kept
from vault.header import parse_header
from vault.keys import LogKey
from vault.notes import Checkpoint, origin_of, sign_checkpoint
from vault.receipt_files import ReceiptFile, format_receipt_file
from vault.receipts import Receipt, encode_receipt
from vault.refreshes import Refresh


def _flipped(raw: bytes, at: int = 0) -> bytes:
    return raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :]


def _first_flipped(path: tuple[bytes, ...]) -> tuple[bytes, ...]:
    return (_flipped(path[0]), *path[1:])


FAULTS: dict[str, tuple[Callable[[Receipt, LogKey], Receipt], Exit, str, str]] = {
    "checkpoint's signature": (
        lambda receipt, _: _noted(receipt, _resigned),
        Exit.BAD_SIGNATURE,
        "signature",
        "was altered",
    ),
    "checkpoint's root": (
        lambda receipt, key: msgspec.structs.replace(
            receipt, checkpoint=_checkpoint(receipt, key, bytes(32))
        ),
        Exit.NOT_IN_LOG,
        "log_path",
        "not in the log",
    ),
    "checkpoint by a stranger": (
        lambda receipt, _: msgspec.structs.replace(
            receipt, checkpoint=_checkpoint(receipt, LogKey(bytes(32)), bytes(32))
        ),
        Exit.UNKNOWN_LOG_KEY,
        "unknown_log_key",
        "not signed by a log key",
    ),
    "item path": (
        lambda receipt, _: msgspec.structs.replace(receipt, item_path=_first_flipped(receipt.item_path)),
        Exit.NOT_IN_BATCH,
        "item_path",
        "not in the batch",
    ),
    "log path": (
        lambda receipt, _: msgspec.structs.replace(receipt, log_path=_first_flipped(receipt.log_path)),
        Exit.NOT_IN_LOG,
        "log_path",
        "not in the log",
    ),
    "log path too short": (
        lambda receipt, _: msgspec.structs.replace(receipt, log_path=()),
        Exit.MALFORMED,
        "malformed",
        "a path of 1 hashes",
    ),
    "header": (
        lambda receipt, _: msgspec.structs.replace(
            receipt, header=msgspec.structs.replace(parse_header(receipt.header), ms=0).pack()
        ),
        Exit.NOT_IN_LOG,
        "log_path",
        "not in the log",
    ),
}


def _noted(receipt: Receipt, change: Callable[[bytes], bytes]) -> Receipt:
    return msgspec.structs.replace(receipt, checkpoint=change(receipt.checkpoint))


def _resigned(note: bytes) -> bytes:
    head, _, encoded = note.rpartition(b" ")
    raw = base64.b64decode(encoded)
    return head + b" " + base64.b64encode(_flipped(raw, 10)) + b"\n"


def _checkpoint(receipt: Receipt, key: LogKey, root: bytes, size: int | None = None, epoch: int = 1) -> bytes:
    origin = origin_of(parse_header(receipt.header).pod_id, epoch)
    return sign_checkpoint(Checkpoint(origin, size or receipt.batch, root), key)


@pytest.mark.parametrize(("make", "code", "reason", "says"), FAULTS.values(), ids=FAULTS)
def test_each_fault_has_its_sentence_and_its_code(
    kept: Kept, make: Callable[[Receipt, LogKey], Receipt], code: Exit, reason: str, says: str
) -> None:
    """A contributor does something else about each."""
    broken = encode_receipt(make(kept.receipt, kept.pod.keys.log_key))
    ended = kept.verify(broken)
    assert ended.code == code
    assert says in ended.out
    document = kept.verify(broken, "--json").json
    assert (document["is_proven"], document["reason"]) == (False, reason)
    assert document["exit_code"] == code


def _refreshed(kept: Kept, checkpoint: bytes, **changes: object) -> bytes:
    refresh = Refresh((), kept.receipt.batch, (), checkpoint)
    refresh = msgspec.structs.replace(refresh, **changes)
    return format_receipt_file(ReceiptFile(None, kept.receipt, (refresh,)))


def test_a_refresh_that_tells_another_story_is_a_rollback(kept: Kept) -> None:
    """Whoever has the log key can sign any tree; none that dropped something continues this one."""
    key, receipt = kept.pod.keys.log_key, kept.receipt
    smaller = _checkpoint(receipt, key, bytes(32), size=2)
    same = _checkpoint(receipt, key, bytes(32), size=3)
    larger = _checkpoint(receipt, key, bytes(32), size=4)
    for note, consistency in [(smaller, ()), (same, ()), (larger, (bytes(32),) * 3)]:
        ended = kept.verify(_refreshed(kept, note, consistency=consistency))
        assert ended.code == Exit.ROLLBACK, ended.out


def test_a_refresh_of_another_log_is_refused(kept: Kept) -> None:
    """A stranger's, and one of another pod that has the same log key."""
    key, receipt = kept.pod.keys.log_key, kept.receipt
    stranger = _checkpoint(receipt, LogKey(bytes(32)), bytes(32), size=9)
    assert kept.verify(_refreshed(kept, stranger)).code == Exit.UNKNOWN_LOG_KEY
    foreign = sign_checkpoint(Checkpoint(f"shared-pod/{'0' * 32}/1", 9, bytes(32)), key)
    assert kept.verify(_refreshed(kept, foreign)).code == Exit.FOREIGN_POD
