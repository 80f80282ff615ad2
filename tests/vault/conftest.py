"""What the tests of a vault's rows share."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.pods import TestPod, new_pod


@pytest.fixture
def pod(tmp_path: Path) -> TestPod:
    """An empty pod that lets contributors declare; a Note may have a Text named ``text``."""
    return new_pod(tmp_path)
