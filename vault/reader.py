"""Reading a vault: the maintainer's side, on a private copy, with the identity.

The live file is never opened here: tools copy it first (``vault.snapshot``),
which needs no key and does not stop the writer. Whether all of it is true is
``vault.checking``'s question. FORMAT.md, "Reading".
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from typing import Self

from vault.connection import ReadConnection, Row
from vault.database import connect_read, read_format
from vault.erasures import sign_erasure, verify_erasure
from vault.errors import DamagedError, MalformedError, StorageError, TornError, VaultError
from vault.header import Header, item_leaves, parse_header
from vault.invites import issued_slots
from vault.items import item_name, read_canonical
from vault.keys import FileKey, is_signed
from vault.layout import require_layout
from vault.ledger import Ledger, LogHead, check_head, load_ledger, read_log_head
from vault.meta import Meta, load_meta
from vault.notes import origin_of
from vault.opening import Identity, OpenedBatch, OpenedItem, SlotSecrets, open_file_key
from vault.page_one import verify_page_one
from vault.pod import PodFolder
from vault.policies import Policy, check_signer, load_policy, parse_policy, past_signers
from vault.properties import ValueType
from vault.rows import only, typed
from vault.sealing import MAX_SEALED_BYTES
from vault.sqlcipher import LIBRARY_ERRORS
from vault.stored import Placed, SealedRow, StoredBatch, StoredItem
from vault.torn import check_pages
from vault.tree import Frontier, leaf_hash, root_of
from vault.undoing import on_failure
from vault.unreadable import PassedOver, Unreadable
from vault.views import open_view

_BatchRow = tuple[int, int, bytes, bytes, bytes, bytes, bytes]
_BATCHES = "SELECT batch, first_seq, uid, header, wraps, signature, checkpoint FROM batch"
_BATCH_AFTER = _BATCHES + " WHERE batch > ? ORDER BY batch LIMIT 1"


def _stored_batch(row: Row) -> StoredBatch:
    ((number, first_seq, uid, packed, wraps, signature, checkpoint),) = typed([row], list[_BatchRow])
    header = parse_header(packed)
    return StoredBatch(number, first_seq, uid, packed, header, wraps, signature, checkpoint)


class Reader:
    """A vault open for reading; a context manager.

    Attributes:
        folder: The private copy.
        policy: Its pod.toml and slots.json.
        meta: What the vault says of itself.
        ledger: Its log.
        warning: What was odd about log.head, if anything.
        slots: Each slot's number to its name and keys.
        passed_over: What could not be read, in the pass over the items that was begun last.
    """

    def __init__(self, folder: PodFolder, policy: Policy, identity: Identity, rows: ReadConnection) -> None:
        self.folder = folder
        self.policy = policy
        self.rows = rows
        self.identity = identity
        require_layout(rows, read_format(rows))
        self.meta: Meta = load_meta(rows, policy.pod_id)
        self.ledger = Ledger(origin_of(policy.pod_id, self.meta.epoch), Frontier(), 1, b"")
        self.warning: str | None = None
        self.slots: dict[int, SlotSecrets] = {
            issued.slot.number: issued.secrets for issued in issued_slots(policy, identity)
        }
        self.passed_over = PassedOver()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.rows.close()

    def load_log(self, head: LogHead) -> None:
        """Take up the vault's log; raises what ``load_ledger`` and ``check_head`` do."""
        pod_id, log_keys = self.policy.pod_id, self.policy.vault_logs
        self.ledger = load_ledger(self.rows, pod_id=pod_id, epoch=self.meta.epoch, log_keys=log_keys)
        self.warning = check_head(self.rows, self.ledger, head, pod_id=pod_id, log_keys=log_keys)

    def go_on(self, after: VaultError) -> None:
        """Go on reading: after a page that fails its checks SQLCipher gives no other until it is opened anew.

        Args:
            after: What was met.
        """
        if isinstance(after.__cause__, LIBRARY_ERRORS):
            self.reopen()

    def reopen(self) -> None:
        """Open the private copy anew."""
        self.rows.close()
        self.rows = connect_read(self.folder.vault, file_key_of(self.policy, self.identity))

    def batch_after(self, number: int) -> StoredBatch | None:
        """The first batch beyond ``number``; None if there is none. Raises what ``batches`` does."""
        found = self.rows.execute(_BATCH_AFTER, (number,))
        return _stored_batch(found[0]) if found else None

    def batches(self, *, is_newest_first: bool = False) -> Iterator[StoredBatch]:
        """Every batch in order.

        Raises:
            MalformedError: A header is not of its format.
            DamagedError: A page fails its checks, or a row is not of its types.
        """
        order = " DESC" if is_newest_first else ""
        for row in self.rows.rows(_BATCHES + " ORDER BY batch" + order):
            yield _stored_batch(row)

    def sealed_items(self, batch: StoredBatch) -> list[SealedRow]:
        """A batch's rows in order, as many as are there.

        Raises:
            DamagedError: A row is not of its columns' types, or they are
                together larger than ``MAX_SEALED_BYTES``.
        """
        first, last = batch.first_seq, batch.first_seq + batch.header.count
        ((size,),) = self.rows.execute(
            "SELECT total(length(sealed)) + total(length(name)) + total(length(c)) + total(length(digest)) "
            "FROM item WHERE seq >= ? AND seq < ?",
            (first, last),
        )
        if size > MAX_SEALED_BYTES:
            raise DamagedError(f"batch {batch.number} is larger than any batch can be; restore a snapshot")
        found = self.rows.execute(
            "SELECT seq - ?, name, c, digest, sealed FROM item WHERE seq >= ? AND seq < ? ORDER BY seq",
            (first, first, last),
        )
        return typed(found, list[SealedRow])

    def open_batch(self, batch: StoredBatch) -> OpenedBatch:
        """Unwrap a batch's data key with the identity.

        Raises:
            WrongKeyError: Not sealed to this identity.
            DamagedError: It was altered.
            MalformedError: Its wraps are not of their format.
        """
        found = self.rows.execute("SELECT kid, wrap FROM rewrap WHERE batch = ?", (batch.number,))
        later = dict(typed(found, list[tuple[bytes, bytes]]))
        return OpenedBatch(self.identity, batch.header, batch.wraps, later)

    def slot_name(self, number: int) -> str:
        """The name of a slot's invite, or what stands for one that the policy does not know."""
        secrets = self.slots.get(number)
        return secrets.name if secrets else f"slot-{number}"

    def _stored(self, batch: StoredBatch, opened: OpenedItem) -> StoredItem:
        return StoredItem(
            seq=batch.first_seq + opened.index,
            batch=batch.number,
            ms=batch.header.ms,
            slot=opened.slot,
            slot_name=self.slot_name(opened.slot),
            members=read_canonical(opened.canonical),
        )

    def items(self, *, is_newest_first: bool = False, has_duplicates: bool = False) -> Iterator[StoredItem]:
        """Every item that was not erased, one batch in memory at a time.

        Whoever has the file key can write batches of their own into the file, and
        take items out of it. So each batch must be signed by a log key and each
        missing item erased by a statement; and, oldest first, the batches
        together must be the log that the newest checkpoint signs. The last shows
        only when all have been read. What is as it was logged and is no item is
        passed over, and noted in ``passed_over``.

        Args:
            is_newest_first: Whether the newest comes first.
            has_duplicates: Whether an item that came twice, by a server and by
                a function, is yielded each time: who erases it means both.

        Raises:
            WrongKeyError: A batch is not sealed to this identity.
            DamagedError: A batch or item was altered, is missing, or was never
                accepted by this pod's server.
            MalformedError: An erasure is no statement.
            FormatTooNewError: What was sealed is of a later format.
        """
        self.passed_over.begin()
        for batch, rows in self._whole_rows(is_newest_first=is_newest_first):
            items, unreadable = self._open(batch, rows)
            for each in unreadable:
                self.passed_over.add(each)
            if not has_duplicates:
                again = {batch.first_seq + row.place: row.c for row in rows if row.name is None}
                items = [item for item in items if not self._is_again(item, again.get(item.seq))]
            yield from reversed(items) if is_newest_first else items

    def unreadable(self) -> Iterator[Unreadable]:
        """Every item that is as it was logged and is no item, oldest first; raises what ``items`` does."""
        for batch, rows in self._whole_rows(is_newest_first=False):
            yield from self._open(batch, rows)[1]

    def _whole_rows(self, *, is_newest_first: bool) -> Iterator[tuple[StoredBatch, list[SealedRow]]]:
        """Each batch with its rows: as many as were logged, and none gone without a statement."""
        for batch in self._whole_batches(is_newest_first=is_newest_first):
            rows = self.sealed_items(batch)
            if [row.place for row in rows] != list(range(batch.header.count)):
                raise DamagedError(f"batch {batch.number} lacks items; run `check`, and restore a snapshot")
            self._require_erased(batch, [row for row in rows if row.sealed is None])
            yield batch, rows

    def _open(self, batch: StoredBatch, rows: list[SealedRow]) -> tuple[list[StoredItem], list[Unreadable]]:
        opened = self.open_batch(batch)
        try:
            found = opened.open_items([row.sealed for row in rows])
            return [self._stored(batch, item) for item in found], []
        except (DamagedError, MalformedError):
            if not _are_as_logged(batch, rows):
                raise
        return self._open_one_by_one(batch, opened, rows)

    def _open_one_by_one(
        self, batch: StoredBatch, opened: OpenedBatch, rows: list[SealedRow]
    ) -> tuple[list[StoredItem], list[Unreadable]]:
        items: list[StoredItem] = []
        unreadable: list[Unreadable] = []
        for row in rows:
            if row.sealed is None:
                continue
            try:
                items.append(self._stored(batch, opened.open_item(row.place, row.sealed)))
            except (DamagedError, MalformedError) as exc:
                slot = opened.slot_of(row.place, row.sealed)
                unreadable.append(self._unreadable(batch, row.place, slot, str(exc)))
        return items, unreadable

    def _unreadable(self, batch: StoredBatch, place: int, slot: int | None, why: str) -> Unreadable:
        name = "" if slot is None else self.slot_name(slot)
        return Unreadable(
            batch.first_seq + place, batch.number, place, batch.header.ms, slot, slot_name=name, why=why
        )

    def has_duplicates(self) -> bool:
        """Whether any item came twice."""
        return bool(self.rows.execute("SELECT 1 FROM item WHERE name IS NULL LIMIT 1"))

    def _is_again(self, item: StoredItem, c: bytes | None) -> bool:
        """Whether a row without a name is the same item as the one that has it, and that is not erased."""
        secrets = self.slots.get(item.slot)
        if c is None or secrets is None:
            return False
        name = item_name(secrets.name_key, item.id)
        found = self.rows.execute(
            "SELECT 1 FROM item WHERE name = ? AND c = ? AND sealed IS NOT NULL", (name, c)
        )
        return bool(found)

    def _whole_batches(self, *, is_newest_first: bool) -> Iterator[StoredBatch]:
        size = self.ledger.size
        numbers = range(size, 0, -1) if is_newest_first else range(1, size + 1)
        expected = iter(numbers)
        frontier = Frontier()
        for batch in self.batches(is_newest_first=is_newest_first):
            if batch.number != next(expected, None):
                raise DamagedError(f"a batch is missing beside batch {batch.number}; run `check`")
            self._require_signed(batch)
            frontier.append(leaf_hash(batch.packed))
            yield batch
        if not is_newest_first and frontier.root() != self.ledger.frontier.root():
            raise DamagedError("the batches are not those the newest checkpoint signs; run `check`")

    def _require_signed(self, batch: StoredBatch) -> None:
        header = batch.header
        key = _log_key(self.policy, header) or _log_key(self._policy_of(header), header)
        is_ours = header.pod_id == self.policy.pod_id
        if key is None or not is_ours or not is_signed(key, batch.signature, batch.packed):
            raise DamagedError(f"batch {batch.number} is not signed by a log key of this pod; run `check`")

    def _policy_of(self, header: Header) -> Policy | None:
        """The policy a batch was taken under, of a signer this pod's policy knows."""
        found = typed(
            self.rows.execute("SELECT pod_toml, slots_json FROM policy WHERE hash = ?", (header.policy,)),
            list[tuple[bytes, bytes]],
        )
        policy = parse_policy(*found[0]) if found else None
        return policy if policy and policy.signer in past_signers(self.policy) else None

    def _require_erased(self, batch: StoredBatch, gone: list[SealedRow]) -> None:
        signers = past_signers(self.policy) if gone else frozenset()
        for row in gone:
            seq = batch.first_seq + row.place
            found = typed(
                self.rows.execute("SELECT statement FROM erasure WHERE seq = ?", (seq,)), list[tuple[bytes]]
            )
            if not found:
                raise DamagedError(f"item {seq} is gone without a statement; run `check`, restore a snapshot")
            verify_erasure(
                found[0][0], header=batch.header, index=row.place, digest=row.digest, signers=signers
            )

    def sign_erasure(self, item: Placed, ms: int) -> bytes:
        """Sign the statement that one item was to go; nothing is erased by it yet.

        Args:
            item: Of this vault.
            ms: When, UTC milliseconds.

        Raises:
            DamagedError: A row is not of its types.
            MalformedError: The batch's header is not of its format.
        """
        first_seq, packed = only(
            self.rows.execute("SELECT first_seq, header FROM batch WHERE batch = ?", (item.batch,)),
            list[tuple[int, bytes]],
        )
        (digest,) = only(
            self.rows.execute("SELECT digest FROM item WHERE seq = ?", (item.seq,)), list[tuple[bytes]]
        )
        return sign_erasure(parse_header(packed), item.seq - first_seq, digest, ms, self.identity)

    def views(self) -> dict[str, dict[str, ValueType]]:
        """What each slot declared itself, by its invite's name.

        A view that does not open is passed over, and noted in ``passed_over``:
        whoever takes over the process that takes items in has the writer seal
        one under a key of its own.

        Raises:
            DamagedError: A page fails its checks, or a row is not of its types.
        """
        found = typed(self.rows.execute("SELECT slot, view FROM slot"), list[tuple[int, bytes | None]])
        sealed, views = dict(found), {}
        for number, secrets in self.slots.items():
            try:
                views[secrets.name] = self._open_view(number, sealed.get(number))
            except DamagedError as exc:
                self.passed_over.views[secrets.name] = str(exc)
        return views

    def own_view(self, slot: int) -> dict[str, ValueType]:
        """What one slot declared itself.

        Raises:
            DamagedError: The view was altered.
        """
        found = typed(
            self.rows.execute("SELECT view FROM slot WHERE slot = ?", (slot,)), list[tuple[bytes | None]]
        )
        return self._open_view(slot, found[0][0] if found else None)

    def _open_view(self, slot: int, sealed: bytes | None) -> dict[str, ValueType]:
        secrets = self.slots.get(slot)
        if sealed is None or secrets is None:
            return {}
        return open_view(sealed, secrets.view_key, pod_id=self.policy.pod_id, slot=slot)

    def counts(self) -> tuple[int, int]:
        """Batches and items in the vault, erased ones included."""
        return self.ledger.size, self.ledger.next_seq - 1


