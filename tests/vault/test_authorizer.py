"""What a server's connection may do, statement by statement, on a real vault."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.vaultfile import FILE_KEY, append_batch, make_vault, raw_connection
from vault.authorizer import (
    ALLOW,
    DENY,
    authorize,
    authorize_inspecting,
    refuse_unseen_reads,
)
from vault.connection import AppendConnection
from vault.database import connect_append, connect_inspect, connect_read
from vault.sqlcipher import RefusedStatementError

REFUSAL = r"is not allowed here|not authorized|authorization denied|is prohibited|may not be modified"
NEW_ITEM = "VALUES (99, x'99', x'99', x'99', x'99')"
ROW_1 = "VALUES (1, x'99', x'99', x'99', x'99')"

NEEDED = [
    "SELECT key, value FROM meta",
    "SELECT value FROM meta WHERE key = 'epoch'",
    "SELECT max(revision) FROM policy",
    "SELECT revision, hash FROM policy ORDER BY revision DESC LIMIT 1",
    "SELECT slot, items, bytes, view FROM slot",
    "SELECT max(batch) FROM batch",
    "SELECT batch, first_seq, uid, header, signature, checkpoint FROM batch WHERE first_seq <= 3",
    "SELECT batch FROM batch ORDER BY first_seq DESC LIMIT 1",
    "SELECT batch, kid FROM rewrap",
    "SELECT seq, c, digest FROM item WHERE name = x'00'",
    "SELECT name FROM item WHERE seq BETWEEN 1 AND 4",
    "SELECT 1 FROM item WHERE name IN (x'00', x'01')",
    "SELECT max(seq) FROM item",
    "SELECT hash FROM node WHERE level = 0 AND i = 0",
    "SELECT seq, statement FROM erasure",
    *(
        f"SELECT 1 FROM {table}"
        for table in ("meta", "policy", "slot", "batch", "rewrap", "item", "node", "erasure")
    ),
    "SELECT rowid FROM item",
    "INSERT INTO policy (revision, hash, pod_toml, slots_json) VALUES (2, x'02', x'', x'')",
    "INSERT INTO slot (slot, items, bytes, view) VALUES (2, 0, 0, NULL)",
    "INSERT INTO batch VALUES (9, 99, x'99', x'', x'', x'', x'')",
    f"INSERT INTO item {NEW_ITEM}",
    "INSERT INTO item VALUES (99, NULL, x'99', x'99', x'99')",
    "INSERT INTO node (level, i, hash) VALUES (1, 0, x'')",
    "INSERT INTO erasure (seq, statement) VALUES (2, x'')",
    "UPDATE slot SET items = items + 1, bytes = bytes + 10 WHERE slot = 1",
    "UPDATE slot SET view = x'01' WHERE slot = 1",
    "UPDATE item SET sealed = NULL WHERE seq = 1",
    "BEGIN",
    "BEGIN IMMEDIATE",
    "PRAGMA wal_checkpoint(RESTART)",
    "PRAGMA wal_checkpoint(TRUNCATE)",
]

HIDDEN = [
    "SELECT sealed FROM item",
    "SELECT * FROM item",
    "SELECT seq FROM item WHERE sealed = x'00'",
    "SELECT seq FROM item ORDER BY sealed",
    "SELECT max(sealed) FROM item",
    "SELECT a.seq FROM item AS a JOIN item AS b ON a.sealed = b.sealed",
    "SELECT item_update.sealed FROM item AS item_update",
    "SELECT * FROM (SELECT sealed FROM item) AS item_update",
    "INSERT INTO node SELECT 7, seq, sealed FROM item",
    "INSERT INTO slot SELECT 7, 0, 0, sealed FROM item WHERE seq = 1",
    "UPDATE slot SET view = (SELECT sealed FROM item WHERE seq = 1)",
    "UPDATE slot SET items = 9 WHERE (SELECT sealed FROM item WHERE seq = 1) > x'00'",
    "UPDATE item SET sealed = NULL WHERE seq = 1 RETURNING sealed",
    "UPDATE item SET sealed = NULL WHERE sealed > x'00'",
    f"INSERT INTO item {NEW_ITEM} RETURNING sealed",
    "SELECT wraps FROM batch",
    "SELECT * FROM batch",
    "SELECT wrap FROM rewrap",
    "SELECT pod_toml FROM policy",
    "SELECT slots_json FROM policy",
    "SELECT sql FROM sqlite_schema",
    "SELECT name FROM sqlite_master",
    "SELECT * FROM pragma_table_info('item')",
    "SELECT * FROM json_each('[1]')",
    "SELECT length(sealed) FROM item",
    "SELECT count(*) FROM item",
    "SELECT hex(name) FROM item",
    "SELECT quote(name) FROM item",
    "SELECT seq FROM item WHERE name LIKE 'a'",
    "SELECT random()",
    "SELECT randomblob(9)",
    "SELECT sqlcipher_export('main')",
    "SELECT load_extension('libm.so.6')",
]

ACCEPTED_POLICY = ["SELECT pod_toml FROM policy", "SELECT slots_json FROM policy"]
SCHEMA = ["SELECT sql FROM sqlite_schema", "SELECT name FROM sqlite_master"]

FORBIDDEN = [
    *(
        f"DELETE FROM {table}"
        for table in ("meta", "policy", "slot", "batch", "rewrap", "item", "node", "erasure", "sqlite_schema")
    ),
    "INSERT INTO meta VALUES ('note', x'')",
    "INSERT INTO rewrap VALUES (1, x'', x'')",
    "INSERT INTO sqlite_schema VALUES ('table', 'a', 'a', 2, '')",
    "UPDATE meta SET value = x''",
    "UPDATE policy SET pod_toml = x''",
    "UPDATE batch SET wraps = x''",
    "UPDATE batch SET header = x''",
    "UPDATE rewrap SET wrap = x''",
    "UPDATE node SET hash = x''",
    "UPDATE erasure SET statement = x''",
    "UPDATE slot SET slot = 9",
    "UPDATE item SET seq = 9",
    "UPDATE item SET name = NULL",
    "UPDATE item SET c = x''",
    "UPDATE item SET digest = x''",
    "UPDATE item SET sealed = NULL, digest = x''",
    "INSERT INTO item VALUES (1, x'99', x'', x'', x'') ON CONFLICT (seq) DO UPDATE SET c = excluded.c",
    "ATTACH ':memory:' AS other",
    "DETACH main",
    "CREATE TABLE a (b)",
    "CREATE TABLE a AS SELECT seq FROM item",
    "CREATE TEMP TABLE a (b)",
    "CREATE TEMP VIEW item_update AS SELECT sealed FROM item",
    "CREATE VIEW item_update AS SELECT sealed FROM item",
    "CREATE TRIGGER a BEFORE INSERT ON item BEGIN SELECT 1; END",
    "CREATE TEMP TRIGGER item_update BEFORE UPDATE ON item BEGIN SELECT sealed FROM item; END",
    "CREATE INDEX a ON item (sealed)",
    "CREATE VIRTUAL TABLE a USING fts5(b)",
    "DROP TABLE item",
    "DROP TRIGGER item_update",
    "ALTER TABLE item RENAME TO other",
    "ALTER TABLE item ADD COLUMN a",
    "ALTER TABLE item DROP COLUMN sealed",
    "REINDEX",
    "ANALYZE",
    "VACUUM",
    "VACUUM INTO 'copy.db'",
    "SAVEPOINT a",
    "PRAGMA key = 'a'",
    "PRAGMA rekey = 'a'",
    "PRAGMA cipher_page_size = 1024",
    "PRAGMA writable_schema = ON",
    "PRAGMA recursive_triggers = OFF",
    "PRAGMA recursive_triggers",
    "PRAGMA trusted_schema = ON",
    "PRAGMA journal_mode = DELETE",
    "PRAGMA synchronous = OFF",
    "PRAGMA temp_store = 1",
    "PRAGMA table_info(item)",
    "PRAGMA integrity_check",
    "PRAGMA wal_checkpoint",
    "PRAGMA wal_checkpoint(PASSIVE)",
    "PRAGMA wal_autocheckpoint = 1",
    "PRAGMA optimize",
]

COMMON_TABLE_EXPRESSIONS = [
    "WITH item_update AS (SELECT sealed FROM item) SELECT sealed FROM item_update",
    "SELECT * FROM (wItH item_update AS MATERIALIZED (SELECT sealed FROM item) SELECT 1 FROM item_update)",
    "WITH item_update AS (SELECT sealed FROM item) UPDATE slot SET view = (SELECT * FROM item_update)",
    '/**/WITH/**/"item_update"AS(SELECT sealed FROM item)SELECT*FROM item_update',
    "WITH RECURSIVE a (b) AS (SELECT 1 UNION ALL SELECT b + 1 FROM a) SELECT b FROM a",
]

SHARED_COLUMNS = [
    "SELECT sealed FROM (SELECT 1 AS sealed) FULL JOIN item USING (sealed)",
    "SELECT * FROM (SELECT 1 AS sealed) NATURAL FULL OUTER JoIn item",
    "SELECT wraps FROM batch FULL JOIN (SELECT 1 AS wraps) USING (wraps)",
    "SELECT seq FROM item JOIN (SELECT x'90' AS sealed) USING (sealed)",
    "SELECT seq FROM item, (SELECT x'90' AS sealed) uSiNg (sealed)",
]

OVERWRITING = [
    f"REPLACE INTO item {ROW_1}",
    f"INSERT OR REPLACE INTO item {ROW_1}",
    "REPLACE INTO item SELECT 99, name, x'99', x'99', x'99' FROM item WHERE seq = 1",
    "INSERT OR IGNORE INTO item SELECT 99, name, x'99', x'99', x'99' FROM item WHERE seq = 1",
    "INSERT INTO item VALUES (1, x'99', x'', x'', x'') ON CONFLICT DO NOTHING",
    f"INSERT INTO item {ROW_1} ON CONFLICT (seq) DO UPDATE SET sealed = excluded.sealed",
    "UPDATE item SET sealed = x'99' WHERE seq = 1",
    "UPDATE OR REPLACE item SET sealed = x'99' WHERE seq = 1",
    "UPDATE OR IGNORE item SET sealed = x'99' WHERE seq = 1",
    "UPDATE item SET sealed = NULL WHERE seq = 2",
    "UPDATE OR REPLACE item SET sealed = NULL WHERE seq = 2",
    "REPLACE INTO policy VALUES (1, x'99', x'99', x'99')",
    "REPLACE INTO policy SELECT 9, hash, x'99', x'99' FROM policy",
    "REPLACE INTO slot VALUES (1, 0, 0, NULL)",
    "INSERT INTO slot VALUES (1, 9, 9, NULL) ON CONFLICT (slot) DO UPDATE SET items = excluded.items",
    "UPDATE slot SET items = items - 1",
    "UPDATE slot SET bytes = 0",
    "UPDATE OR REPLACE slot SET bytes = 0",
    "UPDATE slot SET items = NULL",
    "UPDATE slot SET items = 'many'",
    "REPLACE INTO batch VALUES (1, 99, x'99', x'', x'', x'', x'')",
    "REPLACE INTO batch VALUES (9, 1, x'99', x'', x'', x'', x'')",
    "REPLACE INTO batch SELECT 9, 99, uid, x'', x'', x'', x'' FROM batch",
    "REPLACE INTO node VALUES (0, 0, x'99')",
    "REPLACE INTO erasure VALUES (1, x'99')",
    "INSERT INTO item VALUES (99, 'text', x'99', x'99', x'99')",
    "INSERT INTO item VALUES (99, x'99', NULL, x'99', x'99')",
]

NAMES = (
    st.none()
    | st.sampled_from(["item", "batch", "wal_checkpoint", "BEGIN", "sealed", "wraps", "max"])
    | st.text()
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A vault with one batch, a slot, a node and a statement to erase item 1."""
    path = make_vault(tmp_path)
    with connect_append(path, FILE_KEY) as connection:
        append_batch(connection, 1)
        connection.execute("INSERT INTO slot VALUES (1, 4, 12000, x'00')")
        connection.execute("INSERT INTO node VALUES (0, 0, x'00')")
        connection.execute("INSERT INTO erasure VALUES (1, x'00')")
    return path


