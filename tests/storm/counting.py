"""Counting after an era: what was promised against what the vault holds.

A process of its own, which has the maintainer's home, the promises, and none of
the storm's plants: ``python -m tests.storm.counting HOME COPY`` takes promises
from standard input and prints a ``Result``. Read with the maintainer's own reader,
after every check of the vault; the rows are read once more by another
implementation of the file format.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

import apsw
import msgspec

from maintainer_tools.homes import PATIENCE, find_home, home_policy, open_identity
from tests.storm.promises import Promises
from tests.support import apart
from vault.checking import check_vault
from vault.errors import VaultError
from vault.items import item_name
from vault.keys import FileKey
from vault.pod import PodFolder
from vault.policies import Policy
from vault.reader import Reader, file_key_of, open_reader
from vault.receipts import decode_receipt, verify_receipt
from vault.snapshot import private_snapshot
from vault.whereabouts import is_erased_by_name


class Result(msgspec.Struct):
    """What an era left; every list, and ``uncounted``, must be empty or 0.

    Attributes:
        acknowledged: Items answered 200.
        stored: Items in the vault, those that were erased not counted.
        receipts: Receipts that were given.
        lost: Ids that were acknowledged and are not there, nor erased because that was asked for.
        doubled: Ids that are there twice.
        altered: Ids whose text is another than the one sent.
        invented: Ids nobody sent, or with a text that was refused.
        bad_receipts: Ids whose receipt does not verify, or not against this vault.
        findings: What the check of the vault found.
        uncounted: Items that the other implementation does not see, or more.
        erased: Items whose statements stand in their place.
        unerased: Ids that a command said are erased, and which are there.
        uncopied: Ids that were acknowledged before a snapshot was begun, which is done and has them not.
        faults: Answers, and ends of commands, that should not have been.
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
    erased: int = 0
    unerased: list[str] = []
    uncopied: list[str] = []
    faults: list[str] = []

    @property
    def wrong(self) -> dict[str, list[str]]:
        """Whatever is not as promised; empty if all is."""
        lists = {
            name: getattr(self, name) for name, kind in type(self).__annotations__.items() if "list" in kind
        }
        return {name: found for name, found in lists.items() if found}

    @property
    def is_clean(self) -> bool:
        """Whether nothing was lost, doubled, altered or invented, and all is proven."""
        return not self.wrong and self.uncounted == 0


def _rows_of_another(path: Path, file_key: FileKey) -> int:
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        connection.pragma("cipher", "sqlcipher")
        connection.pragma("legacy", 4)
        connection.pragma("key", f"x'{file_key.reveal().hex()}'")
        return int(connection.execute("SELECT count(*) FROM item").get)
    finally:
        connection.close()


def _bad_receipts(policy: Policy, promises: Promises, checkpoints: dict[int, bytes]) -> Iterator[str]:
    for item_id, text in promises.receipts.items():
        receipt = decode_receipt(text)
        try:
            verify_receipt(receipt, pod_id=policy.pod_id, log_keys=policy.vault_logs)
        except VaultError:
            yield item_id
        else:
            if checkpoints.get(receipt.batch) != receipt.checkpoint:
                yield item_id


def _is_gone(reader: Reader, item_id: str) -> bool:
    """Whether an item is erased; that a signed statement stands in its place is the check's."""
    return any(
        is_erased_by_name(reader.rows, item_name(secrets.name_key, item_id))
        for secrets in reader.slots.values()
    )


def _count_copy(kept: Path, promises: Promises) -> tuple[list[str], list[str]]:
    """What is wrong with a snapshot, and the ids it should have and has not."""
    try:
        found = find_home(kept)
        with (
            private_snapshot(found.pod.path, PATIENCE) as copy,
            open_reader(PodFolder(copy), open_identity(found)) as reader,
        ):
            findings = [str(finding) for finding in check_vault(reader, lambda _: None).findings]
            there = {item.id for item in reader.items()}
    except VaultError as exc:
        return [f"the newest snapshot does not open: {exc}"], sorted(promises.copied)
    lacks = sorted(promises.copied - there - promises.to_erase)
    return [f"in the newest snapshot: {finding}" for finding in findings], lacks


def count(home: Path, promises: Promises, kept: Path | None = None) -> Result:
    """Check a pod whose server was stopped in order.

    A vault that does not open has lost everything, until a person does something about it.

    Args:
        home: The maintainer's.
        promises: What was answered.
        kept: A home made of the newest snapshot that is done, if there is one.
    """
    try:
        result = _count(home, promises)
    except VaultError as exc:
        return Result(
            acknowledged=len(promises.acknowledged),
            stored=0,
            receipts=len(promises.receipts),
            lost=sorted(promises.acknowledged),
            doubled=[],
            altered=[],
            invented=[],
            bad_receipts=[],
            findings=[f"it does not open: {exc}"],
            uncounted=0,
            faults=promises.faults,
        )
    if kept and kept.exists():
        findings, result.uncopied = _count_copy(kept, promises)
        result.findings += findings
    return result


def _count(home: Path, promises: Promises) -> Result:
    found = find_home(home)
    identity = open_identity(found)
    policy = home_policy(found, identity)
    with (
        private_snapshot(found.pod.path, PATIENCE) as copy,
        open_reader(PodFolder(copy), identity) as reader,
    ):
        report = check_vault(reader, lambda _: None)
        stored = Counter[str]()
        texts: dict[str, str] = {}
        for item in reader.items():
            stored[item.id] += 1
            texts[item.id] = str(item.members["text"])
        gone = {item_id for item_id in promises.to_erase if _is_gone(reader, item_id)}
        checkpoints: dict[int, bytes] = dict(reader.rows.execute("SELECT batch, checkpoint FROM batch"))
    rows = _rows_of_another(found.pod.vault, file_key_of(policy, identity))
    return Result(
        acknowledged=len(promises.acknowledged),
        stored=stored.total(),
        receipts=len(promises.receipts),
        lost=sorted(promises.acknowledged - stored.keys() - gone),
        doubled=sorted(item_id for item_id, times in stored.items() if times > 1),
        altered=sorted(
            item_id for item_id, text in texts.items() if text != promises.texts.get(item_id, text)
        ),
        invented=sorted(
            item_id
            for item_id, text in texts.items()
            if item_id not in promises.texts or text in promises.forbidden
        ),
        bad_receipts=sorted(_bad_receipts(policy, promises, checkpoints)),
        findings=[str(finding) for finding in report.findings],
        uncounted=abs(rows - stored.total() - report.erased),
        erased=report.erased,
        unerased=sorted(promises.erased & stored.keys()),
        faults=promises.faults,
    )


def count_apart(home: Path, promises: Promises, kept: Path, environment: Mapping[str, str]) -> Result:
    """Count in another process.

    Args:
        home: The maintainer's.
        promises: What was answered.
        kept: As for ``count``.
        environment: Added to its environment: which version of the program it is.
    """
    return apart.count_apart(
        "tests.storm.counting", home, kept, given=promises, kind=Result, environment=environment
    )


if __name__ == "__main__":
    answered = msgspec.json.decode(sys.stdin.buffer.read(), type=Promises)
    counted = count(Path(sys.argv[1]), answered, Path(sys.argv[2]))
    sys.stdout.buffer.write(msgspec.json.encode(counted))
