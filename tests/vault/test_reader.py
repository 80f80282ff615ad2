"""What the maintainer reads from a copy: all of it, in order, or a refusal that says why."""

from __future__ import annotations

import shutil
from pathlib import Path

import apsw
import msgspec
import pytest

from tests.support.pods import PATIENCE, START_MS, TestPod, new_pod
from vault.encoding import pae
from vault.erasures import erasure_bytes
from vault.errors import (
    DamagedError,
    ForeignPodError,
    MissingError,
    PolicyError,
    WrongKeyError,
)
from vault.header import parse_header
from vault.invites import publish
from vault.opening import Identity
from vault.pod import PodFolder
from vault.properties import ValueType
from vault.reader import open_reader
from vault.sealing import wrap_info
from vault.snapshot import take_snapshot

STRANGER = Identity(bytes(range(32)))


@pytest.fixture
def full(pod: TestPod) -> TestPod:
    """Two batches, a second apart: items 1 and 2 of one slot, item 3 of another."""
    one, other = pod.slot("one"), pod.slot("other")
    with pod.writer() as writer:
        writer.commit(
            pod.policy,
            [pod.declaration(one, "height", "Integer"), pod.submission(one, id="item-2", text="x", height=3)],
        )
        pod.clock.ms += 1000
        writer.commit(pod.policy, [pod.submission(other, id="item-3", type="Photo", text=None)])
    return pod


def copied(pod: TestPod, out: Path) -> PodFolder:
    """A snapshot of a pod."""
    return PodFolder(take_snapshot(pod.folder.path, out, PATIENCE).folder)


def test_items_come_in_the_order_they_were_stored(full: TestPod) -> None:
    """Each with where it came from and when; members as they were sent."""
    found = full.items()

    assert [(item.seq, item.batch, item.ms - START_MS, item.slot) for item in found] == [
        (1, 1, 0, 1),
        (2, 1, 0, 1),
        (3, 2, 1000, 2),
    ]
    assert [item.full_id for item in found] == ["one/height-Integer", "one/item-2", "other/item-3"]
    assert found[1].members == {"type": "Note", "id": "item-2", "text": "x", "height": 3}
    assert (found[2].type, found[2].id) == ("Photo", "item-3")
    assert found[2].members == {"type": "Photo", "id": "item-3"}


def test_items_come_newest_first_if_asked(full: TestPod) -> None:
    """The reverse, within batches too."""
    with full.reader() as reader:
        assert [item.seq for item in reader.items(is_newest_first=True)] == [3, 2, 1]


def test_counts_need_no_item_to_be_opened(full: TestPod) -> None:
    """Batches and items."""
    with full.reader() as reader:
        assert reader.counts() == (2, 3)


def test_views_are_read_slot_by_slot(full: TestPod) -> None:
    """Empty for a slot that declared nothing, stored nothing, or is not known."""
    with full.reader() as reader:
        assert reader.own_view(1) == {"height": ValueType.INTEGER}
        assert [reader.own_view(slot) for slot in (2, 9)] == [{}, {}]


def test_the_view_of_a_slot_that_the_policy_does_not_know_stays_closed(full: TestPod) -> None:
    """Its key is sealed in a policy that is not here."""
    published = full.policy
    slot = full.slot("later")
    with full.writer() as writer:
        writer.commit(full.policy, [full.declaration(slot, "width", "Real")])
    publish(full.folder, published)

    with full.reader() as reader:
        assert reader.own_view(slot.number) == {}
        assert [item.slot_name for item in reader.items()][-1] == "slot-3"


def test_an_erased_item_is_passed_over(full: TestPod) -> None:
    """The others keep their places."""
    identity = full.keys.identity
    with full.forging() as vault:
        ((header, digest),) = vault.execute(
            "SELECT header, digest FROM batch, item WHERE batch = 1 AND seq = 1"
        ).fetchall()
        signed = erasure_bytes(parse_header(header), 0, digest, full.clock())
        statement = pae(signed, identity.signer, identity.sign(signed))
        vault.execute("INSERT INTO erasure VALUES (1, ?)", (statement,))
        vault.execute("UPDATE item SET sealed = NULL WHERE seq = 1")

    assert [item.seq for item in full.items()] == [2, 3]


