"""Does the write-ahead log beside a vault belong to it?

A log vouches for itself only: SQLite replays it over whatever database lies
beside it. Yesterday's vault.db put beside today's log becomes a mixture of two
days, and the first checkpoint makes it so for good. So where a server left a log
behind, two questions are asked before the vault is opened to append; neither
changes a byte.

- Is every page there? The log says how many the database has, and a vault only
  grows; what is not in the file must be in the log. This sees every older file
  but those that differ by a few batches.
- Are the newest batches whole, those of the log and the few before? This sees
  the rest.

Not here: whether the vault is older than its log.head (``vault.ledger``), and
whether all of it is true (``vault.checking``). FORMAT.md, "Opening".
"""

from __future__ import annotations

from vault.disk import storage_error
from vault.errors import DamagedError, TornError
from vault.header import Header, item_leaf, parse_header
from vault.ledger import node_at
from vault.pod import PodFolder
from vault.rows import Rows, typed
from vault.tree import leaf_hash, root_of
from vault.wal import PAGE_BYTES, Survey, survey

_BATCHES_BEFORE = 4
"""Two rows of ``batch`` fill a page: with five more, one lies on a page that no later commit touches."""

_TORN = (
    "vault.db and vault.db-wal are of different times; nothing was changed. "
    "Put the two that belong together here, or restore a snapshot"
)


def check_pages(folder: PodFolder) -> Survey:
    """Check, before SQLite opens a vault, that the file and its log make a whole database.

    Args:
        folder: The pod's folder; nobody writes its vault now, and its first page is
            the vault's (``vault.page_one``).

    Returns:
        What the log holds, for ``check_newest``.

    Raises:
        TornError: A page is in neither, or the file is larger than the log says.
        StorageError: The operating system refused.
    """
    log = survey(folder.wal)
    if log.commits:
        pages = _file_pages(folder)
        is_whole = log.pages.issuperset(range(pages + 1, log.database_pages + 1))
        if pages > log.database_pages or not is_whole:
            raise TornError(_TORN)
    return log


def _file_pages(folder: PodFolder) -> int:
    try:
        return folder.vault.stat().st_size // PAGE_BYTES
    except OSError as exc:
        raise storage_error(folder.vault, exc) from exc


def check_newest(rows: Rows, log: Survey) -> None:
    """Check that the batches in a vault's log, and the few before, are all there.

    Args:
        rows: The vault, read together with its log.
        log: From ``check_pages``.

    Raises:
        TornError: One is not whole.
        MalformedError: A header is not of its format.
        StorageError: The vault cannot be read.
    """
    if not log.commits:
        return
    ((newest,),) = rows.execute("SELECT max(batch) FROM batch")
    size = newest or 0
    for batch in range(max(size - log.commits - _BATCHES_BEFORE, 0) + 1, size + 1):
        if not _is_whole(rows, batch):
            raise TornError(_TORN)


def _is_whole(rows: Rows, batch: int) -> bool:
    found = rows.execute("SELECT uid, first_seq, header FROM batch WHERE batch = ?", (batch,))
    if not found or rows.execute("SELECT batch FROM batch WHERE uid = ?", (found[0][0],)) != [(batch,)]:
        return False
    ((_, first_seq, header),) = typed(found, list[tuple[bytes, int, bytes]])
    return _is_logged(rows, batch, header) and _has_items(rows, first_seq, parse_header(header))


def _is_logged(rows: Rows, batch: int, header: bytes) -> bool:
    try:
        return node_at(rows, 0, batch - 1) == leaf_hash(header)
    except DamagedError:
        return False


def _has_items(rows: Rows, first_seq: int, header: Header) -> bool:
    found = rows.execute(
        "SELECT seq, name, c, digest FROM item WHERE seq >= ? AND seq < ? ORDER BY seq",
        (first_seq, first_seq + header.count),
    )
    items = typed(found, list[tuple[int, bytes | None, bytes, bytes]])
    leaves = [item_leaf(header.pod_id, header.uid, i, c, digest) for i, (_, _, c, digest) in enumerate(items)]
    is_named = all(name is None or _is_found(rows, name, seq) for seq, name, _, _ in items)
    return is_named and len(items) == header.count and root_of(leaves) == header.item_root


def _is_found(rows: Rows, name: bytes, seq: int) -> bool:
    """Whether the index of names, which a retry asks, knows an item."""
    return rows.execute("SELECT seq FROM item WHERE name = ?", (name,)) == [(seq,)]
