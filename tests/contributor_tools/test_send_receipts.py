"""`send --receipts`: what a contributor keeps of what the pod answered."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner, Result

from contributor_tools.exits import Exit
from contributor_tools.send import send
from tests.support.functions import new_function
from tests.support.invites import write_invite
from tests.support.maintaining import run, succeed
from tests.support.receipts import PAYLOAD, Kept, keep
from tests.support.scripted_server import Answer, Reply, Request, ScriptedServer, accept
from tests.support.server import serving
from vault.errors import StorageError
from vault.items import SCHEMA_TYPE, parse_item
from vault.submissions import submit


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    """A real receipt of ``PAYLOAD``, for a server that answers with it."""
    return keep(tmp_path)


def _giving(*receipts: str | None) -> Answer:
    """Accept everything; answer items with these receipts in turn, then with the last again."""
    left = list(receipts)

    def answer(request: Request) -> Reply:
        reply = accept(request)
        if request.payload["type"] == SCHEMA_TYPE:
            return reply
        receipt = left.pop(0) if len(left) > 1 else left[0]
        return reply if receipt is None else Reply(200, reply.body, {"Pod-Receipt": receipt})

    return answer


def _send(kept: Kept, answer: Answer, *items: Mapping[str, object], options: tuple[str, ...] = ()) -> Result:
    lines = kept.file("notes.jsonl", "".join(f"{json.dumps(item)}\n" for item in items or (PAYLOAD,)))
    with ScriptedServer(answer) as server:
        write_invite(kept.folder / "mine.invite", msgspec.structs.replace(kept.invite, url=server.url))
        arguments = [str(lines), "--invite", str(kept.folder / "mine.invite"), "--yes", *options]
        receipts = ["--receipts", str(kept.folder / "receipts")]
        result = CliRunner().invoke(send, [*arguments, *receipts], catch_exceptions=False)
        asked = [request for request in server.requests if request.payload["type"] != SCHEMA_TYPE]
        assert all(request.headers["pod-receipt"] == "1" for request in asked)
    return result


def _bytes(kept: Kept) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (kept.folder / "receipts").iterdir()}


def test_a_receipt_is_kept_with_what_it_takes_to_verify_it(kept: Kept) -> None:
    """Named by the item's id, for its owner alone, nothing half written beside it."""
    result = _send(kept, _giving(kept.header))
    assert result.exit_code == Exit.DONE
    assert f"1 receipts are in {kept.folder / 'receipts'}, verified." in result.stderr
    files = _bytes(kept)
    assert files == {
        "note-b1.receipt": f"shared-pod-receipt/v1 note-b1\n{kept.header}\n".encode(),
        "note-b1.json": files["note-b1.json"],
    }
    assert json.loads(files["note-b1.json"]) == PAYLOAD
    folder = kept.folder / "receipts"
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}
    verified = ("receipt", "verify", folder / "note-b1.receipt", "--item", folder / "note-b1.json")
    succeed(*verified, "--invite", kept.folder / "mine.invite")


def test_sending_again_writes_the_same_bytes(kept: Kept) -> None:
    """And leaves what was refreshed meanwhile."""
    _send(kept, _giving(kept.header))
    first = _bytes(kept)
    assert _send(kept, _giving(kept.header)).exit_code == Exit.DONE
    assert _bytes(kept) == first
    succeed("receipt", "refresh", kept.pod.home, kept.folder / "receipts" / "note-b1.receipt")
    longer = _bytes(kept)
    assert longer["note-b1.receipt"].startswith(first["note-b1.receipt"])
    assert _send(kept, _giving(kept.header)).exit_code == Exit.DONE
    assert _bytes(kept) == longer


