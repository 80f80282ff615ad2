"""Holding: home gets the vault alone, and leaves nothing behind."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.support.pods import FakeClock, TestPod
from vault.errors import LockedError
from vault.holding import HOLD_MS, hold
from vault.locks import Lock, Patience, hold_vault
from vault.requests import Hold, list_requests, read_request, requests_folder

TIMEOUT_SECONDS = 5.0


class _Waits:
    """A clock that moves by waiting, and what happens meanwhile."""

    def __init__(self) -> None:
        self.now = 0.0
        self.open: list[Lock] = []

    def sleep(self, seconds: float) -> None:
        """The server looks after a second of this."""
        self.now += seconds
        if self.now > 1:
            while self.open:
                self.open.pop().close()

    @contextmanager
    def holding(self, pod: TestPod) -> Iterator[Lock]:
        """Hold a pod's vault."""
        patience = Patience(TIMEOUT_SECONDS, lambda: self.now, self.sleep)
        with hold(
            pod.folder,
            pod.policy.pod_id,
            pod.keys.identity,
            entropy=os.urandom,
            now_ms=FakeClock(),
            patience=patience,
        ) as lock:
            yield lock


def test_home_waits_until_the_vault_is_let_go_of(pod: TestPod) -> None:
    """The request lies there meanwhile, signed, and is gone afterwards, as is the lock."""
    waits = _Waits()
    waits.open.append(hold_vault(pod.folder.path))
    with waits.holding(pod):
        (found,) = list_requests(pod.folder).found
        asked = read_request(found, pod_id=pod.policy.pod_id, signers=pod.policy.signers)
        assert asked == Hold(FakeClock().ms + round(TIMEOUT_SECONDS * 1000) + HOLD_MS)
        assert waits.now > 1
        with pytest.raises(LockedError):
            hold_vault(pod.folder.path)
    assert os.listdir(requests_folder(pod.folder)) == []
    hold_vault(pod.folder.path).close()


def test_a_vault_nobody_has_open_is_held_at_once(pod: TestPod) -> None:
    """No server runs, or it is idle."""
    waits = _Waits()
    with waits.holding(pod) as lock:
        assert waits.now == 0
        lock.close()
        hold_vault(pod.folder.path).close()


def test_home_does_not_wait_for_ever(pod: TestPod) -> None:
    """Another tool has it, or an earlier server that knows no requests."""
    waits = _Waits()
    with (
        hold_vault(pod.folder.path),
        pytest.raises(LockedError, match="asked to let go"),
        waits.holding(pod),
    ):
        raise AssertionError("unreachable")
    assert waits.now >= TIMEOUT_SECONDS
    assert os.listdir(requests_folder(pod.folder)) == []


def test_whatever_happens_meanwhile_the_request_is_removed(pod: TestPod) -> None:
    """A tool that fails must not stop the server."""
    with pytest.raises(ZeroDivisionError), _Waits().holding(pod):
        raise ZeroDivisionError
    assert os.listdir(requests_folder(pod.folder)) == []
    hold_vault(pod.folder.path).close()
