"""`repair`: what is proven is kept, what was acknowledged once can still be told apart."""

from __future__ import annotations

import shutil
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest

from maintainer_tools.exits import Exit
from tests.support.auditing import POD, SEEN, TEXT, put_back
from tests.support.killing import killed_at
from tests.support.maintaining import put, run, submissions, succeed, writer_of
from tests.support.pods import TestPod
from tests.support.terminal import shared_pod
from vault.errors import RollbackError, TornError
from vault.links import Invite
from vault.notes import Checkpoint, origin_of, read_checkpoint, sign_checkpoint
from vault.policies import load_policy
from vault.tree import EMPTY_ROOT
from vault.wal import PAGE_BYTES

RECEIPTS = Path("receipts")
BATCHES = 6


@pytest.fixture
def yesterday(pod: TestPod, invite: Invite) -> Path:
    """A copy of the pod's files after four batches; it has six by now. Every item's receipt is kept."""
    RECEIPTS.mkdir()
    for number in range(1, BATCHES + 1):
        items = [{**TEXT, "id": f"item-{number}-{place}"} for place in (1, 2)]
        wanted = [
            msgspec.structs.replace(each, wants_receipt=True) for each in submissions(pod, invite, items)
        ]
        writer = writer_of(pod, invite)
        answers = writer.commit(load_policy(pod.folder), wanted)
        assert writer.close()
        for place, answer in enumerate(answers, 1):
            (RECEIPTS / f"{number}-{place}").write_text(answer.receipt or "")
        if number == 4:
            shutil.copytree(POD, "yesterday")
    return Path("yesterday")


def audited(*options: str | Path) -> Any:
    """The JSON of an audit."""
    return run("audit", "plants", *options, "--json").json


def upheld() -> set[str]:
    """Which receipts an audit upholds."""
    refused = {finding.split()[1].rstrip(":") for finding in audited("--receipts", RECEIPTS)["findings"]}
    return {path.name for path in RECEIPTS.iterdir()} - refused


def receipts_of(*batches: int) -> set[str]:
    """The names of their receipts."""
    return {f"{batch}-{place}" for batch in batches for place in (1, 2)}


def refuses_to_serve(pod: TestPod, invite: Invite) -> bool:
    """Whether a server would answer 503."""
    try:
        writer = writer_of(pod, invite)
    except (RollbackError, TornError):
        return True
    assert writer.close()
    return False


@pytest.mark.parametrize("sql", ["items = 8, bytes = bytes * 8 / 12", "bytes = bytes + 1", "bytes = 0"])
@pytest.mark.usefixtures("yesterday")
def test_counters_that_do_not_add_up_are_counted_anew(pod: TestPod, sql: str) -> None:
    """Then an audit finds nothing, with items closed or open."""
    with pod.forging() as vault:
        vault.execute(f"UPDATE slot SET {sql}")
    assert len(audited()["findings"]) == 1

    succeed("repair", "plants", "--yes")

    assert audited()["findings"] == []
    assert audited("--items")["findings"] == []
    assert upheld() == receipts_of(*range(1, BATCHES + 1))


def test_counters_beside_an_erased_item_are_kept_while_they_can_be_true(pod: TestPod) -> None:
    """Of an erased item nobody knows the size; a repair that drops nothing counts it on."""
    invite = pod.invite("field-team")
    for number in range(3):
        put(pod, invite, {**TEXT, "id": f"item-{number}"})
    succeed("erase", "plants", "item-1", "--yes")
    with pod.forging() as vault:
        vault.execute("UPDATE batch SET checkpoint = x'00' WHERE batch = 1")
        (counters,) = vault.execute("SELECT items, bytes FROM slot").fetchall()

    succeed("repair", "plants", "--yes")

    assert audited("--items")["findings"] == []
    with pod.forging() as vault:
        assert vault.execute("SELECT items, bytes FROM slot").fetchall() == [counters]


def test_a_vault_that_only_a_checkpoint_kept_elsewhere_refuses_is_repaired(yesterday: Path) -> None:
    """It agrees with its own log.head; what is missing can be told apart from then on."""
    succeed("checkpoint", "export", "plants", "paper.checkpoint")
    put_back(yesterday, "vault.db", "log.head")
    assert "nothing to repair" in succeed("repair", "plants", "--yes").err
    assert "with --since for a checkpoint" in audited("--since", "paper.checkpoint")["findings"][0]

    ended = succeed("repair", "plants", "--since", "paper.checkpoint", "--yes", "--json")

    assert (ended.json["epoch"], ended.json["batches"], ended.json["missing"]) == (2, 4, 2)
    assert upheld() == receipts_of(1, 2, 3, 4)
    assert succeed("audit", "plants").lines == ["ok"]
    after = audited("--since", "paper.checkpoint")["findings"]
    assert [finding.partition(": ")[2] for finding in after] == ["2 were lost or moved"]


