"""`promise verify`: what a function gave, checked offline like a receipt."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest

from maintainer_tools.exits import Exit
from tests.support.functions import Function, new_function
from tests.support.invites import write_invite
from tests.support.maintaining import Ended, run
from tests.support.pods import new_pod
from vault.errors import FormatTooNewError, MalformedError
from vault.items import parse_item
from vault.keys import OwnerKey
from vault.links import Invite
from vault.promise_files import (
    MAX_PROMISE_FILE_BYTES,
    PromiseFile,
    format_promise_file,
    parse_promise_file,
)
from vault.promises import Promise, decode_promise, encode_promise
from vault.submissions import submit

PAYLOAD: dict[str, Any] = {"type": "Note", "id": "note-b1", "text": "x", "n": 1.0}


@dataclass
class Kept:
    """What a contributor has: invite, item, promise."""

    function: Function
    invite: Invite
    folder: Path
    header: str

    @property
    def promise(self) -> Promise:
        """Decoded."""
        return decode_promise(self.header)

    def file(self, name: str, content: str | dict[str, Any]) -> Path:
        """Write a file."""
        path = self.folder / name
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return path

    def verify(self, content: str | None = None, *more: str, item: object = None, **invite: Any) -> Ended:
        """Verify the promise, or another, for the item, or another, with the invite, or another."""
        changed = msgspec.structs.replace(self.invite, **invite)
        return run(
            "promise",
            "verify",
            self.file("promise", self.header if content is None else content),
            "--invite",
            write_invite(self.folder / "invite", changed),
            "--item",
            self.file("item.json", item or PAYLOAD),  # type: ignore[arg-type]
            *more,
        )

    def changed(self, **changes: Any) -> str:
        """A promise that says something else."""
        return encode_promise(msgspec.structs.replace(self.promise, **changes))


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    """A contributor whose item a function took."""
    function = new_function(new_pod(tmp_path, "infer"), tmp_path / "scratch")
    invite = msgspec.structs.replace(function.pod.invite(), url="https://pod.example.org")
    slot = function.pod.opened(invite)
    deposit = function.deposit(slot, submit(slot, parse_item(PAYLOAD, make_id=str)))
    return Kept(function, invite, tmp_path, deposit.promise)


def test_a_promise_proves_exactly_its_item(kept: Kept) -> None:
    """Who, what and when, from three files and no network."""
    ended = kept.verify()
    assert ended.code == Exit.DONE
    uid = kept.promise.header[8 + 8 + 8 + 8 + 32 + 8 : 8 + 8 + 8 + 8 + 32 + 8 + 16].hex()
    assert ended.lines == [
        "PROVEN: a function of the pod accepted exactly this item.",
        "item      note-b1",
        f"pod       Test pod ({kept.function.pod.policy.pod_id.hex()})",
        "received  2026-09-21T14:13:20.000Z, by the function's clock",
        f"batch     {uid}, not logged yet when this was given",
        "index     0 (of 1 items, from 0)",
    ]
    assert "promise redeem" in ended.err


def test_the_same_for_programs(kept: Kept) -> None:
    """One document."""
    found = kept.verify(None, "--json").json
    assert len(found.pop("uid")) == 32
    assert found == {
        "message_type": "promise",
        "is_proven": True,
        "item_id": "note-b1",
        "pod_name": "Test pod",
        "pod_id": kept.function.pod.policy.pod_id.hex(),
        "received_ms": 1_790_000_000_000,
        "index": 0,
        "count": 1,
        "exit_code": 0,
    }


@pytest.mark.parametrize(
    "shape",
    [
        "{}",
        "  {}\r\n",
        "Pod-Promise: {}\n",
        'HTTP/1.1 200 OK\r\npod-promise: {}\r\ncontent-length: 9\r\n\r\n"note-b1"',
        "shared-pod-promise/v1 note-b1\n{}\n",
        "shared-pod-promise/v1 -\n{}\n",
    ],
)
def test_a_promise_is_taken_as_clients_show_it(kept: Kept, shape: str) -> None:
    """The header's value, a line, what `curl -i` prints, or a file."""
    assert kept.verify(shape.format(kept.header)).code == Exit.DONE


