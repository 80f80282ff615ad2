"""The log in a vault agrees with itself and with the newest checkpoint its server published."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.pods import TestPod, new_pod
from vault.errors import (
    DamagedError,
    ForeignPodError,
    MalformedError,
    RollbackError,
    StorageError,
    TornError,
    VaultError,
)
from vault.header import parse_header
from vault.keys import LogKey, PodId
from vault.ledger import (
    Ledger,
    LogHead,
    check_head,
    frontier_at,
    load_ledger,
    node_at,
    read_log_head,
)
from vault.notes import Checkpoint, origin_of, sign_checkpoint, verify_checkpoint
from vault.tree import Frontier, leaf_hash, root_from_inclusion

STRANGER = LogKey(bytes(range(32)))


@pytest.fixture
def full(pod: TestPod) -> TestPod:
    """Five batches, of which the last has two items."""
    slot = pod.slot()
    with pod.writer() as writer:
        for count in (1, 1, 1, 1, 2):
            writer.commit(pod.policy, [pod.submission(slot, text="x") for _ in range(count)])
    return pod


def load(pod: TestPod, epoch: int = 1) -> Ledger:
    """The log, as opening loads it."""
    with pod.reader() as reader:
        return load_ledger(reader.rows, pod_id=pod.policy.pod_id, epoch=epoch, log_keys=pod.policy.vault_logs)


def check(pod: TestPod, head: bytes | None, *, has_wal: bool = False) -> str | None:
    """Compare a log.head with the vault."""
    with pod.reader() as reader:
        return check_head(
            reader.rows,
            reader.ledger,
            LogHead(head, has_wal),
            pod_id=pod.policy.pod_id,
            log_keys=pod.policy.vault_logs,
        )


def head(pod: TestPod, size: int, root: bytes, *, epoch: int = 1, key: LogKey | None = None) -> bytes:
    """A log.head."""
    origin = origin_of(pod.policy.pod_id, epoch)
    return sign_checkpoint(Checkpoint(origin, size, root), key or pod.keys.log_key)


def root_at(pod: TestPod, size: int) -> bytes:
    """The log's root when it had ``size`` batches."""
    with pod.reader() as reader:
        return frontier_at(reader.rows, size).root()


@given(st.lists(st.binary(max_size=20), min_size=1, max_size=40))
def test_a_log_grows_by_signed_steps(headers: list[bytes]) -> None:
    """Each extension proves its leaf, and leaves the log before it as it was."""
    origin, key = "shared-pod/00000000000000000000000000000000/1", STRANGER
    ledger = Ledger(origin, Frontier(), 1, b"")
    for number, header in enumerate(headers, 1):
        extension = ledger.extend(header, 3, key)

        assert (extension.batch, ledger.size, extension.ledger.size) == (number, number - 1, number)
        assert extension.ledger.next_seq == ledger.next_seq + 3
        checkpoint = verify_checkpoint(extension.checkpoint, origin, [key.public])
        leaf = leaf_hash(header)
        assert checkpoint.size == number
        assert root_from_inclusion(number - 1, number, leaf, extension.path) == checkpoint.root
        ledger = extension.ledger


def test_a_new_vault_has_an_empty_log(pod: TestPod) -> None:
    """Its first batch will be 1, its first item 1."""
    ledger = load(pod)

    assert (ledger.size, ledger.next_seq, ledger.checkpoint) == (0, 1, b"")


def test_a_log_is_loaded_as_it_was_left(full: TestPod) -> None:
    """Size, next seq, and the newest checkpoint, which log.head has too."""
    ledger = load(full)

    assert (ledger.size, ledger.next_seq) == (5, 7)
    assert ledger.checkpoint == full.folder.log_head.read_bytes()


def test_every_complete_subtree_is_stored_once(full: TestPod) -> None:
    """5 leaves, 2 pairs, 1 four: what a proof of any size needs."""
    with full.reader() as reader:
        found = reader.rows.execute("SELECT level, count(*), max(i) FROM node GROUP BY level")

    assert found == [(0, 5, 4), (1, 2, 1), (2, 1, 0)]


DAMAGE = {
    "items of the newest batch are missing": (
        "DELETE FROM item WHERE seq = 6",
        "the newest batch lacks items",
    ),
    "all items are missing": ("DELETE FROM item", "the newest batch lacks items"),
    "the newest batch is missing": ("DELETE FROM batch WHERE batch = 5", "items lack a batch"),
    "no batch is left": ("DELETE FROM batch", "items that lack a batch"),
    "a peak is missing": ("DELETE FROM node WHERE level = 2", "lacks node 0 of level 2"),
    "a peak is no hash": ("UPDATE node SET hash = x'00' WHERE level = 2", "is not a hash"),
    "the newest leaf is another": (
        "UPDATE node SET hash = zeroblob(32) WHERE level = 0 AND i = 4",
        "the newest header is not the newest leaf",
    ),
    "a peak is another": (
        "UPDATE node SET hash = zeroblob(32) WHERE level = 2",
        "the newest checkpoint is not of this log",
    ),
    "the newest checkpoint is of another size": (
        "UPDATE batch SET checkpoint = (SELECT checkpoint FROM batch WHERE batch = 4) WHERE batch = 5",
        "the newest checkpoint is not of this log",
    ),
}