@pytest.mark.parametrize(
    ("receipt", "says"),
    [
        (None, "gave no receipt"),
        ("", "receipt"),
        ("bm90aGluZw==", "tlog-proof"),
        ("\x9b31m", "base64"),
        ("A" * 4004, "at most 4000"),
        ("A" * 20_000, "at most 4000"),
    ],
)
def test_what_is_no_receipt_is_not_kept_and_is_said(kept: Kept, receipt: str | None, says: str) -> None:
    """The item is in the pod; what proves it is missing, and now is when to ask."""
    result = _send(kept, _giving(receipt))
    assert result.exit_code == Exit.FINDINGS
    assert "1 items are without a receipt that holds: line 1: " in result.stderr
    assert says in result.stderr
    assert "\x9b" not in result.stderr
    assert _bytes(kept) == {}


def test_a_receipt_of_another_item_is_not_kept(kept: Kept) -> None:
    """A pod that took something else is told from one that took this."""
    result = _send(kept, _giving(kept.header), PAYLOAD | {"text": "y"}, options=("--json",))
    document = json.loads(result.stdout)
    assert (document["accepted"], document["exit_code"]) == (1, Exit.FINDINGS)
    assert document["receipts"]["kept"] == 0
    assert document["receipts"]["lacking"] == 1
    assert "for another item" in document["receipts"]["fault"]


def test_another_receipt_of_the_same_item_never_replaces_the_first(kept: Kept) -> None:
    """Two of them are evidence, and the one on disk was there first."""
    kept.file("mine", kept.header)
    _send(kept, _giving(kept.header))
    before = _bytes(kept)
    other = kept.header_of_a_fork()
    result = _send(kept, _giving(other))
    assert result.exit_code == Exit.FINDINGS
    assert "holds another receipt and was left as it is" in result.stderr
    assert _bytes(kept) == before


@pytest.mark.parametrize("content", [b"", b"\x00" * 100, b"A" * (1 << 21)])
def test_what_a_power_cut_left_is_written_anew(kept: Kept, content: bytes) -> None:
    """It is no receipt, so nothing is lost by it."""
    (kept.folder / "receipts").mkdir()
    kept.file("receipts/note-b1.receipt", content)
    assert _send(kept, _giving(kept.header)).exit_code == Exit.DONE
    assert _bytes(kept)["note-b1.receipt"].endswith(f"{kept.header}\n".encode())


def test_rows_of_one_id_write_one_file(kept: Kept) -> None:
    """Many connections at once, one place."""
    result = _send(kept, _giving(kept.header), *[PAYLOAD] * 40)
    assert result.exit_code == Exit.DONE, result.stderr
    assert sorted(_bytes(kept)) == ["note-b1.json", "note-b1.receipt"]


def test_a_folder_that_cannot_be_made_stops_the_run_before_it_begins(kept: Kept) -> None:
    """Nothing was sent."""
    lines = kept.file("notes.jsonl", json.dumps(PAYLOAD))
    (kept.folder / "blocked").write_text("a file")
    with ScriptedServer() as server:
        write_invite(kept.folder / "mine.invite", msgspec.structs.replace(kept.invite, url=server.url))
        arguments = [str(lines), "--invite", str(kept.folder / "mine.invite"), "--yes"]
        with pytest.raises(StorageError, match="could not be made"):
            CliRunner().invoke(
                send, [*arguments, "--receipts", str(kept.folder / "no" / "where")], catch_exceptions=False
            )
        blocked = CliRunner().invoke(send, [*arguments, "--receipts", str(kept.folder / "blocked")])
        assert (blocked.exit_code, server.requests) == (2, [])


@pytest.mark.parametrize("name", ["note-b1.receipt", "note-b1.receipt.new", "note-b1.json"])
def test_a_place_that_cannot_be_written_ends_the_run(kept: Kept, name: str) -> None:
    """Sending again brings the receipt back; going on without would lose it unsaid."""
    (kept.folder / "receipts" / name).mkdir(parents=True)
    with pytest.raises(StorageError, match="note-b1"):
        _send(kept, _giving(kept.header))


