"""`withdrawals`, `erase` and `receipt status`: what goes, who does it, and what is said."""

from __future__ import annotations

import contextlib
import json
import os
import re
import time
from pathlib import Path

import msgspec
import pytest

from maintainer_tools.carrying_out import STATEMENTS_A_REQUEST, carry_out, pending_requests
from maintainer_tools.exits import Exit
from maintainer_tools.homes import find_home
from tests.ingest.test_requests import server_is_closed
from tests.support.maintaining import RECEIVED_MS, put, put_forged, run, submissions, succeed, writer_of
from tests.support.pods import TestPod
from tests.support.server import Server, serving
from tests.vault.test_erasing import all_fragments, sealed_of, statements_of
from vault.errors import BusyError, DamagedError
from vault.links import Invite
from vault.locks import Patience, copying, hold_vault
from vault.opening import Identity
from vault.policies import load_policy
from vault.requests import MAX_REQUEST_BYTES, Erase, Hold, requests_folder, sign_request, write_request
from vault.store import Writer

ROSE = {"type": "Plant", "id": "rose-1", "latinName": "Rosa canina"}
OAK = {"type": "Plant", "id": "oak-01", "latinName": "Quercus robur"}
AT_ONCE = Patience(0.0, time.monotonic, time.sleep)


def _wish(target: str, item_id: str = "wish-1") -> dict[str, str]:
    return {"type": "Withdrawal", "id": item_id, "targetItemId": target}


def _ids() -> list[str]:
    return [line.split("\t")[0] for line in succeed("ls", "plants").lines]


def test_withdrawals_say_what_became_of_each(pod: TestPod, invite: Invite) -> None:
    """There, erased, never sent, somebody else's; by which invite and when."""
    school = pod.invite("school")
    put(pod, invite, ROSE, OAK)
    put(pod, school, {"type": "Plant", "id": "elm-01"})
    for number, target in enumerate(["rose-1", "oak-01", "never-sent", "elm-01"]):
        put(pod, invite, _wish(target, f"wish-{number}"))
    assert succeed("erase", "plants", "oak-01", "--yes").err.startswith("Erased 1 item. ")

    ended = succeed("withdrawals", "plants")

    received = "2025-11-21T00:00:00.000Z"
    assert ended.lines == [
        f"field-team/rose-1\tthere\t{received}\tfield-team/wish-0",
        f"field-team/oak-01\terased\t{received}\tfield-team/wish-1",
        f"field-team/never-sent\tnot found\t{received}\tfield-team/wish-2",
        f"field-team/elm-01\tof another invite\t{received}\tfield-team/wish-3",
    ]
    assert ended.err == "1 of 4 wait for `erase --withdrawn`.\n"
    first = json.loads(succeed("withdrawals", "plants", "--json").lines[0])
    assert first == {
        "message_type": "withdrawal",
        "id": "wish-0",
        "from": "field-team",
        "received": RECEIVED_MS,
        "target": "rose-1",
        "state": "there",
    }


def test_what_is_withdrawn_is_erased_and_no_more(pod: TestPod, invite: Invite) -> None:
    """Not the withdrawal, nor another's item of the same id, nor a withdrawal that somebody withdrew."""
    school = pod.invite("school")
    put(pod, invite, ROSE, OAK, _wish("rose-1"), _wish("wish-1", "wish-2"))
    put(pod, school, ROSE)

    ended = succeed("erase", "plants", "--withdrawn", "--yes")

    assert ended.lines == ["field-team/rose-1\tPlant\t2025-11-21T00:00:00.000Z"]
    assert "not reached: snapshots and backups, exports" in ended.err
    assert sorted(_ids()) == ["field-team/oak-01", "field-team/wish-1", "field-team/wish-2", "school/rose-1"]
    assert "Nothing waits" not in succeed("withdrawals", "plants").err
    assert succeed("erase", "plants", "--withdrawn", "--yes").err == "Nothing to erase.\n"
    assert b"Rosa" not in succeed("export", "plants", "-", "--from", "field-team").raw
    assert succeed("check", "plants").code == 0


