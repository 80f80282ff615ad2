"""The vault's tables, as numbered steps from nothing to the present format.

A step is never edited once released: a new table, column, trigger or label is
a new step and a new format. Not here: how steps are run (``vault.database``).
The tables are FORMAT.md, "The vault".

Two kinds of rule stand in triggers, since they hold whichever program writes:
nothing is deleted or overwritten, and what may change at all changes one way
only. ``INSERT OR REPLACE`` would delete the old row without a word, so a
BEFORE INSERT trigger refuses a key that is there, and the DELETE triggers fire
under it as well (``PRAGMA recursive_triggers``).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Step:
    """What leads from format ``number - 1`` to format ``number``.

    Attributes:
        number: From 1, without gaps.
        statements: SQL, run in order inside one transaction. A statement that
            must change guarded rows drops their trigger and creates it again.
    """

    number: int
    statements: tuple[str, ...]


def _never_deleted(table: str) -> str:
    return f"""CREATE TRIGGER {table}_delete BEFORE DELETE ON {table}
BEGIN SELECT RAISE(ABORT, '{table}: rows are never deleted'); END"""


def _never_changed(table: str) -> str:
    return f"""CREATE TRIGGER {table}_update BEFORE UPDATE ON {table}
BEGIN SELECT RAISE(ABORT, '{table}: rows never change'); END"""


def _never_replaced(table: str, *keys: str) -> str:
    """Refuse a row of which one of ``keys`` (columns, joined by a comma) is there already."""
    # The names are this module's own.
    known = " OR ".join(f"EXISTS (SELECT 1 FROM {table} WHERE {_equal_new(key)})" for key in keys)  # noqa: S608
    return f"""CREATE TRIGGER {table}_insert BEFORE INSERT ON {table} WHEN {known}
