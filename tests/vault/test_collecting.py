"""What only the vault knows is decided when a segment is collected, and everything else once more."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.functions import Function, new_function
from tests.support.pods import TestPod, new_pod
from vault.collecting import (
    Collector,
    Examined,
    Examiner,
    History,
    Quarantined,
    Reason,
    policy_pairs,
    quarantined,
)
from vault.depositing import Deposit
from vault.errors import BusyError, FormatTooNewError, ItemError, StorageError
from vault.items import parse_item, read_canonical
from vault.keys import LogKey
from vault.locks import hold_vault
from vault.objects import object_key
from vault.opening import Identity
from vault.policies import Policy
from vault.properties import Scalar, ValueType
from vault.reader import StoredItem
from vault.sealing import Plain, seal_batch
from vault.segment_reading import read_segment
from vault.segments import Segment, segment_of
from vault.slots import OpenedSlot
from vault.submissions import Submission, submit


@dataclass
class World:
    """A pod, its function, and what home collected."""

    function: Function
    store: dict[str, bytes] = field(default_factory=dict)

    @property
    def pod(self) -> TestPod:
        """Its pod."""
        return self.function.pod

    def put(self, *deposits: Deposit) -> None:
        """Put deposits into the store."""
        self.store |= {deposit.key: deposit.content for deposit in deposits}

    def collect(self, **options: Any) -> tuple[Collector, list[Quarantined]]:
        """Collect everything in one transaction."""
        pod = self.pod
        with hold_vault(pod.folder.path):
            history = History(pod.policy, policy_pairs(pod.folder, pod.keys.file_key))
        return self.collect_with(history, **options)

    def collect_with(self, history: History, **options: Any) -> tuple[Collector, list[Quarantined]]:
        """The same with policies that are given."""
        pod = self.pod
        examiner = self.examiner(history)
        refused: list[Quarantined] = []
        with pod.writer() as writer:
            writer.accept(pod.policy)
            collector = Collector(writer, pod.policy, examiner.secrets, entropy=pod.entropy, **options)
            looked = [examiner.examine(key, content) for key, content in self.store.items()]
            refused += [each for each in looked if isinstance(each, Quarantined)]
            refused += collector.take([each for each in looked if isinstance(each, Examined)])
        return collector, refused

    def examiner(self, history: History) -> Examiner:
        """Who looks at segments for home."""
        pod = self.pod
        return Examiner(pod.policy, history, pod.keys.identity, pod.keys.file_key, self.function.scratch)

    def reasons(self, **options: Any) -> list[Reason]:
        """Why segments were not taken."""
        return [refused.reason for refused in self.collect(**options)[1]]

    def items(self) -> list[StoredItem]:
        """What the vault holds, in which a check finds nothing."""
        assert self.pod.check().findings == []
        return self.pod.items()

    def view(self, slot: OpenedSlot) -> dict[str, ValueType]:
        """What one slot declared."""
        with self.pod.reader() as reader:
            return reader.own_view(slot.number)


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A pod ``infer``."""
    return World(new_function(new_pod(tmp_path, "infer"), tmp_path / "scratch"))


def test_what_a_function_took_is_in_the_vault(world: World) -> None:
    """Under its time, its slot, its id; and audits, checks and receipts hold."""
    slot = world.pod.slot()
    world.put(*(world.function.send(slot, id=f"item-{n}", text="x", n=n) for n in range(3)))
    collector, refused = world.collect()
    assert (refused, collector.told.taken, collector.told.duplicates) == ([], 3, 0)
    assert sorted((item.id, item.members["n"], item.slot_name) for item in world.items()) == [
        (f"item-{n}", n, "field-team") for n in range(3)
    ]
    with world.pod.reader() as reader:
        for batch in reader.batches():
            (row,) = reader.sealed_items(batch)
            segment = read_segment(
                world.store[object_key(world.pod.policy.pod_id, row.name or b"")],
                world.pod.keys.file_key,
                world.function.scratch,
            )
            assert (batch.packed, batch.wraps, batch.signature) == (
                segment.header,
                segment.wraps,
                segment.signature,
            )
            assert (row.c, row.digest, row.sealed) == tuple(
                getattr(segment.items[0], name) for name in ("c", "digest", "sealed")
            )


def test_collecting_again_changes_nothing(world: World) -> None:
    """Whatever was taken is known by its header."""
    world.put(world.function.send(world.pod.slot(), id="item-1", text="x"))
    world.collect()
    before = world.pod.digests()
    collector, refused = world.collect()
    assert (refused, collector.told.taken, collector.told.known) == ([], 0, 1)
    assert len(world.items()) == 1
    assert world.pod.digests()["log.head"] == before["log.head"]


