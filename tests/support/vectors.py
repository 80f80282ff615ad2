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
from vault.policies import Policy
from vault.stored import StoredItem

TESTDATA = Path(errors.__file__).parent / "testdata"

Vector = dict[str, Any]


def load(path: str) -> Vector:
    """Return one vector, by its path in ``vault/testdata``."""
    content: Vector = json.loads((TESTDATA / path).read_bytes())
    return content


def vectors(folder: str) -> list[Vector]:
    """Return the vectors that stand in a folder itself, by name of file."""
    found = [json.loads(path.read_bytes()) for path in sorted((TESTDATA / folder).glob("*.json"))]
    assert found, f"{folder} holds no vector"
    return found


def cases(folder: str) -> list[ParameterSet]:
    """Return the vectors of a folder, each under its own name."""
    return [pytest.param(vector, id=vector["name"]) for vector in vectors(folder)]


def refusal(vector: Vector) -> AbstractContextManager[object]:
    """Expect exactly the kind of error, and the sentence, that a negative vector names."""
    kind = getattr(errors, vector["error"])
    says = vector.get("says")
    return pytest.RaisesExc(kind, match=says and re.escape(says), check=lambda found: type(found) is kind)


def unhex(text: str) -> bytes:
    """Hexadecimal, as vectors hold bytes."""
    return bytes.fromhex(text)


def item_facts(item: StoredItem) -> Vector:
    """A stored item, as vectors and other readers show one."""
    return {
        "seq": item.seq,
        "batch": item.batch,
        "ms": item.ms,
        "slot": item.slot,
        "slot_name": item.slot_name,
        "members": item.members,
    }


def policy_facts(policy: Policy) -> Vector:
    """A policy that was accepted, as vectors show one."""
    return {
        "revision": policy.revision,
        "digest": policy.digest.hex(),
        "pod_id": policy.pod_id.hex(),
        "recipients": [recipient.kid.hex() for recipient in policy.recipients],
        "signer": policy.signer.hex(),
        "signers": [key.hex() for key in policy.signers],
        "vault_logs": [key.hex() for key in policy.vault_logs],
        "function_logs": [key.hex() for key in policy.function_logs],
        "open_slots": [slot.number for slot in policy.slots if slot.is_open],
        "closed_slots": [slot.number for slot in policy.slots if not slot.is_open],
    }
