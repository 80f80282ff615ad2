"""A write-ahead log of another time is told before SQLite makes a mixture of two days."""

from __future__ import annotations

import dataclasses
import hashlib
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.pods import TestPod, new_pod
from vault.errors import DamagedError, RollbackError, StorageError, TornError
from vault.store import Writer
from vault.torn import check_newest, check_pages
from vault.wal import PAGE_BYTES, Survey

BATCHES = st.lists(st.lists(st.integers(0, 9000), min_size=1, max_size=5), max_size=8)
"""The lengths of the texts in each item of each batch."""


def digests(pod: TestPod) -> dict[str, str]:
    """What the vault's two files hold."""
    files = (pod.folder.vault, pod.folder.wal)
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files if path.exists()}


def write(pod: TestPod, writer: Writer, batches: list[list[int]]) -> None:
    """Commit batches of items with texts of these lengths."""
    for lengths in batches:
        pod.clock.ms += 1000
        writer.commit(pod.policy, [pod.submission(pod.slots["one"], text="x" * length) for length in lengths])


def mixed(folder: Path, before: list[list[int]], between: list[list[int]], after: list[list[int]]) -> TestPod:
    """A pod whose vault.db is of before ``between``, and whose log is of ``after``."""
    pod = new_pod(folder)
    pod.slot("one")
    with pod.writer() as writer:
        write(pod, writer, before)
    yesterday = pod.folder.vault.read_bytes()
    with pod.writer() as writer:
        write(pod, writer, between)
    with pod.writer() as writer:
        write(pod, writer, after)
        crashed = pod.crashed(folder / "crashed")
    crashed.folder.vault.write_bytes(yesterday)
    return crashed


@settings(max_examples=40)
@given(before=BATCHES, between=BATCHES, after=BATCHES.filter(bool))
def test_yesterdays_database_beside_todays_log_is_refused_unchanged(
    before: list[list[int]], between: list[list[int]], after: list[list[int]]
) -> None:
    """Or it opens, because the log happens to hold all that lies between; then nothing is missing.

    Most are told as torn; of a mixture the log's own checks may see some other side first.
    """
    with tempfile.TemporaryDirectory() as folder:
        pod = mixed(Path(folder), before, between, after)
        untouched = digests(pod)
        try:
            with pod.writer():
                pass
        except (DamagedError, RollbackError):
            assert digests(pod) == untouched
        else:
            everything = before + between + after
            lengths = [len(str(item.members["text"])) for item in pod.items()]
            assert lengths == [length for batch in everything for length in batch]
            assert pod.check().findings == []


def test_yesterdays_database_beside_todays_log_is_told_to_a_reader(tmp_path: Path) -> None:
    """Before it copies the log into its own copy."""
    pod = mixed(tmp_path, [[10]] * 3, [[5000]] * 3, [[10]])

    with pytest.raises(TornError, match="of different times"), pod.reader():
        pass


def test_what_a_crash_leaves_belongs_together(tmp_path: Path) -> None:
    """After many batches, checkpoints between them, and a copy of the files at any moment."""
    pod = new_pod(tmp_path)
    pod.slot("one")
    with pod.writer() as writer:
        for round_number in range(6):
            write(pod, writer, [[100, 9000]] * 3)
            if round_number % 3:
                move = [writer._connection.truncate_wal, writer._connection.restart_wal][round_number % 2]
                assert move()
            crashed = pod.crashed(tmp_path / str(round_number))
            with crashed.writer():
                pass
            assert crashed.check().findings == []
            assert len(crashed.items()) == 6 * (round_number + 1)


def test_todays_database_beside_yesterdays_log_is_refused_unchanged(tmp_path: Path) -> None:
    """The other way round: replaying it would put yesterday's pages over today's."""
    pod = new_pod(tmp_path)
    pod.slot("one")
    with pod.writer() as writer:
        write(pod, writer, [[100]])
        yesterday = pod.folder.wal.read_bytes()
        write(pod, writer, [[9000]] * 5)
    pod.folder.wal.write_bytes(yesterday)
    untouched = digests(pod)

    with pytest.raises(TornError):
        pod.open_writer()

    assert digests(pod) == untouched


def test_a_database_a_little_newer_than_its_log_is_refused_unchanged(tmp_path: Path) -> None:
    """Where no page was added, log.head shows it."""
    pod = new_pod(tmp_path)
    pod.slot("one")
    with pod.writer() as writer:
        write(pod, writer, [[10]])
        yesterday = pod.folder.wal.read_bytes()
        write(pod, writer, [[10]])
    pod.folder.wal.write_bytes(yesterday)
    untouched = digests(pod)

    with pytest.raises(RollbackError):
        pod.open_writer()

    assert digests(pod) == untouched