def test_every_way_not_to_hold_has_its_reason(kept: Kept) -> None:
    """As receipts have them, with the same codes."""
    other = bytes(31) + b"x"
    cases: list[tuple[str, Exit, Ended]] = [
        ("other_item", Exit.OTHER_ITEM, kept.verify(None, "--json", item=PAYLOAD | {"text": "y"})),
        ("unknown_log_key", Exit.UNKNOWN_LOG_KEY, kept.verify(None, "--json", function_keys=())),
        ("signature", Exit.BAD_SIGNATURE, kept.verify(kept.changed(signature=bytes(64)), "--json")),
        ("item_path", Exit.NOT_IN_BATCH, kept.verify(kept.changed(digest=other), "--json")),
        ("malformed", Exit.MALFORMED, kept.verify(kept.changed(header=b""), "--json")),
        ("malformed", Exit.MALFORMED, kept.verify("x", "--json")),
        ("format_too_new", Exit.FORMAT_TOO_NEW, kept.verify("shared-pod-promise/v2 -\nx\n", "--json")),
        (
            "foreign_pod",
            Exit.FOREIGN_POD,
            kept.verify(None, "--json", owner_key=OwnerKey(bytes(32))),
        ),
    ]
    for reason, code, ended in cases:
        assert (ended.json["reason"], ended.code) == (reason, code)
        assert (ended.json["message_type"], ended.json["is_proven"]) == ("promise", False)
        assert ended.json["exit_code"] == code


def test_what_does_not_hold_is_told_to_people(kept: Kept) -> None:
    """What is wrong, and what to do."""
    ended = kept.verify(kept.changed(signature=bytes(64)))
    assert ended.lines == [
        "NOT PROVEN: the promise's header is not what its log key signed.",
        "It was altered or cut. Send the item again, the same: a retry is given the same one.",
    ]


def test_an_item_whose_id_the_pod_made(kept: Kept) -> None:
    """The id is in the answer, and in a file, not in what was sent."""
    nameless = {name: value for name, value in PAYLOAD.items() if name != "id"}
    file = f"shared-pod-promise/v1 note-b1\n{kept.header}\n"
    assert kept.verify(None, "--id", "note-b1", item=nameless).code == Exit.DONE
    assert kept.verify(file, item=nameless).code == Exit.DONE
    assert kept.verify(None, item=nameless).code == Exit.MALFORMED
    assert kept.verify(file, "--id", "note-b2", item=nameless).code == Exit.MALFORMED


def test_one_file_at_most_is_standard_input(kept: Kept) -> None:
    """A second would be empty."""
    arguments = ("--invite", kept.file("i", ""), "--item", "-")
    assert run("promise", "verify", "-", *arguments).code == Exit.USAGE
    ended = run(
        "promise",
        "verify",
        "-",
        "--invite",
        write_invite(kept.folder / "invite", kept.invite),
        "--item",
        kept.file("item.json", PAYLOAD),
        stdin=kept.header,
    )
    assert ended.code == Exit.DONE


def test_an_invite_that_others_can_read_is_warned_of(kept: Kept) -> None:
    """It writes in its holder's name."""
    path = write_invite(kept.folder / "invite", kept.invite)
    path.chmod(0o644)
    files = kept.file("p", kept.header), "--invite", path, "--item", kept.file("i", PAYLOAD)
    ended = run("promise", "verify", *files)
    assert "warning: " in ended.err


def test_a_promise_file_is_read_as_it_was_written(kept: Kept) -> None:
    """With an id and without."""
    for item_id in ("note-b1", None):
        file = PromiseFile(item_id, kept.promise)
        assert parse_promise_file(format_promise_file(file)) == file


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff",
        b"shared-pod-promise/v1\n{}\n",
        b"shared-pod-promise/v1 -\n{}",
        b"shared-pod-promise/v1 -\n{}\n{}\n",
        b"shared-pod-promise/v1 -\n",
        b"shared-pod-promise/v1 ../etc\n{}\n",
        b"shared-pod-promise/v1 -\nx\n",
        b"Pod-Promise: {}\nPod-Promise: {}\n",
        b"x" * (MAX_PROMISE_FILE_BYTES + 1),
    ],
)
def test_other_files_are_malformed(kept: Kept, content: bytes) -> None:
    """Nothing of them is taken."""
    with pytest.raises(MalformedError):
        parse_promise_file(content.replace(b"{}", kept.header.encode()))


def test_a_later_file_is_a_later_format() -> None:
    """This program is too old for it."""
    with pytest.raises(FormatTooNewError):
        parse_promise_file(b"shared-pod-promise/v2 -\nx\n")
