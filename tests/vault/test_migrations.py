"""The tables of format 1 are exactly those the format names, and every column is explained."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from sqlcipher3 import dbapi2

from vault.migrations import FORMAT, STEPS
from vault.sqlcipher import Connection

# FORMAT.md, "Tables": name, type, NOT NULL, place in the primary key.
FORMAT_1 = {
    "meta": [("key", "TEXT", 1, 1), ("value", "BLOB", 1, 0)],
    "policy": [
        ("revision", "INTEGER", 1, 1),
        ("hash", "BLOB", 1, 0),
        ("pod_toml", "BLOB", 1, 0),
        ("slots_json", "BLOB", 1, 0),
    ],
    "slot": [
        ("slot", "INTEGER", 1, 1),
        ("items", "INTEGER", 1, 0),
        ("bytes", "INTEGER", 1, 0),
        ("view", "BLOB", 0, 0),
    ],
    "batch": [
        ("batch", "INTEGER", 1, 1),
        ("first_seq", "INTEGER", 1, 0),
        ("uid", "BLOB", 1, 0),
        ("header", "BLOB", 1, 0),
        ("wraps", "BLOB", 1, 0),
        ("signature", "BLOB", 1, 0),
        ("checkpoint", "BLOB", 1, 0),
    ],
    "rewrap": [("batch", "INTEGER", 1, 1), ("kid", "BLOB", 1, 2), ("wrap", "BLOB", 1, 0)],
    "item": [
        ("seq", "INTEGER", 1, 1),
        ("name", "BLOB", 0, 0),
        ("c", "BLOB", 1, 0),
        ("digest", "BLOB", 1, 0),
        ("sealed", "BLOB", 0, 0),
    ],
    "node": [("level", "INTEGER", 1, 1), ("i", "INTEGER", 1, 2), ("hash", "BLOB", 1, 0)],
    "erasure": [("seq", "INTEGER", 1, 1), ("statement", "BLOB", 1, 0)],
}
WITHOUT_ROWID = {"meta", "rewrap", "node"}
UNIQUE = {"policy": {"hash"}, "batch": {"first_seq", "uid"}, "item": {"name"}}


@pytest.fixture
def connection() -> Iterator[Connection]:
    """The tables in memory, with their triggers as the only guard."""
    connection: Connection = dbapi2.connect(":memory:", isolation_level=None)
    connection.execute("PRAGMA recursive_triggers = ON")
    for step in STEPS:
        for statement in step.statements:
            connection.execute(statement)
    yield connection
    connection.close()


def test_steps_are_numbered_from_one_without_gaps() -> None:
    """A vault says one number; the steps it lacks follow from it."""
    assert [step.number for step in STEPS] == list(range(1, FORMAT + 1))


def test_the_tables_are_those_of_the_format(connection: Connection) -> None:
    """Any new table or column is a new format."""
    tables = connection.execute(
        "SELECT name, wr, strict FROM pragma_table_list WHERE schema = 'main'"
    ).fetchall()
    ours = {
        name: (without_rowid, strict) for name, without_rowid, strict in tables if name != "sqlite_schema"
    }
    assert ours == {name: (int(name in WITHOUT_ROWID), 1) for name in FORMAT_1}


@pytest.mark.parametrize("table", FORMAT_1)
def test_the_columns_are_those_of_the_format(connection: Connection, table: str) -> None:
    """Names, types, what may be NULL, keys."""
    columns = connection.execute(
        'SELECT name, type, "notnull", pk FROM pragma_table_info(?) ORDER BY cid', (table,)
    ).fetchall()
    assert columns == FORMAT_1[table]


@pytest.mark.parametrize("table", FORMAT_1)
def test_what_is_unique_is_unique(connection: Connection, table: str) -> None:
    """The last guard of 'once': the index, under every trigger."""
    unique = connection.execute(
        "SELECT info.name FROM pragma_index_list(?) AS list, pragma_index_info(list.name) AS info"
        " WHERE list.origin = 'u'",
        (table,),
    ).fetchall()
    assert {column for (column,) in unique} == UNIQUE.get(table, set())


@pytest.mark.parametrize("table", FORMAT_1)
def test_every_table_guards_insert_update_and_delete(connection: Connection, table: str) -> None:
    """A table added without its triggers could be overwritten in silence."""
    names = connection.execute(
        "SELECT name FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = ?", (table,)
    ).fetchall()
    assert {name for (name,) in names} == {f"{table}_{act}" for act in ("insert", "update", "delete")}


def test_every_column_is_explained() -> None:
    """The comments are kept in the file, so a vault explains itself to whoever opens it."""
    tables = [sql for step in STEPS for sql in step.statements if sql.startswith("CREATE TABLE")]
    for sql in tables:
        for line in sql.splitlines()[1:-1]:
            assert re.fullmatch(r"  (\w+ +(TEXT|BLOB|INTEGER)\b.*-- \S.*|PRIMARY KEY \(.*\))", line), line


@pytest.mark.parametrize("table", FORMAT_1)
def test_no_row_is_ever_deleted(connection: Connection, table: str) -> None:
    """Without an authorizer too."""
    _fill(connection, table)
    with pytest.raises(dbapi2.IntegrityError, match=f"{table}: rows are never deleted"):
        connection.execute(f"DELETE FROM {table}")


@pytest.mark.parametrize("table", ["meta", "policy", "batch", "rewrap", "node", "erasure"])
def test_no_row_of_these_tables_ever_changes(connection: Connection, table: str) -> None:
    """Not even to what it is already."""
    _fill(connection, table)
    column = FORMAT_1[table][-1][0]
    with pytest.raises(dbapi2.IntegrityError, match=f"{table}: rows never change"):
        connection.execute(f"UPDATE {table} SET {column} = {column}")


@pytest.mark.parametrize("table", FORMAT_1)
@pytest.mark.parametrize("verb", ["INSERT", "REPLACE", "INSERT OR IGNORE", "INSERT OR REPLACE"])
def test_no_row_is_stored_twice_or_in_place_of_another(connection: Connection, table: str, verb: str) -> None:
    """REPLACE would delete the row that is there; OR IGNORE would drop the new one without a word."""
    _fill(connection, table)
    with pytest.raises(dbapi2.IntegrityError, match=f"{table}: this row is there already"):
        _fill(connection, table, verb)


@pytest.mark.parametrize("verb", ["UPDATE", "UPDATE OR REPLACE", "UPDATE OR IGNORE"])
@pytest.mark.parametrize("change", ["slot = 2", "items = 0", "bytes = 0", "items = 9, bytes = 0"])
def test_a_slots_counters_only_grow(connection: Connection, verb: str, change: str) -> None:
    """They are what a caveat is counted against."""
    _fill(connection, "slot")
    with pytest.raises(dbapi2.IntegrityError, match="counters only grow"):
        connection.execute(f"{verb} slot SET {change}")
    connection.execute("UPDATE slot SET items = 2, bytes = 1, view = NULL")


@pytest.mark.parametrize("verb", ["UPDATE", "UPDATE OR REPLACE", "UPDATE OR IGNORE"])
@pytest.mark.parametrize(
    "change",
    [
        "seq = 2",
        "name = NULL",
        "name = x'02'",
        "c = x'02'",
        "digest = x'02'",
        "sealed = x'02'",
        "sealed = sealed",
    ],
)
def test_an_item_changes_in_no_way_but_erasure(connection: Connection, verb: str, change: str) -> None:
    """Even where a statement to erase it is stored."""
    _fill(connection, "item")
    _fill(connection, "erasure")
    with pytest.raises(dbapi2.IntegrityError, match="it can only be erased"):
        connection.execute(f"{verb} item SET {change}")


@pytest.mark.parametrize("change", ["seq = 2", "name = NULL", "c = x'02'", "digest = x'02'"])
def test_erasing_changes_nothing_else(connection: Connection, change: str) -> None:
    """Receipts verify against name's, c's and digest's old values."""
    _fill(connection, "item")
    _fill(connection, "erasure")
    with pytest.raises(dbapi2.IntegrityError, match="it can only be erased"):
        connection.execute(f"UPDATE item SET sealed = NULL, {change}")


def test_an_item_without_a_statement_is_not_erased(connection: Connection) -> None:
    """A NULL without a statement is a loss."""
    _fill(connection, "item")
    with pytest.raises(dbapi2.IntegrityError, match="after its statement is stored"):
        connection.execute("UPDATE item SET sealed = NULL")
    _fill(connection, "erasure")
    connection.execute("UPDATE item SET sealed = NULL")


def test_items_without_a_name_stand_side_by_side(connection: Connection) -> None:
    """Collecting stores an item the vault has already under no name."""
    connection.execute(
        "INSERT INTO item VALUES (1, NULL, x'01', x'01', x'01'), (2, NULL, x'01', x'01', x'01')"
    )


def _fill(connection: Connection, table: str, verb: str = "INSERT") -> None:
    """Store one row of ones."""
    ones = {"TEXT": "'one'", "INTEGER": "1", "BLOB": "x'01'"}
    values = ", ".join(ones[kind] for _, kind, _, _ in FORMAT_1[table])
    connection.execute(f"{verb} INTO {table} VALUES ({values})")
