"""One transaction a batch: who may store what, in which order it is asked, on a real vault."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.pods import START_MS, TestPod, new_pod
from vault.errors import DamagedError
from vault.judging import Outcome
from vault.properties import ValueType
from vault.slots import OpenedSlot
from vault.submissions import Answer, Submission

STORED, RETRY, REPEATED = Outcome.STORED, Outcome.RETRY, Outcome.REPEATED
CONFLICT, INVALID, FORBIDDEN, CLOSED = (
    Outcome.CONFLICT,
    Outcome.INVALID,
    Outcome.FORBIDDEN,
    Outcome.CLOSED,
)


def outcomes(answers: Sequence[Answer]) -> list[Outcome]:
    """What became of each."""
    return [answer.outcome for answer in answers]


def send(pod: TestPod, *submissions: Submission) -> list[Outcome]:
    """Commit one batch to a vault opened for it alone."""
    with pod.writer() as writer:
        return outcomes(writer.commit(pod.policy, submissions))


def stored_ids(pod: TestPod) -> list[str]:
    """Every item, in order."""
    return [item.full_id for item in pod.items()]


def test_a_batch_is_decided_in_arrival_order(pod: TestPod) -> None:
    """One refused item fails nobody; each gets its own answer, in its own place."""
    slot = pod.slot()

    found = send(
        pod,
        pod.submission(slot, id="first-item", text="x"),
        pod.submission(slot, id="second-item", unknown="x"),
        pod.submission(slot, id="first-item", text="y"),
        pod.submission(slot, id="third-item", text="z"),
    )

    assert found == [STORED, INVALID, CONFLICT, STORED]
    assert stored_ids(pod) == ["field-team/first-item", "field-team/third-item"]


def test_the_same_item_twice_in_a_batch_is_stored_once(pod: TestPod) -> None:
    """A client that lost its answer sends again; both get the same receipt."""
    slot = pod.slot()
    item = pod.submission(slot, id="same-item", text="x")

    with pod.writer() as writer:
        answers = writer.commit(pod.policy, [item, pod.submission(slot, text="other"), item])

    assert outcomes(answers) == [STORED, STORED, RETRY]
    assert answers[0].receipt == answers[2].receipt != answers[1].receipt
    assert len(pod.items()) == 2


def test_an_item_sent_again_later_is_a_retry(pod: TestPod) -> None:
    """It is there already, and counted once."""
    slot = pod.slot(max_items=1)
    item = pod.submission(slot, id="same-item", text="x")

    assert send(pod, item) == [STORED]
    assert send(pod, item, item) == [RETRY, RETRY]
    assert stored_ids(pod) == ["field-team/same-item"]


def test_other_content_under_the_same_id_is_a_conflict(pod: TestPod) -> None:
    """The first stays; the sentence says nothing of it."""
    slot = pod.slot()
    assert send(pod, pod.submission(slot, id="same-item", text="secret")) == [STORED]

    with pod.writer() as writer:
        (answer,) = writer.commit(pod.policy, [pod.submission(slot, id="same-item", text="guess")])

    assert answer.outcome is CONFLICT
    assert answer.receipt is None
    assert answer.sentence is not None
    assert answer.sentence.startswith("id: ")
    assert "secret" not in answer.sentence
    assert [item.members["text"] for item in pod.items()] == ["secret"]


def test_ids_belong_to_the_slot_that_sent_them(pod: TestPod) -> None:
    """Nobody can probe for another's ids, nor take one away."""
    one, other = pod.slot("one"), pod.slot("other")

    found = send(
        pod,
        pod.submission(one, id="same-item", text="mine"),
        pod.submission(other, id="same-item", text="theirs"),
        pod.submission(other, id="same-item", text="theirs"),
    )

    assert found == [STORED, STORED, RETRY]
    assert stored_ids(pod) == ["one/same-item", "other/same-item"]


def test_an_item_without_an_id_is_never_a_retry(pod: TestPod) -> None:
    """Its id is the server's, and new each time."""
    slot = pod.slot()

    assert send(pod, pod.submission(slot, text="x"), pod.submission(slot, text="x")) == [STORED, STORED]


