"""A small storm, that a storm finds what it looks for, and that its record is what was run."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.storm.counting import Result, count, count_apart
from tests.storm.era import ANY, COMMAND, EVERYTHING, NOBODY, Aim, Storm
from tests.storm.ledger import (
    LEDGER,
    RECORD,
    ChangedError,
    Era,
    clean_commit,
    quoted,
    read_ledger,
    record,
    with_record,
)
from tests.storm.maintainer import ERASURE, SNAPSHOT
from tests.storm.moments import COMMIT
from tests.storm.plants import BUGS, NEXT_VERSION, planting
from tests.storm.promises import Promises
from tests.support.maintaining import succeed
from tests.support.pods import TestPod, new_pod

KILLS = 8
TRIES = 30
"""Storms against a planted bug until one is found."""
WRITER_AT_WORK = Aim({"writer": 1}, {ANY: 1}, is_upgraded=False)
BETWEEN_COMMIT_AND_ANSWER = Aim({"worker": 1, "writer": 1}, {COMMIT: 1}, is_upgraded=False)
COMMANDS_ALONE = Aim({NOBODY: 1}, {COMMAND: 1}, are_works_killed=False, is_upgraded=False)
AIMED: Mapping[str, tuple[int, Aim]] = {
    "items are acknowledged before COMMIT": (3, WRITER_AT_WORK),
    "the log is forgotten at opening": (2, WRITER_AT_WORK),
    "a retry is stored again": (5, BETWEEN_COMMIT_AND_ANSWER),
    "a conflict is stored": (1, WRITER_AT_WORK),
    # So slowly that what was acknowledged before the command began is still in the log when it copies.
    "a snapshot leaves the log out": (2, COMMANDS_ALONE._replace(works=[SNAPSHOT], pause_seconds=0.1)),
    "an erasure is reported once it was asked for": (2, COMMANDS_ALONE._replace(works=[ERASURE])),
}
"""How many kills, of what and when, show each bug soon; one that hits everything finds them too, some day."""


def _stormed(
    folder: Path, seed: str, *bugs: str, kills: int = KILLS, aim: Aim = EVERYTHING
) -> tuple[Storm, Result]:
    storm = Storm(folder, seed, *bugs, aim=aim)
    storm.run(kills)
    sound = planting(folder / "sound", NEXT_VERSION)
    return storm, count_apart(storm.pod.home, storm.promises, storm.kept, sound)


def _is_clean(folder: Path, seed: str, bug: str) -> bool:
    folder.mkdir()
    kills, aim = AIMED[bug]
    _, result = _stormed(folder, seed, bug, kills=kills, aim=aim)
    return result.is_clean


@pytest.mark.timeout(300)
def test_a_small_storm_is_clean(tmp_path: Path) -> None:
    """`make storm` does the same, thousands of times."""
    storm, result = _stormed(tmp_path, "small")

    assert result.is_clean, result
    assert result.acknowledged > KILLS
    assert result.receipts > 0
    assert sum(storm.killed.values()) >= KILLS
    assert storm.done["upgrade"] == 1


@pytest.mark.timeout(900)
@pytest.mark.parametrize("bug", BUGS)
def test_a_storm_finds_a_planted_bug(bug: str, tmp_path: Path) -> None:
    """Or it would say nothing: each is a line or two gone wrong in a process that it starts."""
    # What a kill hits is chance.
    assert any(not _is_clean(tmp_path / seed, seed, bug) for seed in map(str, range(TRIES)))


@pytest.fixture
def counted(tmp_path: Path) -> tuple[TestPod, Promises]:
    """A pod with three items, and what was promised of them."""
    pod, promises = new_pod(tmp_path), Promises()
    slot = pod.slot()
    batch = [pod.submission(slot, id=f"item-{i}", text=f"text {i}") for i in (1, 2, 3)]
    with pod.writer() as writer:
        answers = writer.commit(pod.policy, batch)
    for submission, answer in zip(batch, answers, strict=True):
        promises.texts[submission.item.id] = str(submission.item.fields["text"])
        promises.acknowledged.add(submission.item.id)
        assert answer.receipt
        promises.receipts[submission.item.id] = answer.receipt
    return pod, promises


def _faults(pod: TestPod, promises: Promises) -> dict[str, list[str]]:
    return count(pod.home, promises).wrong


def test_what_is_as_promised_is_clean(counted: tuple[TestPod, Promises]) -> None:
    """Or every fault below would prove nothing."""
    pod, promises = counted

    assert count(pod.home, promises).is_clean


def test_a_lost_item_is_counted(counted: tuple[TestPod, Promises]) -> None:
    """Acknowledged, and not there."""
    pod, promises = counted
    promises.acknowledged.add("item-9")

    assert _faults(pod, promises) == {"lost": ["item-9"]}


def test_an_altered_item_is_counted(counted: tuple[TestPod, Promises]) -> None:
    """Half of it, or another's."""
    pod, promises = counted
    promises.texts["item-2"] = "text 2 and more"

    assert _faults(pod, promises) == {"altered": ["item-2"]}


