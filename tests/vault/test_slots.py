"""Slots: what a database key opens, and that a wrap opens nowhere else."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.vectors import world
from vault.caveats import Caveats
from vault.errors import WrongKeyError
from vault.keys import DatabaseKey, FileKey, PodId
from vault.slots import Slot, lookup_of, open_slot, wrap_file_key

raw_keys = st.binary(min_size=32, max_size=32)
CAVEATS = Caveats(expires=5, types=("Note",))
KEY = world.KEYS[1]


def _slot(key: DatabaseKey, *, number: int = 1, caveats: Caveats = CAVEATS, nonce: bytes = bytes(12)) -> Slot:
    wrap = wrap_file_key(
        world.FILE_KEY,
        key.derive("wrap", world.POD_ID),
        pod_id=world.POD_ID,
        number=number,
        caveats=caveats,
        nonce=nonce,
    )
    return Slot(number, lookup_of(key, world.POD_ID), b"", caveats, wrap, is_open=True)


@given(raw=raw_keys, number=st.integers(0, 2**32 - 1), nonce=st.binary(min_size=12, max_size=12))
def test_a_slot_opens_under_its_key(raw: bytes, number: int, nonce: bytes) -> None:
    """And gives what it takes to accept its contributor's items, nothing more."""
    key = DatabaseKey(raw)
    opened = open_slot(_slot(key, number=number, nonce=nonce), key, world.POD_ID)
    assert opened.file_key == world.FILE_KEY
    assert (opened.number, opened.caveats, opened.pod_id) == (number, CAVEATS, world.POD_ID)
    assert opened.view_key == key.derive("view", world.POD_ID)
    assert opened.item_key.reveal() == key.derive("item", world.POD_ID)
    assert opened.name_key.reveal() == key.derive("name", world.POD_ID)
    assert not hasattr(opened, "database_key")


@given(at=st.integers(0, 59), mask=st.integers(1, 255))
def test_every_bit_of_a_wrap_is_authenticated(at: int, mask: int) -> None:
    """Nonce, ciphertext and tag."""
    slot = _slot(KEY)
    wrap = bytearray(slot.wrap or b"")
    wrap[at] ^= mask
    with pytest.raises(WrongKeyError, match="does not open its slot"):
        open_slot(msgspec.structs.replace(slot, wrap=bytes(wrap)), KEY, world.POD_ID)


@pytest.mark.parametrize(
    "change",
    [
        {"number": 2},
        {"caveats": Caveats()},
        {"caveats": Caveats(expires=6, types=("Note",))},
        {"caveats": Caveats(expires=5)},
    ],
)
def test_a_wrap_serves_its_own_number_and_caveats(change: dict[str, Any]) -> None:
    """Whoever edits slots.json moves no wrap and lifts no limit, even without the signature."""
    with pytest.raises(WrongKeyError):
        open_slot(msgspec.structs.replace(_slot(KEY), **change), KEY, world.POD_ID)


@pytest.mark.parametrize("change", [{"is_open": False}, {"caveats": None}, {"wrap": None}])
def test_a_closed_slot_does_not_open(change: dict[str, Any]) -> None:
    """Revoked, of an unknown state, or with a caveat nobody understands."""
    with pytest.raises(WrongKeyError, match="this slot is closed"):
        open_slot(msgspec.structs.replace(_slot(KEY), **change), KEY, world.POD_ID)


@given(raw=raw_keys, pod=raw_keys)
def test_a_lookup_tells_nothing_and_is_of_one_pod(raw: bytes, pod: bytes) -> None:
    """It stands in slots.json, which everybody may read."""
    lookup = lookup_of(DatabaseKey(raw), world.POD_ID)
    assert len(lookup) == 32
    assert lookup != raw
    assert (lookup == lookup_of(DatabaseKey(raw), PodId(pod))) is (pod == world.POD_ID)


def test_two_slots_wrap_one_file_key_differently() -> None:
    """A new invite needs no new file key."""
    one, two = (_slot(key, number=number) for number, key in ((1, world.KEYS[1]), (2, world.KEYS[2])))
    assert one.wrap != two.wrap
    assert open_slot(one, world.KEYS[1], world.POD_ID).file_key == FileKey(world.FILE_KEY.reveal())
    with pytest.raises(WrongKeyError):
        open_slot(one, world.KEYS[2], world.POD_ID)