def test_one_segment_twice_in_a_transaction_is_taken_once(world: World) -> None:
    """A store may list what it has twice."""
    world.put(world.function.send(world.pod.slot(), id="item-1", text="x"))
    pod = world.pod
    examiner = world.examiner(History(pod.policy, []))
    ((key, content),) = world.store.items()
    examined = examiner.examine(key, content)
    assert isinstance(examined, Examined)
    with pod.writer() as writer:
        collector = Collector(writer, pod.policy, examiner.secrets, entropy=pod.entropy)
        assert collector.take([examined, examined]) == []
        assert (collector.told.taken, collector.told.known) == (1, 1)
    assert len(world.items()) == 1


def test_a_name_from_a_function_need_not_be_fetched_again(world: World) -> None:
    """A server's must: the function's segment may be another item."""
    slot = world.pod.slot()
    mine = world.pod.submission(slot, id="item-1", text="x")
    world.put(world.function.deposit(slot, mine))
    with world.pod.writer() as writer:
        served = world.pod.submission(slot, id="item-2", text="x")
        writer.commit(world.pod.policy, [served])
    world.collect()
    with world.pod.writer() as writer:
        collector = Collector(writer, world.pod.policy, {}, entropy=world.pod.entropy)
        assert [collector.is_collected(each) for each in (mine.name, served.name, bytes(22))] == [
            True,
            False,
            False,
        ]


def test_a_duplicate_is_logged_and_listed_once(world: World) -> None:
    """The same item by a server and by a function: both promises hold."""
    slot = world.pod.slot()
    submission = world.pod.submission(slot, id="item-1", text="x")
    with world.pod.writer() as writer:
        writer.commit(world.pod.policy, [submission])
    world.put(world.function.deposit(slot, submission))
    collector, refused = world.collect()
    assert (refused, collector.told.taken, collector.told.duplicates) == ([], 1, 1)
    assert [item.id for item in world.items()] == ["item-1"]
    with world.pod.reader() as reader:
        assert reader.counts() == (2, 2)
        assert [item.id for item in reader.items(has_duplicates=True)] == ["item-1", "item-1"]


def test_another_item_under_a_taken_id_stays_outside(world: World) -> None:
    """The first one stays; its like would be told 409."""
    slot = world.pod.slot()
    with world.pod.writer() as writer:
        writer.commit(world.pod.policy, [world.pod.submission(slot, id="item-1", text="x")])
    world.put(world.function.send(slot, id="item-1", text="another"))
    assert world.reasons() == [Reason.CONFLICT]
    assert [item.members["text"] for item in world.items()] == ["x"]


def test_an_erased_item_does_not_come_back(world: World) -> None:
    """A function does not know what was erased; home does."""
    slot = world.pod.slot()
    submission = world.pod.submission(slot, id="item-1", text="x")
    with world.pod.writer() as writer:
        writer.commit(world.pod.policy, [submission])
    with world.pod.reader() as reader:
        (item,) = reader.items()
        statement = reader.sign_erasure(item, 5)
    with world.pod.writer() as writer:
        assert writer.erase(world.pod.policy, [statement]).items == 1
    world.put(world.function.deposit(slot, submission))
    assert world.reasons() == [Reason.ERASED]
    assert world.items() == []


def test_two_winners_of_one_key_are_seen(world: World) -> None:
    """A store that lets two writers win: what is read later conflicts with what was read first."""
    slot = world.pod.slot()
    world.put(world.function.send(slot, id="item-1", text="x"))
    world.collect()
    world.put(world.function.send(slot, id="item-1", text="another"))
    assert world.reasons() == [Reason.CONFLICT]
    assert len(world.items()) == 1


def test_two_winners_in_one_transaction_are_seen(world: World) -> None:
    """A store that keeps versions may give both: one is taken."""
    slot, pod = world.pod.slot(), world.pod
    deposits = [world.function.send(slot, id="item-1", text=text) for text in ("x", "y", "x")]
    examiner = world.examiner(History(pod.policy, []))
    looked = [examiner.examine(deposit.key, deposit.content) for deposit in deposits]
    with pod.writer() as writer:
        collector = Collector(writer, pod.policy, examiner.secrets, entropy=pod.entropy)
        refused = collector.take([each for each in looked if isinstance(each, Examined)])
    assert [each.reason for each in refused] == [Reason.CONFLICT]
    assert (collector.told.taken, collector.told.duplicates) == (2, 1)
    assert [item.members["text"] for item in world.items()] == ["x"]


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