@pytest.mark.parametrize("first", [{"unknown": "x"}, {"text": 1}, {"text": "x" * 1000}])
def test_a_refused_item_holds_no_name(pod: TestPod, first: dict[str, str]) -> None:
    """Refused by the view, by its type or by its size: the id is free for the corrected item."""
    slot = pod.slot(max_item_bytes=500)

    refused, stored = send(
        pod,
        pod.submission(slot, id="same-item", **first),
        pod.submission(slot, id="same-item", text="good"),
    )

    assert refused in {INVALID, FORBIDDEN}
    assert stored is STORED


def test_a_refused_item_declares_nothing(tmp_path: Path) -> None:
    """Under infer its first sight of a name does not count, nor does it for good."""
    pod = new_pod(tmp_path, "infer")
    slot = pod.slot(max_item_bytes=100)

    found = send(
        pod,
        pod.submission(slot, seen=1, text="x" * 100),
        pod.submission(slot, seen="text after all"),
    )

    assert found == [FORBIDDEN, STORED]
    with pod.reader() as reader:
        assert reader.own_view(1) == {"seen": ValueType.TEXT}


def test_a_declaration_counts_from_its_place_in_the_batch(pod: TestPod) -> None:
    """What came before it in the batch could not know."""
    slot = pod.slot()

    found = send(
        pod,
        pod.submission(slot, height=3),
        pod.declaration(slot, "height", "Integer"),
        pod.submission(slot, height=3),
    )

    assert found == [INVALID, STORED, STORED]


def test_a_declaration_repeated_in_the_batch_is_stored_once(pod: TestPod) -> None:
    """Whatever its id: it says nothing new, has no receipt, and holds no name."""
    slot = pod.slot()
    again = pod.submission(
        slot,
        type="ItemPropertySchema",
        id="another-id",
        itemType="Note",
        propertyName="height",
        valueType="Integer",
    )

    with pod.writer() as writer:
        answers = writer.commit(pod.policy, [pod.declaration(slot, "height", "Integer"), again])

    assert outcomes(answers) == [STORED, REPEATED]
    assert answers[1].receipt is None
    assert send(pod, pod.submission(slot, id="another-id", text="free")) == [STORED]


def test_a_view_is_the_slots_own(pod: TestPod) -> None:
    """What one declared the other neither sees nor is bound by."""
    one, other = pod.slot("one"), pod.slot("other")

    found = send(
        pod,
        pod.declaration(one, "height", "Integer"),
        pod.submission(other, height=3),
        pod.declaration(other, "height", "Text"),
        pod.submission(one, height=3),
        pod.submission(other, height="tall"),
    )

    assert found == [STORED, INVALID, STORED, STORED, STORED]


def test_a_view_outlives_the_writer(pod: TestPod) -> None:
    """It is read back when the vault is opened again, sealed meanwhile."""
    slot = pod.slot()
    assert send(pod, pod.declaration(slot, "height", "Integer")) == [STORED]

    assert send(pod, pod.submission(slot, height=3), pod.declaration(slot, "width", "Real")) == [
        STORED,
        STORED,
    ]
    assert send(pod, pod.submission(slot, height=3, width=1.5)) == [STORED]


def test_widening_is_kept_in_the_view(tmp_path: Path) -> None:
    """Under infer, an Integer is a Real from its first fraction on."""
    pod = new_pod(tmp_path, "infer")
    slot = pod.slot()
    assert send(pod, pod.submission(slot, weight=36)) == [STORED]
    assert send(pod, pod.submission(slot, weight=36.5), pod.submission(slot, weight=36)) == [STORED, STORED]

    with pod.reader() as reader:
        assert reader.own_view(1) == {"weight": ValueType.REAL}


def test_a_retry_is_one_whatever_the_view_says_now(pod: TestPod) -> None:
    """The name comes before the view: the maintainer may have declared it otherwise since."""
    slot = pod.slot()
    item = pod.submission(slot, id="same-item", text="x")
    assert send(pod, item) == [STORED]
    pod.rewrite(policy="closed", more='[properties.text]\ntype = "Integer"\n')

    assert send(pod, item) == [RETRY]
    assert send(pod, pod.submission(slot, id="other-item", text="x")) == [INVALID]


