"""Witnesses: checkpoints kept apart from a server, and what they say of a vault's log.

A vault and its log.head put back together to an earlier day agree with each
other. A checkpoint that somebody kept elsewhere does not: home's own is
``seen.checkpoint``, others are files, paper, receipts. Not here: whether the
batches are what the log says (``vault.checking``). FORMAT.md, "Witnesses".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import msgspec

from vault.errors import RollbackError
from vault.keys import PodId
from vault.ledger import Ledger, node_at
from vault.meta import Meta
from vault.notes import epoch_of, read_checkpoint, verify_checkpoint
from vault.rows import Rows
from vault.tree import consistency_path, verify_consistency

SEEN_FILE = "seen.checkpoint"
"""In a home: the last checkpoint an audit found true, or a maintainer brought."""

MAX_WITNESS_BYTES = 1 << 16
"""A file larger than this is no checkpoint."""

_NEWEST = (
    "Put the newest vault.db and vault.db-wal back; if there are none, run `repair`, "
    "with --since for a checkpoint that is kept elsewhere"
)


class Witness(msgspec.Struct, frozen=True):
    """A checkpoint that a log key of the pod signed, and where it was kept.

    Attributes:
        source: What it is called in sentences.
        epoch: Of the log.
        size: Batches it covers.
        root: Of the log of so many batches, 32 bytes.
        note: The signed note.
    """

    source: str
    epoch: int
    size: int
    root: bytes
    note: bytes

    @property
    def age(self) -> tuple[int, int]:
        """Orders the witnesses of one log: a later one covers what an earlier one does."""
        return self.epoch, self.size


def parse_witness_file(content: bytes, source: str, *, pod_id: PodId, log_keys: Sequence[bytes]) -> Witness:
    """Accept a checkpoint as a file holds it, or a scanner gave it: see ``read_witness``.

    Args:
        content: Untrusted. White space at its end is no part of it, and CR LF is LF.
        source: What to call it in sentences.
        pod_id: The pod.
        log_keys: Public keys of which one must have signed it.
    """
    note = content.rstrip().replace(b"\r\n", b"\n") + b"\n"
    return read_witness(note, source, pod_id=pod_id, log_keys=log_keys)


class History(msgspec.Struct, frozen=True):
    """What a vault says of its log, to be compared with witnesses.

    Attributes:
        epoch: The present one.
        size: Batches it holds.
        kept: Earlier epoch to how many of its first batches every repair since has kept.
        is_root: Whether the log's first so many batches have this root. Asked for sizes from 0 to ``size``.
    """

    epoch: int
    size: int
    kept: Mapping[int, int]
    is_root: Callable[[int, bytes], bool]


def read_witness(note: bytes, source: str, *, pod_id: PodId, log_keys: Sequence[bytes]) -> Witness:
    """Accept a checkpoint of any epoch of a pod's log.

    Args:
        note: Untrusted bytes.
        source: What to call it in sentences.
        pod_id: The pod.
        log_keys: Public keys of which one must have signed it.

    Raises:
        MalformedError: It is no checkpoint.
        ForeignPodError: It is another pod's.
        DamagedError: None of the keys signed it, or it was altered.
    """
    origin = read_checkpoint(note).origin
    epoch = epoch_of(origin, pod_id)
    found = verify_checkpoint(note, origin, log_keys)
    return Witness(source, epoch, found.size, found.root, note)


def history_of(rows: Rows, meta: Meta, ledger: Ledger) -> History:
    """The history a vault gives by itself: each root follows by proof from the newest checkpoint's."""
    root = ledger.frontier.root()

    def is_root(size: int, expected: bytes) -> bool:
        path = consistency_path(size, ledger.size, lambda level, index: node_at(rows, level, index))
        try:
            verify_consistency(size, ledger.size, expected, root, path)
        except RollbackError:
            return False
        return True

    return History(meta.epoch, ledger.size, kept_batches(meta, ledger.size), is_root)


def kept_batches(meta: Meta, size: int) -> dict[int, int]:
    """How many first batches of each earlier epoch are the log's first batches today.

    Args:
        meta: Of the vault. An end of an epoch that is no checkpoint keeps nothing.
        size: Batches in the log.

    Raises:
        MalformedError: An epoch's end is no checkpoint.
    """
    kept: dict[int, int] = {}
    for epoch in sorted(meta.earlier, reverse=True):
        size = min(size, read_checkpoint(meta.earlier[epoch]).size)
        kept[epoch] = size
    return kept


def compare(witness: Witness, history: History) -> None:
    """Decide whether a vault's log still holds all that a witness has seen.

    Raises:
        RollbackError: It is of an earlier epoch, lacks batches, or is another log.
    """
    if witness.epoch > history.epoch:
        raise RollbackError(
            f"the vault is in epoch {history.epoch} of its log, {witness.source} has seen epoch "
            f"{witness.epoch}: a vault of before the repair was put here. {_NEWEST}"
        )
    is_present = witness.epoch == history.epoch
    size = history.size if is_present else history.kept.get(witness.epoch, 0)
    if witness.size > size:
        raise RollbackError(_lacking(witness, size, is_present=is_present))
    if not history.is_root(witness.size, witness.root):
        raise RollbackError(
            f"the vault's log is not the one {witness.source} has seen at {witness.size} batches: it was "
            f"forked, by someone with log.key, or another vault was put here. {_NEWEST}"
        )


def _lacking(witness: Witness, size: int, *, is_present: bool) -> str:
    missing = witness.size - size
    if is_present:
        return (
            f"the vault holds {size} batches, {witness.source} has seen {witness.size}: "
            f"{missing} are missing, an older vault was put here. {_NEWEST}"
        )
    return (
        f"the repair that ended epoch {witness.epoch} kept its first {size} batches as they were, "
        f"{witness.source} has seen {witness.size}: {missing} were lost or moved"
    )
