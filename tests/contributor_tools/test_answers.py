"""What a server's answer means to the sender."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contributor_tools.answers import Accepted, Refused, Reply, TryLater, judge

ID = "abcdefghijklmnopqrstuv"


def test_the_items_id_with_200_means_kept() -> None:
    """The wire's answer is one bare JSON string."""
    reply = Reply(200, f'"{ID}"'.encode(), receipt="cmVjZWlwdA==")
    assert judge(reply, ID) == Accepted(ID, "cmVjZWlwdA==")
    assert judge(Reply(200, b'"made"'), None) == Accepted("made")


@pytest.mark.parametrize("body", [b"", b"ok", b'"other-id"', b"{}", b'""', b"<html>", b'"\xff"', b"null"])
def test_200_with_anything_else_is_no_pod(body: bytes) -> None:
    """A captive portal answers 200 to everything; believing it would lose every item."""
    outcome = judge(Reply(200, body), ID)
    assert isinstance(outcome, Refused)
    assert not outcome.is_about_item
    assert not outcome.is_about_permission
    assert "no pod" in outcome.sentence


@pytest.mark.parametrize("status", [400, 409, 413])
def test_some_refusals_are_about_the_item(status: int) -> None:
    """The next row may well be accepted."""
    outcome = judge(Reply(status, b"Failure: culmenDepthMm: text was expected"), ID)
    assert outcome == Refused(status, "culmenDepthMm: text was expected")
    assert isinstance(outcome, Refused)
    assert outcome.is_about_item


@pytest.mark.parametrize("status", [301, 308, 401, 403, 404, 405, 418, 500, 599])
def test_other_refusals_are_not(status: int) -> None:
    """They would refuse every row alike."""
    outcome = judge(Reply(status, b""), ID)
    assert isinstance(outcome, Refused)
    assert not outcome.is_about_item
    assert outcome.is_about_permission is (status == 403)
    assert outcome.sentence


@pytest.mark.parametrize("status", [408, 429, 502, 503, 504, 507])
def test_some_answers_mean_not_now(status: int) -> None:
    """Rates, restarts, proxies and full disks pass."""
    outcome = judge(Reply(status, b"Failure: later", "7"), ID)
    assert outcome == TryLater("later", 7.0)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("0", 0.0), ("120", 120.0), ("-1", None), ("1e9", None), ("²", None), ("9" * 30, None), (None, None)],
)
def test_retry_after_is_whole_seconds_or_nothing(header: str | None, seconds: float | None) -> None:
    """Our own delays serve where the header does not."""
    assert judge(Reply(503, b"", header), ID) == TryLater("the server answered with status 503", seconds)


def test_a_proxys_page_is_not_shown() -> None:
    """Only the wire's own sentences are worth a line."""
    outcome = judge(Reply(502, b"<html>" + b"x" * 5000), ID)
    assert outcome == TryLater("the server answered with status 502")


def test_a_long_sentence_is_cut() -> None:
    """A hostile server must not fill the screen."""
    outcome = judge(Reply(400, b"Failure: " + b"x" * 5000), ID)
    assert isinstance(outcome, Refused)
    assert len(outcome.sentence) <= 300


@given(
    st.integers(200, 599), st.binary(max_size=400), st.none() | st.text(max_size=12), st.none() | st.just(ID)
)
def test_any_answer_has_a_meaning(status: int, body: bytes, retry: str | None, sent_id: str | None) -> None:
    """No answer may end in a traceback, and only the id itself means kept."""
    outcome = judge(Reply(status, body, retry), sent_id)
    if isinstance(outcome, Accepted):
        assert status == 200
        assert body.strip().startswith(b'"')
    else:
        assert outcome.sentence is not None
