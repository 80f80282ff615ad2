"""Golden vectors: reading ``vault/testdata``, and expecting the failure a vector names."""

from __future__ import annotations

import json
import re
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
from _pytest.mark.structures import ParameterSet

from vault import errors

TESTDATA = Path(errors.__file__).parent / "testdata"


def load(path: str) -> dict[str, Any]:
    """Return one vector, by its path in ``vault/testdata``."""
    content: dict[str, Any] = json.loads((TESTDATA / path).read_bytes())
    return content


def vectors(folder: str) -> list[dict[str, Any]]:
    """Return the vectors that stand in a folder itself, by name of file."""
    found = [json.loads(path.read_bytes()) for path in sorted((TESTDATA / folder).glob("*.json"))]
    assert found, f"{folder} holds no vector"
    return found


def cases(folder: str) -> list[ParameterSet]:
    """Return the vectors of a folder, each under its own name."""
    return [pytest.param(vector, id=vector["name"]) for vector in vectors(folder)]


def refusal(vector: dict[str, Any]) -> AbstractContextManager[object]:
    """Expect exactly the kind of error, and the sentence, that a negative vector names."""
    kind = getattr(errors, vector["error"])
    says = vector.get("says")
    return pytest.RaisesExc(kind, match=says and re.escape(says), check=lambda found: type(found) is kind)
