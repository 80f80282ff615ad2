"""A vault changed by one who has its file key, as every contributor can: rows, and bytes inside pages.

First rows are set, copied, exchanged, removed and added by SQL, the triggers
taken away meanwhile; then bytes of decrypted pages are changed, which SQL would
refuse, and each page is encrypted and authenticated anew. Promises: ``tests.fuzz.plants``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from typing import Any

from tests.fuzz.cuts import Cuts
from tests.fuzz.plants import FILES, WHOLE, lay_out, read_all, scratch
from tests.fuzz.target import Target
from tests.support.functions import plain_page, with_page
from tests.vectors import world
from vault.pod import PodFolder
from vault.sqlcipher import LIBRARY_ERRORS, Connection, open_keyed

TABLES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "meta": (("key",), ("value",)),
    "policy": (("revision",), ("hash", "pod_toml", "slots_json")),
    "slot": (("slot",), ("items", "bytes", "view")),
    "batch": (("batch",), ("first_seq", "uid", "header", "wraps", "signature", "checkpoint")),
    "rewrap": (("batch", "kid"), ("wrap",)),
    "item": (("seq",), ("name", "c", "digest", "sealed")),
    "node": (("level", "i"), ("hash",)),
    "erasure": (("seq",), ("statement",)),
}
"""Their keys and their other columns."""
LOGS = ("", "one-item-erased.wal", "a-second-epoch.wal", "a-stranger-s-policy.wal")
"""What was done to the whole vault before: nothing, an erasure, a repair, or a policy planted."""
PAGE = 4096
_MOST_ACTS = 16


def run(data: bytes) -> None:
    """Lay the pod out, change its rows and its pages, and read it."""
    cuts = Cuts(data)
    contents = {name: FILES[source] for name, source in WHOLE.items()}
    if log := cuts.one_of(LOGS):
        contents["vault.db-wal"] = FILES[log]
    folder = lay_out(_FOLDER, contents)
    pages = _change_rows(folder, cuts)
    _change_pages(folder, pages)
    read_all(folder)


def _change_rows(folder: PodFolder, cuts: Cuts) -> list[Cuts]:
    """Do what the input says to rows; return what it says about pages."""
    pages: list[Cuts] = []
    with closing(open_keyed(folder.vault, world.FILE_KEY)) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        triggers = connection.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'").fetchall()
        for name, _ in triggers:
            connection.execute(f"DROP TRIGGER {name}")
        for _ in range(_MOST_ACTS):
            if not cuts:
                break
            act = cuts.number() % (len(ACTS) + 1)
            if act == len(ACTS):
                pages.append(Cuts(cuts.take(3) + cuts.text()))
            else:
                _change(connection, ACTS[act], cuts)
        for _, sql in triggers:
            connection.execute(sql)
    return pages


Row = tuple[Any, ...]


class _Place:
    """One column of one row."""

    def __init__(self, connection: Connection, cuts: Cuts) -> None:
        self.table = cuts.one_of(tuple(TABLES))
        self.keys, others = TABLES[self.table]
        self.columns = (*self.keys, *others)
        self.rows: list[Row] = connection.execute(
            f"SELECT {', '.join(self.columns)} FROM {self.table} ORDER BY {', '.join(self.keys)}"
        ).fetchall()
        if not self.rows:
            raise LookupError(self.table)
        self.row = cuts.one_of(self.rows)
        self.column = cuts.one_of(self.columns)

    @property
    def value(self) -> Any:
        return self.row[self.columns.index(self.column)]

    @property
    def key(self) -> Sequence[Any]:
        return self.row[: len(self.keys)]

    @property
    def where(self) -> str:
        return " AND ".join(f"{key} = ?" for key in self.keys)

    def set(self, connection: Connection, value: object) -> None:
        connection.execute(
            f"UPDATE {self.table} SET {self.column} = ? WHERE {self.where}", (value, *self.key)
        )


def _change(connection: Connection, act: Callable[[Connection, _Place, Cuts], None], cuts: Cuts) -> None:
    try:
        act(connection, _Place(connection, cuts), cuts)
    except (*LIBRARY_ERRORS, LookupError, OverflowError):
        # A key that is there already, another type: this row stays as it was.
        return


def _set(connection: Connection, place: _Place, cuts: Cuts) -> None:
    place.set(connection, cuts.one_of(_VALUES)(cuts))


_VALUES: tuple[Callable[[Cuts], object], ...] = (
    lambda cuts: cuts.text(),
    lambda cuts: int.from_bytes(cuts.take(8), "little", signed=True),
    lambda cuts: cuts.number(),
    lambda cuts: cuts.text().decode("latin-1"),
    lambda _: None,
)


def _copy(connection: Connection, place: _Place, cuts: Cuts) -> None:
    """What another row has in this column."""
    place.set(connection, cuts.one_of(place.rows)[place.columns.index(place.column)])


def _flip(connection: Connection, place: _Place, cuts: Cuts) -> None:
    if isinstance(place.value, bytes):
        changed = bytearray(place.value)
        changed[cuts.number(2) % len(changed)] ^= cuts.number() or 1
        place.set(connection, bytes(changed))


def _cut(connection: Connection, place: _Place, cuts: Cuts) -> None:
    if isinstance(place.value, bytes):
        place.set(connection, place.value[: cuts.number(2) % (len(place.value) + 1)] + cuts.text())


def _exchange(connection: Connection, place: _Place, cuts: Cuts) -> None:
    """All of a row but its key, with another row's."""
    others, here = place.columns[len(place.keys) :], place.row
    there = cuts.one_of(place.rows)
    count = len(place.keys)
    connection.execute(f"DELETE FROM {place.table} WHERE {place.where}", here[:count])
    connection.execute(f"DELETE FROM {place.table} WHERE {place.where}", there[:count])
    marks = ", ".join("?" * (count + len(others)))
    for row in {(*here[:count], *there[count:]), (*there[:count], *here[count:])}:
        connection.execute(f"INSERT INTO {place.table} VALUES ({marks})", row)


