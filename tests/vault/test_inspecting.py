"""What a vault is refused for before it is opened to append, and that nothing of it changes by that."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from tests.support.pods import TestPod
from vault.errors import (
    DamagedError,
    EmptyFileError,
    ForeignPodError,
    FormatTooNewError,
    FormatTooOldError,
    MissingError,
    PlaintextError,
    PolicyError,
    RollbackError,
    TornError,
    TruncatedError,
    VaultError,
    WrongKeyError,
)
from vault.inspecting import inspect
from vault.keys import FileKey, LogKey
from vault.notes import Checkpoint, origin_of, sign_checkpoint
from vault.submissions import Submission


def item_3(pod: TestPod) -> Submission:
    """An item that the vault does not have yet, a second later."""
    pod.clock.ms += 1000
    return pod.submission(pod.slots["field-team"], id="item-3", text="x")


def test_a_vault_that_is_well_is_as_it_was_left(used: TestPod) -> None:
    """Log and policy; and closed well, its write-ahead log holds nothing."""
    before = used.digests()

    found = inspect(used.folder, used.policy, used.keys.file_key)

    assert (found.ledger.size, found.ledger.next_seq, found.is_settled) == (1, 3, True)
    assert found.policy.digest == used.policy.digest
    assert found.warnings == []
    assert used.digests() == before


def test_a_vault_that_crashed_is_read_with_its_log(used: TestPod, tmp_path: Path) -> None:
    """Which is not moved: that is for whoever opens it."""
    crashed = used.crash_after(tmp_path / "crashed", item_3(used))
    before = crashed.digests()

    found = inspect(crashed.folder, crashed.policy, crashed.keys.file_key)

    assert (found.ledger.size, found.is_settled) == (2, False)
    assert crashed.digests() == before


def forge(sql: str) -> Callable[[TestPod], None]:
    """Change a closed vault by one statement."""

    def put(pod: TestPod) -> None:
        with pod.forging() as vault:
            vault.execute(sql)

    return put


def cut(to_bytes: int) -> Callable[[TestPod], None]:
    """Shorten vault.db."""
    return lambda pod: os.truncate(pod.folder.vault, to_bytes)


PLAINTEXT = b"SQLite format 3\0" + bytes(4080)
REFUSED: dict[str, tuple[Callable[[TestPod], object], type[VaultError], str]] = {
    "missing": (lambda pod: pod.folder.vault.unlink(), MissingError, "does not exist"),
    "empty": (cut(0), EmptyFileError, "is empty"),
    "plaintext": (lambda pod: pod.folder.vault.write_bytes(PLAINTEXT), PlaintextError, "unencrypted"),
    "cut inside a page": (cut(10_000), TruncatedError, "ends inside a page"),
    "cut between pages": (cut(4 * 4096), TruncatedError, "ends after page"),
    "an item short": (forge("DELETE FROM item WHERE seq = 2"), DamagedError, "lacks items"),
    "a policy under another number": (
        forge("UPDATE policy SET revision = revision + 7"),
        DamagedError,
        "not the one its row names",
    ),
    "of another pod": (
        forge("UPDATE meta SET value = zeroblob(32) WHERE key = 'pod_id'"),
        ForeignPodError,
        "another pod",
    ),
    "of a later format": (
        forge("UPDATE meta SET value = x'02000000' WHERE key = 'format'"),
        FormatTooNewError,
        "use a later version",
    ),
    "of an earlier format": (
        forge("UPDATE meta SET value = x'00000000' WHERE key = 'format'"),
        FormatTooOldError,
        "run `upgrade`",
    ),
    "without a policy": (forge("DELETE FROM policy"), DamagedError, "holds no policy"),
    "with a policy that is none": (
        forge("UPDATE policy SET slots_json = x'00'"),
        DamagedError,
        "something else than its format says",
    ),
    "with another schema": (forge("CREATE TABLE more (a)"), DamagedError, "tables or triggers"),
}


@pytest.mark.parametrize(("put", "error", "sentence"), REFUSED.values(), ids=REFUSED)
def test_a_vault_that_is_not_well_is_refused_unchanged(
    used: TestPod, put: Callable[[TestPod], object], error: type[VaultError], sentence: str
) -> None:
    """Each by its own kind; nothing is created, repaired or migrated, and no lock is kept."""
    put(used)
    before = used.digests()

    for _ in range(2):
        with pytest.raises(error, match=sentence):
            used.open_writer()

        assert used.digests() == before


def head_of(size: int, *, epoch: int = 1) -> Callable[[TestPod], object]:
    """Let log.head name a log of this size, with a root that no log has."""
    return lambda pod: pod.folder.log_head.write_bytes(
        sign_checkpoint(Checkpoint(origin_of(pod.policy.pod_id, epoch), size, bytes(32)), pod.keys.log_key)
    )


def start_over(pod: TestPod) -> None:
    """Go back to revision 1."""
    pod.policy = pod.policy_anew()


def with_keys(**keys: FileKey | LogKey) -> Callable[[TestPod], None]:
    """Bring other keys than the pod's."""

    def put(pod: TestPod) -> None:
        pod.keys = msgspec.structs.replace(pod.keys, **keys)

    return put


