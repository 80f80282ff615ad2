"""The writer: one vault open for appending, one transaction a batch.

Synchronous and single-threaded: only the pod's writer thread calls it. It
decides, seals, logs, inserts and commits; an answer leaves it only after COMMIT
has returned. It cannot read an item it stored: its connection refuses to, and
what is stored is sealed to keys that are not here. FORMAT.md, "One transaction
a batch", "Opening".
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import TypeVar

import msgspec

from vault.connection import AppendConnection
from vault.database import connect_append
from vault.deciding import Deciding, SlotStates, decide
from vault.erasing import Erased, erase_items
from vault.errors import (
    BusyError,
    OutcomeUnknownError,
    PolicyError,
    StorageError,
)
from vault.files import replace_file
from vault.inspecting import Inspected, inspect
from vault.keys import FileKey, LogKey
from vault.ledger import Extension, Ledger
from vault.locks import Lock, WriterTurn, hold_vault
from vault.pod import PodFolder
from vault.policies import Policy, check_successor
from vault.proving import BatchProofs, Receipts, proofs_of
from vault.rows import Rows
from vault.sealing import BatchKey, Entropy, seal_batch
from vault.submissions import Answer, Submission
from vault.undoing import on_failure
from vault.writing import Addition, signed_batch, write_batch, write_policy, write_slots

MAX_BATCH_BYTES = 8 << 20
"""Most canonical bytes a caller puts into one commit: bounds its memory and time."""
RESTART_FRAMES = 1_000
"""WAL frames after which pages move into the vault; SQLite's own default."""
TRUNCATE_FRAMES = 2_000
"""From so many on the WAL's file is cut, and not kept to be written over."""
MAX_WAL_FRAMES = (1 << 30) // (24 + 4096)
"""1 GiB: a snapshot holds the WAL for so long that accepting more would fill the disk."""
ERASED_AT_ONCE = 32
"""Items of one transaction: each leaves as many zeroed pages in the log as it had, and may have had 8 MiB."""
HEAD_INTERVAL_MS = 100
"""log.head is written at most 10 times a second."""

T = TypeVar("T")

Clock = Callable[[], int]
"""UTC milliseconds since 1970."""


def _no_time() -> float:
    return 0.0


_Locks = tuple[Lock, WriterTurn]


class _Tools(msgspec.Struct, frozen=True):
    """What a writer is given: files, key, clocks, randomness."""

    folder: PodFolder
    log_key: LogKey
    now_ms: Clock
    entropy: Entropy
    seconds: Callable[[], float]


