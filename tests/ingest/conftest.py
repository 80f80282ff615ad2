"""A pod, an invite into it, and a server that has its vault open for as long as a test lasts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.pods import TestPod, new_pod
from tests.support.server import Server, serving
from vault.links import Invite


@pytest.fixture
def pod(tmp_path: Path) -> TestPod:
    """A pod of its own."""
    return new_pod(tmp_path)


@pytest.fixture
def invite(pod: TestPod) -> Invite:
    """Into that pod, issued before it is served."""
    return pod.invite()


@pytest.fixture
def server(pod: TestPod, invite: Invite) -> Iterator[Server]:  # noqa: ARG001  # is there when it starts
    """A server of that pod, whose vault stays open."""
    with serving(pod.folder.path, options=["--idle-seconds", "60"]) as server:
        yield server
