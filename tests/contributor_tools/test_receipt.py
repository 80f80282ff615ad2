"""The commands `receipt show` and `receipt verify`, as a contributor types them: offline, from files."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contributor_tools.exits import Exit
from contributor_tools.sent_item import MAX_ITEM_FILE_BYTES
from tests.support.maintaining import run
from tests.support.receipts import PAYLOAD, Kept, keep
from vault.header import parse_header
from vault.keys import DatabaseKey
from vault.notes import origin_of
from vault.receipt_files import MAX_RECEIPT_FILE_BYTES

ROOT = Path(__file__).parents[2]


def test_a_receipt_proves_exactly_its_item(kept: Kept) -> None:
    """Who, what, when and where, from three files and no network."""
    ended = kept.verify()
    assert ended.code == Exit.DONE
    assert ended.lines == [
        "PROVEN: the pod accepted exactly this item.",
        "item      note-b1",
        f"pod       Test pod ({kept.pod.policy.pod_id.hex()})",
        "received  2026-09-21T14:13:20.000Z, by the server's clock",
        "batch     3",
        "index     1 (of 3 items, from 0)",
        "epoch     1",
        f"log       3 batches, root {kept.receipt.checkpoint.decode().splitlines()[2]}",
    ]
    assert "erased" in ended.err


def test_the_same_for_programs(kept: Kept) -> None:
    """One document; what a receipt cannot say is null, not false."""
    ended = kept.verify(None, "--json")
    assert ended.json == {
        "message_type": "receipt",
        "is_proven": True,
        "item_id": "note-b1",
        "pod_name": "Test pod",
        "pod_id": kept.pod.policy.pod_id.hex(),
        "received_ms": 1_790_000_000_000,
        "batch": 3,
        "index": 1,
        "count": 3,
        "epoch": 1,
        "log": [{"size": 3, "root": kept.receipt.checkpoint.decode().splitlines()[2]}],
        "is_erased": None,
        "exit_code": 0,
    }


@pytest.mark.parametrize(
    "shape",
    [
        "{}",
        "{}\n",
        "  {}\r\n",
        "Pod-Receipt: {}\n",
        'HTTP/1.1 200 OK\r\npod-receipt: {}\r\ncontent-length: 9\r\n\r\n"note-b1"',
        "shared-pod-receipt/v1 note-b1\n{}\n",
        "shared-pod-receipt/v1 -\n{}\n",
    ],
)
def test_a_receipt_is_taken_as_clients_show_it(kept: Kept, shape: str) -> None:
    """The header's value, a line, what `curl -i` prints, or a file of `send`."""
    assert kept.verify(shape.format(kept.header)).code == Exit.DONE


def test_a_whole_request_body_is_an_item_too(kept: Kept) -> None:
    """What was saved is what was sent."""
    key = kept.invite.database_key.reveal().hex()
    body = {"auth": {"type": "ClientAuth", "databaseKey": key.upper()}, "payload": PAYLOAD}
    assert kept.verify(item=body).code == Exit.DONE
    body["auth"] = {"type": "PluginAuth"}
    assert kept.verify(item=body).code == Exit.DONE


def test_a_body_of_another_key_is_named(kept: Kept) -> None:
    """The commitment would differ too, but would not say why."""
    body = {"auth": {"type": "ClientAuth", "databaseKey": "00" * 32}, "payload": PAYLOAD}
    ended = kept.verify(item=body)
    assert ended.code == 12
    assert "another database key" in ended.err
    assert "00000000" not in ended.err


def test_an_item_whose_id_the_pod_made(kept: Kept) -> None:
    """The id is in the answer, and in a file of `send`, not in what was sent."""
    nameless = {name: value for name, value in PAYLOAD.items() if name != "id"}
    file = f"shared-pod-receipt/v1 note-b1\n{kept.header}\n"
    assert kept.verify(None, "--id", "note-b1", item=nameless).code == Exit.DONE
    assert kept.verify(file, item=nameless).code == Exit.DONE
    assert kept.verify(None, "--id", "note-b2", item=nameless).code == Exit.OTHER_ITEM
    ended = kept.verify(item={**nameless, "id": None})
    assert (ended.code, "pass what it answered as --id" in ended.err) == (Exit.MALFORMED, True)
    ended = kept.verify(None, "--id", "note-b2")
    assert (ended.code, "not all the same" in ended.err) == (Exit.MALFORMED, True)
    ended = kept.verify(file, "--id", "note-b2", item=nameless)
    assert (ended.code, "not all the same" in ended.err) == (Exit.MALFORMED, True)
    assert kept.verify(None, "--id", "a/../b").code == Exit.MALFORMED


