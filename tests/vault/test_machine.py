"""Acknowledged means kept: whatever a pod goes through, what was answered 200 is there, once, whole.

Hypothesis drives a real vault through batches, crashes, snapshots and changes
of policy, beside a model that knows the rules in a few lines. A crash is a copy
of the files as they lie, as after SIGKILL; a crash inside a commit is one whose
log ends anywhere in that commit's frames.
"""

from __future__ import annotations

import contextlib
import copy
import os
import random
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from tests.support.child import Child
from tests.support.pods import PATIENCE, TestPod, new_pod, properties_toml
from vault.checking import check_vault
from vault.judging import Outcome
from vault.locks import copying
from vault.pod import PodFolder
from vault.reader import open_reader
from vault.snapshot import private_snapshot, take_snapshot
from vault.store import Writer
from vault.submissions import Answer, Submission

STORED, RETRY, REPEATED = Outcome.STORED, Outcome.RETRY, Outcome.REPEATED
LIMITED_ITEMS = 8
"""How many items the slot ``limited`` may store."""

IDS = st.sampled_from([f"item-{number}" for number in range(8)])
SLOTS = st.sampled_from(["free", "limited", "doomed"])
NOTES = st.fixed_dictionaries(
    {"id": IDS | st.none()},
    optional={
        "text": st.sampled_from(["x", "y", "x" * 5000]),
        "height": st.sampled_from([1, "tall"]),
        "never": st.just("declared"),
    },
)
DECLARATIONS = st.tuples(st.just("height"), st.sampled_from(["Integer", "Text"]))
BATCHES = st.lists(st.tuples(SLOTS, NOTES | DECLARATIONS), min_size=1, max_size=6)
Batch = list[tuple[str, object]]


@dataclass
class Model:
    """What the vault holds, by the rules of its format.

    Attributes:
        stored: Slot and id to submission and receipt, in the order of storing.
        views: Slot to what it declared.
        closed: Slots that were revoked.
        policy: extend, closed or infer.
        maintainer: What pod.toml declares.
    """

    stored: dict[tuple[int, str], tuple[Submission, str | None]] = field(default_factory=dict)
    views: dict[int, dict[str, str]] = field(default_factory=dict)
    closed: set[int] = field(default_factory=set)
    policy: str = "extend"
    maintainer: dict[str, str] = field(default_factory=lambda: {"text": "Text"})

    def copy(self) -> Model:
        """A draft, for a batch that may fail."""
        return Model(
            dict(self.stored), copy.deepcopy(self.views), set(self.closed), self.policy, self.maintainer
        )

    def expect(self, submission: Submission, *, is_limited: bool) -> Outcome:
        """What must become of the next item of a batch; takes it up if it is stored."""
        slot, item = submission.slot.number, submission.item
        if slot in self.closed:
            return Outcome.CLOSED
        known = self.stored.get((slot, item.id))
        if known:
            return RETRY if known[0].item.canonical == item.canonical else Outcome.CONFLICT
        outcome, declares = self._judge(submission)
        if outcome is STORED and is_limited and sum(of == slot for of, _ in self.stored) >= LIMITED_ITEMS:
            return Outcome.FORBIDDEN
        if outcome is STORED:
            self.stored[slot, item.id] = (submission, None)
            self.views.setdefault(slot, {}).update(declares)
        return outcome

    def _judge(self, submission: Submission) -> tuple[Outcome, dict[str, str]]:
        view = self.views.get(submission.slot.number, {}) | self.maintainer
        fields, declares = submission.item.fields, {}
        if submission.item.is_declaration:
            name, kind = str(fields["propertyName"]), str(fields["valueType"])
            if name in view:
                return (REPEATED if view[name] == kind else Outcome.INVALID), {}
            return (Outcome.FORBIDDEN if self.policy == "closed" else STORED), {name: kind}
        for name, value in fields.items():
            kind = "Text" if isinstance(value, str) else "Integer"
            if name not in view and self.policy == "infer":
                declares[name] = kind
            elif view.get(name) != kind:
                return Outcome.INVALID, {}
        return STORED, declares


def copy_file(source: Path, target: Path) -> None:
    """Copy as another process does: closing vault.db in this one would drop its writer's locks."""
    subprocess.run(["cp", "--", source, target], check=True)


def members(submission: Submission) -> dict[str, object]:
    """The flat map that a submission's item is sealed as."""
    return msgspec.msgpack.decode(submission.item.canonical, type=dict[str, object])


