"""Collecting: segments that functions put into a store become batches of the vault, byte for byte.

Each was examined alone (``vault.examining``). Here is decided what only the
vault knows: whether it is there already, whether its name is taken, whether a
counted limit allows it, and what its slot has declared by it. What is not taken
stays where it is, with a reason; nothing is ever deleted, and collecting again
takes up where it stopped. Not here: any store. FORMAT.md, "Collecting".
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

import msgspec

from vault.caveats import refusal
from vault.deciding import SlotStates, load_slot
from vault.examining import Examined, Quarantined, Reason
from vault.header import parse_header
from vault.judging import SlotState
from vault.opening import SlotSecrets
from vault.policies import Policy
from vault.properties import MAX_VIEW_NAMES, ValueType
from vault.rows import Rows, typed
from vault.sealing import Entropy
from vault.slots import NONCE_BYTES
from vault.store import Writer
from vault.submissions import WriterSlot
from vault.views import seal_view
from vault.widening import widened
from vault.writing import Addition, ItemRow, SignedBatch

_BATCH_OF = "SELECT header FROM batch WHERE first_seq <= ? ORDER BY first_seq DESC LIMIT 1"

SEGMENTS_AT_ONCE = 200
"""Of one transaction, which one sync makes durable: what a kill makes to be done again."""


class Told(msgspec.Struct):
    """What became of the segments so far.

    Attributes:
        taken: New items.
        duplicates: Of those, how many the vault had already by another way.
        known: Segments that were collected before.
    """

    taken: int = 0
    duplicates: int = 0
    known: int = 0


def _widened(state: SlotState, examined: Examined) -> dict[str, ValueType]:
    return widened(state.own, examined.policy.config.properties, examined.item)


class _Planning:
    """One transaction being decided: each segment in its order, against the vault and those before it."""

    def __init__(self, collector: Collector, segments: Sequence[Examined]) -> None:
        self._collector = collector
        self._segments = segments
        self._by_uid: dict[bytes, bytes] = {}
        self._by_name: dict[bytes, bytes] = {}
        self._policies: dict[bytes, Policy] = {}
        self._revisions: dict[int, bytes | None] = {}
        self._states: SlotStates = {}
        self._batches: list[SignedBatch] = []
        self.quarantined: list[Quarantined] = []
        self.told = Told()

    def plan(self, rows: Rows) -> Addition:
        """Decide all of them; what is to be added."""
        for examined in self._segments:
            stored = self._header_of(rows, examined.segment.uid)
            if stored == examined.segment.header:
                self.told.known += 1
                continue
            stored_c = self._c_of(rows, examined.segment.items[0].name)
            refused = self._refused(rows, examined, stored_c, is_uid_taken=stored is not None)
            if refused:
                self.quarantined.append(refused)
            else:
                self._add(rows, examined, is_duplicate=stored_c is not None)
        views = {
            number: self._collector.sealed_view(number, state)
            for number, state in self.changed_slots().items()
            if state.is_view_changed
        }
        return Addition(self._batches, self.changed_slots(), views, list(self._policies.values()))

    def changed_slots(self) -> SlotStates:
        """The slots that what is added came through, with it counted."""
        return {number: state for number, state in self._states.items() if state.is_changed}

    def _add(self, rows: Rows, examined: Examined, *, is_duplicate: bool) -> None:
        segment, (row,) = examined.segment, examined.segment.items
        state = self._state(rows, examined.slot.number)
        # What a duplicate uses was declared when its like came.
        state.add(examined.item, {} if is_duplicate else _widened(state, examined))
        self._by_uid[segment.uid] = segment.header
        self._by_name[row.name] = row.c
        if self._is_new(rows, examined.policy):
            self._policies[examined.policy.digest] = examined.policy
            self._revisions[examined.policy.revision] = examined.policy.digest
        item = ItemRow(None if is_duplicate else row.name, row.c, row.digest, row.sealed)
        batch = SignedBatch(segment.uid, segment.header, segment.wraps, segment.signature, [item])
        self._batches.append(batch)
        self.told.taken += 1
        self.told.duplicates += is_duplicate

    def _refused(
        self, rows: Rows, examined: Examined, stored_c: bytes | None, *, is_uid_taken: bool
    ) -> Quarantined | None:
        (row,), key = examined.segment.items, examined.key
        if is_uid_taken:
            return Quarantined(key, Reason.CONFLICT, "another batch of the vault has its uid")
        if self._is_of_another_line(rows, examined.policy):
            return Quarantined(
                key, Reason.POLICY, "the vault has another policy of the same revision as the one it names"
            )
        if stored_c is None:
            sentence = self._over_limit(rows, examined)
            return Quarantined(key, Reason.LIMIT, sentence) if sentence else None
        if stored_c != row.c:
            return Quarantined(
                key, Reason.CONFLICT, "the vault has another item under its id; that one stays"
            )
        if _is_erased(rows, row.name):
            return Quarantined(key, Reason.ERASED, "its item was erased; remove it from the store too")
        return None

    def _header_of(self, rows: Rows, uid: bytes) -> bytes | None:
        if uid in self._by_uid:
            return self._by_uid[uid]
        found = typed(rows.execute("SELECT header FROM batch WHERE uid = ?", (uid,)), list[tuple[bytes]])
        return found[0][0] if found else None

    def _c_of(self, rows: Rows, name: bytes) -> bytes | None:
        if name in self._by_name:
            return self._by_name[name]
        found = typed(rows.execute("SELECT c FROM item WHERE name = ?", (name,)), list[tuple[bytes]])
        return found[0][0] if found else None

    def _over_limit(self, rows: Rows, examined: Examined) -> str | None:
        state, caveats = self._state(rows, examined.slot.number), examined.slot.caveats
        if len(state.own.keys() | _widened(state, examined).keys()) > MAX_VIEW_NAMES:
            return f"its invite has used {MAX_VIEW_NAMES} properties of its own, and it would use another"
        if self._collector.is_beyond_limits or caveats is None:
            return None
        return refusal(caveats, state.usage, examined.item)

    def _state(self, rows: Rows, number: int) -> SlotState:
        state = self._states.get(number)
        if state is None:
            state = self._states[number] = self._collector.state(rows, number)
        return state

    def _is_of_another_line(self, rows: Rows, policy: Policy) -> bool:
        return self._of_revision(rows, policy) not in (None, policy.digest)

    def _is_new(self, rows: Rows, policy: Policy) -> bool:
        return self._of_revision(rows, policy) is None

    def _of_revision(self, rows: Rows, policy: Policy) -> bytes | None:
        """The digest of the vault's policy of the same revision; asked once a transaction."""
        if policy.revision not in self._revisions:
            found = typed(
                rows.execute("SELECT hash FROM policy WHERE revision = ?", (policy.revision,)),
                list[tuple[bytes]],
            )
            self._revisions[policy.revision] = found[0][0] if found else None
        return self._revisions[policy.revision]


