"""The command `send`, as a contributor types it."""

from __future__ import annotations

import csv
import json
import stat
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner, Result

from contributor_tools.exits import Exit
from contributor_tools.send import send
from contributor_tools.tables import REASON
from tests.support.invites import INVITE, invite_to, write_invite
from tests.support.scripted_server import (
    DROP,
    Answer,
    Reply,
    Request,
    ScriptedServer,
    accept,
    fail,
)
from vault.errors import MalformedError
from vault.items import SCHEMA_TYPE

PENGUINS = Path(__file__).parents[1] / "data" / "penguins-raw.csv"


def _send(server: ScriptedServer | str, path: Path, *options: str, item_type: str = "Plant") -> Result:
    url = server if isinstance(server, str) else server.url
    invite = write_invite(path.parent / "field-team.invite", invite_to(url))
    arguments = [str(path), "--invite", str(invite), "--type", item_type, "--yes", *options]
    return CliRunner().invoke(send, arguments, catch_exceptions=False)


def _refusing(fault: str, reply: Reply) -> Answer:
    return lambda request: reply if fault.encode() in request.body else accept(request)


def test_a_table_goes_in_declared_typed_and_whole(plants: Path) -> None:
    """Declarations first, then one item a row."""
    with ScriptedServer() as server:
        result = _send(server, plants)
    assert result.exit_code == Exit.DONE
    assert result.stdout == ""
    assert "2 of 2 items are in the pod" in result.stderr
    assert [request.payload["type"] for request in server.requests[:2]] == [SCHEMA_TYPE] * 2
    payloads = [
        {name: value for name, value in request.payload.items() if name != "id"} for request in server.items
    ]
    assert sorted(payloads, key=lambda payload: str(payload["heightCm"])) == [
        {"type": "Plant", "latinName": "Rosa canina", "heightCm": 120},
        {"type": "Plant", "latinName": "Rosa rugosa", "heightCm": 95},
    ]
    assert not plants.with_name("plants.csv.rejected.csv").exists()


def test_sending_again_sends_the_same_ids(tmp_path: Path) -> None:
    """The pod then stores nothing; 344 real records."""
    copy = tmp_path / "penguins.csv"
    copy.write_bytes(PENGUINS.read_bytes())
    with ScriptedServer() as first, ScriptedServer() as second:
        assert _send(first, copy, item_type="Penguin").exit_code == Exit.DONE
        assert _send(second, copy, item_type="Penguin").exit_code == Exit.DONE
    sent = [sorted(request.body for request in server.items) for server in (first, second)]
    assert len(sent[0]) == 344
    assert sent[0] == sent[1]


def test_the_preview_says_where_to_what_and_that_it_is_final(plants: Path) -> None:
    """Before anything is sent."""
    with ScriptedServer() as server:
        lines = _send(server, plants).stderr.splitlines()
    assert lines[0] == f"To       Street plants  ({server.url.removeprefix('http://')}, owner 00010203)"
    assert lines[1].startswith("Items    2 Plant, ")
    assert lines[2] == "Fields   latinName  Text      from Latin name"
    assert lines[3] == "         heightCm   Integer   from Height (cm)"
    assert lines[4] == "First    latinName=Rosa canina  heightCm=120"
    assert lines[5] == "         latinName=Rosa rugosa  heightCm=95"
    assert "type Withdrawal asks for one back" in lines[6]


def test_hostile_text_is_shown_harmless(tmp_path: Path) -> None:
    """Headers, cells, the pod's name and the server's sentences are strangers' words."""
    path = tmp_path / "plants.csv"
    path.write_text("a\x1b[2J,b\nx\x1b[2J,\u202ey\n")
    with ScriptedServer(lambda _: fail(400, "no\x1b[2J\u202e")) as server:
        invite = msgspec.structs.replace(invite_to(server.url), pod_name="p\x1b[2J")
        arguments = [str(path), "--invite", str(write_invite(tmp_path / "i", invite)), "--type", "T", "--yes"]
        result = CliRunner().invoke(send, arguments, catch_exceptions=False)
    assert result.exit_code == Exit.FINDINGS
    assert "\x1b" not in result.stderr
    assert "\u202e" not in result.stderr
    rejected = (tmp_path / "plants.csv.rejected.csv").read_text()
    assert r"no\x1b[2J\u202e" in rejected


