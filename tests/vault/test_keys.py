"""Keys: 64 digits and nothing else, derived for one use in one pod, and never shown."""

from __future__ import annotations

import copy
import hashlib
import hmac
import pickle
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.kdf.hkdf import HKDF, HKDFExpand
from hypothesis import given
from hypothesis import strategies as st

from vault.caveats import Caveats
from vault.errors import MalformedError
from vault.keys import (
    DatabaseKey,
    FileKey,
    LogKey,
    MacKey,
    OwnerKey,
    PodId,
    Secret,
    hkdf_expand_sha256,
    hkdf_sha256,
    is_signed,
    parse_hex_32,
)
from vault.opening import Identity, SlotSecrets
from vault.slots import OpenedSlot

RAW = bytes(range(100, 132))
SECRETS: list[type[Secret]] = [Secret, DatabaseKey, FileKey, LogKey, MacKey, Identity]
raw_keys = st.binary(min_size=32, max_size=32)


@given(raw=raw_keys, salt=st.binary(max_size=40), info=st.binary(max_size=40))
def test_hkdf_is_rfc_5869(raw: bytes, salt: bytes, info: bytes) -> None:
    """The same as another implementation's, the empty salt included."""
    theirs = HKDF(hashes.SHA256(), 32, salt or None, info).derive(raw)
    assert hkdf_sha256(raw, salt=salt, info=info) == theirs
    assert hkdf_expand_sha256(raw, info) == HKDFExpand(hashes.SHA256(), 32, info).derive(raw)


@given(raw=raw_keys, messages=st.lists(st.binary(max_size=200), max_size=4))
def test_a_mac_is_rfc_2104_however_many_there_were(raw: bytes, messages: list[bytes]) -> None:
    """What was authenticated before leaves nothing behind."""
    key = MacKey(raw)
    assert [key.mac(message) for message in messages] == [
        hmac.digest(raw, message, "sha256") for message in messages
    ]


@given(text=st.text() | st.from_regex(r"\A[0-9a-fA-F]{60,68}\s?\Z"))
def test_any_text_is_a_key_or_our_error(text: str) -> None:
    """SQLCipher takes any other length for a passphrase, and bytes.fromhex skips white space."""
    try:
        raw = parse_hex_32(text, "key")
    except MalformedError:
        return
    assert raw.hex() == text.lower()


@pytest.mark.parametrize(
    "text",
    [
        f"{RAW.hex()}\n",
        f" {RAW.hex()}",
        RAW.hex(" "),
        f"{RAW.hex()[:-1]} ",
        f"{RAW.hex()[:-2]} \t",
        RAW.hex()[:-2],
    ],
)
def test_white_space_is_no_digit(text: str) -> None:
    """Between, before or behind 64 digits, or in the place of one."""
    with pytest.raises(MalformedError):
        parse_hex_32(text, "key")


def test_a_refused_key_is_not_quoted() -> None:
    """It may be a key with one letter too many."""
    with pytest.raises(MalformedError) as refused:
        parse_hex_32("7" * 65, "key")
    assert "77" not in str(refused.value)


@pytest.mark.parametrize("kind", SECRETS)
def test_a_secret_does_not_show_itself(kind: type[Secret]) -> None:
    """Not in a repr, a format, a log line, a traceback's locals."""
    secret = kind(RAW)
    for shown in (repr(secret), str(secret), f"{secret}", f"{secret!r:>40}", f"{[secret]}", f"{(secret,)}"):
        assert RAW.hex() not in shown
        assert str(RAW) not in shown
        assert "**redacted**" in shown


@pytest.mark.parametrize("kind", SECRETS)
@pytest.mark.parametrize("leave", [pickle.dumps, copy.copy, copy.deepcopy])
def test_a_secret_is_not_pickled_or_copied(kind: type[Secret], leave: Callable[[object], object]) -> None:
    """A cache, a queue or a crash report would take it to disk."""
    with pytest.raises(TypeError, match="is a secret and is not pickled"):
        leave(kind(RAW))


