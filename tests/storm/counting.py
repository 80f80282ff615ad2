"""Counting after an era: what was promised against what the vault holds.

Read with the maintainer's own reader, after every check of the vault; the rows
are read once more by another implementation of the file format.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import apsw
import msgspec

from tests.storm.promises import Promises
from tests.support.pods import TestPod
from vault.keys import FileKey
from vault.opening import open_file_key
from vault.receipts import decode_receipt, verify_receipt


class Result(msgspec.Struct):
    """What an era left; every list and number but the first three must be empty or 0.

    Attributes:
        acknowledged: Items answered 200.
        stored: Items in the vault.
        receipts: Receipts that verified.
        lost: Ids that were acknowledged and are not there.
        doubled: Ids that are there twice.
        altered: Ids whose text is another than the one sent.
        invented: Ids nobody sent, or with a text that was refused.
        bad_receipts: Ids whose receipt does not verify, or not against this vault.
        findings: What the check of the vault found.
        uncounted: Items that the other implementation does not see, or more.
    """

    acknowledged: int
    stored: int
    receipts: int
    lost: list[str]
    doubled: list[str]
    altered: list[str]
    invented: list[str]
    bad_receipts: list[str]
    findings: list[str]
    uncounted: int

    @property
    def is_clean(self) -> bool:
        """Whether nothing was lost, doubled, altered or invented, and all is proven."""
        faults = (self.lost, self.doubled, self.altered, self.invented, self.bad_receipts, self.findings)
        return not any(faults) and self.uncounted == 0


def _rows_of_another(path: Path, file_key: FileKey) -> int:
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        connection.pragma("cipher", "sqlcipher")
        connection.pragma("legacy", 4)
        connection.pragma("key", f"x'{file_key.reveal().hex()}'")
        return int(connection.execute("SELECT count(*) FROM item").get)
    finally:
        connection.close()


def _bad_receipts(pod: TestPod, promises: Promises, checkpoints: dict[int, bytes]) -> list[str]:
    bad = []
    for item_id, text in promises.receipts.items():
        receipt = decode_receipt(text)
        verify_receipt(receipt, pod_id=pod.policy.pod_id, log_keys=pod.policy.vault_logs)
        if checkpoints.get(receipt.batch) != receipt.checkpoint:
            bad.append(item_id)
    return bad


def count(pod: TestPod, promises: Promises) -> Result:
    """Check a pod whose server was stopped in order."""
    findings = [str(finding) for finding in pod.check().findings]
    items = pod.items()
    found = Counter(item.id for item in items)
    texts = {item.id: str(item.members["text"]) for item in items}
    with pod.reader() as reader:
        checkpoints: dict[int, bytes] = dict(reader.rows.execute("SELECT batch, checkpoint FROM batch"))
    file_key = open_file_key(pod.keys.identity, pod.policy.file_key, pod.policy.pod_id)
    return Result(
        acknowledged=len(promises.acknowledged),
        stored=len(items),
        receipts=len(promises.receipts),
        lost=sorted(promises.acknowledged - found.keys()),
        doubled=sorted(item_id for item_id, times in found.items() if times > 1),
        altered=sorted(
            item_id for item_id, text in texts.items() if text != promises.texts.get(item_id, text)
        ),
        invented=sorted(
            item_id
            for item_id, text in texts.items()
            if item_id not in promises.texts or text in promises.forbidden
        ),
        bad_receipts=_bad_receipts(pod, promises, checkpoints),
        findings=findings,
        uncounted=abs(_rows_of_another(pod.folder.vault, file_key) - len(items)),
    )