def test_a_recipient_that_came_later_reads_earlier_batches(full: TestPod) -> None:
    """Its wrap stands in ``rewrap``; the batch's own wraps never change."""
    with full.reader() as reader:
        batch = next(reader.batches())
        info = wrap_info(batch.header.pod_id, batch.header.uid, batch.header.commit)
        data_key = full.keys.identity.open_sealed(batch.wraps, info, "a batch")
        wrap = STRANGER.recipient.seal(data_key, info)
    with full.forging() as vault:
        vault.execute("INSERT INTO rewrap VALUES (1, ?, ?)", (STRANGER.recipient.kid, wrap))

    with full.reader() as reader:
        reader.identity = STRANGER
        items = reader.items()
        assert [next(items).seq, next(items).seq] == [1, 2]
        with pytest.raises(WrongKeyError, match="not sealed to this identity"):
            next(items)


PLANTED = {
    "a signature that is none": (
        "UPDATE batch SET signature = zeroblob(64) WHERE batch = 1",
        "batch 1 is not si",
    ),
    "an item taken out": (
        "UPDATE item SET sealed = NULL WHERE seq = 1",
        "item 1 is gone without a statement",
    ),
}


@pytest.mark.parametrize(("sql", "sentence"), PLANTED.values(), ids=PLANTED)
def test_what_one_with_the_file_key_planted_is_not_exported(full: TestPod, sql: str, sentence: str) -> None:
    """An invite opens the file key: its holder, given the file, can write rows, but not sign."""
    with full.forging() as vault:
        vault.execute(sql)

    with pytest.raises(DamagedError, match=sentence):
        full.items()


def test_a_log_key_of_an_earlier_policy_counts(full: TestPod) -> None:
    """The policy a batch was taken under is in the vault; a later one may list other logs."""
    with full.reader() as reader:
        reader.policy = msgspec.structs.replace(reader.policy, logs=())
        assert len(list(reader.items())) == 3


@pytest.mark.parametrize("change", ["UPDATE policy SET hash = zeroblob(32)", "stranger"])
def test_a_policy_that_is_unknown_vouches_for_no_log_key(full: TestPod, change: str) -> None:
    """One in the file alone proves nothing: its signer must be known."""
    if change != "stranger":
        with full.forging() as vault:
            vault.execute(f"{change} WHERE revision IN (SELECT max(revision) FROM policy)")
    with full.reader() as reader:
        signers = (STRANGER.signer,) if change == "stranger" else reader.policy.signers
        reader.policy = msgspec.structs.replace(reader.policy, logs=(), signers=signers)
        with pytest.raises(DamagedError, match="is not signed by a log key"):
            list(reader.items())


def test_batches_in_another_order_are_not_the_log(pod: TestPod) -> None:
    """Each is signed; that they stand where they were taken shows only all together."""
    slot = pod.slot()
    with pod.writer() as writer:
        for text in ("first", "second", "third"):
            writer.commit(pod.policy, [pod.submission(slot, text=text)])
    with pod.forging() as vault:
        for number, other in ((1, 8), (2, 1), (8, 2)):
            vault.execute("UPDATE batch SET batch = ? WHERE batch = ?", (other, number))

    with pytest.raises(DamagedError, match="not those the newest checkpoint signs"):
        pod.items()


def test_a_batch_no_memory_holds_is_not_read(full: TestPod) -> None:
    """Zeros cost whoever plants them next to nothing, and a maintainer's machine all it has."""
    with full.forging() as vault:
        vault.execute("UPDATE item SET sealed = zeroblob(35000000) WHERE seq IN (1, 2)")

    with pytest.raises(DamagedError, match="batch 1 is larger than any batch can be"):
        full.items()
    assert any("larger than any batch" in finding for finding in full.check().findings)


MISSING = {
    "item": ("DELETE FROM item WHERE seq = 1", "batch 1 lacks items"),
    "first batch": ("DELETE FROM batch WHERE batch = 1", "a batch is missing beside batch 2"),
}


@pytest.mark.parametrize(("sql", "sentence"), MISSING.values(), ids=MISSING)
def test_nothing_is_left_out_in_silence(full: TestPod, sql: str, sentence: str) -> None:
    """An export that lacks something must not look whole."""
    with full.forging() as vault:
        vault.execute(sql)

    with full.reader() as reader, pytest.raises(DamagedError, match=sentence):
        list(reader.items())


def test_a_batch_missing_in_the_middle_is_noticed_from_both_ends(full: TestPod) -> None:
    """Newest first, too."""
    with full.writer() as writer:
        writer.commit(full.policy, [full.submission(full.slots["one"], text="x")])
    with full.forging() as vault:
        vault.execute("DELETE FROM batch WHERE batch = 2")

    for is_newest_first in (False, True):
        with full.reader() as reader, pytest.raises(DamagedError, match="a batch is missing beside"):
            list(reader.items(is_newest_first=is_newest_first))


