"""Collecting: segments that functions put into a store become batches of the vault, byte for byte.

Two steps. ``Examiner`` looks at one segment alone: all of it agrees, it opens,
its item came through a slot that was open, under the name that its key says.
``Collector`` decides what only the vault knows: whether it is there already,
whether its name is taken, whether a counted limit allows it, and what its slot
has declared by it. What is not taken stays where it is, with a reason; nothing
is ever deleted, and collecting again takes up where it stopped. Not here: any
store. FORMAT.md, "Collecting".
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from pathlib import Path

import msgspec

from vault import errors
from vault.caveats import Usage, is_expired, refusal
from vault.database import connect_inspect
from vault.deciding import SlotStates, load_slot
from vault.errors import DamagedError, VaultError
from vault.header import Header, parse_header
from vault.invites import issued_slots
from vault.items import Item, commitment, item_name, parse_item, read_canonical
from vault.judging import Outcome, SlotState, judge
from vault.keys import FileKey
from vault.objects import name_in_key
from vault.opening import Identity, OpenedBatch, OpenedItem, SlotSecrets
from vault.pod import PodFolder
from vault.policies import Policy, parse_policy, past_signers
from vault.properties import BASE_PROPERTIES, MAX_VIEW_NAMES, ValueType, infer_type, is_of_type
from vault.rows import Rows, typed
from vault.schema import settle
from vault.sealing import Entropy
from vault.segment_reading import VerifiedSegment, read_segment, verify_segment
from vault.segments import Segment
from vault.slots import NONCE_BYTES, Slot
from vault.store import Writer
from vault.submissions import WriterSlot
from vault.views import seal_view
from vault.writing import Addition, ItemRow, SignedBatch

_BATCH_OF = "SELECT header FROM batch WHERE first_seq <= ? ORDER BY first_seq DESC LIMIT 1"

SEGMENTS_AT_ONCE = 200
"""Of one transaction, which one sync makes durable: what a kill makes to be done again."""


class Reason(StrEnum):
    """Why a segment was not taken; for programs, never renamed."""

    MALFORMED = "malformed"
    DAMAGED = "damaged"
    FOREIGN_POD = "foreign_pod"
    FORMAT_TOO_NEW = "format_too_new"
    POLICY = "policy"
    WRONG_KEY = "wrong_key"
    MISSING = "missing"
    NOT_ITS_NAME = "not_its_name"
    CLOSED = "closed"
    FORBIDDEN = "forbidden"
    LIMIT = "limit"
    CONFLICT = "conflict"
    ERASED = "erased"


class Quarantined(msgspec.Struct, frozen=True):
    """A segment that was not taken, and stays in the store.

    Attributes:
        key: Of its object. Untrusted text.
        reason: For programs.
        sentence: For people.
    """

    key: str
    reason: Reason
    sentence: str


class Examined(msgspec.Struct, frozen=True):
    """A segment of one item, all of which agrees.

    Attributes:
        key: Of its object.
        segment: Its rows.
        header: Read.
        policy: The one it was taken under.
        slot: The slot its item came through, as that policy has it.
        item: The item.
    """

    key: str
    segment: Segment
    header: Header
    policy: Policy
    slot: Slot
    item: Item


_OF_KINDS: tuple[tuple[type[VaultError], Reason], ...] = (
    (errors.MalformedError, Reason.MALFORMED),
    (errors.ForeignPodError, Reason.FOREIGN_POD),
    (errors.FormatTooNewError, Reason.FORMAT_TOO_NEW),
    (errors.PolicyError, Reason.POLICY),
    (errors.WrongKeyError, Reason.WRONG_KEY),
    (errors.MissingError, Reason.MISSING),
    (errors.DamagedError, Reason.DAMAGED),
)


def quarantined(key: str, error: VaultError) -> Quarantined:
    """What becomes of a segment that an error was met with.

    Raises:
        VaultError: ``error``, if the segment is not what it is about: the operating system's.
    """
    for kind, reason in _OF_KINDS:
        if isinstance(error, kind):
            return Quarantined(key, reason, str(error))
    raise error


def policy_pairs(folder: PodFolder, file_key: FileKey) -> list[tuple[bytes, bytes]]:
    """Every pod.toml and slots.json in a vault; the caller has ``vault.lock``, and no connection to it.

    Raises:
        VaultError: As ``vault.database.connect_inspect``.
    """
    with connect_inspect(folder.vault, file_key) as rows:
        return typed(rows.execute("SELECT pod_toml, slots_json FROM policy"), list[tuple[bytes, bytes]])


class History:
    """The pod's policies by digest, as far as home has them and trusts their signers.

    Args:
        present: Home's own, published.
        pairs: Untrusted pod.toml and slots.json, of the vault's rows and of what was deployed.

    Attributes:
        refused: Why a pair does not count, a sentence each.
    """

    def __init__(self, present: Policy, pairs: Iterable[tuple[bytes, bytes]]) -> None:
        self._present = present
        self._known: dict[bytes, Policy] = {present.digest: present}
        self._pairs = {hashlib.sha256(slots_json).digest(): (toml, slots_json) for toml, slots_json in pairs}
        self.refused: list[str] = []

    def policy_of(self, digest: bytes) -> Policy | None:
        """The policy of that digest; None if there is none that counts."""
        pair = None if digest in self._known else self._pairs.pop(digest, None)
        if pair:
            self._take(pair)
        return self._known.get(digest)

    def _take(self, pair: tuple[bytes, bytes]) -> None:
        present = self._present
        try:
            policy = parse_policy(*pair)
        except VaultError as exc:
            self.refused.append(str(exc))
            return
        if policy.pod_id != present.pod_id or policy.signer not in past_signers(present):
            self.refused.append("a policy is signed by someone this pod's policy does not know")
        elif policy.revision > present.revision:
            self.refused.append(
                "a policy is of a later revision than the pod's own; put the newest pair there"
            )
        else:
            self._known[policy.digest] = policy


class Examiner:
    """Looks at segments one by one, in one thread; keeps nothing of them.

    Args:
        present: Home's policy.
        history: The pod's policies.
        identity: Opens the segments.
        file_key: The pod's.
        scratch: A folder of this process's user.

    Attributes:
        secrets: Of every slot, by number.
    """

    def __init__(
        self, present: Policy, history: History, identity: Identity, file_key: FileKey, scratch: Path
    ) -> None:
        self._pod_id = present.pod_id
        self._history = history
        self._identity = identity
        self._file_key = file_key
        self._scratch = scratch
        self.secrets: dict[int, SlotSecrets] = {
            issued.slot.number: issued.secrets for issued in issued_slots(present, identity)
        }

    def examine(self, key: str, content: bytes) -> Examined | Quarantined:
        """Look at one object.

        Args:
            key: Untrusted.
            content: Untrusted.

        Raises:
            StorageError: The scratch folder cannot be written.
        """
        try:
            return self._examine(key, content)
        except VaultError as exc:
            return quarantined(key, exc)

    def _examine(self, key: str, content: bytes) -> Examined | Quarantined:
        name = name_in_key(key, self._pod_id)
        segment = read_segment(content, self._file_key, self._scratch)
        verified = verify_segment(segment, self._history.policy_of, self._pod_id)
        if [row.name for row in segment.items] != [name]:
            return Quarantined(key, Reason.NOT_ITS_NAME, "it is not the one item that its key names")
        opened = OpenedBatch(self._identity, verified.header, segment.wraps).open_item(
            0, segment.items[0].sealed
        )
        # What reading accepts has one form, so it is what is parsed here.
        item = parse_item(read_canonical(opened.canonical), make_id=str)
        if commitment(opened.salt, opened.canonical) != segment.items[0].c:
            raise DamagedError("it is not what its contributor committed to")
        secrets = self.secrets.get(opened.slot)
        if secrets is None or item_name(secrets.name_key, item.id) != name:
            return Quarantined(key, Reason.NOT_ITS_NAME, "its name is not the one of its id in its slot")
        return _judged(key, verified, opened, item)


def _judged(key: str, verified: VerifiedSegment, opened: OpenedItem, item: Item) -> Examined | Quarantined:
    """What a function must have asked: the slot, and limits that need no counting."""
    header, policy = verified.header, verified.policy
    slot = policy.slot_by_number.get(opened.slot)
    if slot is None or slot.caveats is None or not slot.is_open or is_expired(slot.caveats, header.ms):
        return Quarantined(key, Reason.CLOSED, "its slot was closed when a function took it in")
    verdict = judge(policy.config, slot.caveats, SlotState(Usage(), {}), item)
    if verdict.outcome not in {Outcome.STORED, Outcome.REPEATED}:
        return Quarantined(key, Reason.FORBIDDEN, f"a function must have refused it: {verdict.sentence}")
    return Examined(key, verified.segment, header, policy, slot, item)


def _widened(own: Mapping[str, ValueType], examined: Examined) -> dict[str, ValueType]:
    """What an item adds to, or widens in, its slot's own view.

    A name that was used with several types is Real if they are Integer and
    Real, else Text, in whatever order the segments come.
    """
    item, properties = examined.item, examined.policy.config.properties
    changed: dict[str, ValueType] = {}
    for name, value in item.fields.items():
        if name in BASE_PROPERTIES or name in properties:
            continue
        known = own.get(name)
        if known is None or not is_of_type(value, known):
            changed[name] = _wider(known, infer_type(name, value))
    if item.is_declaration:
        name, declared = str(item.fields["propertyName"]), ValueType(str(item.fields["valueType"]))
        if name not in BASE_PROPERTIES and name not in properties:
            changed[name] = _wider(changed.get(name, own.get(name)), declared)
    return changed


def _wider(known: ValueType | None, other: ValueType) -> ValueType:
    return other if known is None else settle({known, other})


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
        state.add(examined.item, {} if is_duplicate else _widened(state.own, examined))
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
        if self._is_erased(rows, row.name):
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

    def _is_erased(self, rows: Rows, name: bytes) -> bool:
        return bool(
            rows.execute("SELECT 1 FROM erasure WHERE seq = (SELECT seq FROM item WHERE name = ?)", (name,))
        )

    def _over_limit(self, rows: Rows, examined: Examined) -> str | None:
        state, caveats = self._state(rows, examined.slot.number), examined.slot.caveats
        if len(state.own.keys() | _widened(state.own, examined).keys()) > MAX_VIEW_NAMES:
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