UNSETTLED: dict[str, tuple[Callable[[TestPod], object], type[VaultError], str]] = {
    "another key": (
        with_keys(file_key=FileKey(bytes(32))),
        WrongKeyError,
        "wrong key or damaged first page",
    ),
    "another log key": (
        with_keys(log_key=LogKey(bytes(32))),
        PolicyError,
        "log.key is not one of the log keys",
    ),
    "an older policy": (start_over, PolicyError, "revision 2 was accepted already"),
    "a larger log.head": (head_of(9), RollbackError, "holds 2 batches, log.head has seen 9"),
    "a forked log.head": (head_of(1), RollbackError, "not the one log.head has seen at 1 batches"),
    "a log.head of a later epoch": (head_of(1, epoch=2), RollbackError, "log.head has seen epoch 2"),
    "plaintext": (lambda pod: pod.folder.vault.write_bytes(PLAINTEXT), PlaintextError, "unencrypted"),
    "empty": (cut(0), EmptyFileError, "is empty"),
    "missing": (lambda pod: pod.folder.vault.unlink(), MissingError, "does not exist"),
    "cut between pages": (cut(4 * 4096), TornError, "of different times"),
}


@pytest.mark.parametrize(("put", "error", "sentence"), UNSETTLED.values(), ids=UNSETTLED)
def test_a_refused_vault_keeps_its_write_ahead_log(
    used: TestPod,
    tmp_path: Path,
    put: Callable[[TestPod], object],
    error: type[VaultError],
    sentence: str,
) -> None:
    """Opening it with SQLite would checkpoint it, whatever came of it after: then nothing can be undone."""
    crashed = used.crash_after(tmp_path / "crashed", item_3(used))
    put(crashed)
    before = crashed.digests()

    with pytest.raises(error, match=sentence):
        crashed.open_writer()

    assert crashed.digests() == before


def test_yesterdays_vault_is_told_by_todays_log_head(used: TestPod, tmp_path: Path) -> None:
    """A backup restored alone: what was acknowledged since is not in it."""
    yesterday = used.crashed(tmp_path / "yesterday")
    used.clock.ms += 1000
    with used.writer() as writer:
        writer.commit(used.policy, [item_3(used)])
    shutil.copy(used.folder.log_head, yesterday.folder.log_head)

    with pytest.raises(TornError, match=r"holds 1 batches, log\.head has seen 2: this is"):
        yesterday.open_writer()

    shutil.copy(used.folder.vault, yesterday.folder.vault)
    assert yesterday.whole_ids() == ["item-1", "item-2", "item-3"]


def test_a_database_without_its_log_is_told(used: TestPod, tmp_path: Path) -> None:
    """What copying vault.db alone from a running server gives; with its log it opens."""
    crashed = used.crash_after(tmp_path / "crashed", item_3(used))
    wal = crashed.folder.wal.rename(tmp_path / "wal")

    for _ in range(2):
        with pytest.raises(TornError, match="without its write-ahead log"):
            crashed.open_writer()

    wal.rename(crashed.folder.wal)
    with crashed.writer():
        pass
    assert crashed.whole_ids() == ["item-1", "item-2", "item-3"]
