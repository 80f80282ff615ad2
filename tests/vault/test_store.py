"""The writer: one at a time, answering only what is durable, closed without a loss."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from tests.support.child import Child
from tests.support.pods import PATIENCE, START_MS, TestPod
from vault.errors import (
    BusyError,
    LockedError,
    PolicyError,
)
from vault.invites import reissue
from vault.judging import Outcome
from vault.locks import Patience, copying, hold_vault
from vault.notes import read_checkpoint
from vault.opening import Identity
from vault.policies import Policy, parse_policy, signed_bytes
from vault.store import RESTART_FRAMES, TRUNCATE_FRAMES, Writer
from vault.submissions import Answer
from vault.wal import survey

AT_ONCE = Patience(0, time.monotonic, time.sleep)
STRANGER = Identity(bytes(range(32)))


# Opening


def test_a_new_vault_opens_without_a_warning(pod: TestPod) -> None:
    """And is closed again without a trace of having been open."""
    before = pod.folder.vault.read_bytes()

    with pod.writer() as writer:
        assert writer.warnings == []

    assert pod.folder.vault.read_bytes() == before
    assert not pod.folder.wal.exists()
    assert not pod.folder.log_head.exists()


def test_a_log_head_that_is_missing_is_a_warning_and_written_anew(used: TestPod) -> None:
    """At the latest when the vault is closed."""
    expected = used.folder.log_head.read_bytes()
    used.folder.log_head.unlink()

    with used.writer() as writer:
        assert len(writer.warnings) == 1

    assert used.folder.log_head.read_bytes() == expected


def test_what_a_crash_left_in_the_log_is_moved_before_the_first_answer(used: TestPod, tmp_path: Path) -> None:
    """It may have been in the page cache only: a retry must not acknowledge what was never synced."""
    crashed = used.crashed_writing(tmp_path)

    with crashed.writer() as writer:
        assert crashed.folder.wal.stat().st_size == 0
        assert crashed.put(writer, id="item-3", text="x").outcome is Outcome.RETRY

    assert crashed.whole_ids() == ["item-1", "item-2", "item-3"]


def test_one_writer_at_a_time(pod: TestPod) -> None:
    """Two would sign two logs with one key; the second changes nothing."""
    with pod.writer(), pytest.raises(LockedError, match="another process has this vault open"):
        pod.open_writer()

    with pod.writer():
        pass


def test_a_tool_that_holds_the_vault_keeps_the_writer_out(pod: TestPod) -> None:
    """Restoring and repairing replace vault.db: only while they hold vault.lock."""
    with hold_vault(pod.folder.path), pytest.raises(LockedError):
        pod.open_writer()


def test_another_process_that_reads_in_place_is_waited_for(used: TestPod, tmp_path: Path) -> None:
    """Until it ends the log cannot be moved, so nothing of it may be acknowledged."""
    crashed = used.crashed_writing(tmp_path)
    with Child("reader", crashed.folder.vault, crashed.keys.file_key.reveal().hex()) as child:
        assert int(child.ask("read")) > 0

        with pytest.raises(BusyError, match="another process reads the vault in place"):
            crashed.open_writer()

    with crashed.writer():
        pass
    assert crashed.whole_ids() == ["item-1", "item-2", "item-3"]


# Policies


def policies(pod: TestPod) -> list[int]:
    """The revisions the vault holds."""
    with pod.reader() as reader:
        return [revision for (revision,) in reader.rows.execute("SELECT revision FROM policy ORDER BY 1")]


def test_a_policy_is_stored_before_anything_is_admitted_under_it(pod: TestPod) -> None:
    """Even if nothing is: a later writer must not fall behind it."""
    invite = pod.invite()
    slot = pod.opened(invite)
    with pod.writer() as writer:
        assert policies_in(writer) == [1]
        pod.revoke(invite)

        (answer,) = writer.commit(pod.policy, [pod.submission(slot, text="x")])

        assert answer == Answer(Outcome.CLOSED)
        assert policies_in(writer) == [1, 3]

    assert policies(pod) == [1, 3]


def policies_in(writer: Writer) -> list[int]:
    """The revisions an open vault holds."""
    rows = writer._connection.execute("SELECT revision FROM policy ORDER BY revision")
    return [revision for (revision,) in rows]


def test_what_waits_is_judged_by_the_newest_policy(pod: TestPod) -> None:
    """The schema too: what was refused a moment ago is declared now."""
    slot = pod.slot()
    with pod.writer() as writer:
        item = pod.submission(slot, id="item-1", height=3)
        (refused,) = writer.commit(pod.policy, [item])
        pod.rewrite(more='[properties.height]\ntype = "Integer"\n')

        (stored,) = writer.commit(pod.policy, [item])

    assert (refused.outcome, stored.outcome) == (Outcome.INVALID, Outcome.STORED)
    assert pod.verify(item, stored.receipt).header.policy == pod.policy.digest


def stranger_signs(pod: TestPod) -> Policy:
    """A next policy, whole, by somebody who lists themselves."""
    members = json.loads(pod.policy.slots_json)["policy"]
    members |= {"revision": 9, "signers": [{"key": STRANGER.signer.hex()}]}
    signed = json.dumps(members).encode()
    signature = STRANGER.sign(signed_bytes(pod.policy.pod_id, signed)).hex()
    frame = f'{{"signature":"{signature}","signer":"{STRANGER.signer.hex()}","policy":'
    return parse_policy(pod.policy.pod_toml, frame.encode() + signed + b"}\n")


def fork(pod: TestPod) -> Policy:
    """Another policy of the accepted one's revision, by the right signer."""
    last = msgspec.structs.replace(pod.policy, revision=pod.policy.revision - 1)
    return reissue(last, pod.keys.identity, pod.policy.pod_toml + b"# another\n")