def test_an_item_that_was_refused_is_counted(counted: tuple[TestPod, Promises]) -> None:
    """Stored although the client was told 409; and one that nobody sent."""
    pod, promises = counted
    promises.forbidden.add("text 1")
    del promises.texts["item-3"]

    assert _faults(pod, promises) == {"invented": ["item-1", "item-3"]}


def test_a_receipt_of_another_history_is_counted(counted: tuple[TestPod, Promises], tmp_path: Path) -> None:
    """It verifies, but this vault's log is not the one it was given for."""
    pod, promises = counted
    forked = pod.crashed(tmp_path / "forked")
    for each, text in ((pod, "kept"), (forked, "forked")):
        item = each.submission(each.slots["field-team"], id="item-4", text=text)
        with each.writer() as writer:
            (answer,) = writer.commit(each.policy, [item])
        promises.texts["item-4"] = "kept"
        promises.acknowledged.add("item-4")
        assert answer.receipt
        promises.receipts["item-4"] = answer.receipt

    assert _faults(pod, promises) == {"bad_receipts": ["item-4"]}


def test_an_item_that_is_stored_twice_is_counted(counted: tuple[TestPod, Promises]) -> None:
    """The same id through another slot is another item: the storm gives every client ids of its own."""
    pod, promises = counted
    other = pod.slot("other")
    with pod.writer() as writer:
        writer.commit(pod.policy, [pod.submission(other, id="item-1", text="text 1")])

    assert _faults(pod, promises) == {"doubled": ["item-1"]}


def test_an_item_that_was_to_be_erased_may_be_there_or_not(counted: tuple[TestPod, Promises]) -> None:
    """Until a command says that it is done."""
    pod, promises = counted
    promises.to_erase |= {"item-1", "item-2"}
    succeed("erase", pod.home, "item-1", "--yes")

    result = count(pod.home, promises)

    assert result.is_clean
    assert result.erased == 1


def test_an_erasure_that_was_not_done_is_counted(counted: tuple[TestPod, Promises]) -> None:
    """Somebody was told that it is gone."""
    pod, promises = counted
    promises.to_erase.add("item-1")
    promises.erased.add("item-1")

    assert _faults(pod, promises) == {"unerased": ["item-1"]}


def test_an_erasure_that_nobody_asked_for_is_counted(counted: tuple[TestPod, Promises]) -> None:
    """A signed statement stands in its place, and yet it is lost."""
    pod, promises = counted
    succeed("erase", pod.home, "item-1", "--yes")

    assert _faults(pod, promises) == {"lost": ["item-1"]}


def test_a_vault_that_does_not_open_has_lost_everything(counted: tuple[TestPod, Promises]) -> None:
    """Whatever a person may yet save of it."""
    pod, promises = counted
    pod.folder.vault.write_bytes(b"")

    result = count(pod.home, promises)

    assert result.lost == ["item-1", "item-2", "item-3"]
    assert len(result.findings) == 1