@pytest.mark.parametrize(("sql", "sentence"), DAMAGE.values(), ids=DAMAGE)
def test_a_log_that_disagrees_with_itself_is_damaged(full: TestPod, sql: str, sentence: str) -> None:
    """Whoever opens it, to append or to read, is told before anything else happens."""
    with full.forging() as vault:
        vault.execute(sql)

    with pytest.raises(DamagedError, match=sentence):
        full.open_writer()
    with pytest.raises(DamagedError, match=sentence), full.reader():
        pass


def test_the_newest_header_is_the_newest_leaf(full: TestPod) -> None:
    """A header with another time, whole otherwise and signed, is not what was logged."""
    with full.forging() as vault:
        ((packed,),) = vault.execute("SELECT header FROM batch WHERE batch = 5").fetchall()
        altered = msgspec.structs.replace(parse_header(packed), ms=1).pack()
        vault.execute("UPDATE batch SET header = ? WHERE batch = 5", (altered,))

    with pytest.raises(DamagedError, match="not the newest leaf"):
        load(full)


def test_a_batch_of_another_pod_is_foreign(full: TestPod) -> None:
    """Its header says whose it is."""
    with full.forging() as vault:
        ((packed,),) = vault.execute("SELECT header FROM batch WHERE batch = 5").fetchall()
        altered = msgspec.structs.replace(parse_header(packed), pod_id=PodId(bytes(32))).pack()
        vault.execute("UPDATE batch SET header = ? WHERE batch = 5", (altered,))

    with pytest.raises(ForeignPodError, match="another pod"):
        load(full)


def test_a_checkpoint_by_another_key_is_damaged(full: TestPod) -> None:
    """One with the vault's file key, but without log.key, cannot go on with its log."""
    note = head(full, 5, root_at(full, 5), key=STRANGER)
    with full.forging() as vault:
        vault.execute("UPDATE batch SET checkpoint = ? WHERE batch = 5", (note,))

    with pytest.raises(DamagedError, match="not signed by a log key"):
        load(full)


def test_a_checkpoint_of_another_size_is_damaged(full: TestPod) -> None:
    """The size is signed for its own sake: receipts and log.head are compared by it."""
    note = head(full, 4, root_at(full, 5))
    with full.forging() as vault:
        vault.execute("UPDATE batch SET checkpoint = ? WHERE batch = 5", (note,))

    with pytest.raises(DamagedError, match="not of this log"):
        load(full)


def test_a_checkpoint_of_another_epoch_is_damaged(full: TestPod) -> None:
    """After a repair every batch's checkpoint is signed again."""
    with pytest.raises(DamagedError, match="another log"):
        load(full, epoch=2)


@pytest.mark.parametrize("column", ["header", "checkpoint"])
def test_what_is_not_of_its_format_is_malformed(full: TestPod, column: str) -> None:
    """Who opens a vault to append is told that it is damaged: nobody sent these bytes."""
    with full.forging() as vault:
        vault.execute(f"UPDATE batch SET {column} = x'00' WHERE batch = 5")

    with pytest.raises(MalformedError):
        load(full)
    with pytest.raises(DamagedError, match="something else than its format says"):
        full.open_writer()


def test_a_node_that_is_not_there_is_damage(full: TestPod) -> None:
    """The sentence names it."""
    with full.reader() as reader, pytest.raises(DamagedError, match="node 7 of level 3"):
        node_at(reader.rows, 3, 7)


def test_a_log_head_at_the_vaults_size_is_well(full: TestPod) -> None:
    """The usual case."""
    assert check(full, full.folder.log_head.read_bytes()) is None


@pytest.mark.parametrize("size", [0, 1, 2, 3, 4])
def test_a_log_head_before_the_vaults_size_is_well(full: TestPod, size: int) -> None:
    """It is written at most ten times a second, and not synced: the vault may be ahead."""
    assert check(full, head(full, size, root_at(full, size))) is None


def test_a_new_vault_needs_no_log_head(pod: TestPod) -> None:
    """Nothing was published yet."""
    assert check(pod, None) is None


def test_a_new_vault_with_an_unreadable_log_head_is_odd(pod: TestPod) -> None:
    """Something was there."""
    assert check(pod, b"garbage") is not None


UNREADABLE: dict[str, Callable[[TestPod], bytes | None]] = {
    "missing": lambda _: None,
    "empty": lambda _: b"",
    "garbage": lambda _: b"\xff\x00",
    "another pod's": lambda pod: sign_checkpoint(
        Checkpoint(origin_of(PodId(bytes(32)), 1), 9, bytes(32)), pod.keys.log_key
    ),
    "a stranger's": lambda pod: head(pod, 9, bytes(32), key=STRANGER),
    "a stranger's later epoch": lambda pod: head(pod, 9, bytes(32), epoch=2, key=STRANGER),
    "cut": lambda pod: pod.folder.log_head.read_bytes()[:-10],
}


