"""The pod of the golden vectors, laid out to be damaged, and what may be read from it whatever was done.

Three batches of seven items, of which the second may be gone by a statement.
Whoever changes the files, with the file key or without, with log.key and
without an identity, can make a reader refuse; nobody makes it give an item that
was not put in, or call a vault whole that is not.
"""

from __future__ import annotations

import atexit
import json
import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from tests.fuzz.target import SCRATCH, memory
from tests.support.vectors import TESTDATA, load
from tests.vectors import world
from vault.auditing import Auditor, head_witness
from vault.checking import check_vault
from vault.errors import VaultError
from vault.ledger import read_log_head
from vault.pod import PodFolder
from vault.reader import Reader, open_reader
from vault.stored import StoredItem
from vault.witness import Witness, read_witness

FILES = {path.name: path.read_bytes() for path in sorted((TESTDATA / "vaults/files").iterdir())}
"""By name: vaults, write-ahead logs and heads of several days and with several faults, all of one pod."""
WHOLE = {
    "vault.db": "three.db",
    "log.head": "head-3",
    "pod.toml": "pod.toml",
    "slots.json": "slots.json",
    "log.key": "log.key",
}
"""What lies in the pod's folder, by the name in ``FILES``."""
_ITEMS = load("vaults/read/accept-three-batches.json")["items"]
_UNSIGNED = {"seq", "batch"}
"""Where an item is: shown by the log as a whole, when all was read, or by a check."""
_BATCH_ENDS = {0, 3, 5, 7}
_ERASED = 2
_SECRETS = [secret for name, secret in world.SECRETS.items() if not name.endswith("owner_key")]


def scratch() -> Path:
    """A new folder, removed at the end; in memory where there is such a place: a disk is ten times slower."""
    # Who starts an engine removes what it leaves: libFuzzer ends without Python's leave.
    folder = Path(tempfile.mkdtemp(prefix="fuzz-", dir=os.environ.get(SCRATCH) or memory()))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def lay_out(folder: Path, contents: dict[str, bytes]) -> PodFolder:
    """Write the files of a pod's folder, by their names there."""
    folder.mkdir(exist_ok=True)
    for path in folder.iterdir():
        path.unlink()
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    return PodFolder(folder)


def read_all(folder: PodFolder) -> None:
    """Read, check and audit a pod's folder as its maintainer does.

    Raises:
        AssertionError: It gives what was not put in, or calls itself whole and is not; or an
            error quotes a secret.
        Exception: Anything but the errors that the format names.
    """
    try:
        with open_reader(folder, world.IDENTITY) as reader:
            _read(reader)
            _check(reader, folder)
    except VaultError as exc:
        require_no_secret(str(exc))
    refusals: list[VaultError] = []
    try:
        with open_reader(folder, world.IDENTITY, on_refusal=refusals.append) as reader:
            _audit(reader, folder, refusals)
    except VaultError as exc:
        require_no_secret(str(exc))


def require_no_secret(*sentences: str) -> None:
    """No sentence of ours holds a key of the pod."""
    said = " ".join(sentences).lower()
    assert not [secret for secret in _SECRETS if secret in said], "a sentence quotes a key"


def _content(item: dict[str, Any]) -> str:
    """What was put in, by whom and when."""
    return json.dumps({name: value for name, value in item.items() if name not in _UNSIGNED}, sort_keys=True)


PUT_IN = {_content(item) for item in _ITEMS}


def content_of(item: StoredItem) -> str:
    """An item as ``PUT_IN`` has it."""
    return _content(msgspec.to_builtins(item))


def _read(reader: Reader) -> None:
    items = []
    try:
        for item in reader.items():
            assert content_of(item) in PUT_IN, f"item {item.seq} was never put in"
            items.append(item)
    except VaultError as exc:
        require_no_secret(str(exc))
        return
    _require_state(reader, items)


def _require_state(reader: Reader, items: Sequence[StoredItem]) -> int:
    """All items of the first batches in order, but for the one that a statement erased; returns the last."""
    is_erased = bool(reader.rows.execute("SELECT 1 FROM erasure WHERE seq = ?", (_ERASED,)))
    found = [(item.batch, content_of(item)) for item in items]
    states = {end: [(each["batch"], _content(each)) for each in _ITEMS[:end]] for end in sorted(_BATCH_ENDS)}
    for end, state in states.items():
        if found == state or (is_erased and found == state[: _ERASED - 1] + state[_ERASED:]):
            return end
    raise AssertionError("what was read is no state that the vault ever had")


def _check(reader: Reader, folder: PodFolder) -> None:
    report = check_vault(reader, lambda _: None)
    require_no_secret(*report.findings)
    if report.findings:
        return
    items = list(reader.items())
    assert len(items) == report.items
    last = _require_state(reader, items)
    assert {item.seq for item in items} <= set(range(1, last + 1))
    head = folder.log_head.read_bytes() if folder.log_head.exists() else b""
    if reader.warning is None and head == FILES["head-3"]:
        assert last == max(_BATCH_ENDS), "a vault of before log.head passes its check"


def _audit(reader: Reader, folder: PodFolder, refusals: list[VaultError]) -> None:
    head = head_witness(reader, read_log_head(folder).note)
    seen = _seen(reader)
    auditor = Auditor(reader, refusals, witnesses=[seen], head=head)
    auditor.run(lambda _: None, is_opening=True)
    audit = auditor.end()
    require_no_secret(*audit.findings)
    if audit.findings:
        return
    last = _require_state(reader, list(reader.items()))
    assert last == max(_BATCH_ENDS), "a vault of before its witness passes an audit"
    assert audit.witnessed == seen.size
    assert audit.proven == [(1, audit.batches)]


def _seen(reader: Reader) -> Witness:
    policy = reader.policy
    return read_witness(FILES["head-3"], "seen.checkpoint", pod_id=policy.pod_id, log_keys=policy.vault_logs)