def test_an_item_that_a_snapshot_lacks_is_counted(counted: tuple[TestPod, Promises], tmp_path: Path) -> None:
    """It was acknowledged before the snapshot was begun."""
    pod, promises = counted
    kept = tmp_path / "kept"
    kept.mkdir()
    shutil.copy(pod.home / "identity", kept)
    succeed("snapshot", pod.home, kept / "pod")
    promises.copied = {"item-1", "item-2", "item-3"}
    promises.to_erase = {"item-1"}

    assert count(pod.home, promises, kept).is_clean

    promises.copied.add("item-4")
    assert count(pod.home, promises, kept).wrong == {"uncopied": ["item-4"]}


def test_a_command_that_ended_badly_is_counted(counted: tuple[TestPod, Promises]) -> None:
    """Nothing was lost, but a person is left with it."""
    pod, promises = counted
    promises.faults.append("rotation ended with 23")

    assert _faults(pod, promises) == {"faults": ["rotation ended with 23"]}


def test_every_line_of_the_ledger_is_of_a_commit() -> None:
    """With a plus, or none, it would be of a program that nobody else has."""
    eras = read_ledger(LEDGER)

    assert [era.commit for era in eras if not re.fullmatch(r"[0-9a-f]{7,40}", era.commit)] == []
    assert len({era.seed for era in eras}) == len(eras)


def test_the_page_says_what_the_ledger_does() -> None:
    """`make storm-record` puts it there."""
    assert quoted(RECORD.read_text()) == record(read_ledger(LEDGER))


def test_the_record_counts_what_was_lost_and_what_was_wrong() -> None:
    """A bad era would stand in the page as well."""
    result = Result(
        acknowledged=1_200,
        stored=1_190,
        receipts=170,
        lost=["a", "b"],
        doubled=["c"],
        altered=[],
        invented=[],
        bad_receipts=[],
        findings=["one"],
        uncounted=3,
        erased=8,
    )
    bad, good = (
        Era(
            date=f"2026-11-2{day}T10:00:00+00:00",
            commit="0123456",
            seed=f"s/{day}",
            kills={"writer": 1_000, "upgrade": day},
            statuses={},
            unanswered=0,
            seconds=1.0,
            result=result if day == 1 else Result(5, 5, 0, [], [], [], [], [], [], 0),
            moments={"commit": 2},
            done={"upgrade": 1},
        )
        for day in (1, 2)
    )

    told = record([bad, good])

    assert "| 2026-11-21 | 0123456 | s | 1 | 1,001 | 1,200 | 170 | 8 | 2 | 5 |" in told
    assert "| 2026-11-22 | 0123456 | s | 1 | 1,002 | 5 | 0 | 0 | 0 | 0 |" in told
    assert "| in all |  |  | 2 | 2,003 | 1,205 | 170 | 8 | 2 | 5 |" in told
    assert "Killed: writer 2,000, upgrade 3." in told
    assert quoted(with_record(RECORD.read_text(), told)) == told


def _git(folder: Path, *arguments: str) -> None:
    named = ["-c", "user.name=storm", "-c", "user.email=storm@example.invalid"]
    subprocess.run(["git", *named, *arguments], cwd=folder, check=True, capture_output=True)


def test_a_storm_of_changed_files_is_not_written_down(tmp_path: Path) -> None:
    """Who checks the commit out must have the program that was killed."""
    (tmp_path / "docs").mkdir()
    program, ledger = tmp_path / "program.py", tmp_path / "docs" / "storm.jsonl"
    program.write_text("1")
    _git(tmp_path, "init", "--quiet")
    _git(tmp_path, "add", ".")
    _git(tmp_path, "commit", "--quiet", "--message", "it")
    commit = clean_commit(tmp_path)
    # What a run makes is no change.
    ledger.write_text("{}")

    assert clean_commit(tmp_path) == commit
    assert re.fullmatch(r"[0-9a-f]{7,40}", commit)

    (tmp_path / "new.py").write_text("3")
    with pytest.raises(ChangedError, match=r"new\.py"):
        clean_commit(tmp_path)
    program.write_text("2")
    with pytest.raises(ChangedError, match=r"program\.py"):
        clean_commit(tmp_path)