@pytest.mark.parametrize("make", UNREADABLE.values(), ids=UNREADABLE)
def test_a_log_head_that_says_nothing_is_a_warning(
    full: TestPod, make: Callable[[TestPod], bytes | None]
) -> None:
    """The vault is whole without it; refusing to open would let anyone who can delete a file stop a pod."""
    warning = check(full, make(full))

    assert warning is not None
    assert warning.startswith("log.head is missing or unreadable")


def test_a_log_head_of_an_earlier_epoch_is_a_warning(full: TestPod) -> None:
    """A repair was done, and the machine stopped before the first head of the new epoch."""
    with full.reader() as reader:
        later = Ledger(origin_of(full.policy.pod_id, 2), reader.ledger.frontier, 7, b"")
        note = LogHead(full.folder.log_head.read_bytes(), has_wal=False)
        found = check_head(
            reader.rows, later, note, pod_id=full.policy.pod_id, log_keys=full.policy.vault_logs
        )

    assert found is not None


def test_a_log_head_of_a_later_epoch_is_a_rollback(full: TestPod) -> None:
    """A vault from before the repair was put back."""
    with pytest.raises(RollbackError, match=r"epoch 1 .* epoch 2"):
        check(full, head(full, 1, bytes(32), epoch=2))


def test_a_larger_log_head_without_a_wal_is_a_torn_copy(full: TestPod) -> None:
    """What `cp vault.db` of a running server gives."""
    with pytest.raises(TornError, match="a database without its write-ahead log"):
        check(full, head(full, 6, bytes(32)), has_wal=False)


def test_a_larger_log_head_with_a_wal_is_a_rollback(full: TestPod) -> None:
    """Both files are there, and both are older."""
    with pytest.raises(RollbackError, match=r"holds 5 batches, log\.head has seen 6: an older"):
        check(full, head(full, 6, bytes(32)), has_wal=True)


@pytest.mark.parametrize("size", [1, 4, 5])
@pytest.mark.parametrize("has_wal", [False, True])
def test_a_forked_log_is_a_rollback(full: TestPod, size: int, *, has_wal: bool) -> None:
    """Signed by the same key at the same size, with another root: two machines wrote."""
    with pytest.raises(RollbackError, match=f"not the one log.head has seen at {size} batches"):
        check(full, head(full, size, bytes(32)), has_wal=has_wal)


def test_a_log_of_another_days_backup_forks(tmp_path: Path) -> None:
    """Restored to an earlier day, then written on: the same sizes, other batches."""
    pod = new_pod(tmp_path)
    slot = pod.slot()
    with pod.writer() as writer:
        writer.commit(pod.policy, [pod.submission(slot, text="first")])
    backup = pod.crashed(tmp_path / "backup")
    for each in (pod, backup):
        with each.writer() as writer:
            writer.commit(each.policy, [each.submission(slot, text="second")])
    pod.folder.log_head.write_bytes(backup.folder.log_head.read_bytes())

    with pytest.raises(RollbackError, match="another vault was put here"):
        pod.open_writer()


def test_a_folder_is_looked_at_before_it_is_opened(pod: TestPod) -> None:
    """Whether there was a log with anything in it; an empty one is what opening leaves behind."""
    assert read_log_head(pod.folder) == LogHead(None, has_wal=False)
    pod.folder.wal.write_bytes(bytes(32))
    pod.folder.log_head.write_bytes(bytes(1 << 17))
    assert read_log_head(pod.folder) == LogHead(None, has_wal=False)
    pod.folder.wal.write_bytes(bytes(33))
    pod.folder.log_head.write_bytes(b"note")
    assert read_log_head(pod.folder) == LogHead(b"note", has_wal=True)


def test_a_log_head_that_cannot_be_read_is_an_error(pod: TestPod) -> None:
    """Not a warning: the disk may be failing."""
    pod.folder.log_head.mkdir()

    with pytest.raises(StorageError, match=r"log\.head"):
        read_log_head(pod.folder)


@given(st.binary(max_size=300))
def test_any_log_head_is_a_warning_or_our_error(note: bytes) -> None:
    """Anyone may write the file; nothing in it ends in an exception of Python's."""
    ledger = Ledger(origin_of(PodId(bytes(32)), 1), Frontier(), 1, b"")
    try:
        warning = check_head(
            EmptyRows(), ledger, LogHead(note, has_wal=False), pod_id=PodId(bytes(32)), log_keys=[]
        )
    except VaultError:
        return
    assert warning


class EmptyRows:
    """A vault without any."""

    def execute(self, _sql: str, _parameters: object = (), /) -> list[tuple[object, ...]]:
        """Find nothing."""
        return []