def test_a_pod_nobody_wants_anything_back_from(pod: TestPod, invite: Invite) -> None:
    """Said, not left blank; and when all is done."""
    assert succeed("withdrawals", "plants").err == "Nobody asked to have anything erased.\n"
    put(pod, invite, _wish("never-sent"))
    assert succeed("withdrawals", "plants").err == "Nothing waits.\n"


def test_what_a_taken_over_server_sealed_as_withdrawals(pod: TestPod, invite: Invite) -> None:
    """No target, a number, an escape sequence, a path: shown harmless, and erases nothing."""
    put(pod, invite, ROSE)
    put_forged(pod, invite, {"type": "Withdrawal", "id": "wish-1"})
    put_forged(pod, invite, {"type": "Withdrawal", "id": "wish-2", "targetItemId": 7})
    put_forged(pod, invite, {"type": "Withdrawal", "id": "wish-3", "targetItemId": "\x1b[2Jrose-1"})

    ended = succeed("withdrawals", "plants")

    assert len(ended.lines) == 1
    assert ended.lines[0].startswith("field-team/\\x1b[2Jrose-1\tnot found")
    assert succeed("erase", "plants", "--withdrawn", "--yes").err == "Nothing to erase.\n"


def test_everything_of_an_invite_is_erased(pod: TestPod, invite: Invite) -> None:
    """And nothing of another; the invite still counts what it has stored."""
    school = pod.invite("school")
    put(pod, invite, ROSE, OAK)
    put(pod, school, ROSE)
    ended = succeed("erase", "plants", "--from", "field-team", "--yes", "--json")
    assert [json.loads(line) for line in ended.lines] == [
        {"message_type": "item", "id": "rose-1", "from": "field-team", "seq": 1},
        {"message_type": "item", "id": "oak-01", "from": "field-team", "seq": 2},
        {"message_type": "summary", "items": 2, "state": "erased"},
    ]
    assert _ids() == ["school/rose-1"]
    assert run("erase", "plants", "--from", "nobody", "--yes").code == 10


def test_a_dry_run_and_a_question_without_an_answer_erase_nothing(pod: TestPod, invite: Invite) -> None:
    """A script must say --yes."""
    put(pod, invite, ROSE)
    ended = succeed("erase", "plants", "rose-1", "--dry-run")
    assert ended.lines == ["field-team/rose-1\tPlant\t2025-11-21T00:00:00.000Z"]
    assert ended.err == "1 item would be erased.\n"
    asked = run("erase", "plants", "rose-1")
    assert asked.code == 2
    assert "pass --yes" in asked.err
    assert _ids() == ["field-team/rose-1"]


@pytest.mark.parametrize(
    "arguments",
    [[], ["rose-1", "--withdrawn"], ["rose-1", "--from", "field-team"], ["--withdrawn", "--from", "school"]],
)
def test_what_is_to_go_is_said_in_one_way(pod: TestPod, invite: Invite, arguments: list[str]) -> None:
    """Else one of two ways would be forgotten in silence."""
    put(pod, invite, ROSE)
    ended = run("erase", "plants", *arguments, "--yes")
    assert ended.code == 2
    assert _ids() == ["field-team/rose-1"]


def test_ids_are_those_of_show(pod: TestPod, invite: Invite) -> None:
    """Unknown: 10; several: 2; INVITE/ID tells them apart; one named twice is one."""
    school = pod.invite("school")
    put(pod, invite, ROSE)
    put(pod, school, ROSE)
    assert run("erase", "plants", "nothing-like-it", "--yes").code == 10
    assert run("erase", "plants", "rose-1", "--yes").code == 2
    ended = succeed("erase", "plants", "school/rose-1", "school/rose-1", "--yes")
    assert ended.err.startswith("Erased 1 item. ")
    assert _ids() == ["field-team/rose-1"]