def test_a_uid_drawn_twice_is_seen(world: World) -> None:
    """Functions restored from one snapshot must draw anew; if not, the second batch stays outside."""
    slot = world.pod.slot()
    policy = world.pod.policy
    for number in (1, 2):
        submission = world.pod.submission(slot, id=f"item-{number}", text="x")
        sealed = seal_batch(
            [Plain(submission.item.canonical, slot.number, submission.salt, submission.c)],
            policy.recipients,
            pod_id=policy.pod_id,
            log_public=world.function.key.public,
            policy=policy.digest,
            ms=1,
            entropy=lambda count: b"\x07" * count,
        )
        signature = world.function.key.sign(sealed.header)
        segment = segment_of(sealed, [submission.name], [submission.c], signature)
        world.store[object_key(policy.pod_id, submission.name)] = world.function.written(segment)
    assert world.reasons() == [Reason.CONFLICT]
    assert len(world.items()) == 1


def test_counted_limits_are_exact_when_collected(world: World) -> None:
    """Functions cannot count together; home can."""
    slot = world.pod.slot(max_items=2)
    world.put(*(world.function.send(slot, id=f"item-{n}", text="x") for n in range(3)))
    assert world.reasons() == [Reason.LIMIT]
    assert len(world.items()) == 2
    assert world.reasons() == [Reason.LIMIT]
    assert world.reasons(is_beyond_limits=True) == []
    assert len(world.items()) == 3


def test_bytes_are_counted_too(world: World) -> None:
    """With what came over a server before."""
    slot = world.pod.slot(max_bytes=100)
    with world.pod.writer() as writer:
        writer.commit(world.pod.policy, [world.pod.submission(slot, id="item-1", text="x" * 30)])
    world.put(world.function.send(slot, id="item-2", text="x" * 40))
    assert world.reasons() == [Reason.LIMIT]


def test_views_are_settled_whatever_the_order(tmp_path: Path) -> None:
    """One name with several types is Real if they are numbers, else Text; nothing promised is refused."""
    views = []
    values: list[Scalar] = [1, 2.5, 3, "x", True]
    for turn, order in enumerate((values, values[::-1])):
        (tmp_path / str(turn)).mkdir()
        folder = tmp_path / str(turn)
        world = World(new_function(new_pod(folder, "infer"), folder / "scratch"))
        slot = world.pod.slot()
        for number, value in enumerate(order):
            world.put(world.function.send(slot, n=value, m=number, r=number / 2 + 0.25))
            world.collect()
        assert len(world.items()) == len(values)
        views.append(world.view(slot))
    assert views[0] == views[1] == {"n": ValueType.TEXT, "m": ValueType.INTEGER, "r": ValueType.REAL}


def test_declarations_are_taken_up(world: World) -> None:
    """Of items that come before, and of another type than was declared."""
    slot = world.pod.slot()
    declared = [
        world.pod.declaration(slot, "when", "DateTime"),
        world.pod.declaration(slot, "size", "Real"),
        world.pod.declaration(slot, "text", "Text"),
        world.pod.declaration(slot, "size", "Text"),
    ]
    for submission in declared[:2]:
        world.put(world.function.deposit(slot, submission))
    world.collect()
    assert world.view(slot) == {"when": ValueType.DATETIME, "size": ValueType.REAL}
    later = [world.function.deposit(slot, submission) for submission in declared[2:]]
    world.put(world.function.send(slot, when=5, size=7), *later)
    assert world.reasons() == []
    assert world.view(slot) == {"when": ValueType.DATETIME, "size": ValueType.TEXT}
    assert len(world.items()) == 5


def test_a_view_that_is_full_is_a_limit(world: World) -> None:
    """512 names a slot; but an item that is here already uses no more of them."""
    slot = world.pod.slot()
    first = world.pod.submission(slot, id="item-1", **{f"p{n}": n for n in range(500)})
    world.put(world.function.deposit(slot, first))
    world.put(world.function.send(slot, id="item-2", **{f"q{n}": n for n in range(500)}))
    world.put(world.function.send(slot, id="item-3", **{f"p{n}": n for n in range(400)}))
    assert world.reasons(is_beyond_limits=True) == [Reason.LIMIT]
    assert len(world.view(slot)) == 500
    assert len(world.items()) == 2


def test_a_closed_pod_is_collected(tmp_path: Path) -> None:
    """What the maintainer declared is all there is."""
    world = World(new_function(new_pod(tmp_path, "closed"), tmp_path / "scratch"))
    slot = world.pod.slot()
    world.put(world.function.send(slot, id="item-1", text="x"))
    world.put(world.function.send(slot, id="item-2", text="x", new=1))
    assert world.reasons() == [Reason.FORBIDDEN]
    assert [item.id for item in world.items()] == ["item-1"]
    assert world.view(slot) == {}


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


def test_the_policies_a_function_had_are_known_or_given(world: World) -> None:
    """The vault has those that a server took; of others home keeps what was deployed."""
    slot = world.pod.slot()
    world.put(world.function.send(slot, id="item-1", text="x"))
    deployed = world.pod.policy
    world.pod.slot("later")
    collector, refused = world.collect()
    assert (collector.told.taken, [each.reason for each in refused]) == (0, [Reason.POLICY])
    assert "put the pod.toml and slots.json" in refused[0].sentence
    history = History(world.pod.policy, [(deployed.pod_toml, deployed.slots_json)])
    _, refused = world.collect_with(history)
    assert (refused, history.refused) == ([], [])
    assert len(world.items()) == 1
    # The vault has it from now on.
    world.put(world.function.deposit(slot, world.pod.submission(slot, id="item-2", text="x")))
    assert world.reasons() == []