def test_rejected_rows_go_into_a_file_with_the_reason(plants: Path) -> None:
    """One bad row costs only itself, and the exit code says there was one."""
    with ScriptedServer(_refusing("rugosa", fail(400, "latinName: not a rose"))) as server:
        result = _send(server, plants)
    assert result.exit_code == Exit.FINDINGS
    path = plants.with_name("plants.csv.rejected.csv")
    assert list(csv.reader(path.read_text().splitlines())) == [
        ["Latin name", "Height (cm)", REASON],
        ["Rosa rugosa", "95", "line 3: latinName: not a rose"],
    ]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert sorted(entry.name for entry in plants.parent.iterdir()) == [
        "field-team.invite",
        "plants.csv",
        "plants.csv.rejected.csv",
    ]
    assert "1 rejected" in result.stderr


def test_a_mended_row_gets_the_id_it_would_have_had(plants: Path) -> None:
    """So it does not matter whether the file or its rejected rows are mended and sent."""
    with ScriptedServer(_refusing("rugosa", fail(400, "no"))) as server:
        _send(server, plants)
        refused = next(request for request in server.items if b"rugosa" in request.body)
    with ScriptedServer() as server:
        _send(server, plants.with_name("plants.csv.rejected.csv"))
        (again,) = server.items
    assert again.payload == refused.payload


def test_other_content_under_an_id_is_a_rejected_row(plants: Path) -> None:
    """409 is about one item."""
    with ScriptedServer(_refusing("rugosa", Reply(409))) as server:
        result = _send(server, plants)
    assert result.exit_code == Exit.FINDINGS
    assert "other content under this id" in plants.with_name("plants.csv.rejected.csv").read_text()


def test_json_lines_are_rejected_into_json_lines(tmp_path: Path) -> None:
    """Here and by the pod, each with its reason."""
    path = tmp_path / "plants.jsonl"
    path.write_text('{"type":"Tree","a":1}\n{"a":[1]}\n{"a":2}\n')
    with ScriptedServer(_refusing('"a":2', fail(400, "a: no"))) as server:
        result = _send(server, path)
    assert result.exit_code == Exit.FINDINGS
    assert [request.payload["type"] for request in server.items].count("Tree") == 1
    lines = (tmp_path / "plants.jsonl.rejected.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == [
        {
            "a": [1],
            REASON: "line 2: a: an integer of 64 bits, written without point or exponent, was expected",
        },
        {"a": 2, REASON: "line 3: a: no"},
    ]


def test_json_summary_is_the_only_thing_on_stdout(plants: Path) -> None:
    """Scripts read it; people read stderr."""
    with ScriptedServer(_refusing("rugosa", fail(400, "no"))) as server:
        result = _send(server, plants, "--json")
    summary = json.loads(result.stdout)
    assert summary.pop("seconds") >= 0
    assert summary == {
        "message_type": "summary",
        "accepted": 1,
        "rejected": 1,
        "not_sent": 0,
        "rejected_file": str(plants.with_name("plants.csv.rejected.csv")),
        "receipts": None,
        "stopped": None,
        "exit_code": 3,
    }


def test_a_pod_that_knows_another_type_gets_it(plants: Path) -> None:
    """Maintainers declare zip codes as Text; this file's happen to look like numbers."""

    def answer(request: Request) -> Reply:
        payload = request.payload
        if payload.get("propertyName") == "heightCm" and payload["valueType"] != "Text":
            return fail(400, "heightCm: it is declared with another type")
        return accept(request)

    with ScriptedServer(answer) as server:
        result = _send(server, plants)
    assert result.exit_code == Exit.DONE
    assert {request.payload["heightCm"] for request in server.items} == {"120", "95"}
    assert "the pod knows it as Text" in result.stderr


def test_where_only_the_maintainer_declares_items_still_go(plants: Path) -> None:
    """403 on a declaration says nothing about items."""
    with ScriptedServer(_refusing(SCHEMA_TYPE, fail(403, "only the maintainer declares"))) as server:
        result = _send(server, plants)
    assert result.exit_code == Exit.DONE
    assert len(server.items) == 2
    assert "schema learn" not in result.stderr


