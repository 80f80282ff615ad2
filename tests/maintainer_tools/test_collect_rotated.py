"""`collect` after a rotation: what was acknowledged under earlier keys comes in all the same."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from maintainer_tools import collect as collecting
from maintainer_tools.deployed import keep_deployed
from tests.support.functions import Function, new_function, put
from tests.support.maintaining import Ended, run, succeed
from tests.support.pods import make_pod
from vault.errors import StorageError
from vault.identity_file import write_identity
from vault.slots import OpenedSlot

STORE = Path("store")
BEFORE = Path("plants/identity.before")


@pytest.fixture
def function(tmp_path: Path) -> Function:
    """A function of the pod in the home ``plants``; it is not deployed again when keys change."""
    STORE.mkdir()
    return new_function(make_pod(Path("plants"), policy="infer"), tmp_path / "scratch")


@pytest.fixture
def slot(function: Function) -> OpenedSlot:
    """A slot of it."""
    return function.pod.slot()


def fill(function: Function, slot: OpenedSlot, *ids: str) -> None:
    """Put items into the store."""
    keep_deployed(Path("plants"), function.pod.policy)
    for item_id in ids:
        put(STORE, function.send(slot, id=item_id, text="x"))


def collect(*more: str) -> Ended:
    """Run it."""
    return run("collect", "plants", "--from", STORE, *more)


def ids() -> list[str]:
    """Every id, sorted."""
    return sorted(json.loads(line)["id"] for line in succeed("ls", "plants", "--json").lines)


def test_a_file_key_that_was_replaced_opens_what_it_sealed(function: Function, slot: OpenedSlot) -> None:
    """Before it, and after it until the function is deployed again; twice."""
    fill(function, slot, "item-1")
    ended = succeed("rotate", "plants", "--file-key")
    assert "A function goes on with the keys it was deployed with" in ended.err
    fill(function, slot, "item-2")
    succeed("rotate", "plants", "--file-key")

    assert (collect().code, ids()) == (0, ["item-1", "item-2"])
    assert collect("--again").code == 0
    succeed("check", "plants")


def test_what_no_key_opens_is_damaged(function: Function, slot: OpenedSlot) -> None:
    """Earlier keys are tried, and that is all."""
    fill(function, slot, "item-1")
    succeed("rotate", "plants", "--file-key")
    (path,) = (each for each in STORE.rglob("*") if each.is_file())
    content = bytearray(path.read_bytes())
    content[100] ^= 1
    path.write_bytes(content)

    ended = collect()
    assert (ended.code, ended.out.split()[0]) == (3, "damaged")


def test_an_identity_that_was_replaced_opens_what_was_sealed_to_it(
    function: Function, slot: OpenedSlot
) -> None:
    """Then it is wrapped for the new one, which needs the old one no more."""
    fill(function, slot, "item-1", "item-2")
    ended = succeed("rotate", "plants", "--identity")
    assert "identity.before until that is done" in ended.err

    ended = collect()
    assert ended.code == 0, ended.err
    assert "Added 2 keys of batches" in ended.err
    BEFORE.unlink()
    assert ids() == ["item-1", "item-2"]
    assert "needed" not in collect().err
    succeed("check", "plants")


@pytest.mark.parametrize("keys", [("--identity", "--file-key"), ("--file-key", "--identity")])
def test_both_were_replaced(function: Function, slot: OpenedSlot, keys: tuple[str, str]) -> None:
    """In the second order the first file key is sealed to the old identity alone."""
    fill(function, slot, "item-1")
    for key in keys:
        succeed("rotate", "plants", key)

    assert (collect().code, ids()) == (0, ["item-1"])


def test_without_the_old_identity_it_stays_in_the_store(function: Function, slot: OpenedSlot) -> None:
    """Until it is put back, or opens."""
    fill(function, slot, "item-1")
    succeed("rotate", "plants", "--identity")
    kept = BEFORE.rename("kept")
    ended = collect()
    assert (ended.code, ended.out.split()[0]) == (3, "wrong_key")

    write_identity(BEFORE, function.pod.keys.identity, "hush", os.urandom)
    ended = collect()
    assert (ended.code, ended.out.split()[0]) == (3, "wrong_key")
    assert "identity.before does not open, so what is sealed to it is not taken" in ended.err

    kept.replace(BEFORE)
    assert (collect().code, ids()) == (0, ["item-1"])


def test_a_run_that_was_killed_before_it_wrapped_is_made_good(
    function: Function, slot: OpenedSlot, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next one wraps what it finds, though it takes nothing in."""

    def fail(*_: object) -> int:
        raise StorageError("the disk failed")

    fill(function, slot, "item-1")
    succeed("rotate", "plants", "--identity")
    with monkeypatch.context() as failing:
        failing.setattr(collecting, "rewrap_alone", fail)
        assert collect().code == 26
    assert run("ls", "plants").code == 12

    ended = collect()
    assert ended.code == 0
    assert "Collected 0 items; 1 were here before." in ended.err
    assert ids() == ["item-1"]


def test_a_collection_that_fails_says_what_it_did(
    function: Function, slot: OpenedSlot, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was taken is stored, and counted."""
    fill(function, slot, "item-1", "item-2")
    monkeypatch.setattr(collecting, "SEGMENTS_AT_ONCE", 1)
    look = collecting._Run._look

    def fail_at_the_second(self: collecting._Run, key: str, content: bytes) -> None:
        if self._collector.told.taken:
            raise StorageError("the store failed")
        look(self, key, content)

    monkeypatch.setattr(collecting._Run, "_look", fail_at_the_second)
    ended = collect()
    assert ended.code == 26
    assert "Collected 1 items; 0 were here before." in ended.err
