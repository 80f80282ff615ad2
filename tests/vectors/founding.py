"""Makes the whole vaults of the vectors, once: SQLCipher draws salts and IVs, HPKE its keys.

The files stay in ``vault/testdata/vaults``; one that is missing is made anew,
and with it all that were made from it. Faults inside a vault are written by
another implementation of SQLCipher's format, triggers off, as an attacker with
the file key would: each is a write-ahead log beside ``three.db``.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import apsw

from tests.vectors import world
from tests.vectors.policies import POD_TOML, members, packed, signed, slot_entry, tombstone
from vault.database import PolicyRow, create
from vault.items import parse_item
from vault.meta import first_meta
from vault.pod import PodFolder
from vault.policies import Policy, load_policy, parse_policy
from vault.slots import OpenedSlot, open_slot
from vault.store import Writer, open_writer
from vault.submissions import submit

NAMES = {1: "field-team", 2: "hobby"}
SLOTS_JSON = signed(
    packed(
        members(
            revision=3,
            slots=[
                slot_entry(1, {}, name=NAMES[1]),
                slot_entry(2, {"max_items": 100}, name=NAMES[2]),
                tombstone(3, "gone"),
            ],
        )
    )
)
MS = 1763700000000
A_BATCH = 1000
"""Milliseconds between batches."""

Row = tuple[int, dict[str, Any]]
BATCHES: list[list[Row]] = [
    [
        (1, {"type": "ItemPropertySchema", "id": "decl-1", "itemType": "Plant", "propertyName": "height", "valueType": "Real"}),
        (1, {"type": "Plant", "id": "plant-1", "height": 1.5}),
        (1, {"type": "Plant", "id": "plant-2", "height": 2}),
    ],
    [
        (2, {"type": "ItemPropertySchema", "id": "decl-1", "itemType": "Plant", "propertyName": "seen", "valueType": "DateTime"}),
        (2, {"type": "Plant", "id": "plant-1", "seen": 1700000000000, "dateCreated": 1700000000001}),
    ],
    [
        (1, {"type": "Plant", "id": "019a9f5b1c007abc8def0123456789ab", "height": -0.25}),
        (2, {"type": "Plant", "id": "plant-3", "deleted": True}),
    ],
]  # fmt: skip
"""Slot and payload of every item, a list a batch."""


def policy() -> Policy:
    """The pod's policy."""
    return parse_policy(POD_TOML.encode(), SLOTS_JSON.encode())


def _slot(number: int) -> OpenedSlot:
    return open_slot(policy().slot_by_number[number], world.KEYS[number], world.POD_ID)


def _commit(writer: Writer, rows: Sequence[Row]) -> None:
    items = [submit(_slot(slot), parse_item(payload, make_id=str)) for slot, payload in rows]
    answers = writer.commit(policy(), items)
    if any(answer.outcome.value != "stored" for answer in answers):
        raise ValueError(f"an item of the vectors is refused: {answers}")


def _fill_folder(folder: Path) -> PodFolder:
    pod = PodFolder(folder)
    pod.pod_toml.write_text(POD_TOML)
    pod.slots_json.write_text(SLOTS_JSON)
    pod.log_key.write_text(world.LOG_KEY.reveal().hex() + "\n")
    found = load_policy(pod)
    row = PolicyRow(found.revision, found.digest, found.pod_toml, found.slots_json)
    create(pod.vault, world.FILE_KEY, meta=first_meta(world.POD_ID), policy_row=row)
    return pod


@contextmanager
def _writing(pod: PodFolder, batch: int) -> Iterator[Writer]:
    writer = open_writer(
        pod,
        policy(),
        world.FILE_KEY,
        world.LOG_KEY,
        now_ms=lambda: MS + A_BATCH * batch,
        entropy=world.entropy(f"batch {batch}"),
    )
    try:
        yield writer
    finally:
        writer.close()


def make_vaults(out: Path) -> None:
    """Write pod.toml, slots.json, log.key and the vaults of 0, 2 and 3 batches, with their heads."""
    with tempfile.TemporaryDirectory() as name:
        pod = _fill_folder(Path(name))
        for source in (pod.pod_toml, pod.slots_json, pod.log_key):
            shutil.copy(source, out / source.name)
        shutil.copy(pod.vault, out / "empty.db")
        for number, rows in enumerate(BATCHES, start=1):
            with _writing(pod, number) as writer:
                _commit(writer, rows)
                if number == len(BATCHES):
                    shutil.copy(pod.wal, out / "third.wal")
            shutil.copy(pod.log_head, out / f"head-{number}")
            if number > 1:
                shutil.copy(pod.vault, out / f"{('two', 'three')[number - 2]}.db")


def connect(vault: Path) -> apsw.Connection:
    """Open a vault with the other implementation, triggers off."""
    connection = apsw.Connection(str(vault))
    key = world.FILE_KEY.reveal().hex()
    for pragma in ("cipher='sqlcipher'", "legacy=4", f"key=\"x'{key}'\"", "wal_autocheckpoint=0"):
        list(connection.execute(f"PRAGMA {pragma}"))
    connection.config(apsw.SQLITE_DBCONFIG_ENABLE_TRIGGER, 0)
    return connection


Fault = Callable[[apsw.Connection], object]


def make_fault(base: Path, wal: Path, fault: Fault) -> None:
    """Write the log that ``fault`` leaves beside a copy of ``base``."""
    with tempfile.TemporaryDirectory() as name:
        vault = Path(name) / "vault.db"
        shutil.copy(base, vault)
        connection = connect(vault)
        fault(connection)
        shutil.copy(f"{vault}-wal", wal)
        connection.close()