def test_fields_only_the_maintainer_can_declare_are_said_to_be_theirs(plants: Path) -> None:
    """The contributor can do nothing but ask, and is told what to ask for."""

    def answer(request: Request) -> Reply:
        is_declaration = request.payload["type"] == SCHEMA_TYPE
        return fail(403, "only the maintainer") if is_declaration else fail(400, "heightCm: not declared")

    with ScriptedServer(answer) as server:
        result = _send(server, plants)
    assert result.exit_code == Exit.FINDINGS
    assert "schema learn" in result.stderr


def test_an_invite_used_up_in_the_middle_leaves_the_rest_in_a_file(tmp_path: Path) -> None:
    """A new invite has other ids: with the whole file it would store rows a second time."""
    path = tmp_path / "plants.csv"
    path.write_text("a\n" + "".join(f"{number}\n" for number in range(100)))
    answers = iter([accept] * 31)

    def answer(request: Request) -> Reply:
        return next(answers, lambda _: fail(403, "used up"))(request)

    with ScriptedServer(answer) as server:
        result = _send(server, path, "--json")
    summary = json.loads(result.stdout)
    rest = tmp_path / "plants.csv.rejected.csv"
    assert result.exit_code == Exit.REFUSED
    assert (summary["accepted"], summary["rejected"], summary["not_sent"]) == (30, 0, 70)
    assert f"70 not sent; send {rest} with a new invite" in result.stderr
    with ScriptedServer() as other:
        assert _send(other, rest).exit_code == Exit.DONE
    kept = [request.payload["a"] for request in server.items[:30] + other.items]
    assert sorted(kept) == list(range(100))


def test_types_can_be_insisted_on(plants: Path) -> None:
    """By header or by name."""
    with ScriptedServer() as server:
        result = _send(server, plants, "--as", "Height (cm)=Real", "--as", "latinName=Text")
    assert result.exit_code == Exit.DONE
    assert {type(request.payload["heightCm"]) for request in server.items} == {float}


def test_a_refused_invite_is_21_and_no_row_is_called_bad(plants: Path) -> None:
    """A revoked invite is nothing to mend in a table."""
    with ScriptedServer(lambda _: fail(403, "this key opens nothing here")) as server:
        result = _send(server, plants)
    assert result.exit_code == Exit.REFUSED
    assert "this key opens nothing here" in result.stderr
    assert "2 not sent" in result.stderr
    assert not plants.with_name("plants.csv.rejected.csv").exists()


def test_no_pod_at_the_address_is_21_before_any_item(plants: Path) -> None:
    """Items are private; a stranger's server gets none of them."""
    with ScriptedServer(lambda _: Reply(404)) as server:
        result = _send(server, plants)
    assert result.exit_code == Exit.REFUSED
    assert server.items == []


def test_a_pod_that_is_not_there_is_20_and_says_how_to_go_on(plants: Path) -> None:
    """Nothing is lost, and the sentence says so."""
    with ScriptedServer() as server:
        url = server.url
    result = _send(url, plants, "--json", "--patience", "0.5")
    assert result.exit_code == Exit.UNREACHABLE
    assert "run the same command again" in result.stderr
    assert json.loads(result.stdout)["not_sent"] == 2


def test_a_run_that_broke_off_is_resumed(plants: Path) -> None:
    """A drop in the middle is retried; the id makes that safe."""
    drops = iter([DROP])
    with ScriptedServer(lambda request: next(drops, None) or accept(request)) as server:
        result = _send(server, plants)
    assert result.exit_code == Exit.DONE


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--format", "csv"], "need a type; pass --type"),
        (["--type", "T", "--delimiter", ";;"], "--delimiter: one character"),
        (["--type", "T", "--delimiter", '"'], "--delimiter: one character"),
        (["--type", "T", "--as", "nothing=Text"], "the file has no column of that name"),
        (["--type", "T", "--as", "Latin name=text"], "TYPE one of Text, Integer"),
        (["--type", "T"], "pass --yes"),
        (["--type", "T", "--connections", "0"], "0 is not in the range"),
    ],
)
def test_arguments_that_do_not_fit_are_told(plants: Path, options: list[str], sentence: str) -> None:
    """Exit code 2, before anything is sent; without a terminal nobody is asked."""
    invite = write_invite(plants.parent / "i", INVITE)
    result = CliRunner().invoke(send, [str(plants), "--invite", str(invite), *options])
    assert result.exit_code == 2
    assert sentence in result.stderr