def test_an_altered_item_is_refused(full: TestPod) -> None:
    """Before anything of it is shown."""
    with full.forging() as vault:
        vault.execute("UPDATE item SET sealed = zeroblob(100) WHERE seq = 2")

    with full.reader() as reader, pytest.raises(DamagedError, match="was altered or moved"):
        list(reader.items())


def test_a_stranger_reads_nothing(full: TestPod, tmp_path: Path) -> None:
    """Their identity signed none of it, and nothing is sealed to it."""
    copy = copied(full, tmp_path / "copy")

    with pytest.raises(PolicyError):
        open_reader(copy, STRANGER)


def test_an_edited_pod_toml_does_not_keep_anyone_from_reading(full: TestPod) -> None:
    """An edit by hand counts only once it is signed; the data is there meanwhile."""
    full.folder.pod_toml.write_bytes(full.folder.pod_toml.read_bytes() + b"# a note\n")

    assert len(full.items()) == 3


@pytest.mark.parametrize("name", ["pod.toml", "slots.json", "vault.db"])
def test_a_missing_file_is_named(full: TestPod, tmp_path: Path, name: str) -> None:
    """Each is needed."""
    copy = copied(full, tmp_path / "copy")
    (copy.path / name).unlink()

    with pytest.raises(MissingError, match=name):
        open_reader(copy, full.keys.identity)


def test_another_pods_vault_is_told(full: TestPod, tmp_path: Path) -> None:
    """By its key, which is another; or, under the same key, by the pod id in it."""
    (tmp_path / "other").mkdir()
    other = new_pod(tmp_path / "other", seed=2)
    copy = copied(full, tmp_path / "copy")
    shutil.copy(other.folder.vault, copy.vault)

    with pytest.raises(WrongKeyError):
        open_reader(copy, full.keys.identity)


def test_a_vault_that_says_another_pod_is_foreign(full: TestPod) -> None:
    """Under the same key: as when one home was copied to make a second pod."""
    with full.forging() as vault:
        vault.execute("UPDATE meta SET value = zeroblob(32) WHERE key = 'pod_id'")

    with pytest.raises(ForeignPodError), full.reader():
        pass


def test_a_log_head_that_is_missing_is_a_warning(full: TestPod) -> None:
    """The data is whole; only an older vault would not be noticed."""
    full.folder.log_head.unlink()

    with full.reader() as reader:
        assert reader.warning is not None
        assert "log.head" in reader.warning


def test_reading_a_copy_leaves_the_pod_alone(full: TestPod) -> None:
    """Not a byte, not a file more."""
    before = {path.name: path.read_bytes() for path in full.folder.path.iterdir()}

    full.check()

    assert {path.name: path.read_bytes() for path in full.folder.path.iterdir()} == before


TABLES = ("meta", "policy", "slot", "batch", "rewrap", "item", "node", "erasure")


def independent_rows(pod: TestPod) -> dict[str, list[tuple[object, ...]]]:
    """Every row, as sqlite3mc reads it: it shares no code with SQLCipher."""
    connection = apsw.Connection(str(pod.folder.vault))
    connection.execute("PRAGMA cipher = 'sqlcipher'")
    connection.execute("PRAGMA legacy = 4")
    connection.execute(f"PRAGMA key = \"x'{pod.keys.file_key.reveal().hex()}'\"")
    try:
        assert list(connection.execute("PRAGMA integrity_check")) == [("ok",)]
        return {table: list(connection.execute(f"SELECT * FROM {table}")) for table in TABLES}
    finally:
        connection.close()


@pytest.mark.parametrize("is_crashed", [False, True])
def test_another_implementation_reads_the_same_rows(
    full: TestPod, tmp_path: Path, *, is_crashed: bool
) -> None:
    """The vault is an ordinary SQLCipher 4 file (promise 5), with its write-ahead log as without."""
    with full.writer() as writer:
        writer.commit(full.policy, [full.submission(full.slots["one"], text="late")])
        crashed = full.crashed(tmp_path / "crashed")
    pod = crashed if is_crashed else full
    assert pod.folder.wal.exists() == is_crashed
    with pod.reader() as reader:
        ours = {table: reader.rows.execute(f"SELECT * FROM {table}") for table in TABLES}

    assert independent_rows(pod) == ours
    assert len(ours["item"]) == 4
