"""What the server's connection may do: append. Everything else is refused.

A pure decision, called by SQLite while it compiles a statement
(https://www.sqlite.org/c3ref/set_authorizer.html). Default deny: what does not
stand in the table below is refused, and so is what a later SQLite may invent.
See FORMAT.md, "Append connection".

The authorizer sees names, never values. That counters only grow, that an item
is only ever emptied, and that REPLACE replaces nothing is held by the triggers
of ``vault.migrations``. ``connection.backup()``, ``open_blob()`` and
``reset_key()`` ask no authorizer, so ``vault.database`` never hands its
connection out.
"""

from __future__ import annotations

import functools

from vault.sqlcipher import RefusedStatementError

ALLOW = 0
DENY = 1

# Action codes, https://www.sqlite.org/c3ref/c_alter_table.html
_INSERT = 18
_PRAGMA = 19
_READ = 20
_SELECT = 21
_TRANSACTION = 22
_UPDATE = 23
_FUNCTION = 31

_READABLE = {
    "meta": ("key", "value"),
    "policy": ("revision", "hash"),
    "slot": ("slot", "items", "bytes", "view"),
    "batch": ("batch", "first_seq", "uid", "header", "signature", "checkpoint"),
    "rewrap": ("batch", "kid"),
    "item": ("seq", "name", "c", "digest"),
    "node": ("level", "i", "hash"),
    "erasure": ("seq", "statement"),
}
_GROWING = ("policy", "slot", "batch", "item", "node", "erasure")
_CHANGEABLE = {"slot": ("items", "bytes", "view"), "item": ("sealed",)}

_ALLOWED: frozenset[tuple[int, str | None, str | None]] = frozenset(
    [
        (_SELECT, None, None),
        (_FUNCTION, None, "max"),
        *((_PRAGMA, "wal_checkpoint", mode) for mode in ("RESTART", "TRUNCATE")),
        *((_TRANSACTION, verb, None) for verb in ("BEGIN", "COMMIT", "ROLLBACK")),
        *((_INSERT, table, None) for table in _GROWING),
        *((_UPDATE, table, column) for table, columns in _CHANGEABLE.items() for column in columns),
        *((_READ, table, column) for table, columns in _READABLE.items() for column in columns),
        # A read of a row but of none of its columns arrives as column ''.
        *((_READ, table, "") for table in _READABLE),
    ]
)

_INSPECTABLE = frozenset(
    [
        (_SELECT, None, None),
        (_FUNCTION, None, "max"),
        *((_READ, table, column) for table, columns in _READABLE.items() for column in columns),
        *((_READ, "policy", column) for column in ("pod_toml", "slots_json")),
        *((_READ, "sqlite_master", column) for column in ("type", "name", "tbl_name", "sql")),
        *((_READ, table, "") for table in _READABLE),
    ]
)

# The trigger that looks at the old and the new row, and so at item.sealed.
_ERASING = ((_READ, "item", "sealed"), "item_update")


def authorize(
    action: int, first: str | None, second: str | None, _database: str | None, inside: str | None
) -> int:
    """Answer SQLite's question whether a statement may do one thing.

    Args:
        action: SQLite's action code.
        first: A table, a pragma or a transaction's verb, by ``action``.
        second: A column, a function, or a pragma's argument.
        _database: ``main`` or ``temp``; nothing can be created in the latter.
        inside: The innermost trigger that causes the access, or None. SQLite
            puts a common table expression's name there too, hence ``refuse_unseen_reads``.

    Returns:
        ``ALLOW``, or ``DENY``, which fails the statement with "not authorized".
    """
    access = (action, first, second)
    return ALLOW if access in _ALLOWED or (access, inside) == _ERASING else DENY


_UNSEEN = ("with", "join", "using")


@functools.lru_cache
def refuse_unseen_reads(sql: str) -> None:
    """Refuse a statement that could read what the authorizer is not asked about, or not truly.

    ``WITH item_update AS (SELECT sealed FROM item)`` reaches the authorizer
    exactly as the trigger ``item_update`` does. For the columns that a NATURAL
    join or one USING them shares, SQLite asks nothing at all, and ``SELECT sealed
    FROM (SELECT 1 AS sealed) FULL JOIN item USING (sealed)`` returns them.
    Keywords are ASCII and cannot be escaped, so a statement without these
    letters has no such expression.

    Raises:
        RefusedStatementError: ``sql`` contains ``with``, ``join`` or ``using``, in any case, anywhere.
    """
    written = sql.lower()
    if any(word in written for word in _UNSEEN):
        raise RefusedStatementError(
            "a common table expression or a join is not allowed here, nor the words WITH, JOIN and USING"
        )


def authorize_inspecting(
    action: int, first: str | None, second: str | None, _database: str | None, _inside: str | None
) -> int:
    """Answer SQLite's question for a connection that only looks before the vault is opened to append.

    It may read the accepted policy, which names who may sign the next one, the
    schema, and what ``authorize`` lets be read; it may change nothing.

    Args:
        action: SQLite's action code.
        first: A table.
        second: A column, or a function.
        _database: Of no matter.
        _inside: Of no matter.
    """
    return ALLOW if (action, first, second) in _INSPECTABLE else DENY
