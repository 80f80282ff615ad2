"""A check names every fault that somebody with all of a server's keys could put into a vault."""

from __future__ import annotations

import hashlib

import msgspec
import pytest

from tests.support.checking import STRANGER, findings
from tests.support.pods import TestPod
from vault.checking import Report, check_vault
from vault.encoding import le32
from vault.errors import DiskFullError
from vault.header import parse_header
from vault.invites import found_policy, publish
from vault.judging import Outcome
from vault.keys import LogKey, PodId
from vault.ledger import frontier_at
from vault.notes import Checkpoint, origin_of, sign_checkpoint

STRANGE_LOG_KEY = LogKey(bytes(range(32)))


def test_a_whole_vault_has_no_findings(varied: TestPod) -> None:
    """Whatever came through it: several slots, a declaration, batches of each size."""
    assert varied.check() == Report(batches=3, items=6, erased=0, findings=[])


def test_an_empty_vault_has_no_findings(pod: TestPod) -> None:
    """There is nothing to lose yet."""
    assert pod.check() == Report()


def test_progress_counts_items(varied: TestPod) -> None:
    """After each batch."""
    seen: list[int] = []
    with varied.reader() as reader:
        check_vault(reader, seen.append)

    assert seen == [3, 5, 6]


def test_what_the_operating_system_refuses_is_no_finding(varied: TestPod) -> None:
    """The vault is not at fault when the screen's disk is varied."""

    def progress(_: int) -> None:
        raise DiskFullError("report: no space")

    with varied.reader() as reader, pytest.raises(DiskFullError):
        check_vault(reader, progress)


def test_a_header_signed_by_another_key_is_named(varied: TestPod) -> None:
    """A whole signature, but of nobody the policy lists."""
    with varied.forging() as vault:
        ((header,),) = vault.execute("SELECT header FROM batch WHERE batch = 2").fetchall()
        vault.execute("UPDATE batch SET signature = ? WHERE batch = 2", (STRANGE_LOG_KEY.sign(header),))

    assert findings(varied) == {"batch 2: its header is not signed by a log key of its policy"}


def test_a_checkpoint_signed_by_another_key_is_named(varied: TestPod) -> None:
    """The newest is looked at on opening; the others here."""
    with varied.reader() as reader:
        checkpoint = Checkpoint(reader.ledger.origin, 2, bytes(32))
    with varied.forging() as vault:
        note = sign_checkpoint(checkpoint, STRANGE_LOG_KEY)
        vault.execute("UPDATE batch SET checkpoint = ? WHERE batch = 2", (note,))

    assert findings(varied) == {"batch 2: the checkpoint is not signed by a log key of this pod"}


@pytest.mark.parametrize(("size", "is_root_right"), [(2, False), (3, True)])
def test_a_checkpoint_of_another_root_or_size_is_named(
    varied: TestPod, size: int, *, is_root_right: bool
) -> None:
    """Signed by the right key: a log that was forked, or cut and grown again."""
    with varied.reader() as reader:
        root = frontier_at(reader.rows, 2).root() if is_root_right else bytes(32)
        checkpoint = Checkpoint(reader.ledger.origin, size, root)
    with varied.forging() as vault:
        note = sign_checkpoint(checkpoint, varied.keys.log_key)
        vault.execute("UPDATE batch SET checkpoint = ? WHERE batch = 2", (note,))

    assert findings(varied) == {"batch 2: its checkpoint is not of this log"}


def test_a_batch_of_another_pod_is_named(varied: TestPod) -> None:
    """Its log key may be the same: whoever founds two pods might take it along."""
    with varied.forging() as vault:
        ((packed,),) = vault.execute("SELECT header FROM batch WHERE batch = 2").fetchall()
        header = msgspec.structs.replace(parse_header(packed), pod_id=PodId(bytes(32))).pack()
        vault.execute(
            "UPDATE batch SET header = ?, signature = ? WHERE batch = 2",
            (header, varied.keys.log_key.sign(header)),
        )

    assert "batch 2: it is of another pod" in findings(varied)


def test_an_item_collected_twice_needs_no_name(varied: TestPod) -> None:
    """A segment may bring what the vault has already: its batch is logged all the same."""
    with varied.forging() as vault:
        vault.execute("UPDATE item SET name = NULL WHERE seq = 1")
    with varied.writer() as writer:
        (again,) = writer.commit(
            varied.policy, [varied.submission(varied.slots["one"], id="item-1", text="x")]
        )

    assert again.outcome is Outcome.STORED
    assert findings(varied) == set()


@pytest.mark.parametrize("is_ours_too", [True, False])
def test_a_batch_sealed_to_a_stranger_is_named(varied: TestPod, *, is_ours_too: bool) -> None:
    """What a server that was taken over does: it cannot be kept from it, but it shows."""
    ours = varied.policy.recipients if is_ours_too else ()
    policy = msgspec.structs.replace(varied.policy, recipients=(*ours, STRANGER.recipient))
    with varied.writer() as writer:
        writer.commit(policy, [varied.submission(varied.slots["one"], text="leaked")])

    expected = {"batch 4: it is not sealed to exactly the recipients of its policy"}
    if not is_ours_too:
        expected.add(
            "batch 4: a batch is not sealed to this identity; use the identity of this pod's maintainer"
        )
    assert findings(varied) == expected


def test_an_item_of_a_slot_that_the_policy_does_not_know_is_named(varied: TestPod) -> None:
    """As after pod.toml and slots.json were put back to an earlier day."""
    published = varied.policy
    slot = varied.slot("later")
    with varied.writer() as writer:
        writer.commit(varied.policy, [varied.submission(slot, id="item-7", text="x")])
    publish(varied.folder, published)

    assert findings(varied) == {"item 7 (batch 4): it came through slot 3, which the policy does not know"}


def test_a_policy_of_a_stranger_is_named(varied: TestPod) -> None:
    """Signed well, of this very pod, but by nobody the maintainer trusts."""
    slots_json = found_policy(
        varied.policy.pod_toml,
        STRANGER,
        pod_id=varied.policy.pod_id,
        file_key=varied.keys.file_key,
        log_public=varied.keys.log_key.public,
    )
    with varied.forging() as vault:
        vault.execute(
            "UPDATE policy SET hash = ?, slots_json = ?, pod_toml = ? WHERE revision = 1",
            (hashlib.sha256(slots_json).digest(), slots_json, varied.policy.pod_toml),
        )

    assert findings(varied) == {"policy 1: it is signed by someone this pod's policy does not know"}


@pytest.mark.parametrize("is_whole", [True, False])
def test_how_earlier_epochs_ended_is_checked(pod: TestPod, *, is_whole: bool) -> None:
    """Receipts of those epochs are believed up to these checkpoints."""
    signer = pod.keys.log_key if is_whole else STRANGE_LOG_KEY
    ended = sign_checkpoint(Checkpoint(origin_of(pod.policy.pod_id, 1), 5, bytes(32)), signer)
    with pod.forging() as vault:
        vault.execute("UPDATE meta SET value = ? WHERE key = 'epoch'", (le32(2),))
        vault.execute("INSERT INTO meta VALUES ('epoch/1', ?)", (ended,))

    expected = "an earlier epoch: the checkpoint is not signed by a log key of this pod"
    assert findings(pod) == (set() if is_whole else {expected})