def _are_as_logged(batch: StoredBatch, rows: list[SealedRow]) -> bool:
    """Whether a batch's rows are what its header names: then whoever signed that had them sealed so."""
    header = batch.header
    commitments, digests = [row.c for row in rows], [row.digest for row in rows]
    leaves = item_leaves(header.pod_id, header.uid, commitments, digests)
    are_sealed = all(row.sealed is None or hashlib.sha256(row.sealed).digest() == row.digest for row in rows)
    return are_sealed and root_of(leaves) == header.item_root


def _log_key(policy: Policy | None, header: Header) -> bytes | None:
    """The log key a header names, if it is one of a policy's."""
    logs = policy.logs if policy else ()
    return next((log.key for log in logs if hashlib.sha256(log.key).digest() == header.log_key_hash), None)


def file_key_of(policy: Policy, identity: Identity) -> FileKey:
    """Open the pod's file key; see ``vault.opening.open_file_key`` for the errors."""
    return open_file_key(identity, policy.file_key, policy.pod_id)


Refusal = Callable[[VaultError], None]
"""Told why a vault is to be refused. Raises it, or, for an audit, notes it."""


def refuse(error: VaultError) -> None:
    """Refuse a vault.

    Raises:
        VaultError: ``error``.
    """
    raise error


def open_reader(
    copy: PodFolder, identity: Identity, root: bytes | None = None, on_refusal: Refusal = refuse
) -> Reader:
    """Open a private copy of a pod's folder for reading.

    Args:
        copy: The caller's alone (``vault.snapshot.private_snapshot``).
        identity: A recipient of the pod.
        root: 32 bytes, the signer that is trusted; None for the identity's own.
        on_refusal: Told of a vault that opens, but is torn, damaged or old; the
            reader has an empty ledger then.

    Raises:
        WrongKeyError: The identity is not one of the pod's recipients, or the
            vault does not open under the pod's file key.
        MissingError: A file is not there.
        DamagedError: The vault is empty, plaintext or cut, or its log does not
            agree with itself.
        ForeignPodError: The vault is another pod's.
        FormatTooNewError: A later version wrote it.
        TornError: Its write-ahead log is missing, or of another time; among
            the damaged.
        RollbackError: It is older than its log.head.
        PolicyError: slots.json is not signed by who is trusted, or one they endorsed.
        MalformedError: A file is not of its format.
        StorageError: The operating system failed.
    """
    policy = load_policy(copy, is_edited=True)
    check_signer(policy, identity.signer if root is None else root)
    file_key = file_key_of(policy, identity)
    verify_page_one(copy.vault, file_key)
    head = read_log_head(copy)
    try:
        check_pages(copy)
    except TornError as exc:
        on_refusal(exc)
    rows = connect_read(copy.vault, file_key)
    with on_failure(rows.close):
        reader = Reader(copy, policy, identity, rows)
        _load_log(reader, head, on_refusal)
    return reader


def _load_log(reader: Reader, head: LogHead, on_refusal: Refusal) -> None:
    try:
        reader.load_log(head)
    except StorageError:
        raise
    except VaultError as exc:
        on_refusal(exc)
        reader.go_on(exc)
