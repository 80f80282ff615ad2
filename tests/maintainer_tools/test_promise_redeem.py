"""`promise redeem`: after a collection a promise is a receipt, or the proof of a loss."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest

from tests.support.functions import Function, lay, new_function
from tests.support.invites import write_invite
from tests.support.maintaining import run, succeed
from tests.support.pods import make_pod, properties_toml
from vault.depositing import Deposit
from vault.items import parse_item
from vault.promise_files import PromiseFile, format_promise_file
from vault.promises import decode_promise
from vault.submissions import submit

STORE = Path("store")


@dataclass
class Sent:
    """One item that a function took."""

    function: Function
    deposit: Deposit
    promise: Path
    item: Path
    invite_file: Path

    def put(self) -> None:
        """Into the store."""
        lay(STORE, self.deposit.key, self.deposit.content)


@pytest.fixture
def sent(tmp_path: Path) -> Sent:
    """A pod ``plants``, its function, and an item that its contributor holds a promise of."""
    STORE.mkdir()
    more = 'url = "https://pod.example.org"\n' + properties_toml({"text": "Text"})
    function = new_function(make_pod(Path("plants"), policy="infer", more=more), tmp_path / "scratch")
    invite = function.pod.invite()
    payload: dict[str, str | float | None] = {"type": "Note", "id": "item-1", "text": "x"}
    slot = function.pod.opened(invite)
    deposit = function.deposit(slot, submit(slot, parse_item(payload, make_id=str)))
    promise, item = Path("item-1.promise"), Path("item-1.json")
    promise.write_bytes(format_promise_file(PromiseFile("item-1", decode_promise(deposit.promise))))
    item.write_text(json.dumps(payload))
    addressed = msgspec.structs.replace(invite, url="https://pod.example.org")
    return Sent(function, deposit, promise, item, write_invite(tmp_path / "invite", addressed))


def _verify(sent: Sent, receipt: Path) -> str:
    return succeed("receipt", "verify", receipt, "--invite", sent.invite_file, "--item", sent.item).out


def test_a_promise_becomes_a_receipt(sent: Sent) -> None:
    """Which its contributor verifies as any other, refreshes, and a maintainer finds the item of."""
    succeed("promise", "verify", sent.promise, "--invite", sent.invite_file, "--item", sent.item)
    sent.put()
    succeed("collect", "plants", "--from", STORE)
    ended = succeed("promise", "redeem", "plants", sent.promise)
    receipt = Path("item-1.promise.receipt")
    assert f"its receipt is in {receipt}" in ended.out
    assert "PROVEN" in _verify(sent, receipt)
    assert "stored" in succeed("receipt", "status", "plants", receipt).out
    Path("receipts").mkdir()
    shutil.copy(receipt, "receipts")
    assert succeed("audit", "plants", "--receipts", "receipts", "--json").json["findings"] == []
    sent.function.pod.rewrite(policy="infer", more=properties_toml({"text": "Text"}) + "# edited\n")
    succeed("receipt", "refresh", "plants", receipt)
    # Again: what is there is the same one.
    before = receipt.read_bytes()
    succeed("promise", "redeem", "plants", sent.promise)
    assert receipt.read_bytes() == before


def test_a_promise_that_was_not_kept_is_said(sent: Sent) -> None:
    """Before a collection it is early; after one that brought everything in, it proves a loss."""
    ended = run("promise", "redeem", "plants", sent.promise)
    assert ended.code == 3
    assert "this promise proves that its item was lost" in ended.out
    assert not Path("item-1.promise.receipt").exists()
    document = run("promise", "redeem", "plants", sent.promise, "--json").json
    assert document == {
        "message_type": "redeemed",
        "state": "absent",
        "file": "item-1.promise",
        "promised": 1_790_000_000_000,
    }


def test_another_batch_under_its_uid_does_not_keep_it(sent: Sent) -> None:
    """The header, C and digest must be those that were promised."""
    sent.put()
    succeed("collect", "plants", "--from", STORE)
    with sent.function.pod.forging() as vault:
        vault.execute("UPDATE item SET digest = zeroblob(32)")
    assert run("promise", "redeem", "plants", sent.promise).code == 3


def test_an_erased_items_promise_is_redeemed_too(sent: Sent) -> None:
    """It was accepted; what became of it is said."""
    sent.put()
    succeed("collect", "plants", "--from", STORE)
    succeed("erase", "plants", "item-1", "--yes")
    ended = succeed("promise", "redeem", "plants", sent.promise)
    assert "erased since" in ended.out
    assert "PROVEN" in _verify(sent, Path("item-1.promise.receipt"))


def test_what_is_there_is_not_overwritten(sent: Sent) -> None:
    """Another file of that name stays."""
    sent.put()
    succeed("collect", "plants", "--from", STORE)
    Path("item-1.promise.receipt").write_text("mine")
    ended = run("promise", "redeem", "plants", sent.promise)
    assert ended.code == 26
    assert "left as it is" in ended.err
    assert Path("item-1.promise.receipt").read_text() == "mine"


def test_what_is_no_promise_of_this_pod_is_refused_by_name(sent: Sent) -> None:
    """And nothing is written."""
    Path("bad").write_text("x")
    ended = run("promise", "redeem", "plants", sent.promise, "bad")
    assert ended.code == 25
    assert "bad: " in ended.err
    other = new_function(make_pod(Path("other"), policy="infer"), Path("other-scratch").absolute())
    deposit = other.send(other.pod.slot(), id="item-9")
    Path("foreign").write_text(deposit.promise)
    ended = run("promise", "redeem", "plants", "foreign")
    assert ended.code == 13
    assert "foreign: " in ended.err
