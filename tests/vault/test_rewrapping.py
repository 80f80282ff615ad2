"""Old batches for later recipients: rows are added, nothing that was signed changes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.pods import PATIENCE, TestPod, new_pod
from tests.vectors import world
from vault import rewrapping
from vault.connection import WritingConnection
from vault.database import connect_read
from vault.errors import (
    BusyError,
    DamagedError,
    DiskFullError,
    ForeignPodError,
    PolicyError,
    WrongKeyError,
)
from vault.inspecting import inspect
from vault.invites import publish
from vault.pod import PodFolder
from vault.policies import Policy, load_policy
from vault.reader import open_reader
from vault.recipients import add_recipient
from vault.rewrapping import accept, require_open, rewrap
from vault.snapshot import private_snapshot

ADA = world.OTHER_IDENTITY
BATCHES = 5


@pytest.fixture
def pod(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TestPod:
    """A pod with a few batches of one item."""
    monkeypatch.setattr(rewrapping, "BATCHES_AT_ONCE", 2)
    pod = new_pod(tmp_path)
    slot = pod.slot()
    with pod.writer() as writer:
        for number in range(BATCHES):
            writer.commit(pod.policy, [pod.submission(slot, text=str(number))])
    return pod


def _rewrap(pod: TestPod) -> int:
    recipients = [*pod.policy.recipients, ADA.recipient]
    return rewrap(
        pod.folder.vault,
        pod.keys.file_key,
        pod.keys.identity,
        pod_id=pod.policy.pod_id,
        recipients=recipients,
    )


def _require_open(pod: TestPod) -> int:
    return require_open(pod.folder.vault, pod.keys.file_key, ADA)


def _added(pod: TestPod) -> Policy:
    return add_recipient(pod.policy, pod.keys.identity, ADA.recipient, name="ada")


def test_who_came_later_opens_every_batch(pod: TestPod) -> None:
    """Once is enough, and the check finds nothing changed."""
    with pytest.raises(WrongKeyError):
        _require_open(pod)
    assert _rewrap(pod) == BATCHES
    assert _require_open(pod) == BATCHES
    assert _rewrap(pod) == 0
    assert len(pod.whole_ids()) == BATCHES
    publish(pod.folder, _added(pod))
    with (
        private_snapshot(pod.folder.path, PATIENCE) as copy,
        open_reader(PodFolder(copy), ADA, pod.keys.identity.signer) as reader,
    ):
        assert len(list(reader.items())) == BATCHES


def test_what_was_interrupted_goes_on(pod: TestPod, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two hundred batches are a transaction; those before are done."""
    commit, calls = WritingConnection.commit, []

    def fail(connection: WritingConnection) -> None:
        calls.append(connection)
        if len(calls) == 2:
            raise DiskFullError("full")
        commit(connection)

    monkeypatch.setattr(WritingConnection, "commit", fail)
    with pytest.raises(DiskFullError):
        _rewrap(pod)
    monkeypatch.undo()
    assert _rewrap(pod) == BATCHES - 2
    assert _require_open(pod) == BATCHES


def test_who_opens_nothing_gives_nothing(pod: TestPod) -> None:
    """Another identity cannot be made to."""
    with pytest.raises(WrongKeyError):
        rewrap(pod.folder.vault, pod.keys.file_key, ADA, pod_id=pod.policy.pod_id, recipients=[ADA.recipient])


def test_a_row_that_was_planted_is_found_by_who_it_is_for(pod: TestPod) -> None:
    """Somebody with the file key writes one before home does: it opens for nobody, and is not hidden."""
    with pod.forging() as connection:
        connection.execute("INSERT INTO rewrap VALUES (3, ?, x'00')", (ADA.recipient.kid,))
    assert _rewrap(pod) == BATCHES - 1
    with pytest.raises(DamagedError):
        _require_open(pod)
    assert len(pod.whole_ids()) == BATCHES


def test_a_batch_of_another_pod_is_not_wrapped(pod: TestPod, tmp_path: Path) -> None:
    """Its items are none of this pod's recipients' business."""
    (tmp_path / "other").mkdir()
    other = new_pod(tmp_path / "other", seed=2)
    slot = other.slot()
    with other.writer() as writer:
        writer.commit(other.policy, [other.submission(slot, text="x")])
    with connect_read(other.folder.vault, other.keys.file_key) as rows:
        ((header, wraps),) = rows.execute("SELECT header, wraps FROM batch")
    with pod.forging() as connection:
        connection.execute("UPDATE batch SET header = ?, wraps = ? WHERE batch = 2", (header, wraps))
    with pytest.raises(ForeignPodError, match="batch 2"):
        _rewrap(pod)


def test_a_vault_somebody_reads_in_place_is_left(pod: TestPod, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its log cannot be moved: try again."""
    monkeypatch.setattr(WritingConnection, "truncate_wal", lambda _: False)
    with pytest.raises(BusyError):
        _rewrap(pod)


def test_an_accepted_policy_keeps_earlier_ones_out(pod: TestPod) -> None:
    """No batch can be sealed without the new recipient any more."""
    policy = _added(pod)
    accept(pod.folder.vault, pod.keys.file_key, policy)
    with pytest.raises(PolicyError, match="accepted already"):
        inspect(pod.folder, pod.policy, pod.keys.file_key)
    assert inspect(pod.folder, policy, pod.keys.file_key).policy.digest == policy.digest


def test_a_pair_that_is_none_is_not_accepted(pod: TestPod) -> None:
    """An edit by hand that nobody signed would close the vault to every server."""
    pod.folder.pod_toml.write_bytes(pod.policy.pod_toml + b"# edited\n")
    with pytest.raises(PolicyError):
        accept(pod.folder.vault, pod.keys.file_key, load_policy(pod.folder, is_edited=True))
    pod.folder.pod_toml.write_bytes(pod.policy.pod_toml)
    assert len(pod.whole_ids()) == BATCHES