BAD_POLICIES: dict[str, tuple[Callable[[TestPod], Policy], str]] = {
    "older": (TestPod.policy_anew, "revision 2 was accepted already"),
    "of another line": (fork, "revision 2 was accepted already"),
    "of an untrusted signer": (stranger_signs, "does not lead to its signer"),
}


@pytest.mark.parametrize(("make", "sentence"), BAD_POLICIES.values(), ids=BAD_POLICIES)
def test_a_policy_that_may_not_follow_is_refused(
    used: TestPod, make: Callable[[TestPod], Policy], sentence: str
) -> None:
    """Nothing is stored under it; the accepted one goes on."""
    policy = make(used)
    item = used.submission(used.slots["field-team"], id="item-3", text="x")
    with used.writer() as writer:
        with pytest.raises(PolicyError, match=sentence):
            writer.commit(policy, [item])
        with pytest.raises(PolicyError, match=sentence):
            writer.accept(policy)

        assert writer.commit(used.policy, [item])[0].outcome is Outcome.STORED

    assert policies(used) == [1, 2]


# log.head


def test_log_head_is_written_ten_times_a_second_at_most(pod: TestPod) -> None:
    """And at close, so that a vault that was closed well is never ahead of it."""
    slot = pod.slot()
    seen = []
    with pod.writer() as writer:
        for ms in (0, 50, 99, 100, 150, 90, 0):
            pod.clock.ms = START_MS + ms
            writer.commit(pod.policy, [pod.submission(slot, text="x")])
            seen.append(read_checkpoint(pod.folder.log_head.read_bytes()).size)

    # The clock went back: by 100 ms only the last time.
    assert seen == [1, 1, 1, 4, 4, 4, 7]
    assert read_checkpoint(pod.folder.log_head.read_bytes()).size == 7


def test_a_log_head_that_cannot_be_written_fails_no_batch(pod: TestPod) -> None:
    """The batch is durable; that is what 200 says. The maintainer is told once, not ten times a second."""
    slot = pod.slot()
    blocker = pod.folder.path / "log.head.new"
    blocker.mkdir()
    with pod.writer() as writer:
        for _ in range(3):
            pod.clock.ms += 1000
            assert writer.commit(pod.policy, [pod.submission(slot, text="x")])[0].outcome is Outcome.STORED
        (warning,) = writer.warnings
        assert "an older vault put here would not be noticed" in warning
        assert not pod.folder.log_head.exists()

        blocker.rmdir()
        pod.clock.ms += 1000
        writer.commit(pod.policy, [pod.submission(slot, text="x")])

        assert read_checkpoint(pod.folder.log_head.read_bytes()).size == 4

    assert len(pod.items()) == 4


# The write-ahead log, and copies being taken


def fill_log(pod: TestPod, writer: Writer) -> int:
    """Commit until the log is due to be moved; return how many items that took."""
    count = 0
    while writer._connection.wal_frames < RESTART_FRAMES:
        batch = [pod.submission(pod.slots["field-team"], text="x" * 40_000) for _ in range(40)]
        writer.commit(pod.policy, batch)
        count += len(batch)
    return count


