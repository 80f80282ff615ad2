"""One segment alone: everything in it agrees, or it stays in the store and is said."""

from __future__ import annotations

import hashlib

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.collecting import World
from vault.errors import BusyError, FormatTooNewError, ItemError, StorageError
from vault.examining import Quarantined, Reason, quarantined
from vault.items import MAX_FIELDS, parse_item, read_canonical
from vault.keys import LogKey
from vault.objects import object_key
from vault.opening import Identity
from vault.policy_history import History
from vault.properties import Scalar
from vault.sealing import Plain, seal_batch
from vault.segment_reading import read_segment
from vault.segments import Segment, segment_of
from vault.submissions import Submission, submit


@given(
    payload=st.dictionaries(
        st.sampled_from(["text", "n", "deleted", "dateCreated", "dateModified", "rowid", "Ab_9"]),
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    )
)
def test_a_sealed_item_is_parsed_to_what_was_sealed(payload: dict[str, Scalar | None]) -> None:
    """What home judges, counts and measures is the item itself."""
    try:
        item = parse_item({"type": "Note", "id": "item-1"} | payload, make_id=str)
    except ItemError:
        return
    again = parse_item(read_canonical(item.canonical), make_id=str)
    assert again.canonical == item.canonical


def test_an_item_with_as_many_members_as_may_be_is_taken(world: World) -> None:
    """The id that a function makes comes on top of those that were counted."""
    members = {f"p{number}": number for number in range(MAX_FIELDS - 1)}
    world.put(world.function.send(world.pod.slot(), **members))
    assert world.reasons() == []
    assert len(world.items()) == 1


def test_what_a_function_must_have_refused_is_refused(world: World) -> None:
    """One that was taken over holds to no policy."""
    slot = world.pod.slot(types=("Note",), expires=world.pod.clock() + 1)
    world.put(world.function.send(slot, type="Other", text="x"))
    assert world.reasons() == [Reason.FORBIDDEN]
    world.store.clear()
    world.pod.clock.ms += 1
    world.put(world.function.send(slot, text="x"))
    assert world.reasons() == [Reason.CLOSED]
    assert world.items() == []


def test_a_revoked_slot_is_closed_under_its_policy_alone(world: World) -> None:
    """What came before the revocation was deployed is taken; what names the policy that revokes is not."""
    invite = world.pod.invite()
    slot = world.pod.opened(invite)
    early = world.function.send(slot, id="item-1", text="x")
    with world.pod.writer() as writer:
        writer.accept(world.pod.policy)
    world.pod.revoke(invite)
    world.put(early, world.function.send(slot, id="item-2", text="x"))
    assert world.reasons() == [Reason.CLOSED]
    assert [item.id for item in world.items()] == ["item-1"]


class Forgery:
    """A function that was taken over, or who has the file key and may write to the store."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.slot = world.pod.slot()
        self.submission = world.pod.submission(self.slot, id="item-1", text="x")
        self.key = object_key(world.pod.policy.pod_id, self.submission.name)

    def segment(self) -> Segment:
        """An honest one."""
        content = self.world.function.deposit(self.slot, self.submission).content
        return read_segment(content, self.world.pod.keys.file_key, self.world.function.scratch)

    def sealing(
        self,
        *,
        submission: Submission | None = None,
        slot: int | None = None,
        key: LogKey | None = None,
        **changes: bytes,
    ) -> bytes:
        """A segment whose sealed item, or its row, says something else than it should."""
        world, policy = self.world, self.world.pod.policy
        made = submission or self.submission
        signer = key or world.function.key
        number = self.slot.number if slot is None else slot
        batch = seal_batch(
            [Plain(made.item.canonical, number, made.salt, made.c)],
            policy.recipients,
            pod_id=policy.pod_id,
            log_public=signer.public,
            policy=policy.digest,
            ms=world.pod.clock(),
            entropy=world.pod.entropy,
        )
        segment = segment_of(batch, [made.name], [made.c], signer.sign(batch.header))
        if changes:
            item = msgspec.structs.replace(segment.items[0], **changes)
            item = msgspec.structs.replace(item, digest=hashlib.sha256(item.sealed).digest())
            segment = world.function.rooted(segment, items=(item,))
        return world.function.written(segment)

    def refused(self, content: bytes, key: str | None = None) -> Reason:
        """Why it is not taken."""
        self.world.store = {key or self.key: content}
        (reason,) = self.world.reasons()
        assert self.world.items() == []
        return reason


def test_every_field_of_a_forged_segment_is_judged(world: World) -> None:
    """Each is signed as it should be, and wrong in one thing."""
    forgery = Forgery(world)
    other_slot = world.pod.slot("other")
    other = submit(other_slot, world.pod.item(id="item-1", text="x"))
    elsewhere = object_key(world.pod.policy.pod_id, other.name)
    assert forgery.refused(forgery.sealing(), elsewhere) is Reason.NOT_ITS_NAME
    assert forgery.refused(forgery.sealing(slot=other_slot.number)) is Reason.NOT_ITS_NAME
    assert forgery.refused(forgery.sealing(slot=99)) is Reason.NOT_ITS_NAME
    assert forgery.refused(forgery.sealing(name=bytes(22))) is Reason.NOT_ITS_NAME
    assert forgery.refused(forgery.sealing(c=bytes(32))) is Reason.DAMAGED
    assert forgery.refused(forgery.sealing(sealed=b"x" * 99)) is Reason.DAMAGED
    assert forgery.refused(forgery.sealing(key=LogKey(b"k" * 32))) is Reason.DAMAGED
    assert forgery.refused(forgery.sealing(key=world.pod.keys.log_key)) is Reason.DAMAGED
    assert forgery.refused(forgery.sealing(), "v1/x") is Reason.MALFORMED
    assert forgery.refused(b"") is Reason.MALFORMED
    assert forgery.refused(bytes(4096)) is Reason.DAMAGED


def test_two_items_in_one_segment_are_refused(world: World) -> None:
    """The store is the arbiter of one name alone."""
    forgery = Forgery(world)
    segment = forgery.segment()
    assert (
        forgery.refused(world.function.written(world.function.rooted(segment, items=segment.items * 2)))
        is Reason.NOT_ITS_NAME
    )


def test_an_item_of_another_form_is_refused(world: World) -> None:
    """What is sealed must be what an item is stored as."""
    forgery = Forgery(world)
    for canonical, reason in (
        (b"", Reason.MALFORMED),
        (msgspec.msgpack.encode({"id": "item-1", "text": "x"}), Reason.MALFORMED),
    ):
        item = msgspec.structs.replace(forgery.submission.item, canonical=canonical)
        submission = msgspec.structs.replace(forgery.submission, item=item)
        assert forgery.refused(forgery.sealing(submission=submission)) is reason


def test_a_segment_that_home_cannot_open_is_said(world: World) -> None:
    """Sealed to an identity that was replaced: home has another now."""
    forgery = Forgery(world)
    world.store[forgery.key] = forgery.sealing()
    examiner = world.examiner(History(world.pod.policy, []))
    examiner._keyring.identity = Identity(b"i" * 32)
    found = examiner.examine(forgery.key, world.store[forgery.key])
    assert isinstance(found, Quarantined)
    assert found.reason is Reason.WRONG_KEY


def test_what_the_system_fails_is_no_segments_fault() -> None:
    """It ends the collection; the segment is collected the next time."""
    assert quarantined("key", FormatTooNewError("later")).reason is Reason.FORMAT_TOO_NEW
    for error in (StorageError("disk"), BusyError("later")):
        with pytest.raises(type(error)):
            quarantined("key", error)