def test_a_retry_is_one_whatever_the_counters_say_now(pod: TestPod) -> None:
    """The name comes before the counters: a full slot still says that it has the item."""
    slot = pod.slot(max_items=1)
    item = pod.submission(slot, id="same-item", text="x")

    assert send(pod, item) == [STORED]
    assert send(pod, pod.submission(slot, text="x"), item) == [FORBIDDEN, RETRY]


def test_a_conflict_comes_before_the_view(pod: TestPod) -> None:
    """The id is taken, whether or not the new content would be allowed."""
    slot = pod.slot()
    assert send(pod, pod.submission(slot, id="same-item", text="x")) == [STORED]

    assert send(pod, pod.submission(slot, id="same-item", unknown="x")) == [CONFLICT]


def test_a_revoked_slot_comes_before_everything(pod: TestPod) -> None:
    """Its waiting items, its retries too, get the one answer of a closed slot."""
    invite, other = pod.invite(), pod.slot("other")
    slot = pod.opened(invite)
    item = pod.submission(slot, id="same-item", text="x")
    assert send(pod, item) == [STORED]
    pod.revoke(invite)

    with pod.writer() as writer:
        answers = writer.commit(pod.policy, [item, pod.submission(slot, unknown="x"), pod.submission(other)])

    assert answers[0] == answers[1] == Answer(CLOSED)
    assert answers[2].outcome is STORED


def test_a_slot_expires_at_its_millisecond(pod: TestPod) -> None:
    """Judged when the batch closes, by the writer's clock."""
    slot = pod.slot(expires=START_MS + 1000)

    with pod.writer() as writer:
        pod.clock.ms = START_MS + 999
        assert outcomes(writer.commit(pod.policy, [pod.submission(slot)])) == [STORED]
        pod.clock.ms = START_MS + 1000
        assert outcomes(writer.commit(pod.policy, [pod.submission(slot)])) == [CLOSED]


def test_a_slot_that_the_policy_does_not_know_is_closed(tmp_path: Path) -> None:
    """As when a policy is put back in which the invite was not issued yet."""
    (tmp_path / "other").mkdir()
    pod, other = new_pod(tmp_path), new_pod(tmp_path / "other", seed=2)

    assert send(pod, pod.submission(other.slot())) == [CLOSED]


@pytest.mark.parametrize("is_reopened", [False, True])
def test_items_are_counted_over_batches_and_within(pod: TestPod, *, is_reopened: bool) -> None:
    """Committed, from the writer's memory or from the vault, plus accepted in this transaction."""
    slot = pod.slot(max_items=3)
    first = [pod.submission(slot), pod.submission(slot, unknown=1)]
    second = [pod.submission(slot) for _ in range(3)]

    if is_reopened:
        found = send(pod, *first) + send(pod, *second)
    else:
        with pod.writer() as writer:
            found = outcomes([*writer.commit(pod.policy, first), *writer.commit(pod.policy, second)])

    assert found == [STORED, INVALID, STORED, STORED, FORBIDDEN]


def test_bytes_are_counted_to_the_last(pod: TestPod) -> None:
    """A smaller item may still fit where a larger one does not."""
    size = len(pod.item(id="abcdef", text="x").canonical)
    slot = pod.slot(max_bytes=3 * size)

    found = send(
        pod,
        pod.submission(slot, id="abcde1", text="x"),
        pod.submission(slot, id="abcde2", text="x"),
        pod.submission(slot, id="abcde3", text="xy"),
        pod.submission(slot, id="abcde3", text="x"),
        pod.submission(slot, id="abcde4", text=""),
    )

    assert found == [STORED, STORED, FORBIDDEN, STORED, FORBIDDEN]
    with pod.reader() as reader:
        assert reader.rows.execute("SELECT slot, items, bytes FROM slot") == [(1, 3, 3 * size)]


def test_slots_are_counted_apart(pod: TestPod) -> None:
    """One contributor's counter never shows in another's answer."""
    one, other = pod.slot("one", max_items=1), pod.slot("other", max_items=1)

    found = send(pod, pod.submission(one), pod.submission(other), pod.submission(one), pod.submission(other))

    assert found == [STORED, STORED, FORBIDDEN, FORBIDDEN]