def _pair(policy: Policy) -> tuple[bytes, bytes]:
    return policy.pod_toml, policy.slots_json


def test_policies_that_home_does_not_trust_do_not_count(world: World, tmp_path: Path) -> None:
    """Of another pod, of a stranger, of the future, or altered."""
    (tmp_path / "other").mkdir()
    other, pod = new_pod(tmp_path / "other", seed=7), world.pod
    before = pod.policy
    pod.slot("later")
    future = pod.policy
    for pair in (
        _pair(other.policy),
        (before.pod_toml, before.slots_json[:-2] + b" \n"),
        _pair(future),
    ):
        history = History(before, [pair])
        assert history.policy_of(hashlib.sha256(pair[1]).digest()) is None
        assert len(history.refused) == 1
        assert history.policy_of(before.digest) is before


def test_a_policy_of_another_line_is_not_brought_in(world: World) -> None:
    """Two policies of one revision: a segment under the one the vault does not have stays outside."""
    slot = world.pod.slot()
    stray = world.pod.policy
    with world.pod.writer() as writer:
        writer.accept(stray)
    world.put(world.function.send(slot, id="item-1", text="x"))
    with world.pod.forging() as vault:
        vault.execute(
            "UPDATE policy SET hash = ?, revision = revision WHERE hash = ?", (bytes(32), stray.digest)
        )
        world.pod.slot("later")
        later = world.pod.policy
        vault.execute("INSERT INTO policy VALUES (?, ?, ?, ?)", (later.revision, later.digest, *_pair(later)))
    _, refused = world.collect_with(History(world.pod.policy, [_pair(stray)]))
    assert [each.reason for each in refused] == [Reason.POLICY]


def test_of_two_lines_that_are_new_one_is_brought_in(world: World) -> None:
    """Two policies of one revision, both of a known signer: the first segment decides."""
    pod, slot = world.pod, world.pod.slot()
    base = pod.policy
    lines = []
    for name in ("one", "other"):
        pod.policy = base
        pod.invite(name)
        world.put(world.function.send(slot, id=f"item-{name}", text="x"))
        lines.append(pod.policy)
    assert lines[0].revision == lines[1].revision
    pod.slot("later")
    _, refused = world.collect_with(History(pod.policy, map(_pair, lines)))
    assert [each.reason for each in refused] == [Reason.POLICY]
    assert len(world.items()) == 1


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
    stranger = Examiner(
        world.pod.policy,
        History(world.pod.policy, []),
        world.pod.keys.identity,
        world.pod.keys.file_key,
        world.function.scratch,
    )
    stranger._identity = Identity(b"i" * 32)
    found = stranger.examine(forgery.key, world.store[forgery.key])
    assert isinstance(found, Quarantined)
    assert found.reason is Reason.WRONG_KEY


def test_what_the_system_fails_is_no_segments_fault() -> None:
    """It ends the collection; the segment is collected the next time."""
    assert quarantined("key", FormatTooNewError("later")).reason is Reason.FORMAT_TOO_NEW
    for error in (StorageError("disk"), BusyError("later")):
        with pytest.raises(type(error)):
            quarantined("key", error)


def test_a_crash_in_a_transaction_leaves_nothing_of_it(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """And the next collection takes all of it."""
    pod = world.pod
    slots = [pod.slot(f"s{n}") for n in range(3)]
    world.put(*(world.function.send(slot, id="item-1", text="x") for slot in slots))
    with pod.writer() as writer:
        writer.accept(pod.policy)
    with monkeypatch.context() as broken:
        broken.setattr("vault.store.write_slots", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            world.collect()
    assert world.items() == []
    assert world.reasons() == []
    assert len(world.items()) == 3


def test_a_served_item_comes_after_collected_ones(world: World) -> None:
    """Counters, views and log go on as if nothing had happened; in one opening too."""
    slot = world.pod.slot(max_items=2)
    world.put(world.function.send(slot, id="item-1", text="x", n=1))
    world.collect()
    with world.pod.writer() as writer:
        answers = writer.commit(
            world.pod.policy,
            [world.pod.submission(slot, id=f"item-{n}", text="x", n=2.5) for n in (2, 3)],
        )
    assert [answer.outcome.value for answer in answers] == ["stored", "forbidden"]
    assert [item.id for item in world.items()] == ["item-1", "item-2"]
    assert world.view(slot) == {"n": ValueType.REAL}
