"""Writing one decided batch into the vault's tables, inside the caller's transaction.

FORMAT.md, "One transaction a batch" and "Tables".
"""

from __future__ import annotations

from collections.abc import Mapping

from vault.connection import AppendConnection
from vault.deciding import Fresh, SlotStates
from vault.judging import SlotState
from vault.ledger import Extension, Ledger
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


def write_batch(
    connection: AppendConnection,
    ledger: Ledger,
    extension: Extension,
    sealed: SealedBatch,
    *,
    fresh: list[Fresh],
    signature: bytes,
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
            sealed.uid,
            sealed.header,
            sealed.wraps,
            signature,
            extension.checkpoint,
        ),
    )
    connection.executemany(
        _INSERT_ITEM,
        [
            (ledger.next_seq + index, item.name, item.plain.c, sealed.digests[index], sealed.sealed[index])
            for index, item in enumerate(fresh)
        ],
    )
    connection.executemany(_INSERT_NODE, extension.nodes)


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
