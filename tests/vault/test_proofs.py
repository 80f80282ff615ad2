"""Log proofs: one form, and nothing believed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vault.errors import MalformedError
from vault.proofs import LogProof, format_proof, join_hashes, parse_proof, split_hashes

hashes = st.lists(st.binary(min_size=32, max_size=32), max_size=5).map(tuple)
proofs = st.builds(LogProof, st.binary(), st.integers(0, 2**63 - 1), hashes, st.binary())


@given(proof=proofs)
def test_a_proof_is_read_as_it_was_written(proof: LogProof) -> None:
    """What stands below the first empty line is the checkpoint's, whatever it is."""
    assert parse_proof(format_proof(proof), "proof") == proof


@given(text=st.binary() | proofs.map(lambda proof: format_proof(proof)[:-1]))
def test_any_bytes_give_a_proof_or_our_error(text: bytes) -> None:
    """And a proof that was read has one form."""
    try:
        proof = parse_proof(text, "proof")
    except MalformedError:
        return
    assert format_proof(proof).rstrip(b"\n") == text.rstrip(b"\n")


@given(path=hashes)
def test_joined_hashes_are_split_again(path: tuple[bytes, ...]) -> None:
    """A path in one field."""
    assert split_hashes(join_hashes(path), "path") == path
    with pytest.raises(MalformedError, match="path: hashes of 32 bytes"):
        split_hashes(join_hashes(path) + b"x", "path")
