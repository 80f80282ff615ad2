"""What worker and writer say to each other: nothing lost on the way, and no key in a repr."""

from __future__ import annotations

import inspect
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.messages import (
    Closed,
    Commit,
    Committed,
    Failed,
    Frames,
    Serve,
    Warned,
    WriterFault,
    decode_reply,
    decode_request,
    error_of,
    frame,
)
from tests.support.pods import TestPod
from vault import errors
from vault.errors import VaultError
from vault.items import parse_item
from vault.judging import Outcome
from vault.properties import Scalar, ValueType, check_value
from vault.submissions import Answer, Submission, WriterSlot, submit

ALL_ERRORS = [
    kind
    for _, kind in inspect.getmembers(errors, inspect.isclass)
    if issubclass(kind, VaultError) and kind is not VaultError
]


def _content(message: Any) -> bytes:
    (content,) = Frames().feed(frame(message))
    return content


def test_a_commit_arrives_as_it_was_sent(pod: TestPod) -> None:
    """Every value keeps its type: 1 is no 1.0, and neither is true."""
    slot = pod.slot()
    payload: dict[str, Scalar | None] = {
        "text": "x",
        "count": 1,
        "real": 1.0,
        "flag": True,
        "gone": None,
        "big": -(2**63),
    }
    batch = [submit(slot, pod.item(**payload), wants_receipt=True)]
    sent = Commit((b"toml", b"json"), slot.file_key.reveal(), batch)
    found = decode_request(_content(sent))

    assert isinstance(found, Commit)
    assert found == sent
    assert {name: type(value) for name, value in found.batch[0].item.fields.items()} == {
        "text": str,
        "count": int,
        "real": float,
        "flag": bool,
        "big": int,
    }


@given(st.integers(-(2**70), 2**70) | st.integers(-(2**1023), 2**1023))
def test_an_integer_of_any_length_travels_and_is_judged_as_it_would_be_here(value: int) -> None:
    """MessagePack has 64 bits; what lies beyond them stays beyond, for every type."""
    item = parse_item({"type": "Note", "number": value}, make_id=lambda: "item-1")
    sent = Submission(WriterSlot(1, bytes(32)), item, bytes(22), bytes(32), bytes(32), wants_receipt=False)
    found = decode_request(_content(Commit(None, bytes(32), [sent])))
    assert isinstance(found, Commit)
    (arrived,) = found.batch
    assert arrived == sent
    for value_type in ValueType:
        assert _is_refused(arrived.item.fields["number"], value_type) == _is_refused(value, value_type)


def _is_refused(value: Any, value_type: ValueType) -> bool:
    try:
        check_value("number", value, value_type)
    except VaultError:
        return True
    return False


@pytest.mark.parametrize(
    "reply",
    [
        Committed(
            [Answer(Outcome.STORED, None, "receipt"), Answer(Outcome.CONFLICT, "id: taken")], 0.25, 0.125
        ),
        Closed(is_closed=False),
        Failed("DiskFullError", "no space", ""),
        Warned("log.head is missing"),
    ],
)
def test_a_reply_arrives_as_it_was_sent(reply: Any) -> None:
    """Outcomes included."""
    assert decode_reply(_content(reply)) == reply


@pytest.mark.parametrize("kind", ALL_ERRORS)
def test_an_error_of_the_vault_is_the_same_error_at_the_worker(kind: type[VaultError]) -> None:
    """Its class decides the answer's status, its sentence goes to the log."""
    found = error_of(Failed(kind.__name__, "what happened", ""))

    assert type(found) is kind
    assert str(found) == "what happened"


@pytest.mark.parametrize("name", ["ZeroDivisionError", "annotations", "VaultErrorX", "__name__"])
def test_a_foreign_error_is_a_fault_of_the_writer(name: str) -> None:
    """Whatever it is called, and never by its text."""
    found = error_of(Failed(name, "", "vault/store.py:1"))

    assert isinstance(found, WriterFault)
    assert (found.error, found.places) == (name, "vault/store.py:1")


def test_no_message_shows_a_key(pod: TestPod) -> None:
    """A repr ends in logs and in pytest's output."""
    slot = pod.slot()
    submission = submit(slot, pod.item(text="x"))
    commit = Commit(None, slot.file_key.reveal(), [submission])
    shown = "".join((repr(commit), repr(submission), repr(submission.slot)))

    for secret in (slot.file_key.reveal(), slot.view_key, slot.item_key.reveal(), slot.name_key.reveal()):
        assert repr(secret)[2:-1] not in shown
        assert secret.hex() not in shown


@given(st.lists(st.text(max_size=300)), st.integers(1, 50))
def test_frames_are_found_however_they_are_cut(sentences: list[str], size: int) -> None:
    """A stream knows no messages."""
    stream = b"".join(frame(Warned(sentence)) for sentence in sentences)
    frames = Frames()
    found = [
        decode_reply(content)
        for start in range(0, len(stream), size)
        for content in frames.feed(stream[start : start + size])
    ]

    assert found == [Warned(sentence) for sentence in sentences]


def test_a_message_of_another_kind_is_refused() -> None:
    """A worker is no writer."""
    with pytest.raises(msgspec.ValidationError):
        decode_request(_content(Warned("x")))
    with pytest.raises(msgspec.ValidationError):
        decode_reply(_content(Serve("/pod")))


def test_a_submission_is_what_its_keys_make_of_the_item(pod: TestPod) -> None:
    """The same at both ends, so that a retry is a retry whoever names it."""
    slot, item = pod.slot(), pod.item(text="x", id="item-1")
    found = submit(slot, item)

    assert found == submit(slot, item)
    assert isinstance(found, Submission)
    assert found.name != submit(pod.slot("other"), item).name
