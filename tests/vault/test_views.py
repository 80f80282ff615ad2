"""A slot's own view: only its contributor and the maintainer see what it declared."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.vectors import world
from vault.errors import DamagedError
from vault.keys import PodId
from vault.properties import RESERVED_NAMES, ValueType
from vault.views import open_view, seal_view

KEY = world.KEYS[1].derive("view", world.POD_ID)
names = st.from_regex(r"\A[A-Za-z][A-Za-z0-9_]{0,12}\Z").filter(
    lambda name: name.lower() not in RESERVED_NAMES
)
views = st.dictionaries(names, st.sampled_from(ValueType), max_size=20)


def _seal(own: dict[str, ValueType], slot: int = 1) -> bytes:
    return seal_view(own, KEY, pod_id=world.POD_ID, slot=slot, nonce=world.draw("nonce", 12))


@given(own=views, slot=st.integers(0, 2**32 - 1))
def test_a_view_is_read_as_it_was_sealed(own: dict[str, ValueType], slot: int) -> None:
    """Names and types, and nothing of them in clear."""
    sealed = _seal(own, slot)
    assert open_view(sealed, KEY, pod_id=world.POD_ID, slot=slot) == own
    assert all(name.encode() not in sealed for name in own if len(name) > 3)


@given(own=views, data=st.data())
def test_every_bit_of_a_view_is_authenticated(own: dict[str, ValueType], data: st.DataObject) -> None:
    """A changed view would make the server take or refuse other items."""
    sealed = bytearray(_seal(own))
    sealed[data.draw(st.integers(0, len(sealed) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(DamagedError, match="the view of slot 1 does not open"):
        open_view(bytes(sealed), KEY, pod_id=world.POD_ID, slot=1)


@pytest.mark.parametrize(
    ("pod_id", "slot"), [(world.POD_ID, 2), (PodId(bytes(32)), 1)], ids=["another slot", "another pod"]
)
def test_a_view_is_bound_to_its_slot_and_pod(pod_id: PodId, slot: int) -> None:
    """Even under one key: whoever writes the file moves no view to another slot."""
    with pytest.raises(DamagedError, match="does not open"):
        open_view(_seal({"height": ValueType.REAL}), KEY, pod_id=pod_id, slot=slot)


@given(sealed=st.binary())
def test_any_bytes_are_no_view(sealed: bytes) -> None:
    """Shorter than a tag or longer than a vault."""
    with pytest.raises(DamagedError):
        open_view(sealed, KEY, pod_id=world.POD_ID, slot=1)


def test_the_largest_view_is_small() -> None:
    """512 names of 64 letters: what one slot can make the server read at each opening."""
    own = {f"n{number:063}": ValueType.DATETIME for number in range(512)}
    sealed = _seal(own)
    assert len(sealed) < 41_000
    assert open_view(sealed, KEY, pod_id=world.POD_ID, slot=1) == own
