"""What a home remembers of its recovery shares, and when it reminds of them."""

from __future__ import annotations

import os

import pytest

from maintainer_tools.drills import RECORD_FILE, STALE_DAYS, note_drilled, note_made, read_record, warning_of
from maintainer_tools.times import MS_A_DAY
from tests.support.maintaining import RECEIVED_MS, succeed
from tests.support.pods import TestPod
from vault.errors import FormatTooNewError, MalformedError, StorageError
from vault.opening import Identity

NOW_MS = RECEIVED_MS


def test_a_drill_is_good_for_a_year(pod: TestPod) -> None:
    """People move; drawers are emptied."""
    note_drilled(pod.home, pod.keys.identity, "some words", NOW_MS)

    assert warning_of(pod.home, pod.keys.identity, NOW_MS + STALE_DAYS * MS_A_DAY) is None
    warning = warning_of(pod.home, pod.keys.identity, NOW_MS + STALE_DAYS * MS_A_DAY + 1)
    assert warning
    assert "were last tried on 2025-11-21" in warning


def test_shares_of_an_earlier_identity_are_warned_of(pod: TestPod) -> None:
    """The identity was changed: the paper does not know."""
    note_drilled(pod.home, Identity(bytes(32)), "some words", NOW_MS)

    warning = warning_of(pod.home, pod.keys.identity, NOW_MS)

    assert warning
    assert "are of an earlier identity" in warning


def test_a_drill_of_another_set_forgets_when_the_first_was_made(pod: TestPod) -> None:
    """What is noted is of one set."""
    note_made(pod.home, pod.keys.identity, "some words", NOW_MS)

    note_drilled(pod.home, pod.keys.identity, "other words", NOW_MS + 1)

    record = read_record(pod.home)
    assert (record.set, record.made_ms, record.drilled_ms) == ("other words", None, NOW_MS + 1)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff",
        b"[]",
        b"{}",
        b'{"format":1,"recipient":"00","set":5}',
        b'{"format":0,"recipient":"00","set":"a b"}',
        b" " * 5000,
        b'{"format":1,"recipient":"00","set":"a b","made_ms":"then"}',
    ],
)
def test_a_record_that_is_none_is_warned_of_and_written_anew(pod: TestPod, content: bytes) -> None:
    """It must not stand in the way of a check, nor of a drill."""
    (pod.home / RECORD_FILE).write_bytes(content)

    with pytest.raises(MalformedError):
        read_record(pod.home)
    assert RECORD_FILE in succeed("check", "plants").err
    note_drilled(pod.home, pod.keys.identity, "some words", NOW_MS)
    assert warning_of(pod.home, pod.keys.identity, NOW_MS) is None


def test_a_record_of_a_later_version_is_left_alone(pod: TestPod) -> None:
    """It may say more than this program knows."""
    later = b'{"format":2,"sets":[{"set":"a b"}]}'
    (pod.home / RECORD_FILE).write_bytes(later)

    with pytest.raises(FormatTooNewError):
        note_drilled(pod.home, pod.keys.identity, "some words", NOW_MS)
    assert (pod.home / RECORD_FILE).read_bytes() == later
    assert "update this program" in succeed("check", pod.home).err


def test_a_record_that_is_no_file_is_not_followed(pod: TestPod) -> None:
    """A pipe would keep `check` waiting for ever."""
    os.mkfifo(pod.home / RECORD_FILE)

    with pytest.raises(StorageError):
        read_record(pod.home)