def test_a_real_pod_gives_receipts_that_hold(tmp_path: Path) -> None:
    """A table in, a receipt a row, each verified offline; again, the same bytes."""
    kept = keep(tmp_path)
    rows = kept.file("rows.csv", "text,n\n" + "".join(f"row {number},{number}\n" for number in range(40)))
    folder = tmp_path / "receipts"
    with serving(kept.pod.folder.path) as server:
        url = f"http://127.0.0.1:{server.port}"
        invite = write_invite(tmp_path / "mine.invite", msgspec.structs.replace(kept.invite, url=url))
        arguments = (
            "send",
            rows,
            "--invite",
            invite,
            "--type",
            "Note",
            "--yes",
            "--receipts",
            folder,
            "--json",
        )
        assert succeed(*arguments).json["receipts"] == {
            "folder": str(folder),
            "kept": 40,
            "lacking": 0,
            "fault": None,
        }
        before = _bytes(kept)
        succeed(*arguments)
        assert _bytes(kept) == before
    receipts = sorted(folder.glob("*.receipt"))
    assert len(receipts) == 40
    succeed("receipt", "refresh", kept.pod.home, *receipts)
    for receipt in receipts:
        item = receipt.with_suffix(".json")
        assert succeed("receipt", "verify", receipt, "--invite", invite, "--item", item, "--json").json[
            "is_proven"
        ]
    other = receipts[1].with_suffix(".json")
    assert run("receipt", "verify", receipts[0], "--invite", invite, "--item", other).code == Exit.MALFORMED


def _promising(*promises: str) -> Answer:
    """Accept everything; answer items with these promises in turn, then with the last again."""
    left = list(promises)

    def answer(request: Request) -> Reply:
        reply = accept(request)
        if request.payload["type"] == SCHEMA_TYPE:
            return reply
        promise = left.pop(0) if len(left) > 1 else left[0]
        return Reply(200, reply.body, {"Pod-Promise": promise})

    return answer


@pytest.fixture
def promised(kept: Kept, tmp_path: Path) -> list[str]:
    """Promises of ``PAYLOAD`` by a function of the same pod: two, which another answer could have."""
    function = new_function(kept.pod, tmp_path / "scratch")
    kept.invite = msgspec.structs.replace(kept.invite, function_keys=(function.key.public,))
    slot = kept.pod.opened(kept.invite)
    submission = submit(slot, parse_item(PAYLOAD, make_id=str))
    return [function.deposit(slot, submission).promise for _ in range(2)]


def test_a_functions_promise_is_kept_like_a_receipt(kept: Kept, promised: list[str]) -> None:
    """And verifies; sent again, the same one is no news."""
    for _ in range(2):
        result = _send(kept, _promising(promised[0]))
        assert result.exit_code == Exit.DONE, result.stderr
        assert sorted(_bytes(kept)) == ["note-b1.json", "note-b1.promise"]
    folder = kept.folder / "receipts"
    invite = kept.invite_file(function_keys=kept.invite.function_keys)
    files = folder / "note-b1.promise", "--invite", invite, "--item", folder / "note-b1.json"
    assert "PROVEN" in succeed("promise", "verify", *files).out


def test_another_promise_of_the_same_item_is_told(kept: Kept, promised: list[str]) -> None:
    """Two stories: the first is kept."""
    _send(kept, _promising(promised[0]))
    before = _bytes(kept)
    result = _send(kept, _promising(promised[1]))
    assert result.exit_code == Exit.FINDINGS
    assert "holds another promise" in result.stderr
    assert _bytes(kept) == before


def test_a_promise_that_does_not_hold_is_told(kept: Kept, promised: list[str]) -> None:
    """While the sender is still there."""
    for promise in ("x", promised[0][:-4] + "AAAA"):
        result = _send(kept, _promising(promise))
        assert result.exit_code == Exit.FINDINGS
        assert not list((kept.folder / "receipts").glob("*.promise"))
