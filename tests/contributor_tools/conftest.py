"""A small table to send, and a receipt that was kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.receipts import Kept, keep

PLANTS = "Latin name,Height (cm)\nRosa canina,120\nRosa rugosa,95\n"


@pytest.fixture
def plants(tmp_path: Path) -> Path:
    """A small table."""
    path = tmp_path / "plants.csv"
    path.write_text(PLANTS)
    return path


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    """A contributor's files, and the pod they are from."""
    return keep(tmp_path)
