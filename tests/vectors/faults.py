"""What an attacker with the file key writes into a vault, one fault each; made by ``tests.vectors.founding``."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import apsw

from tests.vectors import world
from tests.vectors.family import flipped
from tests.vectors.founding import MS, Fault
from tests.vectors.policies import POD_TOML, members, packed, signed
from vault.encoding import le32, pae
from vault.erasures import erasure_bytes
from vault.errors import (
    DamagedError,
    ForeignPodError,
    FormatTooNewError,
    FormatTooOldError,
    VaultError,
)
from vault.header import parse_header
from vault.keys import LogKey
from vault.notes import Checkpoint, origin_of, sign_checkpoint
from vault.opening import Identity


def value_of(connection: apsw.Connection, sql: str) -> Any:
    """The one value that a statement gives."""
    ((value,),) = connection.execute(sql)
    return value


def _sql(*statements: str) -> Fault:
    def fault(connection: apsw.Connection) -> None:
        connection.execute("BEGIN")
        for statement in statements:
            connection.execute(statement)
        connection.execute("COMMIT")

    return fault


def _set(table: str, column: str, where: str, change: Callable[[Any], object]) -> Fault:
    def fault(connection: apsw.Connection) -> None:
        old = value_of(connection, f"SELECT {column} FROM {table} WHERE {where}")
        connection.execute(f"UPDATE {table} SET {column} = ? WHERE {where}", (change(old),))

    return fault


def _flip(table: str, column: str, where: str, at: int = -1) -> Fault:
    return _set(table, column, where, lambda old: flipped(old, at))


def _swapped(table: str, key: str, one: int, other: int, columns: Sequence[str]) -> Fault:
    """Exchange columns of two rows, through NULL where they are unique."""

    def fault(connection: apsw.Connection) -> None:
        rows = {
            at: next(connection.execute(f"SELECT {', '.join(columns)} FROM {table} WHERE {key} = {at}"))
            for at in (one, other)
        }
        names = ", ".join(f"{each} = ?" for each in columns)
        connection.execute("BEGIN")
        if table == "item" and "name" in columns:
            connection.execute(f"UPDATE item SET name = NULL WHERE {key} IN ({one}, {other})")
        for at, values in ((one, rows[other]), (other, rows[one])):
            connection.execute(f"UPDATE {table} SET {names} WHERE {key} = {at}", values)
        connection.execute("COMMIT")

    return fault


def erased(signer: Identity, index: int = 1) -> Fault:
    """Erase item 2, which is index 1 of batch 1, with a statement."""

    def fault(connection: apsw.Connection) -> None:
        header = parse_header(value_of(connection, "SELECT header FROM batch WHERE batch = 1"))
        text = erasure_bytes(header, index, value_of(connection, "SELECT digest FROM item WHERE seq = 2"), MS)
        connection.execute("BEGIN")
        connection.execute(
            "INSERT INTO erasure VALUES (2, ?)", (pae(text, signer.signer, signer.sign(text)),)
        )
        connection.execute("UPDATE item SET sealed = NULL WHERE seq = 2")
        connection.execute("COMMIT")

    return fault


def _both(one: Fault, other: Fault) -> Fault:
    def fault(connection: apsw.Connection) -> None:
        one(connection)
        other(connection)

    return fault


_GAP = _sql(
    "UPDATE item SET seq = seq + 5 WHERE seq > 5",
    "UPDATE batch SET first_seq = first_seq + 5 WHERE batch = 3",
)
"""As a repair leaves it that lost a batch of five items before the third."""


def _resigned(batch: int, key: LogKey, epoch: int = 1) -> Fault:
    """Replace a checkpoint by one of the same size and root that another key signed, or of another epoch."""

    def fault(connection: apsw.Connection) -> None:
        note = bytes(value_of(connection, f"SELECT checkpoint FROM batch WHERE batch = {batch}")).decode()
        root = base64.b64decode(note.split("\n")[2])
        again = sign_checkpoint(Checkpoint(origin_of(world.POD_ID, epoch), batch, root), key)
        connection.execute("UPDATE batch SET checkpoint = ? WHERE batch = ?", (again, batch))

    return fault


def _rooted(batch: int) -> Fault:
    """Replace a checkpoint by one of another root that the log key signed."""

    def fault(connection: apsw.Connection) -> None:
        note = Checkpoint(origin_of(world.POD_ID, 1), batch, world.draw("a root"))
        again = sign_checkpoint(note, world.LOG_KEY)
        connection.execute("UPDATE batch SET checkpoint = ? WHERE batch = ?", (again, batch))

    return fault


def repaired(key: LogKey) -> Fault:
    """Begin epoch 2: every checkpoint signed again, the last of epoch 1 kept, signed by ``key``."""

    def fault(connection: apsw.Connection) -> None:
        connection.execute("BEGIN")
        _resigned(3, key)(connection)
        connection.execute("INSERT INTO meta SELECT 'epoch/1', checkpoint FROM batch WHERE batch = 3")
        connection.execute("UPDATE meta SET value = ? WHERE key = 'epoch'", (le32(2),))
        for batch in (1, 2, 3):
            _resigned(batch, world.LOG_KEY, epoch=2)(connection)
        connection.execute("COMMIT")

    return fault


def gapped(connection: apsw.Connection) -> None:
    """Epoch 2, and what a repair left out before batch 3."""
    repaired(world.LOG_KEY)(connection)
    _GAP(connection)


def recounted(connection: apsw.Connection) -> None:
    """Epoch 2, whose repair counted slot 1 anew, without the item that is erased."""
    repaired(world.LOG_KEY)(connection)
    erased(world.IDENTITY)(connection)
    kept = "(SELECT sum(length(sealed) - 99) FROM item WHERE seq IN (1, 3, 6))"
    _sql(f"UPDATE slot SET items = 3, bytes = {kept} WHERE slot = 1")(connection)


def _strangers_policy(connection: apsw.Connection) -> None:
    stranger = world.OTHER_IDENTITY
    slots_json = signed(
        packed(members(revision=9, signers=[{"key": stranger.signer.hex()}])), stranger
    ).encode()
    row = (9, hashlib.sha256(slots_json).digest(), POD_TOML.encode(), slots_json)
    connection.execute("INSERT INTO policy VALUES (?, ?, ?, ?)", row)


_MS_AT = 136
"""Where the time stands in a header."""


class Case(NamedTuple):
    """One fault: what it is, what opening (an error) or a check (a finding about something) says of it."""

    name: str
    why: str
    fault: Fault
    error: type[VaultError] | None
    says: str
    about: str = ""


READ: list[Case] = [
    Case("newer format", "a later program wrote it", _set("meta", "value", "key = 'format'", lambda _: le32(2)), FormatTooNewError, "has format 2"),
    Case("no format", "it is no vault", _sql("DELETE FROM meta WHERE key = 'format'"), DamagedError, "no vault"),
    Case("format of 8 bytes", "LE32", _set("meta", "value", "key = 'format'", lambda _: bytes(8)), DamagedError, "no vault"),
    Case("another pod inside", "its own word", _set("meta", "value", "key = 'pod_id'", lambda _: world.OTHER_POD_ID), ForeignPodError, "of another pod"),
    Case("epoch 0", "from 1", _set("meta", "value", "key = 'epoch'", lambda _: le32(0)), DamagedError, "epoch"),
    Case("epoch 2 without the end of epoch 1", "each earlier epoch's last checkpoint", _set("meta", "value", "key = 'epoch'", lambda _: le32(2)), DamagedError, "how each earlier epoch ended"),
    Case("a trigger more", "the schema is the format's", _sql("CREATE TRIGGER swallow BEFORE INSERT ON item BEGIN SELECT RAISE(IGNORE); END"), DamagedError, "not those of format 1"),
    Case("a trigger less", "the schema is the format's", _sql("DROP TRIGGER item_update"), DamagedError, "not those of format 1"),
    Case("a view for a table", "the schema is the format's", _sql("DROP TABLE erasure", "CREATE VIEW erasure AS SELECT 1 AS seq, x'' AS statement"), DamagedError, "not those of format 1"),
    Case("newest header altered", "it is the newest leaf", _flip("batch", "header", "batch = 3"), DamagedError, "not the newest leaf"),
    Case("newest checkpoint of another key", "a log key of the policy", _resigned(3, world.OTHER_LOG_KEY), DamagedError, "not signed by a log key"),
    Case("newest checkpoint of another epoch", "its origin", _resigned(3, world.LOG_KEY, epoch=2), DamagedError, "of another log"),
    Case("newest checkpoint is an earlier one", "its size", _sql("UPDATE batch SET checkpoint = (SELECT checkpoint FROM batch WHERE batch = 2) WHERE batch = 3"), DamagedError, "not of this log"),
    Case("newest checkpoint of another root", "the root that the nodes give", _rooted(3), DamagedError, "not of this log"),
    Case("a node of the frontier altered", "the root", _flip("node", "hash", "level = 1 AND i = 0"), DamagedError, "not of this log"),
    Case("a node of the frontier short", "32 bytes", _set("node", "hash", "level = 1 AND i = 0", lambda old: old[:31]), DamagedError, "not a hash"),
    Case("a node of the frontier missing", "every complete subtree", _sql("DELETE FROM node WHERE level = 1"), DamagedError, "lacks node"),
    Case("newest item missing", "count of the header", _sql("DELETE FROM item WHERE seq = 7"), DamagedError, "lacks items"),
    Case("an item beyond the newest batch", "count of the header", _sql("INSERT INTO item VALUES (8, NULL, x'', x'', x'')"), DamagedError, "items lack a batch"),
    Case("newest batch missing", "its items are there", _sql("DELETE FROM batch WHERE batch = 3"), DamagedError, "lacks items"),
    Case("every batch missing", "their items are there", _sql("DELETE FROM batch", "DELETE FROM node"), DamagedError, "lack a batch"),
]  # fmt: skip
"""Refused by whoever opens the vault."""

CHECK: list[Case] = [
    Case("items swapped", "leaves name their place", _swapped("item", "seq", 2, 3, ["c", "digest", "sealed"]), None, "its items are not those its header names", "batch 1"),
    Case("an item in another batch", "leaves name their batch", _swapped("item", "seq", 2, 4, ["c", "digest", "sealed"]), None, "its items are not those its header names", "batch 1"),
    Case("sealed bytes swapped", "digests", _swapped("item", "seq", 2, 3, ["sealed"]), None, "its sealed bytes were altered", "item 2"),
    Case("sealed bytes altered", "digests", _flip("item", "sealed", "seq = 2"), None, "its sealed bytes were altered", "item 2"),
    Case("commitment altered", "the item tree", _flip("item", "c", "seq = 2"), None, "its items are not those its header names", "batch 1"),
    Case("digest altered", "the item tree", _flip("item", "digest", "seq = 2"), None, "its items are not those its header names", "batch 1"),
    Case("name altered", "HMAC of the id", _flip("item", "name", "seq = 2"), None, "its name is not its id's", "item 2"),
    Case("names swapped", "HMAC of the id", _swapped("item", "seq", 2, 3, ["name"]), None, "its name is not its id's", "item 2"),
    Case("name taken away", "NULL only where another item has it", _sql("UPDATE item SET name = NULL WHERE seq = 2"), None, "it has no name", "item 2"),
    Case("an item moved to another batch's end", "as many as the header counts", _sql("DELETE FROM item WHERE seq = 2"), None, "were logged", "batch 1"),
    Case("gone without a statement", "it is loss", _sql("UPDATE item SET sealed = NULL WHERE seq = 2"), None, "it is gone without a statement", "item 2"),
    Case("gone with a stranger's statement", "a signer of the pod", erased(world.OTHER_IDENTITY), None, "not signed by a maintainer", "item 2"),
    Case("gone with another item's statement", "of this item", erased(world.IDENTITY, index=2), None, "about another item", "item 2"),
    Case("a statement for an item that is there", "rows belong to something", _sql("INSERT INTO erasure VALUES (2, x'')"), None, "the table erasure has 1 rows", "erasures"),
    Case("counter of items too high", "the items of the slot", _sql("UPDATE slot SET items = items + 1 WHERE slot = 1"), None, "slot 1: its counters", "slot 1"),
    Case("counter of bytes too low", "the canonical bytes of the slot", _sql("UPDATE slot SET bytes = bytes - 1 WHERE slot = 2"), None, "slot 2: its counters", "slot 2"),
    Case("a slot's row missing", "counters start anew", _sql("DELETE FROM slot WHERE slot = 2"), None, "slot 2: its counters", "slot 2"),
    Case("a slot more", "no item came through it", _sql("INSERT INTO slot VALUES (3, 5, 500, NULL)"), None, "slot 3: its counters", "slot 3"),
    Case("a counter put back beside an erased item", "all slots together count every item", _both(erased(world.IDENTITY), _sql("UPDATE slot SET items = items - 1 WHERE slot = 1")), None, "do not add up", "slots"),
    Case("a counter too high beside an erased item", "all slots together count every item", _both(erased(world.IDENTITY), _sql("UPDATE slot SET items = items + 1 WHERE slot = 1")), None, "do not add up", "slots"),
    Case("a slot more beside an erased item", "all slots together count every item", _both(erased(world.IDENTITY), _sql("INSERT INTO slot VALUES (3, 1, 1, NULL)")), None, "do not add up", "slots"),
    Case("a gap in the first epoch", "only a repair leaves items out", _GAP, None, "do not follow those before", "batch 3"),
    Case("view altered", "it does not open", _flip("slot", "view", "slot = 1"), None, "the view of slot 1", "slot 1"),
    Case("views swapped", "the slot is associated data", _sql("UPDATE slot SET view = (SELECT view FROM slot WHERE slot = 2) WHERE slot = 1"), None, "the view of slot 1", "slot 1"),
    Case("an earlier header altered", "the log", _flip("batch", "header", "batch = 1", at=_MS_AT), None, "batch 1: its header is not signed", "batch 1"),
    Case("signature altered", "the log key", _flip("batch", "signature", "batch = 2"), None, "batch 2: its header is not signed", "batch 2"),
    Case("wraps altered", "their hash", _flip("batch", "wraps", "batch = 2"), None, "wraps are not those its header names", "batch 2"),
    Case("wraps of another batch", "their hash", _swapped("batch", "batch", 1, 2, ["wraps"]), None, "wraps are not those its header names", "batch 1"),
    Case("signature of another batch", "the log key signs the header", _swapped("batch", "batch", 1, 2, ["signature"]), None, "batch 1: its header is not signed", "batch 1"),
    Case("checkpoints of two batches swapped", "each is the batch's own", _swapped("batch", "batch", 1, 2, ["checkpoint"]), None, "batch 2: its checkpoint is not of this log", "batch 2"),
    Case("uid altered", "the header's", _flip("batch", "uid", "batch = 2"), None, "another uid", "batch 2"),
    Case("first_seq altered", "items follow those before", _sql("UPDATE batch SET first_seq = 40 WHERE batch = 2"), None, "do not follow those before", "batch 2"),
    Case("an earlier checkpoint of another key", "a log key of the policy", _resigned(1, world.OTHER_LOG_KEY), None, "not signed by a log key", "batch 1"),
    Case("an earlier checkpoint of another size", "the batch's", _sql("UPDATE batch SET checkpoint = (SELECT checkpoint FROM batch WHERE batch = 2) WHERE batch = 1"), None, "batch 1: its checkpoint is not of this log", "batch 1"),
    Case("an earlier checkpoint of another root", "the root that the leaves give", _rooted(1), None, "batch 1: its checkpoint is not of this log", "batch 1"),
    Case("the end of an earlier epoch of another key", "a log key of the policy", repaired(world.OTHER_LOG_KEY), None, "an earlier epoch", "epoch/1"),
    Case("a leaf of the log altered", "hash of the header", _flip("node", "hash", "level = 0 AND i = 0"), None, "node 0 of level 0", "log"),
    Case("a leaf of the log missing", "every complete subtree", _sql("DELETE FROM node WHERE level = 0 AND i = 0"), None, "lacks node 0 of level 0", "log"),
    Case("a node to come", "it would stop the writer", _sql("INSERT INTO node VALUES (0, 3, x'00')"), None, "the table node has 5 rows", "log"),
    Case("a stranger's policy", "a signer the pod's policy knows", _strangers_policy, None, "policy 9: it is signed by someone", "policy 9"),
    Case("the policy taken away", "headers name it", _sql("DELETE FROM policy"), None, "under a policy the vault does not hold", "batch 1"),
    Case("a policy altered", "its signature", _flip("policy", "slots_json", "revision = 3", at=20), None, "policy 3: slots.json", "policy 3"),
    Case("a policy under another hash", "its digest", _flip("policy", "hash", "revision = 3"), None, "policy 3: it is not the policy its row names", "policy 3"),
]  # fmt: skip
"""Seen by a check, which opens and recomputes everything."""

APPEND: list[Case] = [
    Case("older format", "it must be upgraded", _set("meta", "value", "key = 'format'", lambda _: le32(0)), FormatTooOldError, "has format 0"),
    Case("the accepted policy altered", "its row names it", _flip("policy", "slots_json", "revision = 3", at=40), DamagedError, "not the one its row names"),
    Case("no accepted policy", "a vault starts with one", _sql("DELETE FROM policy"), DamagedError, "holds no policy"),
]  # fmt: skip
"""Refused by whoever would append."""
