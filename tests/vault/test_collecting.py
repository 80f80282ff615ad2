"""What only the vault knows is decided when a segment is collected."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.collecting import World, new_world, pair_of
from vault.collecting import Collector
from vault.examining import Examined, Reason
from vault.objects import object_key
from vault.policy_history import History
from vault.properties import ValueType
from vault.sealing import Plain, seal_batch
from vault.segment_reading import read_segment
from vault.segments import segment_of


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
    world = new_world(tmp_path, "closed")
    slot = world.pod.slot()
    world.put(world.function.send(slot, id="item-1", text="x"))
    world.put(world.function.send(slot, id="item-2", text="x", new=1))
    assert world.reasons() == [Reason.FORBIDDEN]
    assert [item.id for item in world.items()] == ["item-1"]
    assert world.view(slot) == {}


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
        vault.execute(
            "INSERT INTO policy VALUES (?, ?, ?, ?)", (later.revision, later.digest, *pair_of(later))
        )
    _, refused = world.collect_with(History(world.pod.policy, [pair_of(stray)]))
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
    _, refused = world.collect_with(History(pod.policy, map(pair_of, lines)))
    assert [each.reason for each in refused] == [Reason.POLICY]
    assert len(world.items()) == 1


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
