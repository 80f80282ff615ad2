"""A pod at home, and a folder of one's own to work in."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.support.auditing import BATCHES, POD, TEXT
from tests.support.maintaining import put
from tests.support.pods import TestPod, make_pod
from vault.links import Invite

PROPERTIES = """
[properties]
latinName = {type = "Text", label = "Latin name"}
heightCm = {type = "Real", label = "Height (cm)"}
edible = {type = "Bool"}
seenOn = {type = "DateTime", label = "Seen on"}
count = {type = "Integer"}
"""


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands write into the current folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.delenv("SHARED_POD_PASSPHRASE_FILE", raising=False)


@pytest.fixture
def pod() -> TestPod:
    """A pod in the home ``plants``, with a few properties."""
    return make_pod(Path("plants"), more='url = "https://pod.example.org"\n' + PROPERTIES)


@pytest.fixture
def invite(pod: TestPod) -> Invite:
    """Its first invite."""
    return pod.invite("field-team")


@pytest.fixture
def yesterday(pod: TestPod, invite: Invite) -> Path:
    """A copy of the pod's files after five batches; it has eight by now, of two items each."""
    for number in range(1, BATCHES + 1):
        put(pod, invite, *({**TEXT, "id": f"item-{number}-{place}"} for place in (1, 2)))
        if number == 5:
            shutil.copytree(POD, "yesterday")
    return Path("yesterday")
