"""The golden vectors of recovery shares: read as a maintainer's tools read them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from maintainer_tools.drills import RECORD_FILE, read_record
from maintainer_tools.given_shares import fitting
from maintainer_tools.share_sheets import Sheet
from maintainer_tools.shares import Share, join, read_share
from tests.support.vectors import cases, refusal
from vault.keys import PodId

Vector = dict[str, Any]


def _facts(share: Share) -> Vector:
    return {"set": share.set, "number": share.number, "needs": share.needs}


@pytest.mark.parametrize("vector", cases("recovery/shares"))
def test_shares(vector: Vector) -> None:
    """Words, as somebody wrote them down."""
    if "error" in vector:
        with refusal(vector):
            read_share(vector["words"])
        return
    assert _facts(read_share(vector["words"])).items() <= vector.items()


@pytest.mark.parametrize("vector", cases("recovery/sheets"))
def test_sheets(vector: Vector) -> None:
    """A sheet, or words alone, that somebody hands in for a pod."""
    pod_id = PodId(bytes.fromhex(vector["pod_id"]))
    if "error" in vector:
        with refusal(vector):
            fitting(vector["text"], [], pod_id)
        return
    sheet = fitting(vector["text"], [], pod_id)
    assert _facts(sheet.share).items() <= vector.items()
    assert sheet.pod_id == (pod_id if vector["names_pod"] else None)


@pytest.mark.parametrize("vector", cases("recovery/sets"))
def test_sets(vector: Vector) -> None:
    """Shares one after the other; what they make."""
    if "error" in vector:
        with refusal(vector):
            join([read_share(words) for words in vector["shares"]])
        return
    sheets: list[Sheet] = []
    for words in vector["shares"]:
        sheets.append(fitting(words, sheets, PodId(bytes(32))))
    assert join([sheet.share for sheet in sheets]).reveal().hex() == vector["identity"]


@pytest.mark.parametrize("vector", cases("recovery/records"))
def test_records(vector: Vector, tmp_path: Path) -> None:
    """What a home remembers of them."""
    (tmp_path / RECORD_FILE).write_text(vector["content"])
    if "error" in vector:
        with refusal(vector):
            read_record(tmp_path)
        return
    found = msgspec.structs.asdict(read_record(tmp_path))
    assert {name: value for name, value in found.items() if value is not None} == vector["record"]
