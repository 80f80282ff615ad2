"""Auditing a vault: what a check finds, and what of it is proven, by whom, even where much is wrong.

A checkpoint is a signature over every batch up to its size. So a batch is
proven if its leaf stands in a log whose root a checkpoint signs, and its own
content is what its header names. Two logs are recomputed side by side: the one
the headers give, and the one the stored leaves give. One altered header breaks
the first for all that follow; the second then still shows which batches are as
they were. A witness from elsewhere proves what it covers against everybody; the
vault's own checkpoints, against all but those who have log.key.

Memory does not grow with the number of items: ranges of batches are kept, and a
root for each size that a witness asks about. Not here: reading files of
witnesses and receipts, and remembering the newest. FORMAT.md, "Reading".
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterable, Iterator

import msgspec

from vault.checking import Progress, Report, check_vault
from vault.errors import (
    DamagedError,
    ForeignPodError,
    MalformedError,
    RollbackError,
    StorageError,
    VaultError,
)
from vault.ledger import node_at
from vault.notes import Checkpoint, epoch_of
from vault.reader import Reader
from vault.receipt_files import ReceiptFile, verify_receipt_file
from vault.receipts import Receipt
from vault.rows import typed
from vault.stored import StoredBatch
from vault.tree import EMPTY_ROOT, HASH_BYTES, Frontier, leaf_hash
from vault.witness import History, Witness, compare, kept_batches, read_witness

MAX_GAP = 100_000
"""Missing batches in a row that are stepped over: a number made by hand may be any."""

Range = tuple[int, int]
"""First and last batch."""


class Ranges:
    """A growing set of batch numbers, as ranges."""

    __slots__ = ("_ranges",)

    def __init__(self) -> None:
        self._ranges: list[list[int]] = []

    def add(self, number: int) -> None:
        """Add a number larger than all before."""
        if self._ranges and self._ranges[-1][1] == number - 1:
            self._ranges[-1][1] = number
        else:
            self._ranges.append([number, number])

    def up_to(self, last: int) -> Iterator[Range]:
        """The ranges as far as ``last``."""
        for start, end in self._ranges:
            if start <= last:
                yield start, min(end, last)


def joined(ranges: Iterable[Range]) -> list[Range]:
    """Sort ranges, and join those that overlap or touch."""
    found: list[Range] = []
    for start, end in sorted(ranges):
        if found and start <= found[-1][1] + 1:
            found[-1] = (found[-1][0], max(end, found[-1][1]))
        else:
            found.append((start, end))
    return found


class _Log:
    """A log as it is recomputed, and what of it somebody signed."""

    def __init__(self, wanted: Collection[int]) -> None:
        self._wanted = wanted
        self._frontier: Frontier | None = Frontier()
        self.roots = {0: EMPTY_ROOT}
        self.signed = 0

    def append(self, leaf: bytes | None) -> None:
        """Add a leaf; None ends the log, as nothing beyond can be recomputed."""
        if self._frontier is None or leaf is None:
            self._frontier = None
            return
        self._frontier.append(leaf)
        if self._frontier.size in self._wanted:
            self.roots[self._frontier.size] = self._frontier.root()

    def sign(self, checkpoint: Checkpoint) -> None:
        """Note a checkpoint of the log as it is now, if it is one."""
        here = self._frontier
        if here is not None and (here.size, here.root()) == (checkpoint.size, checkpoint.root):
            self.signed = here.size


class _Proof:
    """Told of each batch: recomputes the two logs."""

    def __init__(self, reader: Reader, wanted: Collection[int]) -> None:
        self._reader = reader
        self.of_headers, self.of_leaves = _Log(wanted), _Log(wanted)
        self.seen = 0
        self.whole, self.in_place = Ranges(), Ranges()

    def batch(self, batch: StoredBatch, checkpoint: Checkpoint | None, *, is_whole: bool) -> None:
        """Take one batch up."""
        self._step_over(batch.number)
        if batch.number != self.seen + 1:
            return
        leaf, stored = leaf_hash(batch.packed), self._leaf(batch.number)
        self.of_headers.append(leaf)
        self.of_leaves.append(stored)
        self.seen = batch.number
        if checkpoint is not None:
            self.of_headers.sign(checkpoint)
            self.of_leaves.sign(checkpoint)
        if is_whole:
            self.whole.add(batch.number)
            if leaf == stored:
                self.in_place.add(batch.number)

    def _step_over(self, number: int) -> None:
        for missing in range(self.seen + 1, min(number, self.seen + MAX_GAP)):
            self.of_headers.append(None)
            self.of_leaves.append(self._leaf(missing))
            self.seen = missing

    def _leaf(self, number: int) -> bytes | None:
        try:
            found = node_at(self._reader.rows, 0, number - 1)
        except DamagedError as exc:
            self._reader.go_on(exc)
            return None
        return found if len(found) == HASH_BYTES else None

    def is_root(self, size: int, root: bytes) -> bool:
        """Whether one of the logs had this root."""
        return root in (self.of_headers.roots.get(size), self.of_leaves.roots.get(size))

    def prove(self, witness: Witness) -> None:
        """Note that a checkpoint kept elsewhere covers the log too."""
        for log in (self.of_headers, self.of_leaves):
            if log.roots.get(witness.size) == witness.root:
                log.signed = max(log.signed, witness.size)

    def proven(self) -> list[Range]:
        """The batches that are what somebody signed."""
        by_headers = self.whole.up_to(self.of_headers.signed)
        return joined([*by_headers, *self.in_place.up_to(self.of_leaves.signed)])


class Judgement(msgspec.Struct, frozen=True):
    """What a witness says of the vault.

    Attributes:
        source: Where it was kept.
        epoch: Of the log.
        batches: How many it covers.
        fault: What is wrong; None if the vault holds all it covers.
    """

    source: str
    epoch: int
    batches: int
    fault: str | None


class Audit(msgspec.Struct):
    """What an audit found.

    Attributes:
        batches: Batches the vault holds.
        items: Items recomputed: opened, or, if none was to be, as they are sealed.
        erased: Items whose sealed bytes were erased.
        is_opened: Whether items were opened at all.
        findings: What is wrong, a sentence each.
        proven: Ranges of batches that are what a checkpoint signs, and whole.
        witnessed: How many first batches a checkpoint kept elsewhere covers.
        missing: How many batches somebody has seen that the vault lacks.
        witnesses: What each of them says.
        receipts: Receipts compared.
        upheld: Receipts whose item is here, as the pod accepted it.
    """

    batches: int = 0
    items: int = 0
    erased: int = 0
    is_opened: bool = False
    findings: list[str] = msgspec.field(default_factory=list)
    proven: list[Range] = msgspec.field(default_factory=list)
    witnessed: int = 0
    missing: int = 0
    witnesses: list[Judgement] = msgspec.field(default_factory=list)
    receipts: int = 0
    upheld: int = 0


class Auditor:
    """One audit of one vault.

    Args:
        reader: A private copy, opened by ``vault.reader.open_reader``; what it
            was to be refused for are the first findings.
        refusals: Those.
        witnesses: Checkpoints kept elsewhere.
        head: log.head's, if it is one.
        sizes: Of further checkpoints that will be compared: those in receipts and their refreshes.
    """

    def __init__(
        self,
        reader: Reader,
        refusals: Collection[VaultError],
        *,
        witnesses: Collection[Witness],
        head: Witness | None,
        sizes: Collection[int] = (),
    ) -> None:
        self._reader = reader
        self._refusals = [str(refusal) for refusal in refusals]
        self._witnesses = witnesses
        self._head = head
        self._ends = list(_ends(reader))
        asked = [*witnesses, *self._ends, *([head] if head else [])]
        self._proof = _Proof(reader, {*sizes, *(witness.size for witness in asked)})
        self._history = History(reader.meta.epoch, 0, {}, self._proof.is_root)
        self.audit = Audit()

    def run(self, progress: Progress, *, is_opening: bool) -> None:
        """Check the vault and compare it with every witness.

        Raises:
            StorageError: The operating system failed to read the copy.
        """
        report: Report = check_vault(self._reader, progress, self._proof, is_opening=is_opening)
        proof, meta = self._proof, self._reader.meta
        kept = kept_batches(meta, proof.seen) if len(self._ends) == len(meta.earlier) else {}
        self._history = History(meta.epoch, proof.seen, kept, proof.is_root)
        self.audit = Audit(
            batches=proof.seen,
            items=report.items,
            erased=report.erased,
            is_opened=is_opening,
            findings=[*self._refusals, *report.findings],
        )
        if self._head is not None:
            self._compare(self._head)
        for end in self._ends:
            # What a later repair left out is no longer there to be compared.
            if end.size <= self._history.kept.get(end.epoch, 0):
                self._compare(end)
        for witness in self._witnesses:
            if self._compare(witness):
                self.audit.witnessed = max(self.audit.witnessed, witness.size)

    def _compare(self, witness: Witness) -> bool:
        """Compare with one checkpoint; note what is wrong, once."""
        fault = None
        try:
            compare(witness, self._history)
        except RollbackError as exc:
            fault = str(exc)
            if witness.epoch == self._history.epoch:
                self.audit.missing = max(self.audit.missing, witness.size - self._history.size)
            # What log.head shows is said already, where the vault was refused for it.
            if witness is not self._head or not self._refusals:
                self.audit.findings.append(fault)
        self.audit.witnesses.append(Judgement(witness.source, witness.epoch, witness.size, fault))
        if fault is None:
            self._proof.prove(witness)
        return fault is None

    def receipt(self, name: str, read: Callable[[], ReceiptFile]) -> None:
        """Compare the vault with one receipt, and all it was refreshed to; after ``run``.

        Args:
            name: What to call it in sentences.
            read: Gives it, or raises what is wrong with it.

        Raises:
            StorageError: The operating system failed to read the copy, or the receipt.
        """
        self.audit.receipts += 1
        try:
            self._receipt(name, read())
        except StorageError:
            raise
        except VaultError as exc:
            self.audit.findings.append(f"receipt {name}: {exc}")
            self._reader.go_on(exc)
        else:
            self.audit.upheld += 1

    def _receipt(self, name: str, file: ReceiptFile) -> None:
        policy, receipt = self._reader.policy, file.receipt
        found = verify_receipt_file(
            file, pod_id=policy.pod_id, log_keys=policy.vault_logs, function_keys=policy.function_logs
        )
        here = self._batch_of(found.receipt.header.uid, receipt.header)
        notes = [receipt.checkpoint, *(refresh.checkpoint for refresh in file.refreshes)]
        for note, checkpoint in zip(notes, found.checkpoints, strict=True):
            epoch = epoch_of(checkpoint.origin, policy.pod_id)
            self._held(Witness(f"receipt {name}", epoch, checkpoint.size, checkpoint.root, note))
        self._require_item(here, receipt)

    def _held(self, witness: Witness) -> None:
        """Compare with a receipt's checkpoint, its own or a refresh's."""
        history = self._history
        # A batch behind one that a repair left out has another number now; its header is logged anew.
        if witness.epoch < history.epoch and witness.size > history.kept.get(witness.epoch, 0):
            return
        if witness.epoch == history.epoch:
            self.audit.missing = max(self.audit.missing, witness.size - history.size)
        compare(witness, history)
        self._proof.prove(witness)
        self.audit.witnessed = max(self.audit.witnessed, witness.size)

    def _batch_of(self, uid: bytes, packed: bytes) -> int:
        """first_seq of the batch with a header."""
        rows = self._reader.rows.execute("SELECT first_seq, header FROM batch WHERE uid = ?", (uid,))
        found = typed(rows, list[tuple[int, bytes]])
        if not found:
            raise RollbackError("the batch with its item is missing from this vault")
        ((first_seq, header),) = found
        if header != packed:
            raise RollbackError("its batch has another header in this vault: the batch was altered")
        return first_seq

    def _require_item(self, first_seq: int, receipt: Receipt) -> None:
        rows = self._reader.rows.execute(
            "SELECT c, digest FROM item WHERE seq = ?", (first_seq + receipt.index,)
        )
        if typed(rows, list[tuple[bytes, bytes]]) != [(receipt.c, receipt.digest)]:
            raise RollbackError("its item is missing from this vault, or was replaced")

    def end(self) -> Audit:
        """The audit, with what the receipts proved."""
        self.audit.proven = self._proof.proven()
        return self.audit


def _ends(reader: Reader) -> Iterator[Witness]:
    """How earlier epochs ended, as far as a log key signed it; a check notes the rest."""
    policy = reader.policy
    for epoch, note in reader.meta.earlier.items():
        with contextlib.suppress(MalformedError, ForeignPodError, DamagedError):
            yield read_witness(
                note, f"the end of epoch {epoch}", pod_id=policy.pod_id, log_keys=policy.vault_logs
            )


def head_witness(reader: Reader, note: bytes | None) -> Witness | None:
    """What log.head has seen; None if it is no checkpoint of this pod, which opening warns of."""
    policy = reader.policy
    try:
        return read_witness(note or b"", "log.head", pod_id=policy.pod_id, log_keys=policy.vault_logs)
    except (MalformedError, ForeignPodError, DamagedError):
        return None


def newest_witness(reader: Reader) -> Witness | None:
    """The vault's newest checkpoint, as it was loaded; None for an empty log."""
    ledger = reader.ledger
    if not ledger.size:
        return None
    return Witness("the vault", reader.meta.epoch, ledger.size, ledger.frontier.root(), ledger.checkpoint)
