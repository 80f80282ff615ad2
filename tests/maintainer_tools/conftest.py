"""A pod at home, and a folder of one's own to work in."""

from __future__ import annotations

from pathlib import Path

import pytest

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
