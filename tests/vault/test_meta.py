"""The rows of meta: a vault says whose it is and which epoch it is in, or is not opened."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.vectors import world
from vault.encoding import le32
from vault.errors import DamagedError, ForeignPodError
from vault.meta import Meta, first_meta, parse_meta


def _rows(epoch: int = 1, **more: bytes) -> dict[str, bytes]:
    return first_meta(world.POD_ID) | {"epoch": le32(epoch)} | more


def _ends(count: int) -> dict[str, bytes]:
    return {f"epoch/{number}": b"note %d" % number for number in range(1, count + 1)}


def test_a_new_vault_is_in_its_first_epoch() -> None:
    """Three rows, numbers as LE32."""
    assert first_meta(world.POD_ID) == {"format": le32(1), "pod_id": world.POD_ID, "epoch": le32(1)}
    assert parse_meta(first_meta(world.POD_ID), world.POD_ID) == Meta(world.POD_ID, 1, {})


@given(epoch=st.integers(1, 20))
def test_the_end_of_every_earlier_epoch_is_kept(epoch: int) -> None:
    """Receipts of before a repair are checked against it."""
    meta = parse_meta(_rows(epoch, **_ends(epoch - 1)), world.POD_ID)
    assert meta.epoch == epoch
    assert meta.earlier == {number: b"note %d" % number for number in range(1, epoch)}


def test_rows_of_another_name_are_passed_over() -> None:
    """Leading zeros and more digits than an epoch has are other names."""
    rows = _rows(
        1, **{"epoch/0": b"", "epoch/01": b"", "epoch/1000000000": b"", "epoch/1\n": b"", "hat": b""}
    )
    assert parse_meta(rows, world.POD_ID).earlier == {}


@pytest.mark.parametrize(
    "rows",
    [
        _rows(0),
        _rows(2),
        _rows(1, **_ends(1)),
        _rows(3, **_ends(1)),
        _rows(2, **{"epoch/2": b""}),
        _rows(2**32 - 1),
        _rows() | {"epoch": b""},
        _rows() | {"epoch": bytes(8)},
        {name: value for name, value in _rows().items() if name != "epoch"},
    ],
)
def test_an_epoch_that_does_not_add_up_is_damage(rows: dict[str, bytes]) -> None:
    """Also one that claims four billion epochs before it."""
    with pytest.raises(DamagedError, match="epoch"):
        parse_meta(rows, world.POD_ID)


@pytest.mark.parametrize("pod_id", [None, b"", world.OTHER_POD_ID, world.POD_ID[:31]])
def test_another_pods_vault_is_named_first(pod_id: bytes | None) -> None:
    """Whatever else is wrong with it."""
    rows = {"epoch": b"x"} if pod_id is None else {"epoch": b"x", "pod_id": pod_id}
    with pytest.raises(ForeignPodError, match="of another pod"):
        parse_meta(rows, world.POD_ID)