@pytest.fixture
def connection(path: Path) -> Iterator[AppendConnection]:
    """The connection a server has."""
    with connect_append(path, FILE_KEY) as connection:
        yield connection


def _content(path: Path) -> list[list[tuple[object, ...]]]:
    tables = ("meta", "policy", "slot", "batch", "rewrap", "item", "node", "erasure", "sqlite_schema")
    with connect_read(path, FILE_KEY) as connection:
        return [connection.execute(f"SELECT * FROM {table}") for table in tables]


@pytest.mark.parametrize("sql", NEEDED)
def test_what_a_writer_needs_works(connection: AppendConnection, sql: str) -> None:
    """A rule that forbids too much is found here, not at the first item."""
    connection.execute(sql)


@pytest.mark.parametrize(
    "sql", [sql for sql in NEEDED if sql.startswith("SELECT")] + ACCEPTED_POLICY + SCHEMA
)
def test_what_opening_looks_at_can_be_read(path: Path, sql: str) -> None:
    """The accepted policy names who may sign the next one; the schema must be the format's."""
    with connect_inspect(path, FILE_KEY) as connection:
        connection.execute(sql)


@pytest.mark.parametrize("sql", [sql for sql in NEEDED if not sql.startswith("SELECT")])
def test_looking_changes_nothing(path: Path, sql: str) -> None:
    """Not even what a writer may: a vault that is then refused stays as it was found."""
    before = _content(path)
    with connect_inspect(path, FILE_KEY) as connection, pytest.raises(RefusedStatementError, match=REFUSAL):
        connection.execute(sql)
    assert _content(path) == before


