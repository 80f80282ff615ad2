"""`audit`: whatever was put back to yesterday is seen, and what is still proven is said."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from maintainer_tools.exits import Exit
from tests.support.auditing import BATCHES, POD, SEEN, TEXT, audited, fork, joined, put_back
from tests.support.maintaining import put_forged, run, submissions, succeed, writer_of
from tests.support.pods import TestPod
from vault.links import Invite
from vault.policies import load_policy
from vault.wal import FRAME_BYTES, HEADER_BYTES, PAGE_BYTES


@pytest.mark.usefixtures("yesterday")
def test_a_whole_pod_is_proven_and_remembered() -> None:
    """The first time by itself, from then on against what was seen."""
    first = succeed("audit", "plants")
    assert SEEN.read_bytes() == (POD / "log.head").read_bytes()
    code, second = audited()

    assert first.lines == ["ok"]
    assert "Audited 16 items in 8 batches." in first.err
    assert "Proven: batches 1-8." in first.err
    assert "Nothing kept elsewhere covers batches 1-8" in first.err
    assert "Remembered in seen.checkpoint" in first.err
    assert code == 0
    assert (second["proven"], second["unproven"], second["witnessed"]) == ([[1, 8]], [], 8)
    assert (second["items"], second["findings"], second["missing"]) == (16, [], 0)
    assert {witness["source"] for witness in second["witnesses"]} == {"log.head", "seen.checkpoint"}
    assert "Nothing kept elsewhere" not in " ".join(second["meaning"])


def test_an_empty_pod_has_nothing_to_remember(pod: TestPod) -> None:
    """And nobody can say that it was always empty."""
    ended = succeed("audit", pod.home)

    assert ended.lines == ["ok"]
    assert "The log is empty" in ended.err
    assert not SEEN.exists()


@pytest.mark.usefixtures("yesterday")
def test_items_stay_closed_unless_they_are_asked_for(pod: TestPod) -> None:
    """The audit says what it did not look at, and which flag would; what it proves is remembered."""
    with pod.forging() as vault:
        vault.execute("UPDATE item SET name = zeroblob(22) WHERE seq = 7")

    code, report = audited()
    opened_code, opened = audited("--items")

    assert (code, report["findings"], report["is_remembered"]) == (0, [], True)
    assert (report["items"], report["is_opened"], report["proven"]) == (16, False, [[1, 8]])
    assert report["meaning"][-1].startswith("Items stayed closed: not looked at is whether each opens")
    assert report["meaning"][-1].endswith("`audit --items` looks.")
    assert (opened_code, opened["is_opened"], opened["is_remembered"]) == (Exit.FINDINGS, True, False)
    assert opened["findings"] == ["item 7 (batch 4): its name is not its id's"]
    assert "Items stayed closed" not in " ".join(opened["meaning"])


@pytest.mark.usefixtures("yesterday")
def test_a_whole_pod_is_whole_with_its_items_open() -> None:
    """Every item opens."""
    code, report = audited("--items")

    assert (code, report["findings"], report["items"], report["is_remembered"]) == (0, [], 16, True)


def pages_that_changed(yesterday: Path) -> list[int]:
    """Pages, from 2, of which yesterday's vault has another image."""
    old, new = (yesterday / "vault.db").read_bytes(), (POD / "vault.db").read_bytes()
    numbers = range(1, len(old) // PAGE_BYTES)
    return [
        number
        for number in numbers
        if old[number * PAGE_BYTES : (number + 1) * PAGE_BYTES]
        != new[number * PAGE_BYTES : (number + 1) * PAGE_BYTES]
    ]


def test_one_byte_put_back_is_seen_wherever_it_is(yesterday: Path) -> None:
    """In any page: SQLCipher names the page, the audit the batches that are still proven."""
    whole = (POD / "vault.db").read_bytes()
    proven = []
    for page in range(1, len(whole) // PAGE_BYTES):
        altered = bytearray(whole)
        altered[page * PAGE_BYTES + 50] ^= 1
        (POD / "vault.db").write_bytes(altered)
        ended = run("audit", "plants", "--json")
        if ended.code == Exit.DAMAGED:
            # A page of the schema or of meta: without it nothing is a vault.
            continue
        assert ended.code == Exit.FINDINGS
        assert f"HMAC verification failed for page {page + 1}" in joined(ended.json)
        assert len(ended.json["findings"]) < 50
        proven.append(sum(last - first + 1 for first, last in ended.json["proven"]))

    assert yesterday.exists()
    # A leaf of the trees holds a few batches; a root of one of them, all.
    assert sum(count >= BATCHES - 4 for count in proven) >= 10
    assert not SEEN.exists()


@pytest.mark.usefixtures("yesterday")
def test_one_slot_row_put_back_is_seen(pod: TestPod) -> None:
    """Counters of yesterday would let its holder store more than the invite allows."""
    with pod.forging() as vault:
        vault.execute("UPDATE slot SET items = 10, bytes = bytes * 10 / 16")

    code, report = audited()

    assert code == Exit.FINDINGS
    assert report["findings"] == ["the slots: their counters do not add up to the items that were logged"]
    assert not SEEN.exists()


def test_one_page_put_back_is_seen_wherever_it_is(yesterday: Path) -> None:
    """Each is authentic to SQLCipher, of another day."""
    whole, old = (POD / "vault.db").read_bytes(), (yesterday / "vault.db").read_bytes()
    pages = pages_that_changed(yesterday)
    for page in pages:
        start = page * PAGE_BYTES
        mixed = whole[:start] + old[start : start + PAGE_BYTES] + whole[start + PAGE_BYTES :]
        (POD / "vault.db").write_bytes(mixed)
        code, report = audited()
        assert code == Exit.FINDINGS, f"page {page + 1}"
        assert "HMAC" not in joined(report)
        assert report["findings"]

    assert len(pages) >= 5
    assert not SEEN.exists()


@pytest.mark.usefixtures("yesterday")
def test_one_row_that_was_replaced_is_seen(pod: TestPod) -> None:
    """Its batch is not proven, every other is."""
    with pod.forging() as vault:
        vault.execute("UPDATE item SET c = zeroblob(32) WHERE seq = 7")

    code, report = audited()

    assert code == Exit.FINDINGS
    assert "batch 4: its items are not those its header names" in report["findings"]
    assert (report["proven"], report["unproven"]) == ([[1, 3], [5, 8]], [[4, 4]])
    assert "Not proven: batch 4." in " ".join(report["meaning"])


@pytest.mark.parametrize(
    "sql",
    [
        "DELETE FROM batch WHERE batch = 3",
        "UPDATE batch SET header = (SELECT header FROM batch WHERE batch = 2) WHERE batch = 3",
        "UPDATE batch SET header = x'00' WHERE batch = 3",
    ],
)
@pytest.mark.usefixtures("yesterday")
def test_one_batch_that_is_gone_or_another_is_seen(pod: TestPod, sql: str) -> None:
    """The stored leaves, which later checkpoints sign, still prove every other."""
    with pod.forging() as vault:
        vault.execute(sql)

    code, report = audited()

    assert code == Exit.FINDINGS
    assert (report["proven"], report["unproven"]) == ([[1, 2], [4, 8]], [[3, 3]])


@pytest.mark.usefixtures("yesterday")
def test_without_its_leaf_the_log_is_proven_up_to_there(pod: TestPod) -> None:
    """Whoever drops a batch and its nodes leaves nothing that could vouch for what follows."""
    with pod.forging() as vault:
        vault.execute("DELETE FROM batch WHERE batch = 3")
        vault.execute("DELETE FROM node WHERE level = 0 AND i = 2")

    code, report = audited()

    assert code == Exit.FINDINGS
    assert (report["proven"], report["unproven"]) == ([[1, 2]], [[3, 8]])


@pytest.mark.usefixtures("yesterday")
def test_the_newest_batch_dropped_is_seen_by_the_head(pod: TestPod) -> None:
    """Rows, nodes and all; log.head stands outside."""
    with pod.forging() as vault:
        for statement in (
            "DELETE FROM batch WHERE batch = 8",
            "DELETE FROM item WHERE seq > 14",
            "DELETE FROM node WHERE i = 7 AND level = 0 OR level = 3 OR (level, i) IN ((1, 3), (2, 1))",
            "UPDATE slot SET items = 14, bytes = (SELECT bytes FROM slot) * 14 / 16",
        ):
            vault.execute(statement)

    code, report = audited()

    assert code == Exit.FINDINGS
    assert (report["batches"], report["missing"], report["proven"]) == (7, 1, [[1, 7]])
    assert "log.head has seen 8" in joined(report)
    assert len(report["findings"]) == 1


def test_the_tail_of_the_write_ahead_log_cut_off_is_seen(
    pod: TestPod, invite: Invite, yesterday: Path
) -> None:
    """A commit that was acknowledged, of a server that was killed."""
    writer = writer_of(pod, invite)
    writer.commit(load_policy(pod.folder), submissions(pod, invite, [{**TEXT, "id": "late-item"}]))
    crashed = pod.crashed(Path("crashed"))
    assert writer.close()
    frames = (crashed.folder.wal.stat().st_size - HEADER_BYTES) // FRAME_BYTES
    content = bytearray(crashed.folder.wal.read_bytes())
    content[HEADER_BYTES + (frames - 1) * FRAME_BYTES + 30] ^= 1
    crashed.folder.wal.write_bytes(content)

    ended = run("audit", "crashed", "--json")

    assert yesterday.exists()
    assert ended.code == Exit.FINDINGS
    assert (ended.json["batches"], ended.json["missing"], ended.json["proven"]) == (8, 1, [[1, 8]])
    assert "the vault holds 8 batches, log.head has seen 9" in joined(ended.json)


def test_the_whole_file_put_back_is_seen_by_the_head(yesterday: Path) -> None:
    """Everything in it is true, and three batches are missing."""
    put_back(yesterday, "vault.db")

    ended = run("audit", "plants")
    code, report = audited()

    assert (ended.code, code) == (Exit.FINDINGS, Exit.FINDINGS)
    assert ended.lines[0].startswith("FAIL  the vault holds 5 batches, log.head has seen 8")
    assert len(ended.lines) == 1
    assert "Proven: batches 1-5." in ended.err
    assert "Missing: 3 that a checkpoint has seen, after batch 5." in ended.err
    assert (report["missing"], report["proven"]) == (3, [[1, 5]])


def test_file_and_head_put_back_together_are_seen_by_what_was_kept_elsewhere(yesterday: Path) -> None:
    """And by nothing else, which the audit says."""
    succeed("checkpoint", "export", "plants", "paper.checkpoint")
    put_back(yesterday, "vault.db", "log.head")

    alone = succeed("audit", "plants")
    code, since = audited("--since", "paper.checkpoint")
    shutil.copy("paper.checkpoint", SEEN)
    seen_code, seen = audited()

    assert alone.lines == ["ok"]
    assert "an older vault put back together with its log.head looks the same" in alone.err
    assert (code, seen_code) == (Exit.FINDINGS, Exit.FINDINGS)
    for report, source in ((since, "paper.checkpoint"), (seen, "seen.checkpoint")):
        (finding,) = report["findings"]
        assert finding.startswith(f"the vault holds 5 batches, {source} has seen 8: 3 are missing, an older")
        assert (report["missing"], report["proven"]) == (3, [[1, 5]])
    assert SEEN.read_bytes() == Path("paper.checkpoint").read_bytes()


@pytest.mark.usefixtures("yesterday")
def test_items_forged_by_a_thief_of_the_log_key_are_seen(pod: TestPod, invite: Invite) -> None:
    """Signed, sealed and logged as they should be; but nobody without a slot's key can name an item."""
    put_forged(pod, invite, {"type": "Note", "id": "never-sent", "latinName": "forged"})

    code, report = audited("--items")
    closed_code, _ = audited()

    assert code == Exit.FINDINGS
    assert "item 17 (batch 9): its name is not its id's" in report["findings"]
    assert (report["proven"], report["unproven"]) == ([[1, 8]], [[9, 9]])
    assert closed_code == 0


@pytest.mark.usefixtures("yesterday")
def test_a_fork_is_seen_by_what_was_kept_elsewhere_alone(pod: TestPod) -> None:
    """Another time in a header, all signed anew: by itself this log is whole."""
    succeed("checkpoint", "export", "plants", "paper.checkpoint")
    fork(pod, 8)

    alone_code, alone = audited()
    SEEN.unlink()
    code, report = audited("--since", "paper.checkpoint")

    assert (alone_code, alone["findings"], alone["proven"]) == (0, [], [[1, 8]])
    assert code == Exit.FINDINGS
    assert "not the one paper.checkpoint has seen at 8 batches: it was forked" in joined(report)
    assert report["witnessed"] == 0


@pytest.mark.usefixtures("yesterday")
def test_a_witness_that_was_altered_is_a_finding() -> None:
    """It is neither believed nor overwritten."""
    SEEN.write_bytes(b"nothing\n")

    code, report = audited()

    assert code == Exit.FINDINGS
    assert report["findings"][0].startswith("seen.checkpoint: a signed note was expected")
    assert SEEN.read_bytes() == b"nothing\n"


@pytest.mark.usefixtures("yesterday")
def test_a_checkpoint_that_is_none_is_an_error() -> None:
    """It was named on the command line."""
    Path("file").write_bytes(b"nothing")

    assert run("audit", "plants", "--since", "file").code == Exit.MALFORMED


@pytest.mark.usefixtures("yesterday")
def test_many_findings_are_counted_on_the_screen(pod: TestPod) -> None:
    """The JSON has all of them."""
    with pod.forging() as vault:
        vault.execute("UPDATE item SET sealed = zeroblob(length(sealed)), c = zeroblob(32)")
        vault.execute("UPDATE batch SET signature = zeroblob(64), checkpoint = zeroblob(9), wraps = x'00'")

    ended = run("audit", "plants", "--items")
    code, report = audited("--items")

    assert (ended.code, code) == (Exit.FINDINGS, Exit.FINDINGS)
    assert len(ended.lines) == 51
    assert f"FAIL  and {len(report['findings']) - 50} more" in ended.lines[-1]
    assert report["proven"] == []
