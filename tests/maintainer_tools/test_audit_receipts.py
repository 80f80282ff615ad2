"""`audit --receipts`: what contributors were told shows what was put back, altered or forked."""

from __future__ import annotations

import base64
from pathlib import Path

import msgspec
import pytest

from maintainer_tools.exits import Exit
from tests.support.auditing import SEEN, audited, fork, joined, put_back, receipt_line, receipt_of
from tests.support.maintaining import run
from tests.support.pods import TestPod
from vault.ledger import Ledger
from vault.links import Invite
from vault.notes import origin_of
from vault.receipt_files import format_receipt_file, parse_receipt_file
from vault.receipts import encode_receipt
from vault.tree import Frontier


def test_receipts_are_upheld(pod: TestPod, invite: Invite, yesterday: Path) -> None:
    """As header values, in marked files; an item beside them is no receipt."""
    folder = Path("receipts")
    folder.mkdir()
    first, second = (receipt_of(pod, invite, number) for number in (1, 2))
    (folder / "first").write_text(encode_receipt(first) + "\n")
    (folder / "second.receipt").write_text(f"shared-pod-receipt/v1 receipt-2\n{encode_receipt(second)}\n")
    (folder / "second.json").write_text("{}")
    (folder / ".hidden").write_text("x")
    (folder / "sub").mkdir()

    code, report = audited("--receipts", folder)

    assert yesterday.exists()
    assert (code, report["findings"]) == (0, [])
    assert (report["receipts"], report["upheld"], report["witnessed"]) == (2, 2, 10)
    assert "Receipts: 2 of 2 name items" in " ".join(report["meaning"])


def test_a_receipt_shows_what_was_put_back(pod: TestPod, invite: Invite, yesterday: Path) -> None:
    """A contributor's word against a vault and its head of an earlier day."""
    folder = Path("receipts")
    folder.mkdir()
    (folder / "late").write_text(encode_receipt(receipt_of(pod, invite, 1)))
    put_back(yesterday, "vault.db", "log.head")

    code, report = audited("--receipts", folder)

    assert code == Exit.FINDINGS
    assert report["findings"] == ["receipt late: the batch with its item is missing from this vault"]
    assert (report["receipts"], report["upheld"]) == (1, 0)
    assert not SEEN.exists()


@pytest.fixture
def refreshed(pod: TestPod, invite: Invite, yesterday: Path) -> Path:
    """A folder with the receipt of an item in batch 1, refreshed to all nine batches of today."""
    old = Path("old.json")
    old.write_bytes(receipt_line(pod, invite, "item-1-1"))
    receipt_of(pod, invite, 1)
    assert run("receipt", "refresh", "plants", old).code == 0
    folder = Path("receipts")
    folder.mkdir()
    old.rename(folder / "old")
    assert yesterday.exists()
    return folder


def test_what_a_receipt_was_refreshed_to_is_a_witness_too(refreshed: Path) -> None:
    """It covers more than the receipt's own checkpoint, of batch 1."""
    code, report = audited("--receipts", refreshed)

    assert (code, report["findings"]) == (0, [])
    assert (report["upheld"], report["witnessed"]) == (1, 9)


def test_a_refresh_shows_what_was_put_back(refreshed: Path, yesterday: Path) -> None:
    """The receipt's item is here as ever; four batches of the log that it was refreshed in are not."""
    put_back(yesterday, "vault.db", "log.head")

    code, report = audited("--receipts", refreshed)

    assert code == Exit.FINDINGS
    (finding,) = report["findings"]
    assert finding.startswith("receipt old: the vault holds 5 batches, receipt old has seen 9: 4 are missing")
    assert (report["missing"], report["upheld"], report["proven"]) == (4, 0, [[1, 5]])
    assert not SEEN.exists()


def test_a_refresh_shows_a_fork(pod: TestPod, refreshed: Path) -> None:
    """Batch 9 was logged anew, with another time; batch 1 and its receipt are as they were."""
    fork(pod, 9)

    code, report = audited("--receipts", refreshed)

    assert code == Exit.FINDINGS
    assert "not the one receipt old has seen at 9 batches: it was forked" in joined(report)
    assert report["witnessed"] == 1


def test_a_refresh_that_does_not_hold_upholds_nothing(refreshed: Path) -> None:
    """Nor does it hide behind the receipt before it."""
    file = parse_receipt_file((refreshed / "old").read_bytes())
    (refresh,) = file.refreshes
    altered = msgspec.structs.replace(refresh, consistency=(bytes(32), *refresh.consistency[1:]))
    (refreshed / "old").write_bytes(
        format_receipt_file(msgspec.structs.replace(file, refreshes=(refresh, altered)))
    )

    code, report = audited("--receipts", refreshed)

    assert code == Exit.FINDINGS
    assert report["findings"][0].startswith("receipt old: ")
    assert report["upheld"] == 0


@pytest.mark.parametrize(
    ("sql", "finding"),
    [
        (
            "UPDATE item SET c = zeroblob(32) WHERE seq = 17",
            "its item is missing from this vault, or was replaced",
        ),
        ("DELETE FROM item WHERE seq = 17", "its item is missing from this vault, or was replaced"),
        ("UPDATE batch SET header = x'00' WHERE batch = 9", "its batch has another header"),
    ],
)
@pytest.mark.usefixtures("yesterday")
def test_a_receipt_shows_what_was_altered(pod: TestPod, invite: Invite, sql: str, finding: str) -> None:
    """The item, or its batch."""
    folder = Path("receipts")
    folder.mkdir()
    (folder / "one").write_text(encode_receipt(receipt_of(pod, invite, 1)))
    with pod.forging() as vault:
        vault.execute(sql)

    code, report = audited("--receipts", folder)

    assert code == Exit.FINDINGS
    assert f"receipt one: {finding}" in joined(report)


def test_a_receipt_of_a_fork_is_no_receipt_of_this_log(pod: TestPod, invite: Invite, yesterday: Path) -> None:
    """The header is here, at another place of the log."""
    folder = Path("receipts")
    folder.mkdir()
    receipt = receipt_of(pod, invite, 1)
    ledger = Ledger(origin_of(pod.policy.pod_id, 1), Frontier(), 1, b"")
    made = ledger.extend(receipt.header, 1, pod.keys.log_key)
    forked = msgspec.structs.replace(receipt, batch=1, log_path=(), checkpoint=made.checkpoint)
    (folder / "forked").write_text(encode_receipt(forked))

    code, report = audited("--receipts", folder)

    assert yesterday.exists()
    assert code == Exit.FINDINGS
    assert "receipt forked: the vault's log is not the one receipt forked has seen at 1 batches" in joined(
        report
    )


@pytest.mark.parametrize("content", [b"", b"\xff", b"AAAA", base64.b64encode(b"c2sp.org/tlog-proof@v1\n")])
@pytest.mark.usefixtures("yesterday")
def test_what_is_no_receipt_is_named(content: bytes) -> None:
    """Any file may lie in the folder."""
    Path("receipts").mkdir()
    Path("receipts/bad\x1b[31m").write_bytes(content)

    code, report = audited("--receipts", "receipts")

    assert code == Exit.FINDINGS
    assert report["findings"][0].startswith("receipt bad\\x1b[31m: ")
    assert report["upheld"] == 0