@pytest.mark.parametrize("n", ["1", "1.0", "1e0", "10E-1"])
def test_a_number_is_its_value_however_it_is_written(kept: Kept, n: str) -> None:
    """The canonical form decides, as it did in the pod."""
    item = json.dumps(PAYLOAD | {"n": 7}).replace("7", n).encode()
    assert kept.verify(item=item).code == Exit.DONE


@pytest.mark.parametrize(
    "change",
    [{"text": "y"}, {"text": "x "}, {"n": 2}, {"id": "note-b2"}, {"type": "Note2"}, {"deleted": True}],
)
def test_another_item_is_told_from_this_one(kept: Kept, change: dict[str, object]) -> None:
    """One character is another item, and none of it is shown."""
    ended = kept.verify(item=PAYLOAD | change)
    assert ended.code == Exit.OTHER_ITEM
    assert ended.out.startswith(
        f"NOT PROVEN: the receipt is for another item: it commits to {kept.receipt.c.hex()[:16]}"
    )


def test_the_wrong_invite_is_named(kept: Kept, tmp_path: Path) -> None:
    """Another pod's, one that trusts other keys, one of another contributor."""
    (tmp_path / "other").mkdir()
    other = keep(tmp_path / "other", seed=2)
    stranger = other.invite_file()
    same_pod = kept.invite_file("two.invite", database_key=DatabaseKey(bytes(32)))
    other_keys = kept.invite_file("three.invite", log_keys=(bytes(32),))
    receipt, item = kept.file("receipt", kept.header), kept.file("item.json", PAYLOAD)
    for invite, code in [
        (stranger, Exit.FOREIGN_POD),
        (same_pod, Exit.OTHER_ITEM),
        (other_keys, Exit.UNKNOWN_LOG_KEY),
    ]:
        assert run("receipt", "verify", receipt, "--invite", invite, "--item", item).code == code


@pytest.mark.parametrize(
    ("content", "code", "says"),
    [
        ("", Exit.MALFORMED, "UTF-8|base64|tlog-proof"),
        ("{}", Exit.MALFORMED, "base64"),
        ("A" * 4004, Exit.MALFORMED, "at most 4000"),
        ("\u20ac", Exit.MALFORMED, "ASCII"),
        ("\x1b[2J", Exit.MALFORMED, "base64"),
        ("shared-pod-receipt/v2 anything", Exit.FORMAT_TOO_NEW, "later format"),
        ("shared-pod-receipt/v1 note-b1\n", Exit.MALFORMED, "whole lines"),
        ("shared-pod-receipt/v1 ../../x\n\n", Exit.MALFORMED, "item's id"),
        ("Pod-Receipt: a\nPod-Receipt: b\n", Exit.MALFORMED, "2 were found"),
    ],
)
def test_what_is_no_receipt_proves_nothing(kept: Kept, content: str, code: Exit, says: str) -> None:
    """Said without quoting it: it comes from a stranger."""
    ended = kept.verify(content)
    assert ended.code == code
    assert ended.out.startswith("NOT PROVEN: ")
    assert any(word in ended.out for word in says.split("|"))
    assert "\x1b" not in ended.out + ended.err
    assert run("receipt", "show", kept.folder / "receipt").code == code