def test_a_rolled_back_vault_goes_on_in_a_new_epoch(pod: TestPod, invite: Invite, yesterday: Path) -> None:
    """Two batches are lost, which their receipts show; all others are upheld, in their own epoch."""
    put_back(yesterday, "vault.db")
    assert refuses_to_serve(pod, invite)

    ended = succeed("repair", "plants", "--yes", "--json")
    assert not refuses_to_serve(pod, invite)
    put(pod, invite, {**TEXT, "id": "item-7-1"})

    (before,) = Path("plants").glob("before-repair-*")
    assert "the vault holds 4 batches, log.head has seen 6" in ended.err
    assert "Kept: 4 of the 4 batches in this vault, the newest of 2025-11-21" in ended.err
    assert "Receipts of batches 5 to 6 of epoch" in ended.err
    assert ended.json == {
        "message_type": "repaired",
        "epoch": 2,
        "batches": 4,
        "left_out": 0,
        "missing": 2,
        "folder": str(before),
    }
    assert (before / "vault.db").read_bytes() == (yesterday / "vault.db").read_bytes()
    assert not (before / "log.key").exists()
    assert succeed("check", "plants").lines == ["ok"]
    report = audited()
    assert (report["findings"], report["proven"], report["batches"]) == ([], [[1, 5]], 5)
    assert upheld() == receipts_of(1, 2, 3, 4)
    assert read_checkpoint(SEEN.read_bytes()).origin.endswith("/2")
    assert read_checkpoint((POD / "log.head").read_bytes()).size == 5


def test_checkpoints_of_before_are_upheld_as_far_as_batches_were_kept(yesterday: Path) -> None:
    """Who kept the newest learns that two are gone; who kept an earlier one, that nothing of theirs is."""
    succeed("checkpoint", "export", "plants", "newest.checkpoint")
    put_back(yesterday, "vault.db")
    succeed("repair", "plants", "--yes")

    newest = audited("--since", "newest.checkpoint")
    earlier = audited("--since", yesterday / "log.head")

    assert "kept its first 4 batches as they were, newest.checkpoint has seen 6" in newest["findings"][0]
    assert earlier["findings"] == []


def test_the_vault_of_before_the_repair_is_refused_from_then_on(
    pod: TestPod, invite: Invite, yesterday: Path
) -> None:
    """Two epochs cannot be mixed up."""
    put_back(yesterday, "vault.db")
    succeed("repair", "plants", "--yes")
    put_back(yesterday, "vault.db")

    assert refuses_to_serve(pod, invite)
    again = succeed("repair", "plants", "--yes", "--json").json
    assert not refuses_to_serve(pod, invite)
    assert again["epoch"] == 3
    assert audited()["findings"] == []
    assert upheld() == receipts_of(1, 2, 3, 4)


def test_what_only_the_home_has_seen_can_be_given_up_too(yesterday: Path) -> None:
    """File and head were put back together: a server notices nothing."""
    succeed("audit", "plants")
    put_back(yesterday, "vault.db", "log.head")

    ended = succeed("repair", "plants", "--yes", "--json")

    assert "seen.checkpoint has seen 6" in ended.err
    assert (ended.json["epoch"], ended.json["missing"]) == (2, 2)
    assert audited()["findings"] == []


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE item SET sealed = zeroblob(length(sealed)) WHERE seq = 5",
        "UPDATE batch SET header = x'00' WHERE batch = 3",
        "DELETE FROM batch WHERE batch = 3",
    ],
)
@pytest.mark.usefixtures("yesterday")
def test_a_batch_that_is_not_proven_is_left_out(pod: TestPod, invite: Invite, sql: str) -> None:
    """Every other keeps its items, their seq and their receipts; counters are those of what is kept."""
    before = [item.id for item in pod.items()]
    with pod.forging() as vault:
        vault.execute(sql)

    ended = succeed("repair", "plants", "--yes", "--json")

    assert (ended.json["batches"], ended.json["left_out"]) == (5, 1)
    assert succeed("check", "plants").lines == ["ok"]
    assert [item.id for item in pod.items()] == [name for name in before if "item-3-" not in name]
    with pod.reader() as reader:
        assert [item.seq for item in reader.items()] == [1, 2, 3, 4, 7, 8, 9, 10, 11, 12]
        assert read_checkpoint(reader.meta.earlier[1]).size == 2
    assert upheld() == receipts_of(1, 2, 4, 5, 6)
    put(pod, invite, {**TEXT, "id": "item-3-1"})
    assert audited()["findings"] == []