def test_what_was_erased_before_is_said_with_its_time(pod: TestPod, invite: Invite) -> None:
    """By its whole id, whichever invite it came with; what else is named goes nevertheless."""
    school = pod.invite("school")
    put(pod, invite, ROSE, OAK)
    put(pod, school, ROSE)
    succeed("erase", "plants", "field-team/rose-1", "--yes")
    succeed("erase", "plants", "school/rose-1", "--yes")

    again = succeed("erase", "plants", "field-team/rose-1", "--yes")
    several = succeed("erase", "plants", "rose-1", "oak-01", "--yes", "--json")
    shown = run("show", "plants", "rose-1")

    assert again.lines == []
    assert re.fullmatch(
        r"field-team/rose-1 was erased before, 20[0-9-]+T[0-9:.]+Z\.\nNothing to erase\.\n", again.err
    )
    told = [json.loads(line) for line in several.lines]
    assert [(each["message_type"], each.get("full_id")) for each in told] == [
        ("erased before", "field-team/rose-1"),
        ("erased before", "school/rose-1"),
        ("item", None),
        ("summary", None),
    ]
    assert (told[2]["id"], told[3]["items"]) == ("oak-01", 1)
    assert shown.code == 10
    assert "field-team/rose-1 was erased 20" in shown.err
    assert "school/rose-1 was erased 20" in shown.err
    assert "no item nobody/rose-1" in run("erase", "plants", "nobody/rose-1", "--yes").err
    assert "no item school/oak-01" in run("erase", "plants", "school/oak-01", "--yes").err
    assert "no item ?" in run("erase", "plants", "?", "--yes").err


def test_an_item_that_is_gone_without_a_statement_is_not_said_to_be_erased(
    pod: TestPod, invite: Invite
) -> None:
    """It is lost, and every command that reads says so."""
    put(pod, invite, ROSE)
    succeed("erase", "plants", "rose-1", "--yes")
    with pod.forging() as vault:
        vault.execute("DELETE FROM erasure")
    ended = run("erase", "plants", "rose-1", "--yes")
    assert ended.code == Exit.DAMAGED
    assert "gone without a statement" in ended.err


def test_a_copy_is_not_where_one_erases(pod: TestPod, invite: Invite) -> None:
    """What is erased there stays where the pod is served."""
    put(pod, invite, ROSE)
    pod.folder.log_key.unlink()
    ended = run("erase", "plants", "rose-1", "--yes")
    assert ended.code == 10
    assert "it is a copy" in ended.err


def test_an_edit_by_hand_waits_for_its_signature(pod: TestPod, invite: Invite) -> None:
    """The vault takes no policy that nobody signed."""
    put(pod, invite, ROSE)
    pod.folder.pod_toml.write_bytes(pod.folder.pod_toml.read_bytes() + b"# edited\n")
    ended = run("erase", "plants", "rose-1", "--yes")
    assert ended.code == 24
    assert "schema apply" in ended.err
    assert _ids() == ["field-team/rose-1"]


def _send(server: Server, pod: TestPod, invite: Invite, item_id: str) -> int:
    payload = {"type": "Plant", "id": item_id, "latinName": "x" * 300}
    return server.create_item(pod.owner, invite.database_key.reveal().hex(), payload).status


def test_a_server_that_has_the_vault_open_erases_at_the_request(pod: TestPod, invite: Invite) -> None:
    """It goes on meanwhile; the request is gone again, and the item from every page."""
    with serving(pod.folder.path.absolute(), options=["--idle-seconds", "60"]) as server:
        assert [_send(server, pod, invite, f"plant-{number}") for number in range(3)] == [200] * 3
        sealed = sealed_of(pod)
        ended = succeed("erase", "plants", "plant-1", "--yes", "--json")
        assert json.loads(ended.lines[-1])["state"] == "erased"
        assert list(pending_requests(pod.folder, pod.policy.pod_id, pod.policy.signers)) == []
        assert os.listdir(requests_folder(pod.folder)) == []
        assert _send(server, pod, invite, "plant-1") == 200
        assert server.stop() == 0
    assert sorted(_ids()) == ["field-team/plant-0", "field-team/plant-2"]
    assert all_fragments(pod, [sealed["plant-1"]]) == [0]
    assert all(all_fragments(pod, [sealed["plant-0"], sealed["plant-2"]]))


