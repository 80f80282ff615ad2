"""A public key file: whole, of one identity, and one that can be sealed to."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.vectors import world
from vault.encoding import pae
from vault.errors import DamagedError, FormatTooNewError, MalformedError, VaultError
from vault.opening import Identity
from vault.public_file import format_public, parse_public, public_key_of

MARK = "shared-pod-public/v1 "


def _made(recipient: bytes, identity: Identity = world.IDENTITY) -> str:
    signature = identity.sign(pae(b"public/v1", recipient, identity.signer))
    return MARK + base64.b64encode(recipient + identity.signer + signature).decode()


def test_what_is_printed_is_read() -> None:
    """Recipient and signer; the fingerprint tells identities apart, and nothing of it is secret."""
    line = format_public(world.IDENTITY)
    assert len(line) == 1773
    key = parse_public(line)
    assert key == public_key_of(world.IDENTITY)
    assert (key.recipient, key.signer) == (world.IDENTITY.recipient, world.IDENTITY.signer)
    assert key.fingerprint != public_key_of(world.OTHER_IDENTITY).fingerprint
    assert world.IDENTITY.reveal().hex() not in line


def test_a_key_nobody_can_seal_to_is_refused() -> None:
    """Published, it would stop every commit of the pod's server."""
    whole = world.IDENTITY.recipient.raw
    for point in (bytes(32), b"\x01" + bytes(31), bytes.fromhex("ec" + "ff" * 30 + "7f")):
        with pytest.raises(MalformedError, match="X25519"):
            parse_public(_made(whole[:-32] + point))
    with pytest.raises(MalformedError, match="ML-KEM"):
        parse_public(_made(b"\xff" * 1184 + whole[-32:]))


def test_halves_of_two_identities_are_no_key() -> None:
    """Who carries a file cannot have one's items sealed to them under another's name."""
    mine, theirs = world.IDENTITY, world.OTHER_IDENTITY
    signature = mine.sign(pae(b"public/v1", mine.recipient.raw, mine.signer))
    for recipient, signer in ((theirs.recipient.raw, mine.signer), (mine.recipient.raw, theirs.signer)):
        raw = base64.b64encode(recipient + signer + signature).decode()
        with pytest.raises(DamagedError, match="altered"):
            parse_public(MARK + raw)


def test_other_lines_are_refused() -> None:
    """By their kinds."""
    line = format_public(world.IDENTITY)
    for bad, kind in (
        ("", MalformedError),
        (world.IDENTITY.reveal().hex(), MalformedError),
        (MARK + "AAAA", MalformedError),
        (line + " x", MalformedError),
        (line.replace("/v1", "/v2"), FormatTooNewError),
    ):
        with pytest.raises(kind):
            parse_public(bad)


@given(position=st.integers(0, 1311), bit=st.integers(0, 7))
def test_every_flipped_bit_is_refused(position: int, bit: int) -> None:
    """Wherever it stands."""
    raw = bytearray(base64.b64decode(format_public(world.IDENTITY).removeprefix(MARK)))
    raw[position] ^= 1 << bit
    with pytest.raises(VaultError):
        parse_public(MARK + base64.b64encode(raw).decode())
