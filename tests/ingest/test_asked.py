"""What is asked, as one look after another finds it: read when it changes, and told about once."""

from __future__ import annotations

import os
from pathlib import Path

from ingest.asked import Asked, Asking
from tests.support.pods import START_MS, TestPod
from vault.errors import DamagedError, StorageError
from vault.opening import Identity
from vault.requests import MOST_REQUESTS, Erase, Hold, Request, requests_folder, sign_request, write_request

HOLD = Hold(START_MS + 1_000)


def _ask(pod: TestPod, request: Request, identity: Identity | None = None) -> Path:
    request_id = os.urandom(16)
    content = sign_request(pod.policy.pod_id, request_id, request, identity or pod.keys.identity)
    write_request(pod.folder, request_id, content)
    return requests_folder(pod.folder) / request_id.hex()


def _looked(asking: Asking, pod: TestPod) -> Asked:
    asked = asking.look(pod.policy)
    assert asked is not None
    return asked


def test_only_what_changed_is_read(pod: TestPod) -> None:
    """A look at the same files says nothing; a file more, or one less, and all of them count anew."""
    asking = Asking(pod.folder)
    assert _looked(asking, pod) == Asked((), frozenset(), ())
    assert asking.look(pod.policy) is None
    held = _ask(pod, HOLD)
    assert _looked(asking, pod).holds == (HOLD,)
    _ask(pod, Erase(()))
    asked = _looked(asking, pod)
    assert (asked.holds, len(asked.erasing)) == ((HOLD,), 1)
    held.unlink()
    assert _looked(asking, pod).holds == ()


def test_another_policy_judges_anew(pod: TestPod) -> None:
    """Its signers may be others."""
    asking = Asking(pod.folder)
    _ask(pod, HOLD)
    assert _looked(asking, pod).holds == (HOLD,)
    pod.invite()
    assert _looked(asking, pod).holds == (HOLD,)


def test_a_file_that_is_no_request_is_told_about_once(pod: TestPod) -> None:
    """Not again because another came."""
    asking = Asking(pod.folder)
    _ask(pod, HOLD, Identity(bytes(32)))
    assert [type(error) for error in _looked(asking, pod).refusals] == [DamagedError]
    _ask(pod, HOLD)
    asked = _looked(asking, pod)
    assert (asked.holds, asked.refusals) == ((HOLD,), ())


def test_a_folder_that_cannot_be_listed_is_told_about_once(pod: TestPod) -> None:
    """And asks for nothing; put right, it is read."""
    asking = Asking(pod.folder)
    _ask(pod, HOLD)
    assert _looked(asking, pod).holds == (HOLD,)
    away = requests_folder(pod.folder).rename(pod.folder.path / "away")
    requests_folder(pod.folder).symlink_to(away)
    asked = _looked(asking, pod)
    assert (asked.holds, [type(error) for error in asked.refusals]) == ((), [StorageError])
    assert asking.look(pod.policy) is None
    requests_folder(pod.folder).unlink()
    away.rename(requests_folder(pod.folder))
    assert _looked(asking, pod).holds == (HOLD,)


def test_more_files_than_are_looked_at_are_said(pod: TestPod) -> None:
    """Before all else: the log takes so many lines a second."""
    requests_folder(pod.folder).mkdir()
    for number in range(MOST_REQUESTS + 1):
        (requests_folder(pod.folder) / number.to_bytes(16, "big").hex()).touch()
    refusals = _looked(Asking(pod.folder), pod).refusals
    assert len(refusals) == MOST_REQUESTS + 1
    assert "more files than" in str(refusals[0])