BEGIN SELECT RAISE(ABORT, '{table}: this row is there already'); END"""


def _equal_new(key: str) -> str:
    return " AND ".join(f"{column} = NEW.{column}" for column in key.split(", "))


META = """CREATE TABLE meta (
  key   TEXT NOT NULL PRIMARY KEY,  -- 'format', 'pod_id', 'epoch'; 'epoch/N' for each epoch before that
  value BLOB NOT NULL               -- LE32; 32 bytes; LE32; the last signed note of epoch N
) STRICT, WITHOUT ROWID"""
"""The same in every format: it says which one a file has."""

_POLICY = """CREATE TABLE policy (
  revision   INTEGER NOT NULL PRIMARY KEY,  -- only grows; the highest is the accepted one
  hash       BLOB NOT NULL UNIQUE,          -- SHA-256 of slots_json, named by the headers of batches
  pod_toml   BLOB NOT NULL,                 -- the file as it stood
  slots_json BLOB NOT NULL                  -- the file as it stood, with its signature
) STRICT"""

_SLOT = """CREATE TABLE slot (
  slot  INTEGER NOT NULL PRIMARY KEY,  -- the key slot's number in slots.json
  items INTEGER NOT NULL,              -- how many items came through it; only grows
  bytes INTEGER NOT NULL,              -- their canonical bytes, summed; only grows
  view  BLOB                           -- its declared properties, encrypted under its view key; NULL: none
) STRICT"""

_BATCH = """CREATE TABLE batch (
  batch      INTEGER NOT NULL PRIMARY KEY,  -- from 1; the header's index in the log is batch - 1
  first_seq  INTEGER NOT NULL UNIQUE,       -- seq of its item 0
  uid        BLOB NOT NULL UNIQUE,          -- 16 random bytes
  header     BLOB NOT NULL,                 -- pae("batch/v1", ...), the leaf of the log
  wraps      BLOB NOT NULL,                 -- the data key, sealed to each recipient; never changes
  signature  BLOB NOT NULL,                 -- Ed25519 of the log key over header
  checkpoint BLOB NOT NULL                  -- signed note over the log up to and with this batch
) STRICT"""

_REWRAP = """CREATE TABLE rewrap (
  batch INTEGER NOT NULL,  -- the batch of which
  kid   BLOB NOT NULL,     -- a recipient that came later (SHA-256 of its public key)
  wrap  BLOB NOT NULL,     -- got the data key, sealed to it
  PRIMARY KEY (batch, kid)
) STRICT, WITHOUT ROWID"""

_ITEM = """CREATE TABLE item (
  seq    INTEGER NOT NULL PRIMARY KEY,  -- first_seq of its batch + its index there
  name   BLOB UNIQUE,                   -- 22 opaque bytes in place of the id; NULL: the vault had it before
  c      BLOB NOT NULL,                 -- salted commitment to the canonical item: retry or conflict
  digest BLOB NOT NULL,                 -- SHA-256 of sealed, which stays when sealed is erased
  sealed BLOB                           -- the encrypted item; NULL: erased, by a statement in erasure
) STRICT"""

_NODE = """CREATE TABLE node (
  level INTEGER NOT NULL,  -- of the log's tree; 0 is a leaf
  i     INTEGER NOT NULL,  -- from the left: covers leaves i * 2^level to (i + 1) * 2^level - 1
  hash  BLOB NOT NULL,     -- of that complete subtree (RFC 6962 2.1)
  PRIMARY KEY (level, i)
) STRICT, WITHOUT ROWID"""

_ERASURE = """CREATE TABLE erasure (
  seq       INTEGER NOT NULL PRIMARY KEY,  -- the erased item
  statement BLOB NOT NULL                  -- signed: pae("erasure/v1", ...), the signer's key, the signature
) STRICT"""

_SLOT_UPDATE = """CREATE TRIGGER slot_update BEFORE UPDATE ON slot
WHEN NEW.slot IS NOT OLD.slot OR NEW.items < OLD.items OR NEW.bytes < OLD.bytes
BEGIN SELECT RAISE(ABORT, 'slot: a number never changes and counters only grow'); END"""

_ITEM_UPDATE = """CREATE TRIGGER item_update BEFORE UPDATE ON item
WHEN NEW.sealed IS NOT NULL
  OR NEW.seq IS NOT OLD.seq OR NEW.name IS NOT OLD.name
  OR NEW.c IS NOT OLD.c OR NEW.digest IS NOT OLD.digest
  OR NOT EXISTS (SELECT 1 FROM erasure WHERE seq = OLD.seq)
BEGIN SELECT RAISE(ABORT, 'item: it can only be erased, after its statement is stored'); END"""

_STEP_1 = Step(
    1,
    (
        META,
        _never_replaced("meta", "key"),
        _never_changed("meta"),
        _never_deleted("meta"),
        _POLICY,
        _never_replaced("policy", "revision", "hash"),
        _never_changed("policy"),
        _never_deleted("policy"),
        _SLOT,
        _never_replaced("slot", "slot"),
        _SLOT_UPDATE,
        _never_deleted("slot"),
        _BATCH,
        _never_replaced("batch", "batch", "first_seq", "uid"),
        _never_changed("batch"),
        _never_deleted("batch"),
        _REWRAP,
        _never_replaced("rewrap", "batch, kid"),
        _never_changed("rewrap"),
        _never_deleted("rewrap"),
        _ITEM,
        _never_replaced("item", "seq", "name"),
        _ITEM_UPDATE,
        _never_deleted("item"),
        _NODE,
        _never_replaced("node", "level, i"),
        _never_changed("node"),
        _never_deleted("node"),
        _ERASURE,
        _never_replaced("erasure", "seq"),
        _never_changed("erasure"),
        _never_deleted("erasure"),
    ),
)

STEPS: tuple[Step, ...] = (_STEP_1,)
"""Every step, in order. Creating a vault runs all of them; upgrading, those it lacks."""

FORMAT = STEPS[-1].number
"""The format this program writes: the value of meta's ``format``, as LE32."""