@pytest.mark.parametrize("sql", [sql for sql in HIDDEN + FORBIDDEN if sql not in ACCEPTED_POLICY + SCHEMA])
def test_looking_shows_no_item_and_does_nothing_else(path: Path, sql: str) -> None:
    """It is the server that looks, so an item is as far away as from its other connection."""
    with connect_inspect(path, FILE_KEY) as connection, pytest.raises(RefusedStatementError, match=REFUSAL):
        connection.execute(sql)


@pytest.mark.parametrize("sql", HIDDEN + FORBIDDEN)
def test_everything_else_is_refused_before_it_runs(path: Path, sql: str) -> None:
    """The process that takes items in cannot take any out, even sealed, whatever SQL it is made to run."""
    before = _content(path)
    with (
        connect_append(path, FILE_KEY) as connection,
        pytest.raises(RefusedStatementError, match=REFUSAL),
    ):
        connection.execute(sql)
    assert _content(path) == before


# Pragmas run while they are compiled; the schema table is never written, whoever asks.
EXPLAINABLE = [
    sql
    for sql in HIDDEN + FORBIDDEN
    if not sql.startswith(("PRAGMA", "DELETE FROM sqlite_", "INSERT INTO sqlite_"))
]


@pytest.mark.parametrize("sql", EXPLAINABLE)
def test_refused_statements_are_sql_that_would_run_elsewhere(path: Path, sql: str) -> None:
    """A misspelt statement is refused as well, and would prove nothing."""
    connection = raw_connection(path)
    connection.text_factory = bytes
    assert connection.execute(f"EXPLAIN {sql}").fetchall()
    connection.close()


