"""An audit of the pod in `plants`, what is put back in it to an earlier day, and receipts of it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import msgspec

from tests.support.maintaining import run, submissions, writer_of
from tests.support.pods import TestPod
from vault.header import parse_header
from vault.ledger import Ledger
from vault.links import Invite
from vault.notes import origin_of
from vault.policies import load_policy
from vault.receipts import Receipt, decode_receipt
from vault.tree import Frontier, leaf_hash

SEEN = Path("plants/seen.checkpoint")
POD = Path("plants/pod")
TEXT = {"type": "Note", "latinName": "x" * 700}
BATCHES = 8
"""Of two items each, in the pod of the fixture `yesterday`."""


def put_back(yesterday: Path, *names: str) -> None:
    """Put some of the files back to yesterday's."""
    for name in names:
        shutil.copy(yesterday / name, POD / name)


def audited(*options: str | Path) -> tuple[int, Any]:
    """The exit code and the JSON of an audit."""
    ended = run("audit", "plants", *options, "--json")
    return ended.code, ended.json


def joined(report: Any) -> str:
    """Every finding."""
    return "\n".join(report["findings"])


def receipt_line(pod: TestPod, invite: Invite, item_id: str) -> bytes:
    """An item's receipt, as it is answered; a retry is given the same."""
    (submission,) = submissions(pod, invite, [{**TEXT, "id": item_id}])
    writer = writer_of(pod, invite)
    wanted = msgspec.structs.replace(submission, wants_receipt=True)
    (answer,) = writer.commit(load_policy(pod.folder), [wanted])
    assert writer.close()
    assert answer.receipt
    return answer.receipt.encode()


def receipt_of(pod: TestPod, invite: Invite, number: int) -> Receipt:
    """A new item's receipt."""
    return decode_receipt(receipt_line(pod, invite, f"receipt-{number}").decode())


def fork(pod: TestPod, last: int) -> None:
    """Drop the batches from ``last`` on and log another in their place, as log.key and file key allow."""
    with pod.forging() as vault:
        rows = vault.execute("SELECT batch, header FROM batch ORDER BY batch").fetchall()
        frontier = Frontier()
        for _, header in rows[: last - 1]:
            frontier.append(leaf_hash(header))
        ledger = Ledger(origin_of(pod.policy.pod_id, 1), frontier, 0, b"")
        header = msgspec.structs.replace(parse_header(rows[last - 1][1]), ms=1).pack()
        made = ledger.extend(header, 2, pod.keys.log_key)
        vault.execute("DELETE FROM batch WHERE batch > ?", (last,))
        vault.execute("DELETE FROM item WHERE seq > ?", (2 * last,))
        vault.execute("DELETE FROM node WHERE (i + 1) << level > ?", (last - 1,))
        vault.execute(
            "UPDATE batch SET header = ?, signature = ?, checkpoint = ? WHERE batch = ?",
            (header, pod.keys.log_key.sign(header), made.checkpoint, last),
        )
        for node in made.nodes:
            vault.execute("INSERT INTO node VALUES (?, ?, ?)", node)
        vault.execute("UPDATE slot SET bytes = bytes * ? / items, items = ?", (2 * last, 2 * last))
    pod.folder.log_head.write_bytes(made.checkpoint)
