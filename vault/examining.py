"""Examining: one segment alone, before a vault is asked.

All of it agrees, it opens, its item came through a slot that was open, under
the name that its key says. What does not is quarantined: it stays in the store,
with a reason. What only the vault knows is ``vault.collecting``'s. FORMAT.md,
"Collecting".
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path

import msgspec

from vault import errors
from vault.caveats import Usage
from vault.errors import DamagedError, VaultError
from vault.header import Header
from vault.invites import issued_slots
from vault.items import MAX_FIELDS, Item, commitment, item_name, parse_item, read_canonical
from vault.judging import Outcome, SlotState, judge
from vault.keyring import Keyring
from vault.objects import name_in_key
from vault.opening import OpenedItem, SlotSecrets
from vault.policies import Policy
from vault.policy_history import History
from vault.segment_reading import VerifiedSegment, verify_segment
from vault.segments import Segment
from vault.slots import Slot

_MOST_MEMBERS = MAX_FIELDS + 1
"""An id that a function made was not among the members that it counted."""


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


class Examiner:
    """Looks at segments one by one, in one thread; keeps nothing of them.

    Args:
        present: Home's policy.
        history: The pod's policies.
        keyring: Opens the segments.
        scratch: A folder of this process's user.

    Attributes:
        secrets: Of every slot, by number.
    """

    def __init__(self, present: Policy, history: History, keyring: Keyring, scratch: Path) -> None:
        self._pod_id = present.pod_id
        self._history = history
        self._keyring = keyring
        self._scratch = scratch
        self.secrets: dict[int, SlotSecrets] = {
            issued.slot.number: issued.secrets for issued in issued_slots(present, keyring.identity)
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
        segment = self._keyring.read(content, self._scratch)
        verified = verify_segment(segment, self._history.policy_of, self._pod_id)
        if [row.name for row in segment.items] != [name]:
            return Quarantined(key, Reason.NOT_ITS_NAME, "it is not the one item that its key names")
        batch = self._keyring.open_batch(verified.header, segment.wraps)
        opened = batch.open_item(0, segment.items[0].sealed)
        # What reading accepts has one form, so it is what is parsed here.
        item = parse_item(read_canonical(opened.canonical), make_id=str, most_members=_MOST_MEMBERS)
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
    caveats = slot.caveats_at(header.ms) if slot else None
    if slot is None or caveats is None:
        return Quarantined(key, Reason.CLOSED, "its slot was closed when a function took it in")
    verdict = judge(policy.config, caveats, SlotState(Usage(), {}), item)
    if verdict.outcome not in {Outcome.STORED, Outcome.REPEATED}:
        return Quarantined(key, Reason.FORBIDDEN, f"a function must have refused it: {verdict.sentence}")
    return Examined(key, verified.segment, header, policy, slot, item)
