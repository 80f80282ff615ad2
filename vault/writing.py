"""Writing one decided batch into the vault's tables, inside the caller's transaction.

FORMAT.md, "One transaction a batch" and "Tables".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from vault.connection import AppendConnection
from vault.database import INSERT_POLICY
from vault.deciding import Fresh, SlotStates
from vault.judging import SlotState
from vault.ledger import Extension, Ledger
from vault.policies import Policy
from vault.sealing import SealedBatch

_INSERT_BATCH = (
    "INSERT INTO batch (batch, first_seq, uid, header, wraps, signature, checkpoint) "
    "VALUES (?, ?, ?, ?, ?, ?, ?)"
)
_INSERT_ITEM = "INSERT INTO item (seq, name, c, digest, sealed) VALUES (?, ?, ?, ?, ?)"
_INSERT_NODE = "INSERT INTO node (level, i, hash) VALUES (?, ?, ?)"
_INSERT_SLOT = "INSERT INTO slot (slot, items, bytes, view) VALUES (?, ?, ?, ?)"
_UPDATE_COUNTERS = "UPDATE slot SET items = ?, bytes = ? WHERE slot = ?"
_UPDATE_VIEW = "UPDATE slot SET view = ? WHERE slot = ?"


class ItemRow(msgspec.Struct, frozen=True, array_like=True):
    """One row of ``item`` but for its seq.

    Attributes:
        name: 22 bytes; None if the vault has the item already.
        c: The commitment, 32 bytes.
        digest: SHA-256 of ``sealed``.
        sealed: The sealed item.
    """

    name: bytes | None
    c: bytes
    digest: bytes
    sealed: bytes


class SignedBatch(msgspec.Struct, frozen=True):
    """A batch that was sealed and signed, by a function or a moment ago, and has no place in a log yet.

    Attributes:
        uid: 16 bytes, the header's.
        header: Packed.
        wraps: The data key for each recipient.
        signature: 64 bytes over ``header``.
        items: In their order.
    """

    uid: bytes
    header: bytes
    wraps: bytes
    signature: bytes
    items: Sequence[ItemRow]


class Addition(msgspec.Struct, frozen=True):
    """What one transaction adds of batches that were made elsewhere.

    Attributes:
        batches: In the order in which they are logged.
        slots: Number to state, with their items counted, of the slots they came through.
        views: Number to sealed view, of those that changed.
        policies: Earlier ones that the batches name and the vault does not have.
    """

    batches: Sequence[SignedBatch]
    slots: SlotStates
    views: Mapping[int, bytes]
    policies: Sequence[Policy]


def signed_batch(sealed: SealedBatch, fresh: list[Fresh], signature: bytes) -> SignedBatch:
    """The batch of what was sealed a moment ago."""
    items = [
        ItemRow(item.name, item.plain.c, sealed.digests[index], sealed.sealed[index])
        for index, item in enumerate(fresh)
    ]
    return SignedBatch(sealed.uid, sealed.header, sealed.wraps, signature, items)


def write_batch(
    connection: AppendConnection, ledger: Ledger, extension: Extension, batch: SignedBatch
) -> None:
    """Insert a batch, its items and the log's new nodes.

    Raises:
        DiskFullError: No space.
        StorageError: The operating system failed.
    """
    connection.execute(
        _INSERT_BATCH,
        (
            extension.batch,
            ledger.next_seq,
            batch.uid,
            batch.header,
            batch.wraps,
            batch.signature,
            extension.checkpoint,
        ),
    )
    connection.executemany(
        _INSERT_ITEM,
        [
            (seq, item.name, item.c, item.digest, item.sealed)
            for seq, item in enumerate(batch.items, start=ledger.next_seq)
        ],
    )
    connection.executemany(_INSERT_NODE, extension.nodes)


def write_policy(connection: AppendConnection, policy: Policy) -> None:
    """Insert a policy.

    Raises:
        DiskFullError: No space.
        StorageError: The operating system failed.
    """
    row = (policy.revision, policy.digest, policy.pod_toml, policy.slots_json)
    connection.execute(INSERT_POLICY, row)


def _write_slot(connection: AppendConnection, number: int, state: SlotState, view: bytes | None) -> None:
    if not state.is_stored:
        connection.execute(_INSERT_SLOT, (number, state.usage.items, state.usage.bytes, view))
        return
    connection.execute(_UPDATE_COUNTERS, (state.usage.items, state.usage.bytes, number))
    if view is not None:
        connection.execute(_UPDATE_VIEW, (view, number))


def write_slots(connection: AppendConnection, slots: SlotStates, views: Mapping[int, bytes]) -> None:
    """Write the counters, and the views that changed, of the slots a batch came through.

    Args:
        connection: In the batch's transaction.
        slots: Number to state, with the batch's items counted.
        views: Number to sealed view, of those that changed.

    Raises:
        DiskFullError: No space.
        StorageError: The operating system failed.
    """
    for number, state in slots.items():
        _write_slot(connection, number, state, views.get(number))
