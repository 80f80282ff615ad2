"""The pod's log as its vault keeps it: loaded, checked against itself, extended.

The tables ``batch`` and ``node`` hold the log; ``log.head`` beside the vault
holds the newest checkpoint the server published. SQLCipher alone cannot see
that a file is of yesterday: these checks can, as far as ``log.head`` was not
put back with it. FORMAT.md, "Opening".
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from vault.errors import DamagedError, ForeignPodError, MalformedError, MissingError, RollbackError, TornError
from vault.files import read_file
from vault.header import parse_header
from vault.keys import LogKey, PodId
from vault.notes import Checkpoint, epoch_of, origin_of, read_checkpoint, sign_checkpoint, verify_checkpoint
from vault.pod import PodFolder
from vault.rows import Rows, only, typed
from vault.tree import Frontier, Node, leaf_hash, peaks_of
from vault.wal import holds_frames

MAX_LOG_HEAD_BYTES = 1 << 16
"""A log.head larger than this is unreadable."""


class Extension(msgspec.Struct, frozen=True):
    """One batch appended to the log, kept only once it has committed.

    Attributes:
        batch: The batch's number, from 1.
        nodes: New complete subtrees: level, index, hash.
        path: Inclusion path of the batch's leaf in the tree it completes.
        checkpoint: The signed note over that tree.
        ledger: The log afterwards.
    """

    batch: int
    nodes: list[Node]
    path: list[bytes]
    checkpoint: bytes
    ledger: Ledger


class Ledger:
    """The log of one vault at one size.

    Args:
        origin: Names log and epoch.
        frontier: The tree's peaks. Not changed here.
        next_seq: The seq the next item gets.
        checkpoint: The newest signed note; empty for an empty log.
    """

    __slots__ = ("checkpoint", "frontier", "next_seq", "origin")

    def __init__(self, origin: str, frontier: Frontier, next_seq: int, checkpoint: bytes) -> None:
        self.origin = origin
        self.frontier = frontier
        self.next_seq = next_seq
        self.checkpoint = checkpoint

    @property
    def size(self) -> int:
        """Batches logged."""
        return self.frontier.size

    def extend(self, header: bytes, count: int, log_key: LogKey) -> Extension:
        """Append one batch and sign the log with it.

        Args:
            header: Packed; the leaf.
            count: Items in the batch.
            log_key: Signs the checkpoint.
        """
        path = self.frontier.next_path()
        frontier = self.frontier.copy()
        nodes = frontier.append(leaf_hash(header))
        checkpoint = sign_checkpoint(Checkpoint(self.origin, frontier.size, frontier.root()), log_key)
        ledger = Ledger(self.origin, frontier, self.next_seq + count, checkpoint)
        return Extension(frontier.size, nodes, path, checkpoint, ledger)


def node_at(rows: Rows, level: int, index: int) -> bytes:
    """Read the root of one complete subtree of the log.

    Raises:
        DamagedError: It is not there.
    """
    found = typed(
        rows.execute("SELECT hash FROM node WHERE level = ? AND i = ?", (level, index)), list[tuple[bytes]]
    )
    if not found:
        raise DamagedError(f"the log lacks node {index} of level {level}; restore a snapshot")
    return found[0][0]


def frontier_at(rows: Rows, size: int) -> Frontier:
    """Read the frontier of the log's first ``size`` batches.

    Raises:
        DamagedError: A node is not there, or is not a hash.
    """
    peaks = [node_at(rows, level, index) for level, index in peaks_of(size)]
    try:
        return Frontier.of(size, peaks)
    except MalformedError as exc:
        raise DamagedError("a node of the log is not a hash; restore a snapshot") from exc


def _load_last(rows: Rows, size: int, pod_id: PodId) -> tuple[int, bytes, bytes]:
    found = rows.execute("SELECT first_seq, header, checkpoint FROM batch WHERE batch = ?", (size,))
    first_seq, header, checkpoint = only(found, list[tuple[int, bytes, bytes]])
    parsed = parse_header(header)
    if parsed.pod_id != pod_id:
        raise ForeignPodError("the newest batch is of another pod; put this pod's vault.db here")
    ((last_seq,),) = rows.execute("SELECT max(seq) FROM item")
    if last_seq != first_seq + parsed.count - 1:
        raise DamagedError("the newest batch lacks items, or items lack a batch; restore a snapshot")
    return first_seq + parsed.count, header, checkpoint


def _require_no_item(rows: Rows) -> None:
    """An empty log has no items: a page of the day it was founded, put back, empties the table of batches."""
    ((last_seq,),) = rows.execute("SELECT max(seq) FROM item")
    if last_seq is not None:
        raise DamagedError("the vault holds items that lack a batch; restore a snapshot")


def load_ledger(rows: Rows, *, pod_id: PodId, epoch: int, log_keys: Sequence[bytes]) -> Ledger:
    """Load the log and check its newest batch, node and checkpoint against each other.

    Args:
        rows: The vault.
        pod_id: Its pod.
        epoch: From ``meta``.
        log_keys: Public keys that may have signed the checkpoint.

    Raises:
        DamagedError: The newest header is not the newest leaf, the newest
            checkpoint is not of this root or not signed by these keys, or
            there are items and no batch.
        ForeignPodError: The newest batch is of another pod.
        MalformedError: The newest header or checkpoint is not of its format.
    """
    origin = origin_of(pod_id, epoch)
    ((size,),) = rows.execute("SELECT max(batch) FROM batch")
    if size is None:
        _require_no_item(rows)
        return Ledger(origin, Frontier(), 1, b"")
    next_seq, header, note = _load_last(rows, size, pod_id)
    frontier = frontier_at(rows, size)
    if node_at(rows, 0, size - 1) != leaf_hash(header):
        raise DamagedError("the newest header is not the newest leaf of the log; restore a snapshot")
    checkpoint = verify_checkpoint(note, origin, log_keys)
    if checkpoint.size != size or checkpoint.root != frontier.root():
        raise DamagedError("the newest checkpoint is not of this log; restore a snapshot")
    return Ledger(origin, frontier, next_seq, note)


class LogHead(msgspec.Struct, frozen=True):
    """What stood beside the vault before it was opened.

    Attributes:
        note: The bytes of log.head; None if there is none to read.
        has_wal: Whether a write-ahead log with anything in it was there.
    """

    note: bytes | None
    has_wal: bool


def read_log_head(folder: PodFolder) -> LogHead:
    """Look at log.head and the write-ahead log; before SQLite opens the vault, which makes an empty one.

    Raises:
        StorageError: The operating system refused.
    """
    has_wal = holds_frames(folder.wal)
    try:
        return LogHead(read_file(folder.log_head, MAX_LOG_HEAD_BYTES), has_wal)
    except (MissingError, MalformedError):
        return LogHead(None, has_wal)


def _published(head: LogHead, ledger: Ledger, pod_id: PodId, log_keys: Sequence[bytes]) -> Checkpoint | None:
    """The head's checkpoint; None if it is unreadable or of an earlier epoch."""
    if head.note is None:
        return None
    try:
        found = read_checkpoint(head.note)
        epoch, ours = epoch_of(found.origin, pod_id), epoch_of(ledger.origin, pod_id)
        published = verify_checkpoint(head.note, found.origin, log_keys)
    except (MalformedError, ForeignPodError, DamagedError):
        return None
    if epoch <= ours:
        return published if epoch == ours else None
    raise RollbackError(
        f"the vault is in epoch {ours} of its log, log.head has seen epoch {epoch}: "
        "an older vault was put here. Put the newest vault.db back, or run `repair`"
    )