def test_the_log_is_moved_when_it_has_grown(used: TestPod) -> None:
    """By the commit after, before it begins; the file stays, and commits are written over what was in it."""
    with used.writer() as writer:
        count = fill_log(used, writer)
        size = used.folder.vault.stat().st_size
        frames = writer._connection.wal_frames

        used.put(writer, text="x")

        assert used.folder.vault.stat().st_size > size
        assert writer._connection.wal_frames == frames
        assert survey(used.folder.wal).commits == 1

    assert len(used.items()) == 2 + count + 1


def test_a_log_that_was_kept_is_moved_when_it_grows_again(used: TestPod) -> None:
    """That is how much of its file is in use: all of it."""
    with used.writer() as writer:
        fill_log(used, writer)
        used.put(writer, text="moves it")
        frames, commits = writer._connection.wal_frames, 1
        while writer._connection.wal_frames == frames:
            used.put(writer, text="x" * 40_000)
            commits += 1
        assert survey(used.folder.wal).commits == commits

        used.put(writer, text="moves it")

        assert survey(used.folder.wal).commits == 1


def test_a_log_that_another_program_reads_is_moved_later(used: TestPod) -> None:
    """One that asks for no lock of ours: commits go on, and each tries again."""
    file_key = used.keys.file_key.reveal().hex()
    with used.writer() as writer:
        with Child("reader", used.folder.vault, file_key) as reader:
            reader.ask("read")
            count = fill_log(used, writer)
            used.put(writer, text="x")
            assert survey(used.folder.wal).commits > 1

        used.put(writer, text="x")

        assert survey(used.folder.wal).commits == 1

    assert len(used.items()) == 2 + count + 2


def test_a_log_that_grew_far_is_cut(used: TestPod) -> None:
    """A snapshot may have held it for long; its file is given back."""
    with used.writer() as writer:
        with copying(used.folder.path, PATIENCE):
            while writer._connection.wal_frames < TRUNCATE_FRAMES:
                used.put(writer, text="x" * 900_000)

        used.put(writer, text="x")

        assert writer._connection.wal_frames < 100
        fill_log(used, writer)
        used.put(writer, text="moves it, at the usual size")
        assert survey(used.folder.wal).commits == 1


def test_a_small_log_that_was_moved_for_a_close_fills_again(used: TestPod) -> None:
    """What it had then is not what is enough for the next time."""
    with used.writer() as writer:
        with copying(used.folder.path, PATIENCE):
            assert not writer.close()
        used.put(writer, text="moves it")
        for _ in range(5):
            used.put(writer, text="x" * 20_000)

        assert survey(used.folder.wal).commits == 6


def test_a_log_that_began_anew_is_found_as_it_is_after_a_death(used: TestPod, tmp_path: Path) -> None:
    """Frames of before lie behind those that count; they are another log's."""
    with used.writer() as writer:
        count = fill_log(used, writer)
        used.put(writer, id="moves-it", text="x")
        used.put(writer, id="over-old-frames", text="x")
        died = used.crashed(tmp_path / "died")

    with died.writer() as writer:
        assert died.put(writer, id="over-old-frames", text="x").outcome is Outcome.RETRY
        assert writer._connection.wal_frames < 100
    assert len(died.items()) == 2 + count + 2


# Rest


def test_a_rest_makes_the_next_batchs_key_and_no_more_than_one(used: TestPod) -> None:
    """100 microseconds that a lone client need not wait for; every batch has a key of its own."""
    with used.writer() as writer:
        writer.rest()
        prepared = writer._prepared
        writer.rest()
        assert writer._prepared is prepared
        assert prepared

        used.put(writer, text="prepared")
        used.put(writer, text="drawn at once")
        assert writer._prepared is None

    with used.reader() as reader:
        uids = [uid for (uid,) in reader.rows.execute("SELECT uid FROM batch ORDER BY batch")]
    assert uids[1] == prepared.uid
    assert len(set(uids)) == 3
    assert len(used.whole_ids()) == 4


def test_a_key_made_for_others_than_a_new_policys_recipients_is_not_used(used: TestPod) -> None:
    """Whoever was removed opens nothing that came after, whenever the key was drawn."""
    with used.writer() as writer:
        writer.rest()
        prepared = writer._prepared
        assert prepared
        prepared.recipients = (STRANGER.recipient,)
        used.put(writer, text="x")

    with used.reader() as reader:
        ((uid,),) = reader.rows.execute("SELECT uid FROM batch ORDER BY batch DESC LIMIT 1")
    assert uid != prepared.uid
    assert len(used.whole_ids()) == 3


