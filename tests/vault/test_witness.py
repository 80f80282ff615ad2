"""Witnesses: what a checkpoint kept elsewhere shows of a vault, and of who wrote it."""

from __future__ import annotations

import shutil
from pathlib import Path

import msgspec
import pytest

from tests.support.pods import TestPod, make_pod
from vault.errors import DamagedError, ForeignPodError, MalformedError, RollbackError
from vault.keys import LogKey
from vault.notes import Checkpoint, origin_of, sign_checkpoint
from vault.tree import EMPTY_ROOT
from vault.witness import History, Witness, compare, history_of, kept_batches, read_witness


def checkpoint_of(pod: TestPod, batch: int) -> bytes:
    """The note that stands beside a batch."""
    with pod.reader() as reader:
        return bytes(reader.rows.execute("SELECT checkpoint FROM batch WHERE batch = ?", (batch,))[0][0])


def witness_of(pod: TestPod, note: bytes) -> Witness:
    """A witness called paper."""
    return read_witness(note, "paper", pod_id=pod.policy.pod_id, log_keys=pod.policy.vault_logs)


def compare_with(pod: TestPod, witness: Witness) -> None:
    """Compare a vault with it."""
    with pod.reader() as reader:
        compare(witness, history_of(reader.rows, reader.meta, reader.ledger))


@pytest.mark.parametrize("batch", [1, 2, 3, 4, 5])
def test_a_vault_that_grew_holds_all_it_ever_signed(grown: TestPod, batch: int) -> None:
    """Every earlier checkpoint is one of the same log."""
    compare_with(grown, witness_of(grown, checkpoint_of(grown, batch)))


def test_an_empty_log_has_seen_nothing(grown: TestPod) -> None:
    """A checkpoint of no batches is of every log."""
    origin = origin_of(grown.policy.pod_id, 1)
    note = sign_checkpoint(Checkpoint(origin, 0, EMPTY_ROOT), grown.keys.log_key)

    compare_with(grown, witness_of(grown, note))


def test_an_older_vault_with_its_own_head_is_seen(grown: TestPod, tmp_path: Path) -> None:
    """What neither SQLCipher nor log.head can tell."""
    shutil.copytree(grown.folder.path, tmp_path / "yesterday")
    with grown.writer() as writer:
        writer.commit(grown.policy, [grown.submission(grown.slots["field-team"], text="today")])
    witness = witness_of(grown, checkpoint_of(grown, 6))
    for name in ("vault.db", "log.head"):
        shutil.copy(tmp_path / "yesterday" / name, grown.folder.path / name)

    with pytest.raises(RollbackError, match="the vault holds 5 batches, paper has seen 6: 1 are missing"):
        compare_with(grown, witness)


@pytest.mark.parametrize("size", [1, 4, 5])
def test_a_fork_is_seen(grown: TestPod, size: int) -> None:
    """Whoever has log.key signs what they like, but only one of two logs is this one."""
    origin = origin_of(grown.policy.pod_id, 1)
    note = sign_checkpoint(Checkpoint(origin, size, bytes(32)), grown.keys.log_key)

    with pytest.raises(RollbackError, match=f"not the one paper has seen at {size} batches: it was forked"):
        compare_with(grown, witness_of(grown, note))


def test_a_later_epoch_was_seen(grown: TestPod) -> None:
    """A vault of before a repair was put back."""
    origin = origin_of(grown.policy.pod_id, 2)
    note = sign_checkpoint(Checkpoint(origin, 5, bytes(32)), grown.keys.log_key)

    with pytest.raises(RollbackError, match="is in epoch 1 of its log, paper has seen epoch 2"):
        compare_with(grown, witness_of(grown, note))


@pytest.mark.parametrize(("size", "is_kept"), [(3, True), (4, False)])
def test_of_an_earlier_epoch_what_was_kept_counts(grown: TestPod, size: int, *, is_kept: bool) -> None:
    """A repair keeps the first batches as they were; beyond them nothing can be compared."""
    witness = witness_of(grown, checkpoint_of(grown, size))
    history = History(3, 5, {1: 3, 2: 4}, lambda _, root: root == witness.root)

    if is_kept:
        compare(witness, history)
        return
    with pytest.raises(RollbackError, match="ended epoch 1 kept its first 3 batches as they were, paper"):
        compare(witness, history)


def test_no_repair_gives_back_what_another_lost(pod: TestPod) -> None:
    """The fewest batches that any repair since has kept."""
    ends = {
        epoch: sign_checkpoint(
            Checkpoint(origin_of(pod.policy.pod_id, epoch), size, bytes(32)), pod.keys.log_key
        )
        for epoch, size in ((1, 9), (2, 4), (3, 7))
    }
    with pod.reader() as reader:
        meta = msgspec.structs.replace(reader.meta, epoch=4, earlier=ends)

    assert kept_batches(meta, 20) == {1: 4, 2: 4, 3: 7}
    assert kept_batches(meta, 2) == {1: 2, 2: 2, 3: 2}


def test_only_the_pods_own_checkpoints_are_witnesses(grown: TestPod, tmp_path: Path) -> None:
    """Of another pod, by another key, altered, or no note at all."""
    note = checkpoint_of(grown, 2)
    other = make_pod(tmp_path / "other")
    origin = origin_of(grown.policy.pod_id, 1)
    strange = sign_checkpoint(Checkpoint(origin, 2, bytes(32)), LogKey(bytes(range(32))))

    with pytest.raises(ForeignPodError):
        witness_of(other, note)
    with pytest.raises(DamagedError, match="not signed by a log key"):
        witness_of(grown, strange)
    with pytest.raises(DamagedError, match="it was altered"):
        witness_of(grown, note.replace(b"\n2\n", b"\n3\n"))
    with pytest.raises(MalformedError):
        witness_of(grown, b"")


def test_later_epochs_and_larger_logs_are_newer(grown: TestPod) -> None:
    """What seen.checkpoint moves along."""
    two, three = (witness_of(grown, checkpoint_of(grown, batch)) for batch in (2, 3))

    assert two.age < three.age < msgspec.structs.replace(two, epoch=2).age
