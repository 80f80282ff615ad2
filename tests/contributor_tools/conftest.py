"""A small table to send."""

from __future__ import annotations

from pathlib import Path

import pytest

PLANTS = "Latin name,Height (cm)\nRosa canina,120\nRosa rugosa,95\n"


@pytest.fixture
def plants(tmp_path: Path) -> Path:
    """A small table."""
    path = tmp_path / "plants.csv"
    path.write_text(PLANTS)
    return path