def _remove(connection: Connection, place: _Place, _: Cuts) -> None:
    connection.execute(f"DELETE FROM {place.table} WHERE {place.where}", place.key)


def _add(connection: Connection, place: _Place, cuts: Cuts) -> None:
    """A row once more, another value in one column."""
    row = list(place.row)
    row[place.columns.index(place.column)] = cuts.one_of(_VALUES)(cuts)
    marks = ", ".join("?" * len(row))
    connection.execute(f"INSERT INTO {place.table} VALUES ({marks})", row)


ACTS = (_set, _copy, _flip, _cut, _exchange, _remove, _add)
"""What is done to rows; the number after the last changes a page."""


def _change_pages(folder: PodFolder, changes: list[Cuts]) -> None:
    if not changes:
        return
    content = folder.vault.read_bytes()
    for cuts in changes:
        number, at, written = cuts.number() % (len(content) // PAGE) + 1, cuts.number(2), cuts.take(255)
        page = plain_page(content, world.FILE_KEY, number, page_bytes=PAGE)
        at %= len(page)
        page[at : at + len(written)] = written[: len(page) - at]
        content = with_page(content, world.FILE_KEY, number, bytes(page), page_bytes=PAGE)
    folder.vault.write_bytes(content)


_FOLDER = scratch()


def _seeds() -> Iterator[bytes]:
    yield from (bytes([log]) for log in range(len(LOGS)))
    tables = list(TABLES.values())
    for table, (keys, others) in enumerate(tables):
        for column in range(len(keys) + len(others)):
            for act in range(len(ACTS)):
                yield bytes([0, act, table, 1, column, 2, 3, 4])
            for value in range(len(_VALUES)):
                yield bytes([0, ACTS.index(_set), table, 2, column, value, 8, 1])
    for page in range(20):
        for at in (0, 8, 100, 3000):
            yield bytes([0, len(ACTS), page, *at.to_bytes(2, "little"), 2, 0xFF, 0x07])


TARGET = Target(run, _seeds, 512)