def test_whichever_page_is_damaged_the_rest_goes_on(pod: TestPod, yesterday: Path) -> None:
    """It costs the batches on it; but for a page without which a file is no vault."""
    whole, head = (POD / "vault.db").read_bytes(), (POD / "log.head").read_bytes()
    left_out = []
    for page in range(1, len(whole) // PAGE_BYTES):
        for name in ("seen.checkpoint", "pod/vault.db-wal"):
            (Path("plants") / name).unlink(missing_ok=True)
        content = bytearray(whole)
        content[page * PAGE_BYTES + 50] ^= 1
        (POD / "vault.db").write_bytes(content)
        (POD / "log.head").write_bytes(head)
        ended = run("repair", "plants", "--yes", "--json")
        if ended.code != Exit.DAMAGED:
            assert ended.code == 0, ended.err
            assert pod.check().findings == []
            left_out.append(ended.json["left_out"])

    assert yesterday.exists()
    assert len(left_out) >= 15
    assert left_out.count(0) >= 4


@pytest.mark.usefixtures("yesterday")
def test_a_vault_of_which_nothing_is_proven_begins_anew(pod: TestPod, invite: Invite) -> None:
    """An empty log, in the next epoch; what was there stays in the copy."""
    with pod.forging() as vault:
        vault.execute("UPDATE batch SET checkpoint = x'00', signature = zeroblob(64)")
        vault.execute("DELETE FROM node")
        vault.execute("DELETE FROM policy WHERE revision > 1")
        vault.execute("UPDATE policy SET slots_json = x'00'")

    ended = succeed("repair", "plants", "--yes", "--json")
    put(pod, invite, {**TEXT, "id": "item-1-1"})

    assert (ended.json["epoch"], ended.json["batches"]) == (2, 0)
    with pod.reader() as reader:
        end = Checkpoint(origin_of(pod.policy.pod_id, 1), 0, EMPTY_ROOT)
        assert reader.meta.earlier[1] == sign_checkpoint(end, pod.keys.log_key)
    assert audited()["findings"] == []
    assert [item.id for item in pod.items()] == ["item-1-1"]


@pytest.mark.usefixtures("yesterday")
def test_a_whole_vault_is_left_alone(pod: TestPod) -> None:
    """Nothing is begun anew without need."""
    before = pod.digests()

    ended = succeed("repair", "plants", "--yes")

    assert "there is nothing to repair" in ended.err
    assert pod.digests() == before


def test_nobody_is_repaired_unasked(pod: TestPod, yesterday: Path) -> None:
    """A script that does not say --yes changes nothing."""
    put_back(yesterday, "vault.db")
    before = pod.digests()

    assert run("repair", "plants").code == Exit.USAGE
    assert pod.digests() == before
    assert list(Path("plants").glob("before-repair-*")) == []


@pytest.mark.parametrize(("word", "is_agreed"), [("repair", True), ("yes", False), ("", False)])
def test_a_person_types_the_word(yesterday: Path, tmp_path: Path, word: str, *, is_agreed: bool) -> None:
    """After what would be lost was shown."""
    put_back(yesterday, "vault.db")
    terminal = shared_pod("repair", "plants", cwd=tmp_path)

    terminal.expect("Missing: 2 that were seen once.")
    terminal.expect("Type repair to go on: ")
    terminal.enter(f"{word}\n")
    terminal.expect("Repaired: 4 batches" if is_agreed else "Nothing was changed.")

    assert terminal.end() == (Exit.DONE if is_agreed else Exit.FAILED)
    assert (audited()["findings"] == []) is is_agreed


@pytest.mark.parametrize("name", ["log.key", "vault.db"])
def test_a_copy_is_not_repaired(yesterday: Path, name: str) -> None:
    """Nor what is not there."""
    put_back(yesterday, "vault.db")
    (POD / name).unlink()

    assert run("repair", "plants", "--yes").code == Exit.MISSING


def test_an_altered_witness_gives_nothing_up(yesterday: Path) -> None:
    """It is put back, or removed, first."""
    put_back(yesterday, "vault.db")
    SEEN.write_bytes(b"nothing\n")

    assert run("repair", "plants", "--yes").code == Exit.MALFORMED
    assert SEEN.read_bytes() == b"nothing\n"


def test_a_repair_killed_at_any_moment_leaves_either(pod: TestPod, yesterday: Path) -> None:
    """The old vault, still refused, or the new one; and another repair goes on."""
    shutil.copytree("plants", "original")
    outcomes = []
    for moment in range(1, 500):
        shutil.rmtree("plants")
        shutil.copytree("original", "plants")
        put_back(yesterday, "vault.db")
        is_killed = killed_at(moment, partial(succeed, "repair", "plants", "--yes"), Path("plants"))
        report = audited()
        assert [last for _, last in report["proven"]] == [4]
        is_old = any("log.head has seen 6" in finding for finding in report["findings"])
        assert is_old or report["findings"] == []
        outcomes.append((is_killed, is_old))
        if not is_killed:
            break
        succeed("repair", "plants", "--yes")
        assert audited()["findings"] == []

    assert outcomes[-1] == (False, False)
    assert (True, True) in outcomes
    assert (True, False) in outcomes
    assert pod.check().findings == []
