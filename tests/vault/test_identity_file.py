"""The identity file: digits or a box, and a box asks for what it may cost before it costs it."""

from __future__ import annotations

import resource
import stat
from pathlib import Path

import pytest
from argon2.low_level import Type, hash_secret_raw
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.vectors import world
from vault.errors import FormatTooNewError, MalformedError, MissingError, StorageError, WrongKeyError
from vault.identity_file import (
    MEMORY_KIB,
    format_identity,
    is_protected,
    parse_identity,
    read_identity,
    write_identity,
)
from vault.opening import Identity

QUICK_KIB = 64
DIGITS = world.IDENTITY.reveal().hex()
BOX = format_identity(world.IDENTITY, "correct horse", world.entropy("test"), memory_kib=QUICK_KIB)


def _never() -> str:
    raise AssertionError("nothing was to be asked")


@given(raw=st.binary(min_size=32, max_size=32), passphrase=st.text(max_size=20))
@settings(max_examples=20)
def test_an_identity_is_read_as_it_was_written(raw: bytes, passphrase: str) -> None:
    """In clear, or under any passphrase, the empty one included."""
    identity = Identity(raw)
    clear = format_identity(identity, None, world.entropy("x"))
    assert parse_identity(clear, _never) == identity
    box = format_identity(identity, passphrase, world.entropy("x"), memory_kib=QUICK_KIB)
    assert parse_identity(box, lambda: passphrase) == identity
    assert raw.hex().encode() not in box
    assert (is_protected(clear), is_protected(box)) == (False, True)


@given(passphrase=st.text(max_size=20).filter(lambda text: text != "correct horse"))
@settings(max_examples=20)
def test_another_passphrase_opens_nothing(passphrase: str) -> None:
    """And is told apart from a broken file."""
    with pytest.raises(WrongKeyError, match="this passphrase does not open it"):
        parse_identity(BOX, lambda: passphrase)


@given(at=st.integers(0, len(BOX) - 1), mask=st.integers(1, 127))
@settings(max_examples=60)
def test_every_byte_of_a_box_counts(at: int, mask: int) -> None:
    """Costs, salt, nonce, seed and tag; the newline at the end may be missing."""
    changed = bytearray(BOX)
    changed[at] ^= mask
    try:
        found = parse_identity(bytes(changed), lambda: "correct horse")
    except (MalformedError, WrongKeyError, FormatTooNewError):
        return
    assert found == world.IDENTITY
    assert at == len(BOX) - 1


@given(
    content=st.binary()
    | st.from_regex(
        rb"\Ashared-pod-identity/v[0-9] argon2id m=[0-9]{1,3},t=[0-9],p=[0-9] "
        rb"[A-Za-z0-9+/=]{20,30} [A-Za-z0-9+/=]{76,84}\n?\Z"
    )
)
@settings(max_examples=60)
def test_any_bytes_give_our_error(content: bytes) -> None:
    """A file from elsewhere."""
    with pytest.raises((MalformedError, WrongKeyError, FormatTooNewError)):
        parse_identity(content, lambda: "x")


@pytest.mark.parametrize(
    "costs", ["m=2097153,t=3,p=4", "m=9999999,t=1,p=1", "m=64,t=17,p=4", "m=64,t=3,p=99", "m=31,t=3,p=4"]
)
def test_a_file_cannot_make_this_machine_work_for_hours(costs: str) -> None:
    """Refused before a passphrase is asked for."""
    with pytest.raises(MalformedError, match="costs are out of range"):
        parse_identity(BOX.replace(b"m=64,t=3,p=4", costs.encode()), _never)


def test_a_broken_box_is_named_before_a_passphrase_is_asked_for() -> None:
    """Typing it twice would not help."""
    with pytest.raises(MalformedError, match="another length"):
        parse_identity(BOX[:-5] + b"\n", _never)


def test_the_box_is_argon2id_of_the_normalised_passphrase() -> None:
    """Two keyboards that spell one letter differently open one file."""
    box = format_identity(world.IDENTITY, "h\u00e9t", world.entropy("x"), memory_kib=QUICK_KIB)
    assert parse_identity(box, lambda: "he\u0301t") == world.IDENTITY
    assert box.startswith(b"shared-pod-identity/v1 argon2id m=64,t=3,p=4 ")
    key = hash_secret_raw("h\u00e9t".encode(), world.entropy("x")(16), 3, QUICK_KIB, 4, 32, Type.ID)
    assert len(key) == 32


def test_a_passphrase_without_utf8_form_is_refused() -> None:
    """A terminal of another encoding gives lone surrogates."""
    with pytest.raises(MalformedError, match="this terminal's encoding"):
        parse_identity(BOX, lambda: "\udcff")
    with pytest.raises(MalformedError, match="this terminal's encoding"):
        format_identity(world.IDENTITY, "\udcff", world.entropy("x"), memory_kib=QUICK_KIB)


def test_too_little_memory_is_said() -> None:
    """Argon2's own failure, put into our words."""
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    huge = BOX.replace(b"m=64,", b"m=2097152,")
    resource.setrlimit(resource.RLIMIT_AS, (1 << 30, hard))
    try:
        with pytest.raises(StorageError, match="needs 2097152 KiB of memory"):
            parse_identity(huge, lambda: "x")
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def test_a_file_is_private_and_read_again(tmp_path: Path) -> None:
    """Mode 0600, durable on return."""
    path = tmp_path / "identity"
    write_identity(path, world.IDENTITY, None, world.entropy("x"))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.read_bytes() == DIGITS.encode() + b"\n"
    assert read_identity(path, _never) == world.IDENTITY


def test_a_file_that_is_missing_or_too_large_is_said(tmp_path: Path) -> None:
    """Each in its own kind."""
    with pytest.raises(MissingError):
        read_identity(tmp_path / "identity", _never)
    (tmp_path / "identity").write_bytes(b"0" * 1001)
    with pytest.raises(MalformedError, match="larger than 1000 bytes"):
        read_identity(tmp_path / "identity", _never)


def test_real_files_cost_256_mib() -> None:
    """Nothing in a test lowers what init writes."""
    assert MEMORY_KIB == 256 * 1024
