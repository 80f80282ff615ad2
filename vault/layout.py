"""Are a vault's tables, indexes and triggers those of its format, and nothing else?

Whoever has the file key can write a file in which ``item`` is a view, or in
which a trigger swallows what is inserted. SQLite would run both. So the schema
is compared with a fresh one, statement for statement, before anything is read
or appended. Not here: what rows hold (``vault.rows``). FORMAT.md, "Tables".
"""

from __future__ import annotations

import functools
from typing import Any

from vault.errors import DamagedError
from vault.migrations import STEPS
from vault.rows import Rows
from vault.sqlcipher import open_in_memory

_SCHEMA = "SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY type, name"


@functools.cache
def _schema_of(number: int) -> list[tuple[Any, ...]]:
    connection = open_in_memory()
    try:
        for step in STEPS[:number]:
            for statement in step.statements:
                connection.execute(statement)
        return connection.execute(_SCHEMA).fetchall()
    finally:
        connection.close()


def require_layout(rows: Rows, number: int) -> None:
    """Accept a vault whose schema is exactly that of its format.

    Args:
        rows: The vault.
        number: The format it says it has, one this program knows.

    Raises:
        DamagedError: A table, index, trigger or view is missing, added or another.
    """
    if rows.execute(_SCHEMA) != _schema_of(number):
        raise DamagedError(
            f"the vault's tables or triggers are not those of format {number}: it was made or changed by "
            "another program; restore a snapshot"
        )
