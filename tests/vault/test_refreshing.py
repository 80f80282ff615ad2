"""Refreshing receipts from a vault, and what the holder of the older file can see."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from tests.support.pods import TestPod
from tests.support.receipts import Kept, keep
from vault.errors import DamagedError, ForeignPodError, MalformedError, RollbackError
from vault.keys import LogKey
from vault.notes import Checkpoint, origin_of, read_checkpoint, sign_checkpoint
from vault.receipt_files import (
    MAX_RECEIPT_FILE_BYTES,
    ReceiptFile,
    VerifiedFile,
    check_continues,
    format_receipt_file,
    parse_receipt_file,
    verify_receipt_file,
)
from vault.receipts import decode_receipt
from vault.refreshes import MAX_REFRESH_CHARACTERS, decode_refresh, encode_refresh
from vault.refreshing import refreshed


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    """A receipt of batch 3 of a log of 4."""
    return keep(tmp_path)


def _refreshed(pod: TestPod, file: ReceiptFile) -> ReceiptFile:
    with pod.reader() as reader:
        return refreshed(
            file,
            reader.rows,
            reader.ledger,
            pod_id=pod.policy.pod_id,
            log_keys=pod.policy.vault_logs,
            function_keys=pod.policy.function_logs,
        )


def _verify(pod: TestPod, file: ReceiptFile) -> VerifiedFile:
    return verify_receipt_file(file, pod_id=pod.policy.pod_id, log_keys=pod.policy.vault_logs)


def _file(kept: Kept) -> ReceiptFile:
    return ReceiptFile("note-b1", kept.receipt)


def test_a_receipt_follows_the_log_as_it_grows(kept: Kept) -> None:
    """Each refresh reaches the newest checkpoint, and all of them hold together."""
    file = _file(kept)
    for size in range(4, 12):
        file = _refreshed(kept.pod, file)
        verified = _verify(kept.pod, file)
        assert [each.size for each in verified.checkpoints] == list(range(3, size + 1))
        assert verified.newest.size == size
        kept.log("more")
    assert parse_receipt_file(format_receipt_file(file)) == file


def test_one_refresh_may_span_many_batches(kept: Kept) -> None:
    """From any size to any later one."""
    kept.log(*"abcdefghijklm")
    file = _refreshed(kept.pod, _file(kept))
    assert [each.size for each in _verify(kept.pod, file).checkpoints] == [3, 17]


def test_what_reaches_the_newest_checkpoint_stays_as_it_is(kept: Kept) -> None:
    """The same command again writes the same bytes."""
    once = _refreshed(kept.pod, _file(kept))
    assert _refreshed(kept.pod, once) == once


def test_a_refreshed_file_begins_with_the_one_before(kept: Kept) -> None:
    """That is what the holder of the older one compares."""
    older = _refreshed(kept.pod, _file(kept))
    kept.log("more")
    newer = _refreshed(kept.pod, older)
    assert format_receipt_file(newer).startswith(format_receipt_file(older))
    check_continues(newer, older)
    check_continues(newer, _file(kept))
    skipping = _refreshed(kept.pod, _file(kept))
    _verify(kept.pod, skipping)
    for given, earlier in [(older, newer), (skipping, older)]:
        with pytest.raises(RollbackError, match="does not continue the earlier one"):
            check_continues(given, earlier)


def test_a_vault_older_than_the_receipt_is_said(kept: Kept, tmp_path: Path) -> None:
    """Somebody put a backup in its place."""
    backup = kept.pod.crashed(tmp_path / "backup")
    kept.log("more")
    file = _refreshed(kept.pod, _file(kept))
    with pytest.raises(RollbackError, match="knows 5 batches, the vault holds 4"):
        _refreshed(backup, file)


def test_a_forked_log_is_said(kept: Kept, tmp_path: Path) -> None:
    """Both are signed by the log key; they differ in what came fifth."""
    fork = _forked(kept, tmp_path / "fork")
    kept.log("one story")
    fork.log("another story")
    file = _refreshed(kept.pod, _file(kept))
    with pytest.raises(RollbackError, match="disagree on the first 5 batches"):
        _refreshed(fork.pod, file)
    told = [_refreshed(each.pod, _file(kept)) for each in (kept, fork)]
    assert [_verify(kept.pod, each).newest.size for each in told] == [5, 5]
    with pytest.raises(RollbackError, match="does not continue"):
        check_continues(told[1], told[0])


def _forked(kept: Kept, home: Path) -> Kept:
    """The same pod, copied as it is now."""
    return Kept(kept.pod.crashed(home), kept.invite, kept.folder, kept.header)


def test_another_pods_receipt_is_refused(kept: Kept, tmp_path: Path) -> None:
    """Nothing of it is looked up."""
    (tmp_path / "other").mkdir()
    with pytest.raises(ForeignPodError):
        _refreshed(keep(tmp_path / "other", seed=2).pod, _file(kept))


def test_a_receipt_that_does_not_hold_is_not_refreshed(kept: Kept) -> None:
    """A maintainer lends no weight to what somebody made up."""
    forged = msgspec.structs.replace(kept.receipt, c=bytes(32))
    with pytest.raises(DamagedError, match="not in the batch"):
        _refreshed(kept.pod, ReceiptFile(None, forged))


def _moved(kept: Kept, epoch: int) -> ReceiptFile:
    """The receipt, its checkpoint signed for another epoch."""
    note = read_checkpoint(kept.receipt.checkpoint)
    other = Checkpoint(origin_of(kept.pod.policy.pod_id, epoch), note.size, note.root)
    signed = sign_checkpoint(other, kept.pod.keys.log_key)
    return ReceiptFile(None, msgspec.structs.replace(kept.receipt, checkpoint=signed))


def test_a_receipt_of_an_earlier_epoch_reaches_what_a_repair_kept(kept: Kept) -> None:
    """The epoch is another, the first batches are the same."""
    ahead = _moved(kept, 2)
    with pytest.raises(RollbackError, match="of epoch 2 of the log, the vault of epoch 1"):
        _refreshed(kept.pod, ahead)
    with kept.pod.reader() as reader:
        root = reader.ledger.frontier.root()
    newest = Checkpoint(origin_of(kept.pod.policy.pod_id, 2), 4, root)
    (refresh,) = _refreshed(kept.pod, _file(kept)).refreshes
    repaired = msgspec.structs.replace(refresh, checkpoint=sign_checkpoint(newest, kept.pod.keys.log_key))
    _verify(kept.pod, ReceiptFile(None, kept.receipt, (repaired,)))
    with pytest.raises(RollbackError, match="epoch 2 or later was expected, it is of epoch 1"):
        _verify(kept.pod, msgspec.structs.replace(ahead, refreshes=(refresh,)))


@pytest.mark.parametrize("place", ["level = 2 AND i = 1", "level = 0 AND i = 3"])
def test_nodes_that_lead_elsewhere_are_noticed_before_anything_is_given_away(kept: Kept, place: str) -> None:
    """The newest node and the peaks are checked on opening; the others here."""
    kept.log("a", "b", "c", "d")
    with kept.pod.forging() as vault:
        vault.execute(f"UPDATE node SET hash = zeroblob(32) WHERE {place}")
    with pytest.raises(DamagedError, match="run `check`"):
        _refreshed(kept.pod, _file(kept))


def test_a_refresh_is_of_the_receipts_batch(kept: Kept) -> None:
    """A proof of another batch is no refresh of this one."""
    file = _refreshed(kept.pod, _file(kept))
    moved = msgspec.structs.replace(file.refreshes[0], batch=2)
    with pytest.raises(MalformedError, match="batch 3 was expected, it is of batch 2"):
        _verify(kept.pod, msgspec.structs.replace(file, refreshes=(moved,)))


def test_a_refresh_proves_by_both_its_paths(kept: Kept) -> None:
    """And by a key of the pod."""
    kept.log("more", "and more")
    file = _refreshed(kept.pod, _file(kept))
    (refresh,) = file.refreshes
    reversed_path = msgspec.structs.replace(refresh, log_path=refresh.log_path[::-1])
    other_key = sign_checkpoint(read_checkpoint(refresh.checkpoint), LogKey(bytes(32)))
    for changed, kind, sentence in [
        (reversed_path, DamagedError, "not in the log that the refresh's checkpoint signs"),
        (
            msgspec.structs.replace(refresh, consistency=refresh.consistency[::-1]),
            RollbackError,
            "does not extend",
        ),
        (msgspec.structs.replace(refresh, consistency=()), MalformedError, "hashes was expected"),
        (msgspec.structs.replace(refresh, checkpoint=other_key), DamagedError, "not signed by"),
    ]:
        with pytest.raises(kind, match=sentence):
            _verify(kept.pod, msgspec.structs.replace(file, refreshes=(changed,)))


def test_the_longest_refresh_fits(kept: Kept) -> None:
    """63 hashes up to a root, 64 from one size to another."""
    file = _refreshed(kept.pod, _file(kept))
    longest = msgspec.structs.replace(
        file.refreshes[0], batch=2**63 - 1, log_path=(bytes(32),) * 63, consistency=(bytes(32),) * 64
    )
    encoded = encode_refresh(longest)
    assert len(encoded) < MAX_REFRESH_CHARACTERS // 2 + 1000
    assert decode_refresh(encoded) == longest
    with pytest.raises(MalformedError, match="at most 16384"):
        decode_refresh("A" * (MAX_REFRESH_CHARACTERS + 4))


def test_a_file_that_is_full_is_said_to_be(kept: Kept) -> None:
    """What is written can be read."""
    once = _refreshed(kept.pod, _file(kept))
    kept.log("more")
    again = msgspec.structs.replace(once.refreshes[0], consistency=())
    room = (MAX_RECEIPT_FILE_BYTES - len(format_receipt_file(once))) // (len(encode_refresh(again)) + 1)
    fits = msgspec.structs.replace(once, refreshes=(*once.refreshes, *[again] * (room - 2)))
    assert (
        parse_receipt_file(format_receipt_file(_refreshed(kept.pod, fits))).refreshes[:-1] == fits.refreshes
    )
    full = msgspec.structs.replace(once, refreshes=(*once.refreshes, *[again] * room))
    with pytest.raises(MalformedError, match="no room for one more refresh"):
        _refreshed(kept.pod, full)


def test_a_retrys_receipt_is_the_one_in_the_file(kept: Kept) -> None:
    """Later batches change nothing of it."""
    kept.log("more")
    slot = kept.pod.opened(kept.invite)
    item = kept.pod.submission(slot, type="Note", id="note-b1", text="x", n=1.0)
    with kept.pod.writer() as writer:
        (again,) = writer.commit(kept.pod.policy, [item])
    assert again.receipt == kept.header
    assert decode_receipt(again.receipt) == kept.receipt