def test_sizes_are_bounded_before_anything_is_parsed(kept: Kept) -> None:
    """A file that never ends is not read to its end."""
    zero, invite, item = Path("/dev/zero"), kept.invite_file(), kept.file("item.json", PAYLOAD)
    receipt = kept.file("receipt", kept.header)
    ended = run("receipt", "verify", zero, "--invite", invite, "--item", item)
    assert (ended.code, str(MAX_RECEIPT_FILE_BYTES) in ended.err) == (Exit.MALFORMED, True)
    ended = run("receipt", "verify", receipt, "--invite", invite, "--item", zero)
    assert (ended.code, str(MAX_ITEM_FILE_BYTES) in ended.err) == (Exit.MALFORMED, True)
    assert run("receipt", "verify", receipt, "--invite", zero, "--item", item).code == Exit.MALFORMED
    ended = run("receipt", "verify", receipt, "--invite", invite, "--item", item, "--since", zero)
    assert (ended.code, str(MAX_RECEIPT_FILE_BYTES) in ended.err) == (Exit.MALFORMED, True)


@pytest.mark.parametrize(
    ("item", "says"),
    [
        (b"", "one JSON object"),
        (b"[" * 100_000, "one JSON object"),
        (b'{"type":' * 50_000, "one JSON object"),
        (b'{"type": "Note", "id": "note-b1", "text": ["x"]}', "one JSON object"),
        (b'{"type": "Note", "id": "note-b1", "text": "\xff"}', "one JSON object"),
        (b'{"type": "Note", "id": "note-b1", "text": "\\ud800"}', "one JSON object"),
        (b'{"type": "Note", "id": "note-b1", "text": "y", "text": "x"}', "a member stands twice"),
        (b'{"auth": {}, "payload": {"id": "note-b1", "id": "note-b1"}}', "a member stands twice"),
        (b'{"auth": {}, "payload": {}, "payload": {"type": "Note"}}', "a member stands twice"),
        (b'{"auth": {}, "payload": {}, "more": {}}', "one JSON object"),
        (b'{"payload": {"type": "Note"}}', "one JSON object"),
        (b'{"auth": {"databaseKey": "\x7f"}, "payload": {"type": "Note"}}', "64"),
        (b'{"type": "Note", "id": "x"}', "id: 6 to 36"),
        (b'{"type": "Note", "id": 5}', "id: 6 to 36"),
        (b'{"type": "\\u001b[2J", "id": "note-b1"}', "type: "),
        (b'{"type": "Note", "id": "note-b1", "n": 1e999}', "one JSON object|finite"),
        (b"{" + b",".join(b'"a%d":1' % number for number in range(600)) + b"}", "512"),
    ],
)
def test_what_is_no_item_is_refused_in_a_sentence(kept: Kept, item: bytes, says: str) -> None:
    """Deep, wide, ambiguous: none of it is built, and none of it is quoted."""
    ended = kept.verify(item=item)
    assert ended.code == Exit.MALFORMED
    assert any(word in ended.err for word in says.split("|")), ended.err
    assert "\x1b" not in ended.err


def test_one_of_the_files_may_come_from_a_pipe(kept: Kept) -> None:
    """As in `curl ... | shared-pod receipt verify -`; two of them cannot."""
    arguments: list[str | Path] = ["--invite", kept.invite_file(), "--item", kept.file("item.json", PAYLOAD)]
    assert run("receipt", "verify", "-", *arguments, stdin=kept.header).code == Exit.DONE
    receipt = kept.file("receipt", kept.header)
    piped: list[str | Path] = ["--invite", kept.invite_file(), "--item", "-"]
    assert run("receipt", "verify", receipt, *piped, stdin=json.dumps(PAYLOAD)).code == Exit.DONE
    ended = run("receipt", "verify", "-", *piped, stdin=kept.header)
    assert (ended.code, "only one of the files" in ended.err) == (2, True)


def test_files_that_are_not_there_are_said_to_be_missing(kept: Kept) -> None:
    """As every command says it."""
    arguments: list[str | Path] = ["--invite", kept.invite_file(), "--item", kept.file("item.json", PAYLOAD)]
    assert run("receipt", "verify", kept.folder / "nothing", *arguments).code == 2
    assert run("receipt", "verify", kept.folder, *arguments).code == 2


def test_an_invite_that_others_can_read_is_said(kept: Kept) -> None:
    """It holds a key; the verdict is not changed by it."""
    invite = kept.invite_file()
    invite.chmod(0o644)
    receipt, item = kept.file("receipt", kept.header), kept.file("item.json", PAYLOAD)
    ended = run("receipt", "verify", receipt, "--invite", invite, "--item", item)
    assert (ended.code, "chmod 600" in ended.err) == (Exit.DONE, True)


