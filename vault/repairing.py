"""Repairing: a new vault file with every batch that is proven, under the next epoch of the log.

Nothing is changed here that exists: the new file is written beside the vault,
and whoever calls puts it in its place. Batches keep their bytes, items their
seq; so receipts still find their header. What is kept is what an audit proves,
no more: this signs the log anew, and must not sign what nobody signed before.
FORMAT.md, "Repair".
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from vault.auditing import Audit, Range
from vault.caveats import Usage
from vault.checking import are_bytes_of
from vault.connection import WritingConnection
from vault.database import INSERT_POLICY, PolicyRow, create
from vault.encoding import le32
from vault.errors import DamagedError, StorageError, VaultError
from vault.fresh import put_in_place, whole_or_gone
from vault.keys import FileKey, LogKey
from vault.ledger import Extension, Ledger
from vault.notes import Checkpoint, origin_of, sign_checkpoint
from vault.page_one import verify_page_one
from vault.policies import Policy, parse_policy
from vault.reader import Reader
from vault.rows import only, typed
from vault.sealing import SEALED_MORE_BYTES
from vault.sqlcipher import open_keyed
from vault.stored import SealedRow, StoredBatch
from vault.tree import EMPTY_ROOT, Frontier, leaf_hash

T = TypeVar("T")

_BATCHES_A_COMMIT = 256

_INSERT_BATCH = (
    "INSERT INTO batch (batch, first_seq, uid, header, wraps, signature, checkpoint) "
    "VALUES (?, ?, ?, ?, ?, ?, ?)"
)
_INSERT_ITEM = "INSERT INTO item (seq, name, c, digest, sealed) VALUES (?, ?, ?, ?, ?)"
_INSERT_NODE = "INSERT INTO node (level, i, hash) VALUES (?, ?, ?)"
_INSERT_REWRAP = "INSERT INTO rewrap (batch, kid, wrap) VALUES (?, ?, ?)"
_INSERT_ERASURE = "INSERT INTO erasure (seq, statement) VALUES (?, ?)"
_SIZES = "SELECT count(sealed), total(length(sealed)) FROM item WHERE seq >= ? AND seq < ?"
_INSERT_SLOT = "INSERT INTO slot (slot, items, bytes, view) VALUES (?, ?, ?, ?)"


class Plan(msgspec.Struct, frozen=True):
    """What a repair keeps.

    Attributes:
        epoch: The one it begins.
        kept: Ranges of today's batches.
        batches: How many they are.
        leading: How many first batches stay as they are, in their place.
        left_out: Batches that are here, or were, and are not proven.
        missing: Batches that somebody has seen after the last one here.
    """

    epoch: int
    kept: list[Range]
    batches: int
    leading: int
    left_out: int
    missing: int

    def numbers(self) -> Iterator[int]:
        """Every batch that is kept."""
        return itertools.chain.from_iterable(range(first, last + 1) for first, last in self.kept)


def plan_repair(audit: Audit, epoch: int) -> Plan:
    """Decide what to keep: what is proven.

    Args:
        audit: Of the vault; the items may have stayed closed.
        epoch: The latest that the vault or any witness is of.
    """
    batches = sum(last - first + 1 for first, last in audit.proven)
    leading = audit.proven[0][1] if audit.proven and audit.proven[0][0] == 1 else 0
    return Plan(epoch + 1, audit.proven, batches, leading, audit.batches - batches, audit.missing)


def write_repaired(reader: Reader, plan: Plan, target: Path, file_key: FileKey, log_key: LogKey) -> Ledger:
    """Write what a plan keeps into a new vault file, durable and whole, or leave nothing.

    Args:
        reader: A private copy of the vault.
        plan: For this very vault.
        target: Must not exist. Mode 0600.
        file_key: The key of both.
        log_key: Signs the log anew.

    Returns:
        The log of ``target``.

    Raises:
        DiskFullError: No space is left.
        StorageError: ``target`` exists, or the operating system refused.
        DamagedError: The vault changed since it was audited.
    """
    policies = list(_policies(reader))
    create(target, file_key, meta=_meta(reader, plan, log_key), policy_row=policies[0])
    with whole_or_gone(target):
        with WritingConnection(open_keyed(target, file_key)) as connection:
            ledger = _Rebuild(reader, plan, connection, log_key).run(policies[1:])
            connection.truncate_wal()
        verify_page_one(target, file_key)
    return ledger


def _policies(reader: Reader) -> Iterator[PolicyRow]:
    """Every policy that can be read and is its row's; home's own if there is none."""
    found = reader.rows.execute("SELECT revision FROM policy ORDER BY revision")
    is_any = False
    for (revision,) in typed(found, list[tuple[int]]):
        row = _policy(reader, revision)
        if row is not None:
            is_any = True
            yield row
    if not is_any:
        own: Policy = reader.policy
        yield PolicyRow(own.revision, own.digest, own.pod_toml, own.slots_json)


def _policy(reader: Reader, revision: int) -> PolicyRow | None:
    try:
        found = reader.rows.execute(
            "SELECT revision, hash, pod_toml, slots_json FROM policy WHERE revision = ?", (revision,)
        )
        row = only(found, list[PolicyRow])
        policy = parse_policy(row.pod_toml, row.slots_json)
    except StorageError:
        raise
    except VaultError as exc:
        reader.go_on(exc)
        return None
    return row if (policy.revision, policy.digest) == (row.revision, row.digest) else None


def _meta(reader: Reader, plan: Plan, log_key: LogKey) -> dict[str, bytes]:
    """Format apart, which ``create`` knows: pod, epoch, and how every earlier one ended."""
    pod_id, present = reader.policy.pod_id, reader.meta.epoch
    ends = dict(reader.meta.earlier)
    ends[present] = _end(origin_of(pod_id, present), _leading_root(reader, plan), plan.leading, log_key)
    for unknown in range(present + 1, plan.epoch):
        # Of an epoch that only a witness has seen nothing is here to be kept.
        ends[unknown] = _end(origin_of(pod_id, unknown), EMPTY_ROOT, 0, log_key)
    notes = {f"epoch/{epoch}": note for epoch, note in ends.items()}
    return {"pod_id": pod_id, "epoch": le32(plan.epoch), **notes}


def _end(origin: str, root: bytes, size: int, log_key: LogKey) -> bytes:
    # Ed25519 is deterministic: what was signed once has the same bytes again.
    return sign_checkpoint(Checkpoint(origin, size, root), log_key)


def _leading_root(reader: Reader, plan: Plan) -> bytes:
    frontier = Frontier()
    for number in range(1, plan.leading + 1):
        frontier.append(leaf_hash(_batch(reader, number).packed))
    return frontier.root()


def _batch(reader: Reader, number: int) -> StoredBatch:
    batch = reader.batch_after(number - 1)
    if batch is None or batch.number != number:
        raise DamagedError(f"batch {number} was there when the vault was audited; run `repair` again")
    return batch


class _Rebuild:
    """One new vault being filled."""

    def __init__(self, reader: Reader, plan: Plan, connection: WritingConnection, log_key: LogKey) -> None:
        self._reader = reader
        self._plan = plan
        self._connection = connection
        self._log_key = log_key
        self._usage: dict[int, Usage] = {}
        self._stored = self._readable(
            "SELECT slot, items, bytes, view FROM slot", (), list[tuple[int, int, int, bytes | None]]
        )
        self._is_counting = not self._is_as_stored()

    def _readable(self, sql: str, parameters: Sequence[Any], kind: type[list[T]]) -> list[T] | None:
        """Rows, or None where they cannot be read."""
        try:
            return typed(self._reader.rows.execute(sql, parameters), kind)
        except DamagedError as exc:
            self._reader.go_on(exc)
            return None

    def _is_as_stored(self) -> bool:
        """Whether the counters that are stored are those of what is kept, as far as closed items show."""
        if self._stored is None:
            return False
        kept, there = 0, Usage()
        for number in self._plan.numbers():
            batch = _batch(self._reader, number)
            kept += batch.header.count
            rows = self._reader.rows.execute(_SIZES, (batch.first_seq, batch.first_seq + batch.header.count))
            count, size = only(rows, list[tuple[int, float]])
            there.items += count
            there.bytes += int(size) - count * SEALED_MORE_BYTES
        stored = Usage(
            sum(items for _, items, _, _ in self._stored), sum(size for _, _, size, _ in self._stored)
        )
        return stored.items == kept and are_bytes_of(stored, there, kept)

    def run(self, policies: Sequence[PolicyRow]) -> Ledger:
        """Fill it; every commit leaves a smaller whole."""
        ledger = Ledger(origin_of(self._reader.policy.pod_id, self._plan.epoch), Frontier(), 1, b"")
        self._connection.begin()
        self._connection.executemany(INSERT_POLICY, policies)
        for number in self._plan.numbers():
            ledger = self._copy(_batch(self._reader, number), ledger)
            if ledger.size % _BATCHES_A_COMMIT == 0:
                self._connection.commit()
                self._connection.begin()
        self._connection.executemany(_INSERT_SLOT, self._slots())
        self._connection.commit()
        return ledger

    def _copy(self, batch: StoredBatch, ledger: Ledger) -> Ledger:
        extension = ledger.extend(batch.packed, batch.header.count, self._log_key)
        rows = self._reader.sealed_items(batch)
        self._insert_batch(batch, extension)
        self._connection.executemany(
            _INSERT_ITEM,
            [(batch.first_seq + row.place, row.name, row.c, row.digest, row.sealed) for row in rows],
        )
        self._connection.executemany(_INSERT_NODE, extension.nodes)
        self._connection.executemany(_INSERT_REWRAP, self._rewraps(batch, extension.batch))
        self._connection.executemany(_INSERT_ERASURE, self._erasures(batch))
        if self._is_counting:
            self._count(batch, rows)
        return extension.ledger

    def _insert_batch(self, batch: StoredBatch, extension: Extension) -> None:
        row = (extension.batch, batch.first_seq, batch.uid, batch.packed, batch.wraps, batch.signature)
        self._connection.execute(_INSERT_BATCH, (*row, extension.checkpoint))

    def _rewraps(self, batch: StoredBatch, number: int) -> list[tuple[int, bytes, bytes]]:
        # Where they are lost, whoever the batch was sealed to first can `rewrap` it again.
        found = self._readable(
            "SELECT kid, wrap FROM rewrap WHERE batch = ?", (batch.number,), list[tuple[bytes, bytes]]
        )
        return [(number, kid, wrap) for kid, wrap in found or ()]

    def _erasures(self, batch: StoredBatch) -> list[tuple[int, bytes]]:
        found = self._readable(
            "SELECT seq, statement FROM erasure WHERE seq >= ? AND seq < ?",
            (batch.first_seq, batch.first_seq + batch.header.count),
            list[tuple[int, bytes]],
        )
        return found or []

    def _count(self, batch: StoredBatch, rows: list[SealedRow]) -> None:
        opened = self._reader.open_batch(batch)
        for row in rows:
            # Counted too is what is no item: it is kept, and takes room.
            slot = None if row.sealed is None else opened.slot_of(row.place, row.sealed)
            if row.sealed is not None and slot is not None:
                usage = self._usage.setdefault(slot, Usage())
                usage.items += 1
                usage.bytes += len(row.sealed) - SEALED_MORE_BYTES

    def _slots(self) -> list[tuple[int, int, int, bytes | None]]:
        """Counters and views: as they stand, or, where that cannot be, of the items that are kept."""
        if self._stored is not None and not self._is_counting:
            return self._stored
        views = {slot: view for slot, _, _, view in self._stored or ()}
        return [
            (slot, usage.items, usage.bytes, views.get(slot))
            for slot in sorted(views.keys() | self._usage.keys())
            for usage in [self._usage.get(slot, Usage())]
        ]


def replace_vault(vault: Path, file_key: FileKey, fresh: Path) -> None:
    """Put a new file in a vault's place; a kill at any moment leaves the one or the other.

    The caller holds ``vault.lock``, and ``copy.lock`` exclusively. The old
    file's write-ahead log moves into it first: SQLite would replay one over
    whatever file lies beside it.

    Raises:
        BusyError: Another process reads the vault in place.
        DamagedError: Its log cannot be moved.
        StorageError: The operating system refused.
    """
    with WritingConnection(open_keyed(vault, file_key)) as connection:
        connection.settle()
    put_in_place(fresh, vault)
