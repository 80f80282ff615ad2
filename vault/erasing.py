"""Erasing items from an open vault, inside the caller's transaction.

A signed statement takes the place of what an item was sealed as. Its row, its
leaf and its digest stay, so that the log and every receipt verify as before.
Nothing is erased without a statement that holds for exactly this item. That
the content is in no page any more is the caller's: ``secure_delete`` and a
checkpoint (``vault.store``). FORMAT.md, "Erasure".
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

import msgspec

from vault.connection import AppendConnection
from vault.erasures import ErasedPlace, read_place, verify_erasure
from vault.errors import DamagedError, FormatTooNewError, MalformedError
from vault.header import Header, parse_header
from vault.rows import typed

_BATCH = "SELECT first_seq, header FROM batch WHERE uid = ?"
_DIGEST = "SELECT digest FROM item WHERE seq = ?"
_STATEMENT = "SELECT seq FROM erasure WHERE seq = ?"
_INSERT = "INSERT INTO erasure (seq, statement) VALUES (?, ?)"
_ERASE = "UPDATE item SET sealed = NULL WHERE seq = ?"


class Erased(msgspec.Struct):
    """What became of some statements.

    Attributes:
        items: Items erased now; one that was erased before is not counted.
        refusals: A sentence for each statement that erases nothing.
    """

    items: int = 0
    refusals: list[str] = msgspec.field(default_factory=list)


class _Target(NamedTuple):
    header: Header
    seq: int
    digest: bytes


def _find(connection: AppendConnection, place: ErasedPlace) -> _Target | None:
    """The item that is meant, as this vault has it; None if it has none there."""
    found = typed(connection.execute(_BATCH, (place.uid,)), list[tuple[int, bytes]])
    if not found:
        return None
    ((first_seq, packed),) = found
    header, seq = parse_header(packed), first_seq + place.index
    if place.index >= header.count:
        return None
    rows = typed(connection.execute(_DIGEST, (seq,)), list[tuple[bytes]])
    return _Target(header, seq, rows[0][0]) if rows else None


def _erase(connection: AppendConnection, statement: bytes, target: _Target) -> bool:
    if connection.execute(_STATEMENT, (target.seq,)):
        return False
    connection.execute(_INSERT, (target.seq, statement))
    connection.execute(_ERASE, (target.seq,))
    return True


def erase_items(
    connection: AppendConnection, statements: Sequence[bytes], signers: Collection[bytes]
) -> Erased:
    """Erase the items that statements are about.

    Args:
        connection: In a transaction.
        statements: Untrusted. One that does not hold erases nothing, and hinders no other.
        signers: 32-byte Ed25519 public keys: those of the policy in force.

    Raises:
        DiskFullError: No space.
        StorageError: The operating system failed.
        DamagedError: A row or page fails its checks.
        MalformedError: A header is not of its format.
    """
    erased = Erased()
    for statement in statements:
        try:
            place = read_place(statement)
        except (FormatTooNewError, MalformedError) as exc:
            erased.refusals.append(str(exc))
            continue
        target = _find(connection, place)
        if target is None:
            erased.refusals.append("an erasure statement is about an item this vault does not have")
            continue
        try:
            verify_erasure(
                statement, header=target.header, index=place.index, digest=target.digest, signers=signers
            )
        except DamagedError as exc:
            erased.refusals.append(str(exc))
            continue
        erased.items += _erase(connection, statement, target)
    return erased
