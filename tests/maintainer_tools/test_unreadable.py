"""A worker that was taken over: what it had sealed is passed over, named, counted, and can be erased."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path

import msgspec
import pytest

from ingest.messages import Committed, Failed
from maintainer_tools import unreadable
from maintainer_tools.exits import Exit
from maintainer_tools.unreadable import tell_unreadable
from tests.support.maintaining import Ended, put, run, submissions, succeed
from tests.support.pods import TestPod
from tests.support.takeover import TakenOverWorker, taken_over_worker
from vault.encoding import mp
from vault.judging import Outcome
from vault.links import Invite
from vault.submissions import Submission
from vault.unreadable import PassedOver, Unreadable

ROSE = {"type": "Plant", "id": "rose-1", "latinName": "Rosa canina"}
OAK = {"type": "Plant", "id": "oak-01", "latinName": "Quercus robur"}
GARBAGE = (b"", b"\xff\xff", b"\x81" * 3000, b"\x92" * 3000, mp({"type": "../evil\x1b[2J", "id": "abcdef"}))


def _forged(pod: TestPod, invite: Invite, canonical: bytes) -> Submission:
    """An item that the writer takes: what is judged is honest, what is sealed is not."""
    (honest,) = submissions(pod, invite, [{"type": "Plant", "latinName": "x"}])
    return msgspec.structs.replace(honest, item=msgspec.structs.replace(honest.item, canonical=canonical))


def _stored(worker: TakenOverWorker, *batch: Submission) -> None:
    reply = worker.commit(*batch)
    assert isinstance(reply, Committed)
    assert {answer.outcome for answer in reply.answers} == {Outcome.STORED}


@pytest.fixture
def school(pod: TestPod) -> Invite:
    """Another invite."""
    return pod.invite("school")


@pytest.fixture
def spoilt(pod: TestPod, invite: Invite, school: Invite) -> TestPod:
    """Honest items around what a worker had sealed that was taken over: seq 2 to 6, and 8."""
    put(pod, invite, ROSE)
    with taken_over_worker(pod) as worker:
        _stored(worker, *(_forged(pod, invite, canonical) for canonical in GARBAGE))
        _stored(worker, *submissions(pod, school, [OAK]), _forged(pod, school, b"?"))
    put(pod, invite, {"type": "Plant", "id": "elm-01"})
    return pod


def _warnings(ended: Ended) -> list[str]:
    return [line for line in ended.err.splitlines() if line.startswith("warning: ")]


def _require_named(ended: Ended) -> None:
    first, *_, last, summary = _warnings(ended)
    assert ended.code == Exit.UNREADABLE
    assert first.startswith("warning: item 2 (batch 2, place 0, by the key of field-team, received ")
    assert first.endswith(" cannot be read: a flat MessagePack map with text keys was expected")
    assert last.startswith("warning: item 8 (batch 3, place 1, by the key of school, received ")
    assert summary.startswith("warning: 6 items were left out: ")
    assert "erase --unreadable" in summary
    assert "\x1b" not in ended.err


def test_an_export_has_everything_else_and_says_what_it_lacks(spoilt: TestPod) -> None:
    """Standard error, the summary, the exit code and a file in the folder say it."""
    ended = run("export", spoilt.home, "out", "--json")

    _require_named(ended)
    lines = [json.loads(line) for line in Path("out/items.jsonl").read_bytes().splitlines()]
    assert [(line["id"], line["_seq"]) for line in lines] == [("rose-1", 1), ("oak-01", 7), ("elm-01", 9)]
    assert (ended.json["unreadable"], ended.json["files"]) == (6, [{"file": "items.jsonl", "rows": 3}])
    lacking = json.loads(Path("out/unreadable.json").read_bytes())
    assert lacking["count"] == 6
    assert [(item["seq"], item["batch"], item["place"], item["from"]) for item in lacking["items"]] == [
        *((seq, 2, seq - 2, "field-team") for seq in range(2, 7)),
        (8, 3, 1, "school"),
    ]
    assert Path("out/unreadable.json").stat().st_mode & 0o777 == 0o600


def test_tables_have_everything_else_too(spoilt: TestPod) -> None:
    """Two passes count none twice."""
    ended = run("export", spoilt.home, "out", "--format", "csv", "--json")

    _require_named(ended)
    assert ended.json["unreadable"] == 6
    assert sorted(os.listdir("out")) == ["Plant.csv", "unreadable.json"]
    with Path("out/Plant.csv").open(newline="") as file:
        assert [row[0] for row in csv.reader(file)] == ["id", "rose-1", "oak-01", "elm-01"]


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_a_stream_has_everything_else_too(spoilt: TestPod, form: str) -> None:
    """Standard output is data; what is missing is said beside it."""
    ended = run("export", spoilt.home, "-", "--format", form)

    _require_named(ended)
    assert [name for name in ("rose-1", "oak-01", "elm-01") if name in ended.out] == [
        "rose-1",
        "oak-01",
        "elm-01",
    ]


def test_an_export_that_lacks_nothing_has_no_such_file(pod: TestPod, invite: Invite) -> None:
    """A file that is always there is not looked at."""
    put(pod, invite, ROSE)

    ended = succeed("export", pod.home, "out", "--json")

    assert (ended.json["unreadable"], os.listdir("out")) == (0, ["items.jsonl"])


def test_lists_go_on_past_it(spoilt: TestPod) -> None:
    """Newest first; and as JSON."""
    ended = run("ls", spoilt.home)
    as_json = run("ls", spoilt.home, "--json")

    assert [line.split("\t")[0] for line in ended.lines] == [
        "field-team/elm-01",
        "school/oak-01",
        "field-team/rose-1",
    ]
    assert [json.loads(line)["id"] for line in as_json.lines] == ["elm-01", "oak-01", "rose-1"]
    assert (ended.code, as_json.code) == (Exit.UNREADABLE, Exit.UNREADABLE)
    # The newest batch with garbage comes first here.
    assert "item 8 (batch 3, place 1, by the key of school" in _warnings(ended)[0]
    assert succeed("ls", spoilt.home, "--limit", "1").lines[0].startswith("field-team/elm-01")


def test_one_item_is_shown_and_one_that_is_not_found_may_be_among_them(spoilt: TestPod) -> None:
    """What was asked for is answered in full, or is missing; then it matters what nobody can read."""
    shown = succeed("show", spoilt.home, "oak-01")
    missing = run("show", spoilt.home, "never-sent")

    assert "Quercus robur" in shown.out
    assert _warnings(shown) == []
    assert missing.code == Exit.MISSING
    assert len(_warnings(missing)) == 7


def test_withdrawals_are_listed_nevertheless(spoilt: TestPod, invite: Invite) -> None:
    """One of what cannot be read may have been one."""
    put(spoilt, invite, {"type": "Withdrawal", "id": "wish-1", "targetItemId": "rose-1"})

    ended = run("withdrawals", spoilt.home)
    as_json = run("withdrawals", spoilt.home, "--json")

    _require_named(ended)
    assert ended.lines[0].startswith("field-team/rose-1\tthere\t")
    assert (as_json.code, as_json.json["target"]) == (Exit.UNREADABLE, "rose-1")


def test_a_check_and_an_audit_name_each_and_go_on(spoilt: TestPod) -> None:
    """With the invite whose key it came by; a check says that no snapshot helps."""
    check = run("check", spoilt.home)
    audit = run("audit", spoilt.home, "--items")

    for ended in (check, audit):
        assert ended.code == Exit.FINDINGS
        assert ended.lines[0] == (
            "FAIL  item 2 (batch 2, by field-team): a flat MessagePack map with text keys was expected"
        )
    assert "6 of the items are as they were logged and nobody can read them" in check.err
    assert run("check", spoilt.home, "--json").json["unreadable"] == 6
    assert run("audit", spoilt.home).code == Exit.DONE


def test_receipts_of_other_items_in_the_batch_still_verify(pod: TestPod, invite: Invite) -> None:
    """An honest contributor's item went through the same batch."""
    (honest,) = submissions(pod, invite, [ROSE])
    with taken_over_worker(pod) as worker:
        reply = worker.commit(msgspec.structs.replace(honest, wants_receipt=True), _forged(pod, invite, b""))
    assert isinstance(reply, Committed)
    assert reply.answers[0].receipt is not None
    Path("rose.receipt").write_text(reply.answers[0].receipt)

    assert succeed("receipt", "status", pod.home, "rose.receipt").out.endswith(", stored\n")
    succeed("receipt", "refresh", pod.home, "rose.receipt")