def test_where_a_server_takes_its_time_the_next_command_finds_out(pod: TestPod, invite: Invite) -> None:
    """Pending is said; whoever opens the vault next does it, and home removes the request."""
    put(pod, invite, ROSE, OAK)
    home = find_home(Path("plants"))
    with hold_vault(pod.folder.path):
        statements = statements_of(pod, ["rose-1"])
        assert not carry_out(home, pod.keys.identity, statements, server_patience=AT_ONCE)
    assert len(_ids()) == 2
    ended = succeed("erase", "plants", "oak-01", "--dry-run")
    assert ended.err.startswith("1 earlier requests wait for the server")

    with serving(pod.folder.path.absolute(), options=["--idle-seconds", "0.01"]) as server:
        assert _send(server, pod, invite, "plant-1") == 200
        server.wait_for("erased")
        server_is_closed(pod)
        assert sorted(_ids()) == ["field-team/oak-01", "field-team/plant-1"]
    assert succeed("erase", "plants", "oak-01", "--dry-run").err == "1 item would be erased.\n"
    assert os.listdir(requests_folder(pod.folder)) == []


def test_what_no_server_came_to_do_is_done_on_the_way(pod: TestPod, invite: Invite) -> None:
    """The server was stopped; what strangers and other verbs left there is left alone."""
    put(pod, invite, ROSE, OAK)
    home = find_home(Path("plants"))
    with hold_vault(pod.folder.path):
        statements = statements_of(pod, ["rose-1"])
        assert not carry_out(home, pod.keys.identity, statements, server_patience=AT_ONCE)
    stranger, pod_id = Identity(bytes(32)), pod.policy.pod_id
    write_request(pod.folder, bytes(16), sign_request(pod_id, bytes(16), Erase(()), stranger))
    write_request(pod.folder, b"h" * 16, sign_request(pod_id, b"h" * 16, Hold(1), pod.keys.identity))

    succeed("erase", "plants", "oak-01", "--yes")

    assert succeed("ls", "plants").lines == []
    assert sorted(os.listdir(requests_folder(pod.folder))) == [bytes(16).hex(), (b"h" * 16).hex()]