def _check_size(ledger: Ledger, size: int, *, has_wal: bool) -> None:
    if size <= ledger.size:
        return
    found = f"the vault holds {ledger.size} batches, log.head has seen {size}"
    if not has_wal:
        raise TornError(
            f"{found}: this is a database without its write-ahead log. "
            "Put its vault.db-wal or the newest vault.db here, or run `repair`"
        )
    raise RollbackError(
        f"{found}: an older vault was put here. "
        "Put the newest vault.db and vault.db-wal back, or run `repair`"
    )


def check_head(
    rows: Rows, ledger: Ledger, head: LogHead, *, pod_id: PodId, log_keys: Sequence[bytes]
) -> str | None:
    """Compare the vault's log with the checkpoint the server last published.

    Args:
        rows: The vault.
        ledger: Its log, loaded.
        head: What ``read_log_head`` found before the vault was opened.
        pod_id: Its pod.
        log_keys: Public keys that may have signed it.

    Returns:
        A warning if there is nothing to compare with; None if all is well.

    Raises:
        TornError: The vault's log is smaller than the published one, and no
            write-ahead log was there that could hold the rest.
        RollbackError: The vault's log is smaller than, or forks from, the
            published one, or of an earlier epoch.
    """
    published = _published(head, ledger, pod_id, log_keys)
    if published is None:
        is_new = ledger.size == 0 and head.note is None
        return None if is_new else "log.head is missing or unreadable; it is written anew"
    _check_size(ledger, published.size, has_wal=head.has_wal)
    if frontier_at(rows, published.size).root() != published.root:
        raise RollbackError(
            f"the vault's log is not the one log.head has seen at {published.size} batches: "
            "another vault was put here. Put the right vault.db back, or run `repair`"
        )
    return None