@pytest.mark.parametrize("kind", SECRETS)
def test_a_secret_is_no_dictionary_key_and_has_no_place_for_more(kind: type[Secret]) -> None:
    """Nothing keeps it by accident."""
    secret = kind(RAW)
    with pytest.raises(TypeError, match="unhashable"):
        hash(secret)
    assert not hasattr(secret, "__dict__")


@pytest.mark.parametrize("kind", SECRETS)
def test_secrets_are_equal_by_kind_and_bytes(kind: type[Secret]) -> None:
    """A file key is never a database key, whatever its bytes."""
    assert kind(RAW) == kind(RAW)
    assert kind(RAW) != kind(RAW[::-1])
    assert kind(RAW) != RAW
    assert all(kind(RAW) != other(RAW) for other in SECRETS if other is not kind)
    assert kind.from_hex(RAW.hex().upper()) == kind(RAW)


@pytest.mark.parametrize("kind", [*SECRETS, OwnerKey])
@pytest.mark.parametrize("size", [0, 31, 33, 64])
def test_a_key_has_32_bytes(kind: type[Secret], size: int) -> None:
    """And the refusal says how many there were, not which."""
    with pytest.raises(MalformedError, match=f"32 bytes were expected, {size} were found"):
        kind(b"k" * size)


def test_what_holds_secrets_does_not_show_them() -> None:
    """An opened slot and a slot's kept keys are redacted too."""
    key, pod_id = DatabaseKey(RAW), OwnerKey(RAW).pod_id
    opened = OpenedSlot(7, Caveats(), FileKey(RAW), key, pod_id)
    kept = SlotSecrets("field-team", RAW, RAW, MacKey(RAW))
    for shown in (repr(opened), str(opened), repr(kept), str(kept)):
        assert "**redacted**" in shown
        assert RAW.hex() not in shown
        assert str(RAW)[2:-1] not in shown
        assert key.derive("view", pod_id).hex() not in shown


@given(raw=raw_keys)
def test_the_case_of_an_owner_key_makes_no_second_pod(raw: bytes) -> None:
    """It did in the original."""
    small, capital = OwnerKey.from_hex(raw.hex()), OwnerKey.from_hex(raw.hex().upper())
    assert small == capital
    assert hash(small) == hash(capital)
    assert small.pod_id == hashlib.sha256(raw).digest()
    assert small.hex == raw.hex()


def test_an_owner_key_is_public_and_short_in_logs() -> None:
    """Equal to nothing but an owner key."""
    owner = OwnerKey(RAW)
    assert repr(owner) == "OwnerKey(64656667...)"
    assert owner != RAW
    with pytest.raises(MalformedError, match="owner key: 64 hexadecimal digits"):
        OwnerKey.from_hex("x" * 64)


@given(raw=raw_keys, pod=raw_keys, other_pod=raw_keys)
def test_a_derived_key_serves_one_use_in_one_pod(raw: bytes, pod: bytes, other_pod: bytes) -> None:
    """One database key used in two pods gives nothing in common."""
    key, uses = DatabaseKey(raw), ("lookup", "wrap", "view", "item", "name", "id")
    derived = [key.derive(use, PodId(pod_id)) for use in uses for pod_id in {pod, other_pod}]
    assert len(set(derived)) == len(derived)
    assert raw not in derived


@given(raw=raw_keys, message=st.binary())
def test_a_signature_holds_for_its_message_and_key_only(raw: bytes, message: bytes) -> None:
    """Ed25519, deterministic."""
    key, private = LogKey(raw), Ed25519PrivateKey.from_private_bytes(raw)
    signature = key.sign(message)
    assert signature == private.sign(message)
    Ed25519PublicKey.from_public_bytes(key.public).verify(signature, message)
    assert is_signed(key.public, signature, message)
    assert not is_signed(key.public, signature, message + b"x")
    assert not is_signed(LogKey(raw[::-1] if raw != raw[::-1] else RAW).public, signature, message)


@given(public=st.binary(max_size=40), signature=st.binary(max_size=70))
def test_a_malformed_key_or_signature_is_no_signature(public: bytes, signature: bytes) -> None:
    """False, never an exception of the library's."""
    assert is_signed(public, signature, b"message") is False
