"""Erasures: only a signer's word for exactly this item stands in its place."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.vectors import world
from tests.vectors.batches import header_of
from vault.encoding import pae
from vault.erasures import erasure_bytes, verify_erasure
from vault.errors import DamagedError, FormatTooNewError, MalformedError

HEADER = header_of(b"", [b""] * 3)
DIGEST = world.draw("digest")
SIGNERS = [world.IDENTITY.signer]


def _statement(index: int, ms: int) -> bytes:
    signed = erasure_bytes(HEADER, index, DIGEST, ms)
    return pae(signed, world.IDENTITY.signer, world.IDENTITY.sign(signed))


@given(index=st.integers(0, 511), ms=st.integers(0, 2**63 - 1))
def test_a_signed_statement_is_accepted(index: int, ms: int) -> None:
    """And says when."""
    statement = _statement(index, ms)
    assert verify_erasure(statement, header=HEADER, index=index, digest=DIGEST, signers=SIGNERS) == ms


@given(data=st.data())
def test_every_byte_of_a_statement_counts(data: st.DataObject) -> None:
    """What is signed, by whom, and the signature."""
    statement = bytearray(_statement(1, 5))
    statement[data.draw(st.integers(0, len(statement) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises((MalformedError, DamagedError, FormatTooNewError)):
        verify_erasure(bytes(statement), header=HEADER, index=1, digest=DIGEST, signers=SIGNERS)


@given(statement=st.binary() | st.lists(st.binary(max_size=40), max_size=4).map(lambda fields: pae(*fields)))
def test_any_bytes_are_no_statement(statement: bytes) -> None:
    """A server may put anything in its place."""
    with pytest.raises((MalformedError, DamagedError)):
        verify_erasure(statement, header=HEADER, index=1, digest=DIGEST, signers=SIGNERS)


def test_nobody_signs_where_nobody_may() -> None:
    """An empty list of signers accepts nothing."""
    with pytest.raises(DamagedError, match="not signed by a maintainer"):
        verify_erasure(_statement(1, 5), header=HEADER, index=1, digest=DIGEST, signers=[])
