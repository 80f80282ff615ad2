"""What the tests of a vault's rows share."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.collecting import World, new_world
from tests.support.pods import TestPod, new_pod
from tests.support.vaultfile import make_vault


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """An empty vault, of no pod."""
    return make_vault(tmp_path)


@pytest.fixture
def pod(tmp_path: Path) -> TestPod:
    """An empty pod that lets contributors declare; a Note may have a Text named ``text``."""
    return new_pod(tmp_path)


@pytest.fixture
def used(pod: TestPod) -> TestPod:
    """A pod whose vault was closed well, with one batch of two items: item-1 and item-2."""
    slot = pod.slot()
    with pod.writer() as writer:
        writer.commit(pod.policy, [pod.submission(slot, id=f"item-{i}", text="x") for i in (1, 2)])
    return pod


@pytest.fixture
def grown(pod: TestPod) -> TestPod:
    """Five batches of one item."""
    slot = pod.slot()
    with pod.writer() as writer:
        for number in range(1, 6):
            writer.commit(pod.policy, [pod.submission(slot, id=f"item-{number}", text="x")])
    return pod


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A pod ``infer``, its function, and what home collected."""
    return new_world(tmp_path)


@pytest.fixture
def varied(pod: TestPod) -> TestPod:
    """Three batches through two slots: items 1 to 3, 4 and 5, 6."""
    one, other = pod.slot("one"), pod.slot("other")
    with pod.writer() as writer:
        first = [
            pod.submission(one, id="item-1", text="x"),
            pod.declaration(one, "height", "Integer"),
            pod.submission(one, id="item-3", height=3),
        ]
        writer.commit(pod.policy, first)
        writer.commit(pod.policy, [pod.submission(other, id=f"item-{i}", text="y") for i in (4, 5)])
        writer.commit(pod.policy, [pod.submission(one, id="item-6", text="z")])
    return pod