class VaultMachine(RuleBasedStateMachine):
    """A pod and its model, side by side."""

    def __init__(self) -> None:
        super().__init__()
        self.held = contextlib.ExitStack()
        self.root = Path(self.held.enter_context(tempfile.TemporaryDirectory()))
        self.copies = 0
        self.copy_lock = contextlib.ExitStack()
        self.is_copied = False
        self.model = Model()
        self.pod = new_pod(self.root)
        self.invites = {
            "free": self.pod.invite("free"),
            "limited": self.pod.invite("limited", max_items=LIMITED_ITEMS),
            "doomed": self.pod.invite("doomed"),
        }
        self.slots = {name: self.pod.opened(invite) for name, invite in self.invites.items()}
        self.writer: Writer | None = self.pod.open_writer()

    def teardown(self) -> None:
        """At the end everything that was acknowledged is there, once, whole, and says so when asked."""
        try:
            self.end_of_copy()
            if not self.writer:
                self.writer = self.pod.open_writer()
            self.send_everything_again()
            assert self.writer.close()
            with private_snapshot(self.pod.folder.path, PATIENCE) as folder:
                self.look_at(folder)
        finally:
            self.held.close()

    # What happens to a pod

    @precondition(lambda self: self.writer)
    @rule(batch=BATCHES)
    def commit(self, batch: Batch) -> None:
        """A batch is answered as the model says."""
        submissions = self.submissions(batch)
        draft, expected = self.decide(submissions)

        answers = self.open_vault.commit(self.pod.policy, submissions)

        assert [answer.outcome for answer in answers] == expected
        self.acknowledge(draft, submissions, answers)

    @precondition(lambda self: self.writer)
    @rule(batch=BATCHES)
    def fail(self, batch: Batch) -> None:
        """Sealing fails: nothing of the batch is stored, and the writer goes on."""
        submissions = self.submissions(batch)
        _, expected = self.decide(submissions)
        writer, tools = self.open_vault, self.open_vault._tools
        writer._tools = msgspec.structs.replace(tools, entropy=no_entropy)
        with contextlib.ExitStack() as expecting:
            if STORED in expected:
                expecting.enter_context(pytest.raises(RuntimeError))
            writer.commit(self.pod.policy, submissions)
        writer._tools = tools

    @precondition(lambda self: self.writer and not self.is_copied)
    @rule(batch=BATCHES, share=st.floats(0, 1))
    def crash_in_commit(self, batch: Batch, share: float) -> None:
        """The log ends anywhere in a batch's frames: all of it is there, or nothing; nobody was answered."""
        before = self.pod.crashed(self.new_path()).folder
        submissions = self.submissions(batch)
        draft, _ = self.decide(submissions)
        size = self.open_vault._ledger.size
        self.open_vault.commit(self.pod.policy, submissions)
        crashed = self.pod.crashed(self.new_path())
        self.abandon(crashed)
        sizes = [path.stat().st_size if path.exists() else 0 for path in (before.wal, crashed.folder.wal)]
        if sizes[1] > sizes[0]:
            os.truncate(crashed.folder.wal, int(sizes[0] + share * (sizes[1] - sizes[0])))
        # log.head is written after COMMIT: at that moment it was the one before.
        crashed.folder.log_head.unlink(missing_ok=True)
        if before.log_head.exists():
            copy_file(before.log_head, crashed.folder.log_head)
        self.writer = self.pod.open_writer()
        if self.open_vault._ledger.size > size:
            self.model = draft

    @precondition(lambda self: self.writer)
    @rule()
    def crash(self) -> None:
        """SIGKILL: the files stay as they lie, the locks are gone."""
        self.abandon(self.pod.crashed(self.new_path()))

    @precondition(lambda self: not self.writer and not self.is_copied)
    @rule()
    def open(self) -> None:
        """After a crash, or after having been idle."""
        self.writer = self.pod.open_writer()

    @precondition(lambda self: self.writer)
    @rule()
    def close(self) -> None:
        """Closed unless it is copied; then it goes on."""
        is_closed = self.open_vault.close()

        assert is_closed is not self.is_copied
        if is_closed:
            self.writer = None
            assert not self.pod.folder.wal.exists()

    @precondition(lambda self: not self.is_turn_kept)
    @rule()
    def snapshot(self) -> None:
        """A copy taken at any moment is whole, and holds all that was acknowledged by then."""
        copied = take_snapshot(self.pod.folder.path, self.new_path(), PATIENCE, copy_file)
        self.look_at(copied.folder)

    @precondition(lambda self: not self.is_copied and not self.is_turn_kept)
    @rule()
    def begin_of_copy(self) -> None:
        """A long copy: until it ends, no page moves."""
        self.copy_lock.enter_context(copying(self.pod.folder.path, PATIENCE))
        self.is_copied = True

    @rule()
    def end_of_copy(self) -> None:
        """It ends, if one was being taken."""
        self.copy_lock.close()
        self.is_copied = False

    @rule()
    def revoke(self) -> None:
        """One invite is revoked; that stands whatever is published later."""
        number = self.slots["doomed"].number
        if number not in self.model.closed:
            self.pod.revoke(self.invites["doomed"])
            self.model.closed.add(number)

    @rule(
        policy=st.sampled_from(["extend", "closed", "infer"]),
        height=st.sampled_from([None, "Integer", "Text"]),
    )
    def rewrite(self, policy: str, height: str | None) -> None:
        """The maintainer publishes another pod.toml."""
        declared = {"text": "Text"} | ({"height": height} if height else {})
        self.pod.rewrite(policy=policy, more=properties_toml(declared))
        self.model.policy, self.model.maintainer = policy, declared

    @rule(ms=st.integers(-200, 1000))
    def let_time_pass(self, ms: int) -> None:
        """Or go back: clocks are set."""
        self.pod.clock.ms += ms

    # How it is looked at

    @property
    def open_vault(self) -> Writer:
        """The writer, where a precondition says that there is one."""
        assert self.writer
        return self.writer

    @property
    def is_turn_kept(self) -> bool:
        """Whether the writer waits to move its log, so that no copy begins before."""
        return self.writer is not None and self.writer._is_turn_kept

    def new_path(self) -> Path:
        """A path that nothing is at."""
        self.copies += 1
        return self.root / f"copy-{self.copies}"

    def submissions(self, batch: Batch) -> list[Submission]:
        """What clients send."""
        return [
            self.pod.declaration(self.slots[name], *sent)
            if isinstance(sent, tuple)
            else self.pod.submission(self.slots[name], **sent)  # type: ignore[arg-type]  # what NOTES draws
            for name, sent in batch
        ]

    def decide(self, submissions: Sequence[Submission]) -> tuple[Model, list[Outcome]]:
        """What the model says of a batch."""
        draft, limited = self.model.copy(), self.slots["limited"].number
        return draft, [draft.expect(each, is_limited=each.slot.number == limited) for each in submissions]

    def acknowledge(self, draft: Model, submissions: Sequence[Submission], answers: Sequence[Answer]) -> None:
        """Take up what was answered, and hold it to its receipts."""
        for submission, answer in zip(submissions, answers, strict=True):
            if answer.outcome not in {STORED, RETRY}:
                assert answer.receipt is None
                continue
            key = (submission.slot.number, submission.item.id)
            self.pod.verify(submission, answer.receipt)
            # The first answer may have been lost in a crash: then nobody has seen a receipt yet.
            assert draft.stored[key][1] in (None, answer.receipt)
            draft.stored[key] = (submission, answer.receipt)
        self.model = draft

    def send_everything_again(self) -> None:
        """Every item that was acknowledged is a retry, with the receipt it had; or its slot is closed."""
        submissions = [submission for submission, _ in self.model.stored.values()]
        answers = self.open_vault.commit(self.pod.policy, submissions) if submissions else []
        for submission, answer in zip(submissions, answers, strict=True):
            is_closed = submission.slot.number in self.model.closed
            assert answer.outcome is (Outcome.CLOSED if is_closed else RETRY)
        self.acknowledge(self.model, submissions, answers)

    def abandon(self, crashed: TestPod) -> None:
        """Go on with a copy of the files; what had them open goes its own way."""
        self.end_of_copy()
        assert self.open_vault.close()
        self.writer, self.pod = None, crashed

    def look_at(self, folder: Path) -> None:
        """Everything acknowledged is there, in order, once, whole, and nothing else."""
        with open_reader(PodFolder(folder), self.pod.keys.identity) as reader:
            found = [(item.slot, item.members) for item in reader.items()]
            assert check_vault(reader, lambda _: None).findings == []
        expected = [(slot, members(submission)) for (slot, _), (submission, _) in self.model.stored.items()]
        assert found == expected


def no_entropy(_: int) -> bytes:
    """Stand for an operating system without randomness."""
    raise RuntimeError("no randomness")


TestVaultMachine = VaultMachine.TestCase
TestVaultMachine.settings = settings(max_examples=30, stateful_step_count=30)


def test_a_killed_writer_keeps_what_it_acknowledged(tmp_path: Path) -> None:
    """SIGKILL of a real process, ten times over one vault, at any point of its work."""
    pod = new_pod(tmp_path)
    key = pod.invite().database_key.reveal().hex()
    acknowledged = tmp_path / "acknowledged"
    for _ in range(10):
        with Child("depositor", pod.folder.path, key, acknowledged) as child:
            assert child.ask("commit") == "ok"
            child.tell("run")
            time.sleep(random.uniform(0, 0.1))  # noqa: S311 - no secret

        with pod.writer():
            pass
        assert pod.check().findings == []
        stored = [item.id for item in pod.items()]
        assert len(set(stored)) == len(stored)
        assert set(acknowledged.read_text().split()) <= set(stored)