def test_it_can_be_erased(spoilt: TestPod) -> None:
    """It has no id to be named by; then everything reads as if it had never come."""
    dry = succeed("erase", spoilt.home, "--unreadable", "--dry-run")
    assert dry.lines[0].split("\t")[:2] == ["field-team/(item 2)", "(unreadable)"]
    assert dry.err == "6 items would be erased.\n"

    ended = succeed("erase", spoilt.home, "--unreadable", "--yes", "--json")

    first, *_, summary = map(json.loads, ended.lines)
    assert first == {"message_type": "item", "id": None, "from": "field-team", "seq": 2}
    assert summary == {"message_type": "summary", "items": 6, "state": "erased"}
    assert [item.id for item in spoilt.items()] == ["rose-1", "oak-01", "elm-01"]
    succeed("export", spoilt.home, "out")
    succeed("check", spoilt.home)
    assert succeed("erase", spoilt.home, "--unreadable", "--yes").err == "Nothing to erase.\n"


def test_what_came_by_an_invite_goes_with_it(spoilt: TestPod) -> None:
    """Who asks for all of an invite's to be erased means what nobody can read too."""
    ended = succeed("erase", spoilt.home, "--from", "school", "--yes", "--json")

    assert [(line["id"], line["seq"]) for line in map(json.loads, ended.lines[:-1])] == [
        ("oak-01", 7),
        (None, 8),
    ]
    assert run("export", spoilt.home, "out", "--json").json["unreadable"] == 5