@pytest.mark.parametrize("sql", COMMON_TABLE_EXPRESSIONS)
def test_a_common_table_expression_cannot_read_in_the_triggers_name(
    connection: AppendConnection, sql: str
) -> None:
    """SQLite tells the authorizer the expression's name where a trigger's would stand."""
    with pytest.raises(RefusedStatementError, match="common table expression"):
        connection.execute(sql)
    with pytest.raises(RefusedStatementError, match="common table expression"):
        connection.executemany(sql, [()])


def test_the_authorizer_alone_does_not_stop_a_common_table_expression(path: Path) -> None:
    """If this fails, SQLite has learned to tell them apart and the refusal of WITH may go."""
    connection = raw_connection(path)
    connection.set_authorizer(authorize)
    rows = connection.execute(COMMON_TABLE_EXPRESSIONS[0]).fetchall()
    connection.close()
    assert len(rows) == 4


@pytest.mark.parametrize("sql", SHARED_COLUMNS)
def test_a_join_cannot_read_a_column_it_shares(connection: AppendConnection, path: Path, sql: str) -> None:
    """SQLite asks the authorizer nothing about the columns that two tables are joined by."""
    with pytest.raises(RefusedStatementError, match="a join is not allowed"):
        connection.execute(sql)
    connection.close()
    with connect_inspect(path, FILE_KEY) as looking, pytest.raises(RefusedStatementError, match="a join is"):
        looking.execute(sql)


