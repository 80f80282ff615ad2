"""Checking a whole vault with the identity: everything opened, everything recomputed.

Each finding is a sentence; none means that every item opens, is what its
contributor committed to, stands in its batch, and each batch in the log, and
that the log is the one its checkpoints say. Items may stay closed: what is
there is then shown to be what was logged, and no more. What a check cannot see: a vault
and a log.head put back together to an earlier day; that, and what is proven of
a vault that opening refuses, is ``vault.auditing``. FORMAT.md, "Reading".
"""

from __future__ import annotations

import contextlib
import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

import msgspec

from vault.caveats import Usage
from vault.erasures import verify_erasure
from vault.errors import DamagedError, MalformedError, StorageError, VaultError
from vault.header import Header, item_leaves
from vault.items import commitment, item_name, read_canonical
from vault.keys import is_signed
from vault.ledger import node_at
from vault.notes import Checkpoint, origin_of, verify_checkpoint
from vault.opening import OpenedItem, sealed_by_kid
from vault.policies import Policy, parse_policy, past_signers
from vault.reader import Reader
from vault.rows import only, typed
from vault.sealing import SEALED_MORE_BYTES
from vault.stored import SealedRow, StoredBatch
from vault.tree import Frontier, Node, leaf_hash, root_of

Progress = Callable[[int], None]
"""Called with the number of items checked so far."""

_NAMED = "SELECT 1 FROM item WHERE name = ?"
MAX_FINDINGS = 10_000
"""Findings kept in words, and rows passed over because they cannot be read: bounds memory and time."""


class Watch(Protocol):
    """Told of each batch, for who wants to know what of a damaged vault is still proven."""

    def batch(self, batch: StoredBatch, checkpoint: Checkpoint | None, *, is_whole: bool) -> None:
        """One batch that could be read.

        Args:
            batch: The batch.
            checkpoint: Its own, if a log key signed it.
            is_whole: Whether nothing is wrong with it but its place in the log.
        """


class Report(msgspec.Struct):
    """What a check found.

    Attributes:
        batches: Batches checked.
        items: Items recomputed: opened, or, if none was to be, as they are sealed.
        erased: Items whose sealed bytes were erased.
        unreadable: Items that are as they were logged, and are no items: nobody can read them.
        findings: What is wrong, a sentence each; empty if nothing is.
    """

    batches: int = 0
    items: int = 0
    erased: int = 0
    unreadable: int = 0
    findings: list[str] = msgspec.field(default_factory=list)


def are_bytes_of(counted: Usage, there: Usage, logged: int) -> bool:
    """Whether a sum of bytes can be that of the items that were logged.

    Args:
        counted: By the slots.
        there: The items that are here, as they are sealed.
        logged: How many items there were; of one that is erased nobody knows the size.
    """
    return counted.bytes == there.bytes if there.items == logged else counted.bytes >= there.bytes


class _Nobody:
    """Watches nothing."""

    def batch(self, batch: StoredBatch, checkpoint: Checkpoint | None, *, is_whole: bool) -> None:
        """Pass on."""


