"""A vault's schema is exactly its format's: no trigger may swallow, no view may stand in for a table."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.vaultfile import FILE_KEY, make_vault, raw_connection
from vault.database import connect_inspect, connect_read
from vault.errors import DamagedError
from vault.layout import require_layout
from vault.migrations import FORMAT, STEPS

CHANGES = [
    "CREATE TRIGGER swallow BEFORE INSERT ON item BEGIN SELECT RAISE(IGNORE); END",
    "CREATE VIEW more AS SELECT * FROM item",
    "CREATE INDEX more ON item (c)",
    "CREATE TABLE more (a)",
    "DROP TRIGGER item_update",
    "DROP TABLE erasure",
    "ALTER TABLE item ADD COLUMN more BLOB",
]


def test_a_vault_as_it_was_made_is_accepted(tmp_path: Path) -> None:
    """Through both connections that look before anything is read or appended."""
    path = make_vault(tmp_path)
    for connect in (connect_inspect, connect_read):
        with connect(path, FILE_KEY) as rows:
            require_layout(rows, FORMAT)


@pytest.mark.parametrize("change", CHANGES)
def test_any_other_schema_is_refused(tmp_path: Path, change: str) -> None:
    """Whoever has the file key can write such a file; SQLite would run what is in it."""
    path = make_vault(tmp_path)
    connection = raw_connection(path)
    connection.execute(change)
    connection.close()
    with connect_inspect(path, FILE_KEY) as rows, pytest.raises(DamagedError, match="not those of format 1"):
        require_layout(rows, FORMAT)


def test_an_earlier_format_has_its_own_schema(tmp_path: Path) -> None:
    """Format 0, before the first step, is no table at all."""
    assert STEPS[0].number == 1
    with connect_read(make_vault(tmp_path), FILE_KEY) as rows, pytest.raises(DamagedError, match="format 0"):
        require_layout(rows, 0)
