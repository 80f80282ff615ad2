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


def load(file: str) -> dict[str, Any]:
    """Return the content of one file of vectors."""
    content: dict[str, Any] = json.loads((TESTDATA / file).read_bytes())
    return content


def cases(file: str, section: str = "vectors") -> list[ParameterSet]:
    """Return the vectors of one section, each under its own name."""
    return [pytest.param(vector, id=vector["name"]) for vector in load(file)[section]]


def refusal(vector: dict[str, Any]) -> AbstractContextManager[object]:
    """Expect exactly the kind of error, and the sentence, that a negative vector names."""
    kind = getattr(errors, vector["error"])
    says = vector.get("says")
    return pytest.RaisesExc(kind, match=says and re.escape(says), check=lambda found: type(found) is kind)