def test_a_name_that_says_no_format_needs_the_option(plants: Path) -> None:
    """Guessing from content would be wrong some day."""
    path = plants.rename(plants.with_suffix(".txt"))
    with ScriptedServer() as server:
        assert "pass --format" in _send(server, path).stderr
        assert _send(server, path, "--format", "csv").exit_code == Exit.DONE


def test_tabs_and_other_marks_for_missing(tmp_path: Path) -> None:
    """A .tsv file is a table with tabs; -9 can mean nothing."""
    path = tmp_path / "plants.tsv"
    path.write_text("a\tb\n1\t-9\n")
    with ScriptedServer() as server:
        assert _send(server, path, "--missing", "-9").exit_code == Exit.DONE
        (item,) = server.items
    assert "b" not in item.payload


def test_an_invite_for_other_types_is_told_before_anything_is_sent(plants: Path) -> None:
    """The invite itself says what it is for."""
    invite = msgspec.structs.replace(INVITE, types=("Penguin",))
    arguments = [
        str(plants),
        "--invite",
        str(write_invite(plants.parent / "i", invite)),
        "--type",
        "Plant",
        "--yes",
    ]
    result = CliRunner().invoke(send, arguments)
    assert result.exit_code == 2
    assert "for items of type Penguin; the file has Plant" in result.stderr


def test_an_expired_invite_and_an_exposed_file_are_warned_about(plants: Path) -> None:
    """The pod decides about time; the contributor about the file."""
    with ScriptedServer() as server:
        path = write_invite(
            plants.parent / "i", msgspec.structs.replace(invite_to(server.url), expires=86_400_000)
        )
        path.chmod(0o644)
        arguments = [str(plants), "--invite", str(path), "--type", "Plant", "--yes"]
        result = CliRunner().invoke(send, arguments)
    assert result.exit_code == Exit.DONE
    assert "warning: others on this machine can read" in result.stderr
    assert "warning: this invite was for use until 1970-01-02" in result.stderr


def test_an_invite_can_come_from_standard_input(plants: Path) -> None:
    """From a password manager, for example."""
    with ScriptedServer() as server:
        text = write_invite(plants.parent / "i", invite_to(server.url)).read_text()
        arguments = [str(plants), "--invite", "-", "--type", "Plant", "--yes"]
        result = CliRunner().invoke(send, arguments, input=text)
    assert result.exit_code == Exit.DONE
    assert "warning" not in result.stderr


@pytest.mark.parametrize(
    "content", [b"", b"\xff\xfe", b"https://example.org/", b"A" * 100_000, b"https://example.org/#sp1.AAAA"]
)
def test_what_is_no_invite_is_our_error(plants: Path, content: bytes) -> None:
    """And is not quoted: a broken invite still holds most of a key."""
    path = plants.parent / "i"
    path.write_bytes(content)
    with pytest.raises(MalformedError, match="invite"):
        CliRunner().invoke(
            send, [str(plants), "--invite", str(path), "--type", "T", "--yes"], catch_exceptions=False
        )


def test_a_file_with_nothing_to_send_sends_nothing(tmp_path: Path) -> None:
    """Not even a declaration."""
    path = tmp_path / "plants.csv"
    path.write_text("a,b\n,\n")
    with ScriptedServer() as server:
        assert _send(server, path).exit_code == Exit.DONE
        assert _send(server, path, "--json").exit_code == Exit.DONE
    assert server.requests == []


def test_the_key_and_ids_show_nowhere(plants: Path) -> None:
    """Terminals are recorded, logs are kept."""
    with ScriptedServer(lambda _: fail(403, "no")) as server:
        result = _send(server, plants, "--json")
    key = INVITE.database_key.reveal().hex()
    assert key not in result.output
    assert key not in result.stderr