def _is_erased(rows: Rows, name: bytes) -> bool:
    # A writer's connection reads no sealed item, not even whether there is one.
    return bool(
        rows.execute("SELECT 1 FROM erasure WHERE seq = (SELECT seq FROM item WHERE name = ?)", (name,))
    )


class Collector:
    """Puts examined segments into a vault.

    Args:
        writer: Has the vault open, under the present policy.
        present: That policy.
        secrets: Of the slots, by number.
        entropy: Source of nonces.
        is_beyond_limits: Whether what counted limits refuse is taken nevertheless.

    Attributes:
        told: What became of the segments so far.
        is_beyond_limits: As given.
    """

    def __init__(
        self,
        writer: Writer,
        present: Policy,
        secrets: Mapping[int, SlotSecrets],
        *,
        entropy: Entropy,
        is_beyond_limits: bool = False,
    ) -> None:
        self._writer = writer
        self._present = present
        self._secrets = secrets
        self._entropy = entropy
        self._function_hashes = {hashlib.sha256(key).digest() for key in present.function_logs}
        self._states: SlotStates = {}
        self.is_beyond_limits = is_beyond_limits
        self.told = Told()

    def is_collected(self, name: bytes) -> bool:
        """Whether the vault has an item of this name from a function: its object need not be fetched."""
        return self._writer.ask(lambda rows: self._is_collected(rows, name))

    def _is_collected(self, rows: Rows, name: bytes) -> bool:
        found = typed(rows.execute("SELECT seq FROM item WHERE name = ?", (name,)), list[tuple[int]])
        if not found:
            return False
        headers = typed(rows.execute(_BATCH_OF, found[0]), list[tuple[bytes]])
        return any(parse_header(header).log_key_hash in self._function_hashes for (header,) in headers)

    def is_erased(self, name: bytes) -> bool:
        """Whether the vault had an item of this name, and its maintainer erased it."""
        return self._writer.ask(lambda rows: _is_erased(rows, name))

    def take(self, segments: Sequence[Examined]) -> list[Quarantined]:
        """Put segments into the vault, in one transaction; durable when this returns.

        Args:
            segments: A few (``SEGMENTS_AT_ONCE``), for all of them are in memory.

        Returns:
            Those that were not taken.

        Raises:
            VaultError: As ``vault.store.Writer.add``; none of them is stored then.
        """
        planning = _Planning(self, segments)
        self._writer.add(planning.plan)
        for number, state in planning.changed_slots().items():
            self._states[number] = state.committed()
        for name in Told.__struct_fields__:
            setattr(self.told, name, getattr(self.told, name) + getattr(planning.told, name))
        return planning.quarantined

    def state(self, rows: Rows, number: int) -> SlotState:
        """A slot's counters and view, to decide with."""
        known = self._states.get(number)
        if known:
            return known.copy()
        slot = WriterSlot(number, self._secrets[number].view_key)
        return load_slot(rows, slot, self._present.pod_id)

    def sealed_view(self, number: int, state: SlotState) -> bytes:
        """A slot's view as it is stored."""
        return seal_view(
            state.own,
            self._secrets[number].view_key,
            pod_id=self._present.pod_id,
            slot=number,
            nonce=self._entropy(NONCE_BYTES),
        )