class Writer:
    """A vault open for appending; made by ``open_writer``.

    Attributes:
        warnings: Sentences for the maintainer's log, found while opening or
            since; whoever reports them empties the list.
        synced_seconds: How long the COMMIT of the last batch took, which is its
            fsync, by the clock that was given; 0 if it stored nothing.
    """

    __slots__ = (
        "_connection",
        "_due_frames",
        "_head_ms",
        "_is_head_failing",
        "_is_truncate_due",
        "_is_turn_kept",
        "_ledger",
        "_policy",
        "_prepared",
        "_slots",
        "_tools",
        "_turn",
        "_vault_lock",
        "synced_seconds",
        "warnings",
    )

    def __init__(
        self, tools: _Tools, connection: AppendConnection, locks: _Locks, inspected: Inspected
    ) -> None:
        self._tools = tools
        self._connection = connection
        self._vault_lock, self._turn = locks
        self._due_frames = RESTART_FRAMES
        self._head_ms: int | None = None
        self._is_head_failing = False
        self._is_turn_kept = False
        self._is_truncate_due = False
        self._prepared: BatchKey | None = None
        self._slots: SlotStates = {}
        self._ledger = inspected.ledger
        self._policy = inspected.policy
        self.warnings = inspected.warnings
        self.synced_seconds = 0.0

    def accept(self, policy: Policy) -> None:
        """Commit a new policy to the vault, before anything is admitted under it.

        Raises:
            PolicyError: It may not follow the accepted one.
            StorageError: It cannot be stored.
        """
        if not check_successor(self._policy, policy):
            return
        with self._connection.transaction():
            write_policy(self._connection, policy)
            self._connection.commit()
        self._policy = policy

    def commit(self, policy: Policy, submissions: Sequence[Submission]) -> list[Answer]:
        """Decide, seal, log and store one batch; durable when this returns.

        Args:
            policy: The newest verified policy; what waited is judged under it.
            submissions: 1 to 512, in arrival order, together at most
                ``MAX_BATCH_BYTES`` of canonical items.

        Returns:
            One answer a submission, in their order.

        Raises:
            DiskFullError: No space; nothing of the batch is stored.
            OutcomeUnknownError: COMMIT failed, or the files were replaced
                meanwhile: close the writer; the next opening finds out.
            BusyError: A snapshot has held the WAL beyond 1 GiB; try again.
            PolicyError: The policy may not follow the accepted one.
            StorageError: The operating system failed; close the writer.
            DamagedError: A stored row fails its checks; close the writer.
        """
        self.synced_seconds = 0.0
        self._make_room()
        self.accept(policy)
        with self._connection.transaction():
            decided = decide(self._connection, policy, self._slots, submissions, self._tools.now_ms())
            extension, proofs = self._write(policy, decided) if decided.fresh else (None, None)
            # Made before COMMIT, sent after it.
            answers = _answers(submissions, decided, Receipts(self._connection, proofs))
            if extension:
                began = self._tools.seconds()
                self._connection.commit()
                self.synced_seconds = self._tools.seconds() - began
        self._require_same_files()
        if extension:
            self._keep(decided, extension)
        return answers

    def _write(self, policy: Policy, decided: Deciding) -> tuple[Extension, BatchProofs]:
        prepared, self._prepared = self._prepared, None
        if prepared and prepared.recipients != tuple(policy.recipients):
            prepared = None
        sealed = seal_batch(
            [item.plain for item in decided.fresh],
            policy.recipients,
            pod_id=policy.pod_id,
            log_public=self._tools.log_key.public,
            policy=policy.digest,
            ms=decided.now_ms,
            entropy=self._tools.entropy,
            batch_key=prepared,
        )
        log_key, count = self._tools.log_key, len(decided.fresh)
        extension = self._ledger.extend(sealed.header, count, log_key)
        batch = signed_batch(sealed, decided.fresh, log_key.sign(sealed.header))
        write_batch(self._connection, self._ledger, extension, batch)
        write_slots(self._connection, decided.changed_slots(), decided.seal_views(self._tools.entropy))
        return extension, proofs_of(sealed, [item.plain.c for item in decided.fresh], extension)

    def add(self, plan: Callable[[Rows], Addition]) -> None:
        """Log and store batches that were sealed and signed elsewhere; durable when this returns.

        Args:
            plan: Asked, inside the transaction, what is to be added; whoever
                plans has verified all of it.

        Raises:
            VaultError: As ``commit``, and what ``plan`` raises; nothing is
                stored then, unless the outcome is unknown.
        """
        self._make_room()
        with self._connection.transaction():
            addition = plan(self._connection)
            ledger = self._add(addition)
            if addition.batches:
                self._connection.commit()
        self._require_same_files()
        if addition.batches:
            self._take_up(addition.slots, ledger, self._tools.now_ms())

    def _add(self, addition: Addition) -> Ledger:
        ledger = self._ledger
        for policy in addition.policies:
            write_policy(self._connection, policy)
        for batch in addition.batches:
            extension = ledger.extend(batch.header, len(batch.items), self._tools.log_key)
            write_batch(self._connection, ledger, extension, batch)
            ledger = extension.ledger
        write_slots(self._connection, addition.slots, addition.views)
        return ledger

    def ask(self, question: Callable[[Rows], T]) -> T:
        """Have something looked up in the vault, as far as its connection may read; raises what that does."""
        return question(self._connection)

    def rest(self) -> None:
        """Do what the next batch would have to wait for: move a grown log, draw and wrap a batch key.

        Called while no batch waits; a commit does it itself where there was no time.

        Raises:
            StorageError: The log could not be moved; close the writer.
        """
        if self._prepared is None:
            self._prepared = BatchKey(self._policy.recipients, self._policy.pod_id, self._tools.entropy)
        if self._is_room_due():
            self._move_log()

    def _require_same_files(self) -> None:
        """Refuse to answer from files that nobody will find again; a retry's 200 too."""
        if not self._connection.files_unchanged():
            raise OutcomeUnknownError(
                "vault.db or its write-ahead log was replaced while the server had it open: "
                "what it accepts would be lost. Nothing was acknowledged; put the vault back and send again"
            )

    def _keep(self, decided: Deciding, extension: Extension) -> None:
        """Take up what has committed."""
        self._take_up(decided.changed_slots(), extension.ledger, decided.now_ms)

    def _take_up(self, slots: SlotStates, ledger: Ledger, now_ms: int) -> None:
        for number, state in slots.items():
            self._slots[number] = state.committed()
        self._ledger = ledger
        if self._head_ms is None or abs(now_ms - self._head_ms) >= HEAD_INTERVAL_MS:
            self._head_ms = now_ms
            self._publish_head()

    def _publish_head(self) -> None:
        """Write log.head; a batch is durable without it, so its failure fails none."""
        try:
            # Not synced: a power cut brings back an older head, which the log still extends.
            replace_file(self._tools.folder.log_head, self._ledger.checkpoint, is_synced=False)
        except StorageError as exc:
            if not self._is_head_failing:
                self.warnings.append(f"an older vault put here would not be noticed: {exc}")
            self._is_head_failing = True
        else:
            self._is_head_failing = False

    def erase(self, policy: Policy, statements: Sequence[bytes]) -> Erased:
        """Erase items: durable, and out of every page of the vault and its log, when this returns.

        While a snapshot is being taken, or the vault is read where it lies, the
        log keeps the pages as they were: until the next commit that can, or
        until the vault is closed.

        Args:
            policy: The newest verified policy; its signers say what is erased.
            statements: Untrusted; one that does not hold erases nothing.

        Returns:
            How many were erased, and why the others were not.

        Raises:
            VaultError: As ``commit``. What was erased before stays erased; the
                same statements again are safe.
        """
        self.accept(policy)
        erased = Erased()
        for first in range(0, len(statements), ERASED_AT_ONCE):
            part = self._erase(policy, statements[first : first + ERASED_AT_ONCE])
            erased.items += part.items
            erased.refusals += part.refusals
        if self._is_truncate_due:
            self._move_log()
        return erased

    def _erase(self, policy: Policy, statements: Sequence[bytes]) -> Erased:
        self._make_room()
        with self._connection.transaction():
            erased = erase_items(self._connection, statements, policy.signers)
            if erased.items:
                self._is_truncate_due = True
                self._connection.commit()
        self._require_same_files()
        return erased

    def _make_room(self) -> None:
        if self._is_room_due() and not self._move_log() and self._connection.wal_frames >= MAX_WAL_FRAMES:
            raise BusyError(
                "a snapshot has kept the write-ahead log from being moved for 1 GiB; try again later"
            )

    def _is_room_due(self) -> bool:
        # While the turn is kept no copy can begin: it is used, or kept on, at every chance.
        is_kept_waiting = self._is_turn_kept or self._is_truncate_due
        return is_kept_waiting or self._connection.wal_frames >= self._due_frames

    def _move_log(self) -> bool:
        """Move the log's pages into the vault; False while somebody copies or reads it."""
        held = self._try_turn()
        if held is None:
            return False
        with held:
            frames = self._connection.wal_frames
            # A file that stays takes commits in place: to make it grow again, each would sync its size too.
            is_kept = not self._is_truncate_due and frames < TRUNCATE_FRAMES
            is_moved = self._connection.restart_wal() if is_kept else self._connection.truncate_wal()
        if is_moved:
            self._is_truncate_due = False
            # Full again when it grows: how much of a kept file is in use, only SQLite knows.
            self._due_frames = max(RESTART_FRAMES, frames + 1) if is_kept else RESTART_FRAMES
        return is_moved

    def _try_turn(self) -> contextlib.AbstractContextManager[None] | None:
        held = self._turn.try_exclusive()
        self._is_turn_kept = held is None
        return held

    def close(self) -> bool:
        """Move the log into the vault and close it, unless a snapshot is being taken.

        Returns:
            False if a snapshot is being taken: still open, call again later.

        Raises:
            StorageError: The vault was closed, but its log could not be moved;
                the next opening does it.
        """
        held = self._try_turn()
        if held is None:
            return False
        with contextlib.ExitStack() as closing:
            closing.callback(self._vault_lock.close)
            closing.callback(self._turn.close)
            closing.enter_context(held)
            closing.callback(self._connection.close)
            if self._ledger.checkpoint:
                self._publish_head()
            self._connection.truncate_wal()
        return True


