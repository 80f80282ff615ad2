"""The golden vaults: read, refused, checked and appended to as their vectors say."""

from __future__ import annotations

import json
import os
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.vectors import TESTDATA, Vector, cases, item_facts, refusal, unhex
from vault.checking import check_vault
from vault.database import PolicyRow, connect_inspect, create
from vault.keys import FileKey
from vault.opening import Identity
from vault.pod import PodFolder, load_log_key
from vault.policies import load_policy
from vault.reader import open_reader
from vault.store import open_writer


@pytest.mark.parametrize("vector", cases("schema"))
def test_the_schema_is_golden(vector: Vector, tmp_path: Path) -> None:
    """Another program's vault has these tables, indexes and triggers to the letter."""
    create(tmp_path / "vault.db", FileKey(bytes(32)), meta={}, policy_row=PolicyRow(1, b"", b"", b""))
    with closing(connect_inspect(tmp_path / "vault.db", FileKey(bytes(32)))) as connection:
        rows = connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY type, name")
    assert [tuple(row.values()) for row in vector["rows"]] == rows


def _lay_out(vector: Vector, folder: Path) -> PodFolder:
    for name, source in vector["files"].items():
        (folder / name).write_bytes((TESTDATA / "vaults/files" / source).read_bytes())
    for edit in vector["edits"]:
        path = folder / edit["file"]
        path.write_bytes(_edited(path.read_bytes() if path.exists() else b"", edit))
    return PodFolder(folder)


def _edited(content: bytes, edit: Vector) -> bytes:
    if "text" in edit:
        return str(edit["text"]).encode()
    if "truncate" in edit:
        return content[: edit["truncate"]]
    if "append" in edit:
        return content + unhex(edit["append"])
    if "swap" in edit:
        one, other, size = edit["swap"]
        swapped = bytearray(content)
        swapped[one : one + size] = content[other : other + size]
        swapped[other : other + size] = content[one : one + size]
        return bytes(swapped)
    if "take" in edit:
        source, at, size = edit["take"]
        taken: bytes = (TESTDATA / "vaults/files" / source).read_bytes()[at : at + size]
        return content[:at] + taken + content[at + size :]
    at, mask = edit["xor"][0], unhex(edit["xor"][1])
    masked = bytes(a ^ b for a, b in zip(content[at:], mask, strict=False))
    return content[:at] + masked + content[at + len(mask) :]


@pytest.mark.parametrize("vector", cases("vaults/read"))
def test_vaults_are_read(vector: Vector, tmp_path: Path) -> None:
    """A whole one gives its items and passes its check; a broken one is refused before anything is given."""
    folder, identity = _lay_out(vector, tmp_path), Identity(unhex(vector["identity"]))
    if "error" in vector:
        with refusal(vector):
            open_reader(folder, identity)
        return
    with open_reader(folder, identity) as reader:
        assert json.dumps([item_facts(item) for item in reader.items()]) == json.dumps(vector["items"])
        assert (reader.warning is not None) is vector["is_warned"]
        report = check_vault(reader, lambda _: None)
    assert report.findings == []


@pytest.mark.parametrize("vector", cases("vaults/check"))
def test_a_check_finds_what_was_done_to_a_vault(vector: Vector, tmp_path: Path) -> None:
    """What opening does not look at, a check does; it says so and never falls over."""
    with open_reader(_lay_out(vector, tmp_path), Identity(unhex(vector["identity"]))) as reader:
        report = check_vault(reader, lambda _: None)
    assert any(vector["finds"] in finding for finding in report.findings), report.findings


@pytest.mark.parametrize("vector", cases("vaults/append"))
def test_vaults_are_not_appended_to(vector: Vector, tmp_path: Path) -> None:
    """Refused before a byte of vault or log is changed."""
    folder = _lay_out(vector, tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with refusal(vector):
        open_writer(
            folder,
            load_policy(folder),
            FileKey(unhex(vector["file_key"])),
            load_log_key(folder),
            now_ms=lambda: 0,
            entropy=os.urandom,
        )
    assert {name: (tmp_path / name).read_bytes() for name in before} == before
