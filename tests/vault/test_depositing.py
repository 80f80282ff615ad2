"""A function's half: the same judgement and sealing as a server's, as far as no vault is needed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.functions import Function, new_function
from tests.support.pods import new_pod
from vault.depositing import answer_stored, decide_alone, require_functions
from vault.errors import DamagedError, MalformedError, PolicyError
from vault.invites import list_function
from vault.judging import Outcome
from vault.objects import encode_tags, name_in_key
from vault.opening import open_batch
from vault.promises import decode_promise
from vault.segment_reading import read_segment, verify_segment
from vault.submissions import Submission


def function_of(tmp_path: Path, policy: str = "infer") -> Function:
    """A function of a new pod."""
    return new_function(new_pod(tmp_path, policy), tmp_path / "scratch")


def decided(function: Function, submission: Submission) -> Outcome:
    """What a function decides now."""
    return decide_alone(function.pod.policy, submission, function.pod.clock()).outcome


def test_a_deposit_is_what_home_opens(tmp_path: Path) -> None:
    """Key, segment, tags and promise are of one item, and its maintainer reads it."""
    function = function_of(tmp_path)
    pod, slot = function.pod, function.pod.slot()
    submission = pod.submission(slot, text="x")
    assert decided(function, submission) is Outcome.STORED
    deposit = function.deposit(slot, submission)
    segment = read_segment(deposit.content, pod.keys.file_key, function.scratch)
    verified = verify_segment(segment, {pod.policy.digest: pod.policy}.get, pod.policy.pod_id)
    (opened,) = open_batch(pod.keys.identity, verified.header, segment.wraps, [segment.items[0].sealed])
    assert (opened.canonical, opened.slot) == (submission.item.canonical, slot.number)
    assert name_in_key(deposit.key, pod.policy.pod_id) == segment.items[0].name == submission.name
    assert encode_tags(decode_promise(deposit.promise)) == deposit.tags
    assert verified.header.ms == pod.clock()


def test_the_same_id_leads_to_the_same_key_and_another_slots_does_not(tmp_path: Path) -> None:
    """So one writer wins, and nobody finds out what another sent."""
    function = function_of(tmp_path)
    one, other = function.pod.slot("one"), function.pod.slot("other")
    first = function.send(one, id="item-1", text="x")
    again = function.send(one, id="item-1", text="another")
    assert first.key == again.key != function.send(other, id="item-1", text="x").key


def test_two_deposits_of_one_item_are_sealed_apart(tmp_path: Path) -> None:
    """A data key serves once."""
    function = function_of(tmp_path)
    slot = function.pod.slot()
    submission = function.pod.submission(slot, id="item-1", text="x")
    one, two = function.deposit(slot, submission), function.deposit(slot, submission)
    assert one.tags["digest"] != two.tags["digest"]
    assert one.tags["c"] == two.tags["c"]


@pytest.mark.parametrize(
    ("policy", "payload", "outcome"),
    [
        ("infer", {"new": 1.5}, Outcome.STORED),
        ("infer", {"text": 1}, Outcome.INVALID),
        ("closed", {"text": "x"}, Outcome.STORED),
        ("closed", {"new": 1}, Outcome.INVALID),
        ("closed", {"type": "Other"}, Outcome.FORBIDDEN),
        ("closed", {"text": "x" * 100}, Outcome.FORBIDDEN),
    ],
)
def test_what_needs_no_vault_is_decided(
    tmp_path: Path, policy: str, payload: dict[str, Any], outcome: Outcome
) -> None:
    """As a server decides it."""
    function = function_of(tmp_path, policy)
    slot = function.pod.slot(types=("Note",), max_item_bytes=90, max_items=1)
    assert decided(function, function.pod.submission(slot, **payload)) is outcome


def test_declarations_are_decided_by_the_policy(tmp_path: Path) -> None:
    """Known ones are repeated; new ones are stored where the pod infers, and forbidden where it is closed."""
    for policy, outcome in (("infer", Outcome.STORED), ("closed", Outcome.FORBIDDEN)):
        (tmp_path / policy).mkdir()
        function = function_of(tmp_path / policy, policy)
        slot = function.pod.slot()
        assert decided(function, function.pod.declaration(slot, "text", "Text")) is Outcome.REPEATED
        assert decided(function, function.pod.declaration(slot, "new", "Real")) is outcome


def test_a_closed_slot_stores_nothing(tmp_path: Path) -> None:
    """Revoked, expired, or of a policy that never had it."""
    function = function_of(tmp_path)
    pod = function.pod
    before = pod.policy
    invite = pod.invite("short", expires=pod.clock() + 1)
    submission = pod.submission(pod.opened(invite), text="x")
    assert decided(function, submission) is Outcome.STORED
    assert decide_alone(before, submission, pod.clock()).outcome is Outcome.CLOSED
    pod.clock.ms += 1
    assert decided(function, submission) is Outcome.CLOSED
    other = pod.invite("revoked")
    submission = pod.submission(pod.opened(other), text="x")
    pod.revoke(other)
    assert decided(function, submission) is Outcome.CLOSED


def test_functions_need_their_policy(tmp_path: Path) -> None:
    """Asked once, at the start: else every promise would be void."""
    function = function_of(tmp_path)
    require_functions(function.pod.policy, function.key.public)
    for key in (bytes(32), function.pod.keys.log_key.public):
        with pytest.raises(PolicyError, match="does not list this function's log key"):
            require_functions(function.pod.policy, key)
    function.pod.rewrite(policy="extend")
    with pytest.raises(PolicyError, match="use closed or infer"):
        require_functions(function.pod.policy, function.key.public)


def test_a_key_is_listed_once(tmp_path: Path) -> None:
    """One key has one kind: who signs checkpoints is no function."""
    function = function_of(tmp_path)
    for key in (function.key, function.pod.keys.log_key):
        with pytest.raises(MalformedError, match="listed already"):
            list_function(function.pod.policy, function.pod.keys.identity, key.public)
    assert function.pod.policy.vault_logs == [function.pod.keys.log_key.public]


def test_a_retry_is_given_the_first_promise_and_another_content_conflicts(tmp_path: Path) -> None:
    """From the tags alone; no right to read the object is needed."""
    function = function_of(tmp_path)
    pod, slot = function.pod, function.pod.slot()
    submission = pod.submission(slot, id="item-1", text="x")
    first = function.deposit(slot, submission)
    pod.clock.ms += 5_000
    pod.rewrite(policy="infer", more="# edited\n")
    answer = answer_stored(pod.policy, submission, first.tags)
    assert (answer.outcome, answer.promise) == (Outcome.RETRY, first.promise)
    other = answer_stored(pod.policy, pod.submission(slot, id="item-1", text="y"), first.tags)
    assert (other.outcome, other.promise) == (Outcome.CONFLICT, None)
    assert other.sentence


def test_tags_that_no_function_signed_decide_nothing(tmp_path: Path) -> None:
    """Who may set tags could else tell a contributor that an item is stored, or that it is not."""
    function = function_of(tmp_path)
    pod, slot = function.pod, function.pod.slot()
    submission = pod.submission(slot, id="item-1", text="x")
    tags = function.deposit(slot, submission).tags
    other = function.send(slot, id="item-2", text="x").tags
    for forged in (
        tags | {"c": other["c"]},
        tags | {"digest": other["digest"]},
        tags | {"signature": other["signature"]},
    ):
        with pytest.raises(DamagedError):
            answer_stored(pod.policy, submission, forged)
    with pytest.raises(MalformedError):
        answer_stored(pod.policy, submission, {})
