"""Counting after a round: what was promised against what home's vault holds, and against the store.

A process of its own, which has the maintainer's home and what was answered:
``python -m tests.store_faults.counting HOME FOLDER`` takes a ``Given`` from
standard input and prints a ``Result``. The vault is counted as after a storm;
every promise is checked as its contributor does and redeemed by the
maintainer's command, and every receipt that this made is verified.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import msgspec

from maintainer_tools.homes import PATIENCE, find_home, home_policy, open_identity
from tests.storm.counting import Result as Counted
from tests.storm.counting import count
from tests.storm.promises import Promises
from tests.support import apart
from tests.support.apart import COUNTING_SECONDS
from tests.support.server import ROOT
from vault.errors import VaultError
from vault.pod import PodFolder
from vault.policies import Policy
from vault.promise_files import PromiseFile, format_promise_file
from vault.promises import decode_promise, verify_promise
from vault.reader import open_reader
from vault.receipt_files import parse_receipt_file
from vault.receipts import verify_receipt
from vault.snapshot import private_snapshot

_MINUTE_MS = 60_000
_AT_ONCE = 500
"""Files on one command line."""


class Given(msgspec.Struct):
    """What is counted against.

    Attributes:
        promises: What was answered; its receipts are promises.
        commitments: Id to commitment of every item that was answered 200, by its contributor's key.
        objects: Every key below the store's prefix, as the store lists them to another client.
        span: When the round began and ended, UTC milliseconds.
    """

    promises: Promises
    commitments: dict[str, bytes]
    objects: list[str]
    span: tuple[int, int]


class Result(msgspec.Struct):
    """What a round left. Every list must be empty, and ``vault`` clean.

    Attributes:
        vault: Counted as after a storm.
        promises: Promises that were given.
        redeemed: Of those, how many became a receipt that verifies.
        objects: Objects in the store.
        from_wrong_clocks: Promises whose time is a minute or more outside the round.
        unpromised: Ids answered 200 without a promise.
        bad_promises: Ids whose promise is not this pod's about this item.
        unredeemed: Ids of which no receipt could be made.
        bad_receipts: Ids whose receipt does not verify, is another item's, or of another log.
        wrong_times: Ids received, as the vault says, at another time than their promise does.
        strays: How many objects have no item in the vault, or items no object.
        left: How many items a collection without faults found that those with faults had not taken.
    """

    vault: Counted
    promises: int
    redeemed: int
    objects: int
    from_wrong_clocks: int
    unpromised: list[str]
    bad_promises: list[str]
    unredeemed: list[str]
    bad_receipts: list[str]
    wrong_times: list[str]
    strays: int
    left: int = 0

    @property
    def wrong(self) -> dict[str, int]:
        """How much of what is not as promised; empty if all is."""
        found = {name: len(ids) for name, ids in self.vault.wrong.items()}
        found |= {name: len(getattr(self, name)) for name in _LISTS}
        found |= {"uncounted": self.vault.uncounted, "strays": self.strays, "left": self.left}
        return {name: number for name, number in found.items() if number}


_LISTS = ("unpromised", "bad_promises", "unredeemed", "bad_receipts", "wrong_times")


class _Kept(msgspec.Struct):
    """What the vault says, for comparison."""

    policy: Policy
    times: dict[str, int]
    checkpoints: dict[int, bytes]


def count_round(home: Path, folder: Path, given: Given) -> Result:
    """Count a home whose collection is complete.

    Args:
        home: The maintainer's.
        folder: For files of promises; made here.
        given: What it is counted against.
    """
    promises = given.promises
    vault = count(home, replace(promises, receipts={}))
    kept = _kept(home)
    headers = dict(_verified(given, kept.policy))
    states = _redeem(home, folder, promises)
    redeemed = {item_id for item_id, state in states.items() if state == "stored"}
    bad = [item_id for item_id in redeemed if not _is_proven(folder / item_id, item_id, given, kept)]
    begins, ends = given.span[0] - _MINUTE_MS, given.span[1] + _MINUTE_MS
    return Result(
        vault=vault,
        promises=len(promises.receipts),
        redeemed=len(redeemed) - len(bad),
        objects=len(given.objects),
        from_wrong_clocks=sum(not begins <= ms <= ends for ms in headers.values()),
        unpromised=sorted(promises.acknowledged - promises.receipts.keys()),
        bad_promises=sorted(promises.receipts.keys() - headers.keys()),
        unredeemed=sorted(promises.receipts.keys() - redeemed),
        bad_receipts=sorted(bad),
        wrong_times=sorted(item_id for item_id, ms in headers.items() if kept.times.get(item_id, ms) != ms),
        strays=abs(len(given.objects) - vault.stored) + len(given.objects) - len(set(given.objects)),
    )


def _kept(home: Path) -> _Kept:
    found = find_home(home)
    identity = open_identity(found)
    with (
        private_snapshot(found.pod.path, PATIENCE) as copy,
        open_reader(PodFolder(copy), identity) as reader,
    ):
        return _Kept(
            home_policy(found, identity),
            {item.id: item.ms for item in reader.items()},
            dict(reader.rows.execute("SELECT batch, checkpoint FROM batch")),
        )


def _verified(given: Given, policy: Policy) -> Iterator[tuple[str, int]]:
    """The promises that hold, and their times."""
    for item_id, text in given.promises.receipts.items():
        try:
            header = verify_promise(
                decode_promise(text),
                pod_id=policy.pod_id,
                function_keys=policy.function_logs,
                c=given.commitments[item_id],
            )
        except VaultError:
            continue
        yield item_id, header.ms


def _redeem(home: Path, folder: Path, promises: Promises) -> dict[str, str]:
    """What the maintainer's command says of each promise; its receipts lie beside them."""
    folder.mkdir()
    ids = [*promises.receipts]
    for item_id in ids:
        file = PromiseFile(item_id, decode_promise(promises.receipts[item_id]))
        (folder / item_id).write_bytes(format_promise_file(file))
    told: dict[str, str] = {}
    for at in range(0, len(ids), _AT_ONCE):
        paths = [str(folder / item_id) for item_id in ids[at : at + _AT_ONCE]]
        command = [sys.executable, "-m", "maintainer_tools", "promise", "redeem", str(home), *paths, "--json"]
        ended = subprocess.run(
            command, cwd=ROOT, stdout=subprocess.PIPE, check=False, timeout=COUNTING_SECONDS
        )
        for line in ended.stdout.splitlines():
            facts = msgspec.json.decode(line)
            told[Path(facts["file"]).name] = facts["state"]
    return told


def _is_proven(path: Path, item_id: str, given: Given, kept: _Kept) -> bool:
    """Whether the receipt beside a promise is one, of this item, and of this vault's log."""
    try:
        receipt = parse_receipt_file(path.with_name(f"{path.name}.receipt").read_bytes()).receipt
        verify_receipt(
            receipt,
            pod_id=kept.policy.pod_id,
            log_keys=kept.policy.vault_logs,
            function_keys=kept.policy.function_logs,
            c=given.commitments[item_id],
        )
    except VaultError:
        return False
    return kept.checkpoints.get(receipt.batch) == receipt.checkpoint


def count_apart(home: Path, folder: Path, given: Given) -> Result:
    """Count in another process; as ``count_round``."""
    return apart.count_apart("tests.store_faults.counting", home, folder, given=given, kind=Result)


if __name__ == "__main__":
    answered = msgspec.json.decode(sys.stdin.buffer.read(), type=Given)
    sys.stdout.buffer.write(msgspec.json.encode(count_round(Path(sys.argv[1]), Path(sys.argv[2]), answered)))