def test_a_person_is_told_what_is_pending(
    pod: TestPod, invite: Invite, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And how to find out more."""
    put(pod, invite, ROSE)
    monkeypatch.setattr("maintainer_tools.erase.carry_out", lambda *_: False)
    ended = succeed("erase", "plants", "rose-1", "--yes")
    assert ended.err.startswith("1 item not erased yet: the server has the vault and was asked to")


def test_while_a_snapshot_is_taken_erasing_waits(pod: TestPod, invite: Invite) -> None:
    """Until the log can be emptied: the statement is committed meanwhile, the content goes after."""
    put(pod, invite, ROSE)
    home, statements, sealed = find_home(Path("plants")), statements_of(pod, ["rose-1"]), sealed_of(pod)
    with contextlib.ExitStack() as snapshot:
        snapshot.enter_context(copying(pod.folder.path, Patience(1, time.monotonic, time.sleep)))
        waiting = Patience(5.0, time.monotonic, lambda _: snapshot.close())
        assert carry_out(home, pod.keys.identity, statements, patience=waiting)
    assert succeed("ls", "plants").lines == []
    assert all_fragments(pod, [sealed["rose-1"]]) == [0]


def test_where_a_snapshot_takes_too_long_the_rest_is_left_to_the_next_opening(
    pod: TestPod, invite: Invite, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Said: the item is erased, and the log still has its page."""
    put(pod, invite, ROSE)
    home, statements = find_home(Path("plants")), statements_of(pod, ["rose-1"])
    left: list[Writer] = []
    with monkeypatch.context() as slow:

        def refuse(writer: Writer) -> bool:
            left.append(writer)
            return False

        slow.setattr(Writer, "close", refuse)
        assert carry_out(home, pod.keys.identity, statements, patience=AT_ONCE)
    assert "the write-ahead log still has the pages" in capsys.readouterr().err
    assert left[0].close()
    assert succeed("ls", "plants").lines == []


def test_a_vault_left_open_is_not_opened_under_a_snapshot(
    pod: TestPod, invite: Invite, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next try is the person's, when the snapshot is done."""
    put(pod, invite, ROSE)
    statements = statements_of(pod, ["rose-1"])

    def busy(*_: object, **__: object) -> None:
        raise BusyError("a snapshot is being taken")

    monkeypatch.setattr("maintainer_tools.carrying_out.open_writer", busy)
    waits = Patience(0.2, time.monotonic, time.sleep)
    with pytest.raises(BusyError):
        carry_out(find_home(Path("plants")), pod.keys.identity, statements, patience=waits)


def test_a_statement_that_does_not_hold_is_an_error(pod: TestPod, invite: Invite) -> None:
    """As of a home whose vault was replaced meanwhile; what holds is erased."""
    put(pod, invite, ROSE, OAK)
    statements = [*statements_of(pod, ["rose-1"], Identity(bytes(32))), *statements_of(pod, ["oak-01"])]
    with pytest.raises(DamagedError, match="not signed by a maintainer of this pod; 1 items were erased"):
        carry_out(find_home(Path("plants")), pod.keys.identity, statements)
    assert _ids() == ["field-team/rose-1"]


def _receipt(pod: TestPod, invite: Invite, payload: dict[str, str]) -> str:
    writer = writer_of(pod, invite)
    (submission,) = submissions(pod, invite, [payload])
    wanting = msgspec.structs.replace(submission, wants_receipt=True)
    (answer,) = writer.commit(load_policy(pod.folder), [wanting])
    assert writer.close()
    assert answer.receipt
    return answer.receipt


def test_a_receipt_leads_to_its_item(pod: TestPod, invite: Invite, tmp_path: Path) -> None:
    """Stored; erased since, and when; not here; and a receipt of another pod is none."""
    older = pod.crashed(tmp_path / "older")
    receipt = tmp_path / "receipt"
    receipt.write_text(_receipt(pod, invite, ROSE))
    assert (
        succeed("receipt", "status", "plants", receipt).out == "accepted 2025-11-21T00:00:00.000Z, stored\n"
    )
    succeed("erase", "plants", "rose-1", "--yes")

    ended = succeed("receipt", "status", "plants", "-", stdin=receipt.read_bytes())
    assert ended.out.startswith("accepted 2025-11-21T00:00:00.000Z, erased since: 20")
    facts = succeed("receipt", "status", "plants", receipt, "--json").json
    assert facts["state"] == "erased"
    assert facts["erased"] > facts["received"] == RECEIVED_MS

    gone = run("receipt", "status", older.home, receipt)
    assert gone.code == 3
    assert "not in this vault" in gone.out
    assert run("receipt", "status", "plants", __file__).code == 25


def test_a_receipt_of_an_item_that_was_lost_is_no_receipt_of_an_erased_one(
    pod: TestPod, invite: Invite, tmp_path: Path
) -> None:
    """Whoever has the file key can empty a row, and sign no statement."""
    receipt = tmp_path / "receipt"
    receipt.write_text(_receipt(pod, invite, ROSE))
    with pod.forging() as connection:
        connection.execute("UPDATE item SET sealed = NULL")
    ended = run("receipt", "status", "plants", receipt)
    assert ended.code == 23
    assert "gone without a statement" in ended.err


def test_a_full_request_is_one_a_server_reads(pod: TestPod, invite: Invite) -> None:
    """Else it would lie there for ever."""
    put(pod, invite, ROSE)
    statements = statements_of(pod, ["rose-1"]) * STATEMENTS_A_REQUEST
    content = sign_request(pod.policy.pod_id, bytes(16), Erase(tuple(statements)), pod.keys.identity)
    assert len(content) < MAX_REQUEST_BYTES


def test_a_request_of_an_identity_since_replaced_is_taken_back(pod: TestPod, invite: Invite) -> None:
    """No server hears it any more; what it asked for is asked again, and says so."""
    put(pod, invite, ROSE)
    with hold_vault(pod.folder.path):
        statements = statements_of(pod, ["rose-1"])
        home = find_home(Path("plants"))
        assert not carry_out(home, pod.keys.identity, statements, server_patience=AT_ONCE)
    succeed("rotate", "plants", "--identity")

    ended = succeed("erase", "plants", "rose-1", "--yes")

    assert "signed by an identity replaced since, and was not done: erase again" in ended.err
    assert os.listdir(requests_folder(pod.folder)) == []
    assert _ids() == []
    assert succeed("check", "plants").code == 0
