"""Deciding one batch: every submission judged, in arrival order, before anything is written.

Reads names and counters, writes nothing. An item that is refused holds no name
and fails nobody; one that repeats an item of the same batch shares its place.
FORMAT.md, "One transaction a batch".
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from vault.caveats import Caveats, Usage
from vault.errors import DamagedError
from vault.judging import Outcome, SlotState, Verdict, judge
from vault.keys import PodId
from vault.policies import Policy
from vault.rows import Rows, typed
from vault.sealing import Entropy, Plain
from vault.slots import NONCE_BYTES
from vault.submissions import Submission, WriterSlot
from vault.views import open_view, seal_view

_MOST_COUNTED = 2**62
"""Leaves room to count on in the 64 bits of a column."""


class Fresh(msgspec.Struct, frozen=True):
    """An item the batch stores: its name and what is sealed."""

    name: bytes
    plain: Plain


class Decision(msgspec.Struct, frozen=True):
    """What became of one submission.

    Attributes:
        verdict: The judgement.
        index: Its place among the batch's fresh items, if it has one.
        seq: Its seq in the vault, if it was stored before.
    """

    verdict: Verdict
    index: int | None = None
    seq: int | None = None


RETRY = Verdict(Outcome.RETRY)
CONFLICT = Verdict(
    Outcome.CONFLICT, "id: this invite has stored another item under this id; choose another id"
)
CLOSED = Verdict(Outcome.CLOSED)

SlotStates = dict[int, SlotState]


def load_slot(rows: Rows, slot: WriterSlot, pod_id: PodId) -> SlotState:
    """Read a slot's counters and own view; empty if it never stored anything.

    Raises:
        DamagedError: Its view does not open, or its row is not of its types or
            cannot be true.
    """
    found = rows.execute("SELECT items, bytes, view FROM slot WHERE slot = ?", (slot.number,))
    if not found:
        return SlotState(Usage(), {})
    ((items, total_bytes, view),) = typed(found, list[tuple[int, int, bytes | None]])
    if not (0 <= items <= _MOST_COUNTED and 0 <= total_bytes <= _MOST_COUNTED):
        raise DamagedError("the counters of a slot are beyond what it can have stored; restore a snapshot")
    own = open_view(view, slot.view_key, pod_id=pod_id, slot=slot.number)
    return SlotState(Usage(items, total_bytes), own, is_stored=True)


class Deciding:
    """One batch being decided.

    Args:
        rows: The vault, in a transaction.
        policy: The policy the batch is taken under.
        known: Slots' states as committed; not changed.
        now_ms: When the batch closes.

    Attributes:
        decisions: One a submission, in their order.
        fresh: What the batch stores.
        slots: The slots it came through, with its items counted.
        now_ms: When it closed.
    """

    __slots__ = (
        *("_by_name", "_caveats", "_known", "_opened", "_policy", "_rows"),
        *("decisions", "fresh", "now_ms", "slots"),
    )

    def __init__(self, rows: Rows, policy: Policy, known: SlotStates, now_ms: int) -> None:
        self._rows = rows
        self._policy = policy
        self._known = known
        self.now_ms = now_ms
        self._by_name: dict[bytes, int] = {}
        self._caveats: dict[int, Caveats | None] = {}
        self._opened: dict[int, WriterSlot] = {}
        self.decisions: list[Decision] = []
        self.fresh: list[Fresh] = []
        self.slots: SlotStates = {}

    def add(self, submission: Submission) -> None:
        """Decide the next submission.

        Raises:
            DamagedError: A stored view does not open.
            StorageError: The vault cannot be read.
        """
        number = submission.slot.number
        if number not in self._caveats:
            slot = self._policy.slot_by_number.get(number)
            self._caveats[number] = slot.caveats_at(self.now_ms) if slot else None
        caveats = self._caveats[number]
        self.decisions.append(self._decide(caveats, submission) if caveats else Decision(CLOSED))

    def _decide(self, caveats: Caveats, submission: Submission) -> Decision:
        item = submission.item
        again = self._found(submission.name, submission.c)
        if again:
            return again
        state = self._state(submission.slot)
        verdict = judge(self._policy.config, caveats, state, item)
        if verdict.outcome is not Outcome.STORED:
            return Decision(verdict)
        state.add(item, verdict.declares)
        self._by_name[submission.name] = len(self.fresh)
        plain = Plain(item.canonical, submission.slot.number, submission.salt, submission.c)
        self.fresh.append(Fresh(submission.name, plain))
        return Decision(verdict, index=len(self.fresh) - 1)

    def _found(self, name: bytes, c: bytes) -> Decision | None:
        """The decision for a name that is taken, in this batch or before; None if it is free."""
        index = self._by_name.get(name)
        if index is not None:
            return Decision(RETRY, index=index) if self.fresh[index].plain.c == c else Decision(CONFLICT)
        found = self._rows.execute("SELECT seq, c FROM item WHERE name = ?", (name,))
        if not found:
            return None
        ((seq, stored_c),) = found
        return Decision(RETRY, seq=seq) if stored_c == c else Decision(CONFLICT)

    def _state(self, slot: WriterSlot) -> SlotState:
        state = self.slots.get(slot.number)
        if state is None:
            known = self._known.get(slot.number)
            state = known.copy() if known else load_slot(self._rows, slot, self._policy.pod_id)
            self.slots[slot.number] = state
            self._opened[slot.number] = slot
        return state

    def changed_slots(self) -> SlotStates:
        """The slots that fresh items came through, with those items counted."""
        return {number: state for number, state in self.slots.items() if state.is_changed}

    def seal_views(self, entropy: Entropy) -> dict[int, bytes]:
        """Seal the views that fresh items added to, by slot number."""
        return {
            number: seal_view(
                state.own,
                self._opened[number].view_key,
                pod_id=self._policy.pod_id,
                slot=number,
                nonce=entropy(NONCE_BYTES),
            )
            for number, state in self.slots.items()
            if state.is_view_changed
        }


def decide(
    rows: Rows, policy: Policy, known: SlotStates, submissions: Sequence[Submission], now_ms: int
) -> Deciding:
    """Decide a batch; see ``Deciding.add`` for the errors."""
    deciding = Deciding(rows, policy, known, now_ms)
    for submission in submissions:
        deciding.add(submission)
    return deciding