def test_a_crash_in_the_middle_of_a_checkpoint_is_no_tear(tmp_path: Path) -> None:
    """Some pages moved, some not, one half: the log has them all, and the vault opens whole."""
    pod = new_pod(tmp_path)
    pod.slot("one")
    with pod.writer() as writer:
        write(pod, writer, [[9000]] * 4)
        crashed = pod.crashed(tmp_path / "crashed")
    finished = pod.folder.vault.read_bytes()
    started = crashed.folder.vault.read_bytes()
    for cut in (0, PAGE_BYTES, 5 * PAGE_BYTES + 100, len(started), len(finished) - 100, len(finished)):
        each = dataclasses.replace(crashed, home=tmp_path / f"cut-{cut}")
        crashed.crashed(each.home)
        each.folder.vault.write_bytes(finished[:cut] + started[cut:])

        with each.writer():
            pass

        assert len(each.items()) == 4
        assert each.check().findings == []


def test_pages_are_asked_for_only_where_a_log_is(tmp_path: Path) -> None:
    """A vault that was closed well stands alone; so does one whose log holds no whole commit."""
    pod = new_pod(tmp_path)
    nothing = Survey(0, 0, frozenset())

    assert check_pages(pod.folder) == nothing
    pod.folder.wal.write_bytes(b"garbage" * 1000)
    assert check_pages(pod.folder) == nothing


def test_a_database_that_cannot_be_asked_for_is_an_error(tmp_path: Path) -> None:
    """As when a folder on the way is not a folder."""
    pod = mixed(tmp_path, [[10]], [], [[10]])
    pod.folder.vault.unlink()
    pod.folder.vault.symlink_to(pod.folder.vault)

    with pytest.raises(StorageError):
        check_pages(pod.folder)


FAULTS = {
    "batch": "DELETE FROM batch WHERE batch = 3",
    "leaf": "DELETE FROM node WHERE level = 0 AND i = 2",
    "another leaf": "UPDATE node SET hash = zeroblob(32) WHERE level = 0 AND i = 2",
    "item": "DELETE FROM item WHERE seq = 5",
    "another item": "UPDATE item SET digest = zeroblob(32) WHERE seq = 5",
}


@pytest.mark.parametrize("sql", FAULTS.values(), ids=FAULTS)
def test_the_newest_batches_are_looked_at(tmp_path: Path, sql: str) -> None:
    """Those of the log and four before; not all, which would take as long as a check."""
    pod = new_pod(tmp_path)
    pod.slot("one")
    with pod.writer() as writer:
        write(pod, writer, [[10, 10]] * 8)
    with pod.forging() as vault:
        vault.execute(sql)

    with pod.reader() as reader:
        check_newest(reader.rows, Survey(0, 0, frozenset()))
        check_newest(reader.rows, Survey(1, 99, frozenset()))
        with pytest.raises(TornError):
            check_newest(reader.rows, Survey(2, 99, frozenset()))


INDEXES = {"of names": "sqlite_autoindex_item_1", "of uids": "sqlite_autoindex_batch_2"}


@pytest.mark.parametrize("index", INDEXES.values(), ids=INDEXES)
def test_an_index_that_lacks_the_newest_is_torn(tmp_path: Path, index: str) -> None:
    """A retry asks the index of names: an entry left on an older page would store the item twice."""
    pod = new_pod(tmp_path)
    pod.slot("one")
    with pod.writer() as writer:
        write(pod, writer, [[10]])
    with pod.forging() as vault:
        vault.execute("PRAGMA writable_schema = ON")
        # Another index in its place: of the policies' hashes, which are nobody's name.
        vault.execute(
            "UPDATE sqlite_schema SET rootpage = (SELECT rootpage FROM sqlite_schema"
            " WHERE name = 'sqlite_autoindex_policy_1') WHERE name = ?",
            (index,),
        )

    with pod.reader() as reader, pytest.raises(TornError):
        check_newest(reader.rows, Survey(1, 99, frozenset()))


def test_items_without_a_name_are_looked_at_too(tmp_path: Path) -> None:
    """Collected twice: they have none, and are in no index."""
    pod = new_pod(tmp_path)
    pod.slot("one")
    with pod.writer() as writer:
        write(pod, writer, [[10, 10]])
    with pod.forging() as vault:
        vault.execute("UPDATE item SET name = NULL WHERE seq = 1")

    with pod.reader() as reader:
        check_newest(reader.rows, Survey(1, 99, frozenset()))