def test_a_key_is_not_used_again_after_a_batch_that_failed(
    used: TestPod, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sealing again under it would repeat its nonces."""
    with used.writer() as writer:
        writer.rest()
        prepared = writer._prepared
        with monkeypatch.context() as broken:
            broken.setattr("vault.store.write_batch", lambda *_, **__: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                used.put(writer, id="item-3", text="x")
        assert writer._prepared is None
        used.put(writer, id="item-3", text="x")

    with used.reader() as reader:
        uids = [uid for (uid,) in reader.rows.execute("SELECT uid FROM batch")]
    assert prepared
    assert prepared.uid not in uids


def test_a_rest_moves_a_log_that_has_grown(used: TestPod) -> None:
    """So that no item waits for it."""
    with used.writer() as writer:
        fill_log(used, writer)
        size = used.folder.vault.stat().st_size
        writer.rest()
        assert used.folder.vault.stat().st_size > size


def test_a_copy_keeps_the_log_from_being_moved(used: TestPod) -> None:
    """Commits go on, and vault.db stands still; the first commit after the copy catches up."""
    with used.writer() as writer:
        with copying(used.folder.path, PATIENCE):
            before = used.folder.vault.read_bytes()
            count = fill_log(used, writer)
            used.put(writer, text="x")
            assert used.folder.vault.read_bytes() == before
            assert writer._connection.wal_frames > RESTART_FRAMES

        used.put(writer, text="x")

        assert survey(used.folder.wal).commits == 1

    assert len(used.items()) == 2 + count + 2


def test_a_log_beyond_a_gibibyte_takes_no_more(used: TestPod) -> None:
    """A copy that never ends must not fill the disk; what waits is told to come back."""
    with used.writer() as writer:
        with copying(used.folder.path, PATIENCE):
            used.put(writer, id="before", text="x")
            # Frames that SQLite has not written, as far as size tells.
            os.truncate(used.folder.wal, (1 << 30) + 4096)

            with pytest.raises(BusyError, match="1 GiB"):
                used.put(writer, id="refused", text="x")

        assert used.put(writer, id="after-it", text="x").outcome is Outcome.STORED

    assert used.whole_ids() == ["item-1", "item-2", "before", "after-it"]


def test_a_vault_is_not_closed_while_it_is_copied(used: TestPod) -> None:
    """Closing is a checkpoint. It stays open, goes on committing, and closes when asked again."""
    writer = used.open_writer()
    used.put(writer, id="before", text="x")
    with copying(used.folder.path, PATIENCE):
        before = used.folder.vault.read_bytes()
        assert not writer.close()
        assert used.put(writer, id="during", text="x").outcome is Outcome.STORED
        assert not writer.close()
        assert used.folder.vault.read_bytes() == before

    assert writer.close()
    assert not used.folder.wal.exists()
    assert used.whole_ids() == ["item-1", "item-2", "before", "during"]


def test_a_close_that_had_to_wait_keeps_no_copy_out(used: TestPod) -> None:
    """Waiting, the writer keeps its turn; if items come instead of another close, the next commit uses it."""
    with used.writer() as writer:
        with copying(used.folder.path, PATIENCE):
            assert not writer.close()
        with pytest.raises(LockedError), copying(used.folder.path, AT_ONCE):
            pass

        used.put(writer, text="x")

        with copying(used.folder.path, AT_ONCE):
            pass


def test_a_vault_that_was_closed_well_opens_while_it_is_copied(used: TestPod) -> None:
    """Its log is empty, so opening moves nothing: a maintainer who reads makes no contributor wait."""
    with copying(used.folder.path, PATIENCE):
        before = used.folder.vault.read_bytes()
        writer = used.open_writer()
        assert used.put(writer, id="during", text="x").outcome is Outcome.STORED
        assert used.folder.vault.read_bytes() == before
        with copying(used.folder.path, PATIENCE):
            assert not writer.close()

    assert writer.close()
    assert used.whole_ids() == ["item-1", "item-2", "during"]


def test_a_vault_that_crashed_waits_for_its_copy(used: TestPod, tmp_path: Path) -> None:
    """Its log must be moved before the first answer, and must not while it is copied."""
    crashed = used.crashed_writing(tmp_path)
    with copying(crashed.folder.path, PATIENCE):
        before = crashed.digests()
        with pytest.raises(BusyError, match="a snapshot is being taken"):
            crashed.open_writer()
        assert crashed.digests() == before

    with crashed.writer():
        pass
    assert crashed.whole_ids() == ["item-1", "item-2", "item-3"]