def test_a_batch_with_nothing_fresh_writes_nothing(pod: TestPod) -> None:
    """Not a frame: retries cost no disk, and no place in the log."""
    slot = pod.slot()
    item = pod.submission(slot, id="same-item", text="x")
    with pod.writer() as writer:
        writer.commit(pod.policy, [item, pod.declaration(slot, "height", "Integer")])
        before = (pod.folder.wal.read_bytes(), pod.folder.log_head.read_bytes())

        found = writer.commit(
            pod.policy,
            [
                item,
                pod.submission(slot, id="same-item", text="y"),
                pod.submission(slot, unknown="x"),
                pod.declaration(slot, "height", "Integer"),
            ],
        )

        assert outcomes(found) == [RETRY, CONFLICT, INVALID, RETRY]
        assert (pod.folder.wal.read_bytes(), pod.folder.log_head.read_bytes()) == before


def test_a_damaged_view_stops_the_batch(pod: TestPod) -> None:
    """Going on without it would forget what the slot declared."""
    slot, other = pod.slot(), pod.slot("other")
    assert send(pod, pod.declaration(slot, "height", "Integer")) == [STORED]
    with pod.forging() as vault:
        vault.execute("UPDATE slot SET view = ?", (bytes(60),))

    with pod.writer() as writer, pytest.raises(DamagedError, match="the view of slot 1 does not open"):
        writer.commit(pod.policy, [pod.submission(other), pod.submission(slot)])

    assert len(pod.items()) == 1


@pytest.mark.parametrize("sql", ["UPDATE slot SET items = 9223372036854775807", "UPDATE slot SET bytes = -1"])
def test_counters_that_cannot_be_true_stop_the_batch(pod: TestPod, sql: str) -> None:
    """One more than 63 bits hold is an error of the library's own, which nobody expects."""
    slot = pod.slot()
    assert send(pod, pod.submission(slot)) == [STORED]
    with pod.forging() as vault:
        vault.execute(sql)

    with pod.writer() as writer, pytest.raises(DamagedError, match="beyond what it can have stored"):
        writer.commit(pod.policy, [pod.submission(slot)])


PROBES = st.fixed_dictionaries(
    {"id": st.sampled_from(["guessed-id", "another-id"])},
    optional={"text": st.sampled_from(["x", "y"]), "height": st.sampled_from([1, "tall"])},
)
DECLARED = st.tuples(st.sampled_from(["height", "width"]), st.sampled_from(["Integer", "Text"]))


def batch(pod: TestPod, slot: OpenedSlot, sent: Sequence[object]) -> list[Submission]:
    """Items, and declarations where a pair stands."""
    return [
        pod.declaration(slot, *each) if isinstance(each, tuple) else pod.submission(slot, **each)  # type: ignore[arg-type]  # what the strategies above draw
        for each in sent
    ]


@settings(max_examples=25)
@given(
    policy=st.sampled_from(["extend", "infer", "closed"]),
    rounds=st.lists(
        st.tuples(
            st.lists(PROBES | DECLARED, max_size=4), st.lists(PROBES | DECLARED, min_size=1, max_size=4)
        ),
        min_size=1,
        max_size=4,
    ),
)
def test_vaults_that_differ_in_anothers_items_answer_alike(
    policy: str, rounds: list[tuple[list[object], list[object]]]
) -> None:
    """Write-only: no outcome and no sentence reveals what somebody else stored, declared or sent beside."""
    answers: list[list[tuple[Outcome, str | None]]] = []
    for is_shared in (False, True):
        with tempfile.TemporaryDirectory() as folder:
            pod = new_pod(Path(folder), policy)
            prober, victim = pod.slot("prober", max_items=4, max_bytes=400), pod.slot("victim")
            with pod.writer() as writer:
                answers.append([])
                for theirs, probes in rounds:
                    before = batch(pod, victim, theirs) if is_shared else []
                    found = writer.commit(pod.policy, [*before, *batch(pod, prober, probes)])
                    answers[-1] += [(answer.outcome, answer.sentence) for answer in found[len(before) :]]

    assert answers[0] == answers[1]