def test_an_expired_invite_still_verifies(kept: Kept) -> None:
    """What was proven once stays proven."""
    invite = kept.invite_file("old.invite", expires=1)
    receipt, item = kept.file("receipt", kept.header), kept.file("item.json", PAYLOAD)
    assert run("receipt", "verify", receipt, "--invite", invite, "--item", item).code == Exit.DONE


def test_a_pods_name_cannot_draw_on_the_terminal(kept: Kept) -> None:
    """Whoever made the invite chose it."""
    invite = kept.invite_file("evil.invite", pod_name="a\x1b[2J\u202eb\x9b31m")
    receipt, item = kept.file("receipt", kept.header), kept.file("item.json", PAYLOAD)
    ended = run("receipt", "verify", receipt, "--invite", invite, "--item", item)
    assert r"a\x1b[2J\u202eb\x9b31m" in ended.out
    ended = run("receipt", "verify", receipt, "--invite", invite, "--item", item, "--json")
    assert ended.out.isascii()
    assert "\x1b" not in ended.out


def test_show_says_what_a_receipt_claims_and_that_it_is_a_claim(kept: Kept) -> None:
    """A forged one claims as much."""
    ended = run("receipt", "show", kept.file("receipt", kept.header))
    assert ended.code == Exit.DONE
    assert ended.lines[0] == "item      not named"
    assert f"origin    {origin_of(kept.pod.policy.pod_id, 1)}" in ended.lines
    assert "`receipt verify` finds out" in ended.err
    forged = kept.changed(c=bytes(32))
    document = run("receipt", "show", kept.file("receipt", forged), "--json").json
    assert document["is_proven"] is None
    assert document["c"] == "00" * 32
    assert document["item_id"] is None


def test_show_is_not_fooled_by_times_and_names_that_cannot_be(kept: Kept) -> None:
    """No calendar reaches them, and no terminal obeys them."""
    header = msgspec.structs.replace(parse_header(kept.receipt.header), ms=2**63 - 1).pack()
    note = "\u202eevil\x9b31m\n3\n" + base64.b64encode(bytes(32)).decode() + "\n\n\u2014 w AAAAAAA=\n"
    ended = run(
        "receipt", "show", kept.file("receipt", kept.changed(header=header, checkpoint=note.encode()))
    )
    assert ended.code == Exit.DONE
    assert f"received  {2**63 - 1} ms after 1970, by the server's clock" in ended.lines
    assert r"origin    \u202eevil\x9b31m" in ended.lines
    broken = run("receipt", "show", kept.file("receipt", kept.changed(header=b"")), "--json")
    assert broken.code == Exit.MALFORMED


any_bytes = st.one_of(
    st.binary(),
    st.text().map(str.encode),
    st.binary().map(lambda raw: b"shared-pod-receipt/v1 -\n" + base64.b64encode(raw) + b"\n"),
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(receipt=any_bytes, item=any_bytes)
def test_no_bytes_make_a_traceback(kept: Kept, receipt: bytes, item: bytes) -> None:
    """A verdict, or one of our sentences."""
    assert kept.verify(receipt).code in {Exit.MALFORMED, Exit.FORMAT_TOO_NEW}
    assert kept.verify(item=item).code in {Exit.MALFORMED, Exit.OTHER_ITEM}


def test_verifying_loads_no_store_and_no_server(kept: Kept) -> None:
    """It works where only the base is installed, and with neither network nor database."""
    absent = ["sqlcipher3", "litestar", "granian", "uvloop", "pyarrow", "argon2"]
    words = ["shared-pod", "receipt", "verify", "receipt"]
    words += ["--invite", "field-team.invite", "--item", "item.json"]
    program = (
        "import socket, sys\n"
        f"sys.modules.update(dict.fromkeys({absent}))\n"
        "socket.socket = None\n"
        f"sys.argv = {words}\n"
        "from maintainer_tools.cli import main; main()"
    )
    kept.verify()
    ran = subprocess.run(
        [sys.executable, "-c", program],
        cwd=kept.folder,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (ran.returncode, ran.stdout[:6]) == (0, "PROVEN"), ran.stderr