def test_an_erasure_by_id_says_that_there_is_more(spoilt: TestPod) -> None:
    """An item of that id may be among what cannot be read."""
    ended = succeed("erase", spoilt.home, "rose-1", "--yes")

    assert len(_warnings(ended)) == 7


def test_a_view_that_a_worker_had_sealed_stops_no_reading(pod: TestPod, invite: Invite) -> None:
    """Under a key of its own, what an invite declared opens for nobody; its items are there."""
    declaration = {
        "type": "ItemPropertySchema",
        "id": "declares",
        "itemType": "Plant",
        "propertyName": "scent",
        "valueType": "Text",
    }
    (honest,) = submissions(pod, invite, [declaration])
    forged = msgspec.structs.replace(honest, slot=msgspec.structs.replace(honest.slot, view_key=bytes(32)))
    with taken_over_worker(pod) as worker:
        _stored(worker, forged)
        _stored(worker, *submissions(pod, invite, [ROSE | {"scent": "sweet"}]))

    ended = run("export", pod.home, "out", "--format", "csv")
    listed = run("ls", pod.home)
    shown = succeed("schema", "show", pod.home)

    assert (ended.code, listed.code) == (Exit.UNREADABLE, Exit.UNREADABLE)
    assert ended.err.count("what the invite field-team declared cannot be read") == 1
    assert "what the invite field-team declared cannot be read" in shown.err
    assert "scent" not in shown.out
    with Path("out/Plant.csv").open(newline="") as file:
        assert [row[-1] for row in csv.reader(file)] == ["scent", "sweet"]
    assert json.loads(Path("out/unreadable.json").read_bytes())["views"].keys() == {"field-team"}


def test_what_is_no_batch_of_a_writer_is_refused(pod: TestPod, invite: Invite) -> None:
    """Too many items, or more bytes than a reader takes: nothing is stored, and the writer goes on."""
    many = [msgspec.structs.replace(_forged(pod, invite, b""), name=os.urandom(22)) for _ in range(513)]
    large = [_forged(pod, invite, bytes(23 << 20)) for _ in range(3)]
    with taken_over_worker(pod) as worker:
        for batch in (many, large):
            assert isinstance(worker.commit(*batch), Failed)
        _stored(worker, *submissions(pod, invite, [ROSE]))

    assert [item.id for item in pod.items()] == ["rose-1"]


@pytest.mark.parametrize(
    "changes",
    [{"name": b"n" * 21}, {"name": b"n" * (1 << 20)}, {"c": b"c" * 33}, {"salt": b""}, {"view_key": b"k"}],
    ids=["short name", "large name", "long c", "no salt", "short key"],
)
def test_what_no_door_hands_over_is_refused(pod: TestPod, invite: Invite, changes: dict[str, bytes]) -> None:
    """Rows of other lengths than theirs could fill the memory of who reads them."""
    (honest,) = submissions(pod, invite, [ROSE])
    if "view_key" in changes:
        changes = {"slot": msgspec.structs.replace(honest.slot, **changes)}  # type: ignore[dict-item]  # a slot
    with taken_over_worker(pod) as worker:
        assert isinstance(worker.commit(msgspec.structs.replace(honest, **changes)), Failed)
        _stored(worker, honest)

    assert [item.id for item in pod.items()] == ["rose-1"]


def test_many_are_named_by_their_first_and_counted(capsys: pytest.CaptureFixture[str]) -> None:
    """A screen of them is enough; and one that names no slot is told as that."""
    passed_over = PassedOver()
    for seq in range(1, 51):
        passed_over.add(Unreadable(seq, 1, seq - 1, 0, None, "", "why"))

    tell_unreadable(passed_over)

    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == unreadable._MOST_SHOWN + 1
    assert "item 1 (batch 1, place 0, by no slot's key, received 1970-01-01T00:00:00.000Z)" in lines[0]
    assert lines[-1].startswith("warning: 50 items were left out, 30 of them not named here: ")