def test_the_authorizer_alone_does_not_stop_a_join(path: Path) -> None:
    """If this fails, SQLite has learned to ask and the refusal of JOIN may go."""
    connection = raw_connection(path)
    connection.set_authorizer(authorize)
    rows = connection.execute(SHARED_COLUMNS[0]).fetchall()
    connection.close()
    assert len(rows) == 5


@pytest.mark.parametrize("sql", OVERWRITING)
def test_nothing_stored_can_be_overwritten(path: Path, sql: str) -> None:
    """REPLACE and UPSERT reach the authorizer as INSERT, so triggers and constraints must stop them."""
    before = _content(path)
    with connect_append(path, FILE_KEY) as connection, pytest.raises(RefusedStatementError):
        connection.execute(sql)
    assert _content(path) == before


@pytest.mark.parametrize("sql", OVERWRITING)
def test_overwriting_fails_by_itself_not_for_want_of_rights(path: Path, sql: str) -> None:
    """The rules of the tables hold for programs without an authorizer too."""
    connection = raw_connection(path)
    connection.execute("PRAGMA recursive_triggers = ON")
    with pytest.raises(Exception, match=r"already|erased|only grow|NOT NULL|cannot store"):
        connection.execute(sql)
    connection.close()


def test_an_item_is_erased_once_its_statement_is_stored(connection: AppendConnection, path: Path) -> None:
    """The one change an item allows; its digest stays, so every receipt still verifies."""
    connection.execute("UPDATE item SET sealed = NULL WHERE seq = 1")
    connection.close()
    with connect_read(path, FILE_KEY) as reading:
        rows = reading.execute("SELECT seq, sealed IS NULL, digest FROM item WHERE seq < 3")
    assert rows == [(1, 1, b"d" * 32), (2, 0, b"d" * 32)]


def test_refusing_one_statement_keeps_the_transaction(connection: AppendConnection) -> None:
    """RAISE(ABORT) undoes the statement only; the writer decides about the rest."""
    connection.begin()
    connection.execute(f"INSERT INTO item {NEW_ITEM}")
    with pytest.raises(RefusedStatementError):
        connection.execute(f"INSERT INTO item {NEW_ITEM}")
    connection.commit()
    assert connection.execute("SELECT max(seq) FROM item") == [(99,)]


def test_two_statements_in_one_are_refused(connection: AppendConnection) -> None:
    """Only one can be looked at."""
    with pytest.raises(RefusedStatementError, match="one statement at a time"):
        connection.execute("SELECT 1; SELECT 2")


@given(
    action=st.integers(0, 40),
    first=st.none()
    | st.sampled_from(["item", "slot", "wal_checkpoint", "ROLLBACK", "sealed", ""])
    | st.text(),
    second=st.none() | st.sampled_from(["sealed", "wraps", "view", "max", "TRUNCATE", ""]) | st.text(),
    inside=st.none() | st.sampled_from(["item_insert", "slot_update", "ITEM_UPDATE"]) | st.text(),
)
def test_the_answer_is_no_unless_the_table_says_yes(
    action: int, first: str | None, second: str | None, inside: str | None
) -> None:
    """Any question gets an answer, and no trigger but one gets at an item."""
    answer = authorize(action, first, second, "main", inside)
    assert answer in {ALLOW, DENY}
    if (first, second) == ("item", "sealed") and action == 20 and inside != "item_update":
        assert answer == DENY
    if action not in {18, 19, 20, 21, 22, 23, 31}:
        assert answer == DENY


@given(action=st.integers(0, 40), first=NAMES, second=NAMES, inside=st.none() | st.just("item_update"))
def test_looking_gets_no_answer_a_reader_of_rows_would_not(
    action: int, first: str | None, second: str | None, inside: str | None
) -> None:
    """Nothing but SELECT, reads and max; never an item, in whatever trigger's name."""
    answer = authorize_inspecting(action, first, second, "main", inside)
    if action not in {20, 21, 31} or second in {"sealed", "wraps", "wrap"}:
        assert answer == DENY


def test_a_statement_without_the_word_passes() -> None:
    """The refusal looks at a few letters; the vocabulary of the writer has none of them."""
    for sql in NEEDED:
        refuse_unseen_reads(sql)