def _answers(submissions: Sequence[Submission], decided: Deciding, receipts: Receipts) -> list[Answer]:
    return [
        Answer(decision.verdict.outcome, decision.verdict.sentence, receipts.of(submission, decision))
        for submission, decision in zip(submissions, decided.decisions, strict=True)
    ]


def _open(tools: _Tools, file_key: FileKey, locks: _Locks, inspected: Inspected) -> Writer:
    _, turn = locks
    held = turn.try_exclusive()
    if held is None:
        turn.give_up()
        if not inspected.is_settled:
            raise BusyError("a snapshot is being taken of a vault that was not closed; try again")
        # Nothing waits in the log, so neither opening nor failing to open moves a page.
        return Writer(tools, connect_append(tools.folder.vault, file_key), locks, inspected)
    with held:
        connection = connect_append(tools.folder.vault, file_key)
        with on_failure(connection.close):
            # What the last writer left in its log is synced: a retry must not find what was only ever cached.
            connection.settle()
    return Writer(tools, connection, locks, inspected)


def open_writer(
    folder: PodFolder,
    policy: Policy,
    file_key: FileKey,
    log_key: LogKey,
    *,
    now_ms: Clock,
    entropy: Entropy,
    seconds: Callable[[], float] = _no_time,
) -> Writer:
    """Open a pod's vault for appending, after every check that needs no identity.

    Args:
        folder: The pod's folder.
        policy: Verified; the first commit stores it if it is new.
        file_key: From the slot that was opened.
        log_key: The pod's log.key.
        now_ms: The clock.
        entropy: The source of randomness.
        seconds: A monotone clock to time commits with; without one they take no time.

    Raises:
        LockedError: Another process has the vault open for writing.
        MissingError: There is no vault.db.
        WrongKeyError: The file key does not open it.
        DamagedError: It is empty, plaintext or cut, or its log does not agree
            with itself.
        FormatTooNewError: A later version wrote it.
        FormatTooOldError: `upgrade` has not been run.
        ForeignPodError: It is another pod's.
        TornError: Its write-ahead log is missing, or of another time; among
            the damaged.
        RollbackError: It is older than its log.head.
        PolicyError: The policy may not follow the accepted one, or does not
            list this log key.
        BusyError: A snapshot is being taken of a vault that was not closed
            cleanly; try again.
        StorageError: The operating system failed.
    """
    if log_key.public not in policy.vault_logs:
        raise PolicyError("log.key is not one of the log keys in slots.json; put this pod's log.key here")
    with contextlib.ExitStack() as undo:
        vault_lock = hold_vault(folder.path)
        undo.callback(vault_lock.close)
        turn = WriterTurn(folder.path)
        undo.callback(turn.close)
        inspected = inspect(folder, policy, file_key)
        tools = _Tools(folder, log_key, now_ms, entropy, seconds)
        writer = _open(tools, file_key, (vault_lock, turn), inspected)
        undo.pop_all()
    return writer