class _Check:
    """One pass over a vault."""

    def __init__(self, reader: Reader, progress: Progress, watch: Watch, *, is_opening: bool) -> None:
        self.reader = reader
        self.progress = progress
        self.watch = watch
        self.is_opening = is_opening
        self.is_whole = True
        self.counted = 0
        self.skipped = 0
        self.report = Report()
        self.frontier = Frontier()
        self.next_number = 1
        self.next_seq = 1
        self.statements = 0
        self.usage: defaultdict[int, Usage] = defaultdict(Usage)
        self.there = Usage()
        self.signers = past_signers(reader.policy)
        self.policies: dict[bytes, Policy] = {}

    def find(self, sentence: str) -> None:
        """Note one thing that is wrong."""
        self.is_whole = False
        if len(self.report.findings) < MAX_FINDINGS:
            self.report.findings.append(sentence)

    @contextlib.contextmanager
    def noting(self, where: str) -> Iterator[None]:
        """Note what the vault is refused for, and go on; what the operating system refuses is raised."""
        try:
            yield
        except VaultError as exc:
            self._refused(where, exc)

    def _refused(self, where: str, error: VaultError) -> None:
        if isinstance(error, StorageError):
            raise error
        self.find(f"{where}: {error}")
        self.reader.go_on(error)

    def batches(self) -> Iterator[StoredBatch]:
        """Every batch in order; what cannot be read is noted, and passed over while the log has leaves."""
        last, unread = 0, 0
        leaves = self._leaves()
        while unread < MAX_FINDINGS:
            batch = None
            with self.noting(f"batch {last + 1}"):
                batch = self.reader.batch_after(last)
                if batch is None:
                    return
            if batch is not None:
                last = batch.number
                yield batch
                continue
            last, unread = last + 1, unread + 1
            self.next_number = last + 1
            if last >= leaves:
                return

    def _leaves(self) -> int:
        """How many batches the stored leaves say there are."""
        with self.noting("the log"):
            found = self.reader.rows.execute("SELECT max(i) FROM node WHERE level = 0")
            ((highest,),) = typed(found, list[tuple[int | None]])
            return 0 if highest is None else highest + 1
        return MAX_FINDINGS

    def start(self) -> None:
        """Check the policies, which the batches name."""
        revisions = self.reader.rows.execute("SELECT revision FROM policy")
        for (revision,) in typed(revisions, list[tuple[int]]):
            with self.noting(f"policy {revision}"):
                self._policy(revision)

    def _policy(self, revision: int) -> None:
        rows = self.reader.rows.execute(
            "SELECT hash, pod_toml, slots_json FROM policy WHERE revision = ?", (revision,)
        )
        digest, pod_toml, slots_json = only(rows, list[tuple[bytes, bytes, bytes]])
        policy = parse_policy(pod_toml, slots_json)
        if policy.revision != revision or policy.digest != digest:
            self.find(f"policy {revision}: it is not the policy its row names")
        elif policy.pod_id != self.reader.policy.pod_id or policy.signer not in self.signers:
            self.find(f"policy {revision}: it is signed by someone this pod's policy does not know")
        else:
            self.policies[digest] = policy

    def batch(self, batch: StoredBatch) -> None:
        """Check one batch and all of its items."""
        where = f"batch {batch.number}"
        self._place(where, batch)
        checkpoint = None
        new = self.frontier.append(leaf_hash(batch.packed))
        self._nodes(where, new)
        with self.noting(where):
            checkpoint = self._checkpoint(where, batch)
        self.is_whole = True
        for step in (self._header, self._wraps, self._items):
            with self.noting(where):
                step(where, batch)
        self.watch.batch(batch, checkpoint, is_whole=self.is_whole)
        self.report.batches += 1
        self.progress(self.counted)

    def _place(self, where: str, batch: StoredBatch) -> None:
        if batch.number != self.next_number:
            self.find(f"{where}: it is missing or out of order")
        self.next_number = batch.number + 1
        # A repair leaves out what is lost, and lets every other item keep its seq.
        if self.reader.meta.epoch > 1 and batch.first_seq > self.next_seq:
            self.skipped += batch.first_seq - self.next_seq
        elif batch.first_seq != self.next_seq:
            self.find(f"{where}: its items do not follow those before")
        self.next_seq = batch.first_seq + batch.header.count

    def _header(self, where: str, batch: StoredBatch) -> None:
        header, policy = batch.header, self.policies.get(batch.header.policy)
        if header.pod_id != self.reader.policy.pod_id:
            self.find(f"{where}: it is of another pod")
        if header.uid != batch.uid:
            self.find(f"{where}: its row names another uid than its header")
        if policy is None:
            self.find(f"{where}: it was taken under a policy the vault does not hold")
            return
        keys = [log.key for log in policy.logs if hashlib.sha256(log.key).digest() == header.log_key_hash]
        if not any(is_signed(key, batch.signature, batch.packed) for key in keys):
            self.find(f"{where}: its header is not signed by a log key of its policy")

    def _wraps(self, where: str, batch: StoredBatch) -> None:
        policy = self.policies.get(batch.header.policy)
        named = {recipient.kid for recipient in policy.recipients} if policy else None
        if named is not None and sealed_by_kid(batch.wraps).keys() != named:
            self.find(f"{where}: it is not sealed to exactly the recipients of its policy")
        # Opening says so itself.
        if not self.is_opening and hashlib.sha256(batch.wraps).digest() != batch.header.wraps_hash:
            self.find(f"{where}: its wraps are not those its header names")

    def _nodes(self, where: str, nodes: list[Node]) -> None:
        for level, index, node in nodes:
            with self.noting(where):
                if node_at(self.reader.rows, level, index) != node:
                    self.find(
                        f"{where}: node {index} of level {level} of the log is not what its leaves give"
                    )

    def _checkpoint(self, where: str, batch: StoredBatch) -> Checkpoint:
        policy = self.reader.policy
        origin = origin_of(policy.pod_id, self.reader.meta.epoch)
        checkpoint = verify_checkpoint(batch.checkpoint, origin, policy.vault_logs)
        if checkpoint.size != batch.number or checkpoint.root != self.frontier.root():
            self.find(f"{where}: its checkpoint is not of this log")
        return checkpoint

    def _items(self, where: str, batch: StoredBatch) -> None:
        rows = self.reader.sealed_items(batch)
        is_logged = self._is_logged(where, batch.header, rows)
        self.counted += len(rows)
        there = [
            (row, row.sealed)
            for row in rows
            if row.sealed is not None and hashlib.sha256(row.sealed).digest() == row.digest
        ]
        self.there.items += len(there)
        self.there.bytes += sum(len(sealed) for _, sealed in there) - len(there) * SEALED_MORE_BYTES
        if len(there) < len(rows):
            are_there = {row.place for row, _ in there}
            self._lacking(where, batch, [row for row in rows if row.place not in are_there])
        if self.is_opening:
            is_altered = len(there) < sum(row.sealed is not None for row in rows)
            self._open(where, batch, there, is_as_logged=is_logged and not is_altered)

    def _open(
        self, where: str, batch: StoredBatch, there: list[tuple[SealedRow, bytes]], *, is_as_logged: bool
    ) -> None:
        opened = self.reader.open_batch(batch)
        for row, sealed in there:
            try:
                faults = self._opened(opened.open_item(row.place, sealed), row)
            except (DamagedError, MalformedError) as exc:
                self.report.unreadable += is_as_logged
                slot = opened.slot_of(row.place, sealed)
                by = "" if slot is None else f", by {self.reader.slot_name(slot)}"
                self.find(f"item {batch.first_seq + row.place} ({where}{by}): {exc}")
            except VaultError as exc:
                self._refused(self._item(where, batch, row), exc)
            else:
                for fault in faults:
                    self.find(f"{self._item(where, batch, row)}: {fault}")

    @staticmethod
    def _item(where: str, batch: StoredBatch, row: SealedRow) -> str:
        return f"item {batch.first_seq + row.place} ({where})"

    def _lacking(self, where: str, batch: StoredBatch, rows: list[SealedRow]) -> None:
        """Say what is wrong with rows that have not the sealed bytes that were logged, if anything is."""
        for row in rows:
            item = self._item(where, batch, row)
            with self.noting(item):
                if row.sealed is None:
                    self._erased(item, batch, row)
                else:
                    self.find(f"{item}: its sealed bytes were altered")

    def _is_logged(self, where: str, header: Header, rows: list[SealedRow]) -> bool:
        """Whether the header names these rows; what is wrong is noted."""
        if len(rows) != header.count:
            self.find(f"{where}: {header.count} items were logged, {len(rows)} are here")
            return False
        commitments, digests = [row.c for row in rows], [row.digest for row in rows]
        leaves = item_leaves(header.pod_id, header.uid, commitments, digests)
        if root_of(leaves) != header.item_root:
            self.find(f"{where}: its items are not those its header names")
            return False
        return True

    def _erased(self, where: str, batch: StoredBatch, row: SealedRow) -> None:
        self.report.erased += 1
        seq = batch.first_seq + row.place
        rows = self.reader.rows.execute("SELECT statement FROM erasure WHERE seq = ?", (seq,))
        found = typed(rows, list[tuple[bytes]])
        if not found:
            self.find(f"{where}: it is gone without a statement")
            return
        self.statements += 1
        statement = found[0][0]
        verify_erasure(
            statement, header=batch.header, index=row.place, digest=row.digest, signers=self.signers
        )

    def _opened(self, item: OpenedItem, row: SealedRow) -> list[str]:
        """Count an item; say what is wrong with it."""
        faults = []
        usage = self.usage[item.slot]
        usage.items += 1
        usage.bytes += len(item.canonical)
        if commitment(item.salt, item.canonical) != row.c:
            faults.append("it is not what its contributor committed to")
        secrets = self.reader.slots.get(item.slot)
        if secrets is None:
            return [*faults, f"it came through slot {item.slot}, which the policy does not know"]
        expected = item_name(secrets.name_key, str(read_canonical(item.canonical)["id"]))
        if row.name is not None and row.name != expected:
            faults.append("its name is not its id's")
        elif row.name is None and not self.reader.rows.execute(_NAMED, (expected,)):
            faults.append("it has no name, and no other item has it")
        return faults

    def end(self) -> None:
        """Check what only the whole shows: the log's end, counters, views, stray rows."""
        opened = sum(usage.items for usage in self.usage.values())
        self.report.items = opened if self.is_opening else self.there.items
        # Without a ledger the vault was refused for it: that is noted already.
        if self.reader.ledger.size and self.frontier.root() != self.reader.ledger.frontier.root():
            self.find("the log does not end where its newest checkpoint says")
        for where, step in (
            ("the tables", self._stray),
            ("an earlier epoch", self._epochs),
            ("the slots", self._slots),
        ):
            with self.noting(where):
                step()

    def _slots(self) -> None:
        rows = self.reader.rows.execute("SELECT slot, items, bytes FROM slot")
        stored = {slot: Usage(count, total) for slot, count, total in typed(rows, list[tuple[int, int, int]])}
        slots = sorted(stored.keys() | self.usage.keys())
        miscounted = [slot for slot in slots if self._is_miscounted(slot, stored.get(slot, Usage()))]
        for slot in miscounted:
            self.find(f"slot {slot}: its counters are not those of its items")
        if not miscounted and not self._adds_up(stored.values()):
            self.find("the slots: their counters do not add up to the items that were logged")
        for slot in slots:
            with self.noting(f"slot {slot}"):
                self.reader.own_view(slot)

    def _is_miscounted(self, slot: int, stored: Usage) -> bool:
        """Whether a slot's counters cannot be those of its items, as far as these were opened."""
        found = self.usage.get(slot, Usage())
        # An item that is erased, or does not open, was counted too.
        is_short = stored.items < found.items or stored.bytes < found.bytes
        is_all = self.is_opening and self.report.items == self._logged()
        return is_short or (is_all and stored != found)

    def _adds_up(self, stored: Iterable[Usage]) -> bool:
        """Whether all slots together count all items together, which shows without opening any."""
        logged, there = self._logged(), self.there
        total = Usage()
        for usage in stored:
            total.items += usage.items
            total.bytes += usage.bytes
        # A repair that counts anew leaves out what is erased.
        least = logged if self.reader.meta.epoch == 1 else there.items
        return least <= total.items <= logged and are_bytes_of(total, there, logged)

    def _stray(self) -> None:
        """Look for rows that belong to nothing; one under a coming key would stop the writer."""
        batches = self.report.batches
        expected = {
            "item": self._logged(),
            "node": 2 * batches - batches.bit_count(),
            "erasure": self.statements,
        }
        for table, count in expected.items():
            ((found,),) = self.reader.rows.execute(f"SELECT count(*) FROM {table}")  # noqa: S608  # the names above
            if found != count:
                self.find(f"the table {table} has {found} rows, the log accounts for {count}")

    def _logged(self) -> int:
        """How many items the batches account for."""
        return self.next_seq - 1 - self.skipped

    def _epochs(self) -> None:
        policy = self.reader.policy
        for epoch, note in self.reader.meta.earlier.items():
            verify_checkpoint(note, origin_of(policy.pod_id, epoch), policy.vault_logs)


def check_vault(
    reader: Reader, progress: Progress, watch: Watch | None = None, *, is_opening: bool = True
) -> Report:
    """Check everything there is in a vault.

    Args:
        reader: A private copy, open.
        progress: Told how many items were checked.
        watch: Told of each batch.
        is_opening: Whether to open the items. Without it all is still what was
            logged, and the counters add up; but what only whoever sealed an item
            can have done wrong stays unseen: that it opens, its commitment, its
            name, and which slot it was counted for.

    Returns:
        The report; it is complete even when much is wrong.

    Raises:
        StorageError: The operating system failed to read the copy.
    """
    check = _Check(reader, progress, watch or _Nobody(), is_opening=is_opening)
    for problem in reader.rows.problems():
        for line in problem.splitlines():
            check.find(f"SQLite: {line}")
    reader.reopen()
    with check.noting("the policies"):
        check.start()
    for batch in check.batches():
        check.batch(batch)
    check.end()
    return check.report
