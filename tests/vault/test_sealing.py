"""Sealing and opening: whole under the right identity, nothing under any other, and every bit counts."""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Callable

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.vectors import world
from vault.encoding import pae
from vault.errors import DamagedError, FormatTooNewError, MalformedError, WrongKeyError
from vault.header import Header, parse_header
from vault.items import commitment
from vault.keys import PodId
from vault.opening import (
    Identity,
    OpenedBatch,
    OpenedItem,
    open_batch,
    open_file_key,
    open_slot_secrets,
    sealed_by_kid,
)
from vault.sealing import (
    BatchKey,
    Plain,
    Recipient,
    SealedBatch,
    batch_keys,
    file_key_info,
    seal_batch,
    seal_to_each,
    slot_info,
    wrap_info,
)

MINE, OTHER = world.IDENTITY, world.OTHER_IDENTITY
plains = st.builds(
    lambda canonical, slot, salt: Plain(canonical, slot, salt, commitment(salt, canonical)),
    st.binary(max_size=60),
    st.integers(0, 2**32 - 1),
    st.binary(min_size=32, max_size=32),
)
batches = st.lists(plains, min_size=1, max_size=5)
NOTE = Plain(b"note", 1, bytes(32), commitment(bytes(32), b"note"))


def _seal(
    items: list[Plain],
    recipients: list[Recipient] | None = None,
    entropy: Callable[[int], bytes] = os.urandom,
) -> SealedBatch:
    return seal_batch(
        items,
        [MINE.recipient] if recipients is None else recipients,
        pod_id=world.POD_ID,
        log_public=world.LOG_KEY.public,
        policy=bytes(32),
        ms=5,
        entropy=entropy,
    )


def _open(batch: SealedBatch, identity: Identity = MINE) -> list[OpenedItem]:
    return open_batch(identity, parse_header(batch.header), batch.wraps, batch.sealed)


def test_a_batch_key_serves_one_sealing() -> None:
    """A second would repeat its nonces; and it is for its recipients alone, and shows nothing."""
    batch_key = BatchKey([MINE.recipient], world.POD_ID, os.urandom)

    def seal(recipients: list[Recipient]) -> SealedBatch:
        return seal_batch(
            [NOTE],
            recipients,
            pod_id=world.POD_ID,
            log_public=world.LOG_KEY.public,
            policy=bytes(32),
            ms=5,
            entropy=os.urandom,
            batch_key=batch_key,
        )

    with pytest.raises(MalformedError, match="wrapped for others"):
        seal([MINE.recipient, OTHER.recipient])
    batch = seal([MINE.recipient])
    assert (batch.uid, batch.wraps) == (batch_key.uid, batch_key.wraps)
    assert [item.canonical for item in _open(batch)] == [NOTE.canonical]
    with pytest.raises(MalformedError, match="serves one sealing"):
        seal([MINE.recipient])
    with pytest.raises(MalformedError, match="at least one recipient"):
        BatchKey([], world.POD_ID, os.urandom)
    assert repr(batch_key) == f"BatchKey({batch_key.uid.hex()}, **redacted**)"


@given(items=batches)
@settings(max_examples=30)
def test_a_batch_is_opened_as_it_was_sealed(items: list[Plain]) -> None:
    """By each recipient, and by nobody else."""
    batch = _seal(items, [OTHER.recipient, MINE.recipient])
    expected = [OpenedItem(index, item.canonical, item.slot, item.salt) for index, item in enumerate(items)]
    assert _open(batch) == _open(batch, OTHER) == expected
    with pytest.raises(WrongKeyError, match="not sealed to this identity"):
        _open(batch, Identity(os.urandom(32)))


@given(items=batches, data=st.data())
@settings(max_examples=60)
def test_every_bit_of_a_batch_counts(items: list[Plain], data: st.DataObject) -> None:
    """Of the header, the wraps and each sealed item."""
    batch = _seal(items)
    parts = [batch.header, batch.wraps, *batch.sealed]
    which = data.draw(st.integers(0, len(parts) - 1))
    changed = bytearray(parts[which])
    changed[data.draw(st.integers(0, len(changed) - 1))] ^= data.draw(st.integers(1, 255))
    parts[which] = bytes(changed)
    try:
        opened = open_batch(MINE, parse_header(parts[0]), parts[1], parts[2:])
    except (DamagedError, MalformedError, FormatTooNewError, WrongKeyError):
        return
    # What the data key does not cover, the log key's signature over the header does.
    assert which == 0
    assert [item.canonical for item in opened] == [item.canonical for item in items]


@given(
    wraps=st.binary()
    | st.lists(st.lists(st.binary(max_size=40), max_size=3).map(lambda fields: pae(*fields)), max_size=3).map(
        lambda entries: pae(*entries)
    )
)
def test_any_wraps_give_entries_or_our_error(wraps: bytes) -> None:
    """They stand in a file that somebody else may have written."""
    try:
        found = sealed_by_kid(wraps)
    except MalformedError:
        return
    assert pae(*(pae(kid, sealed) for kid, sealed in found.items())) == wraps


@given(sealed=st.binary(max_size=1300))
def test_any_bytes_do_not_open(sealed: bytes) -> None:
    """Shorter than an encapsulated key, or as long as one."""
    with pytest.raises(DamagedError, match="was altered"):
        MINE.open_one(sealed, b"", "a thing")


def test_no_two_sealings_share_a_key() -> None:
    """One key and nonce serve one plaintext: every call draws its own, also for the same items."""
    drawn: list[bytes] = []

    def entropy(count: int) -> bytes:
        drawn.append(os.urandom(count))
        return drawn[-1]

    one, two = (_seal([NOTE, NOTE], entropy=entropy) for _ in range(2))
    assert [len(each) for each in drawn] == [16, 32, 16, 32]
    assert len({*one.sealed, *two.sealed}) == 4
    assert one.uid != two.uid


def test_a_batch_has_1_to_512_items_and_a_recipient() -> None:
    """Anything else is a bug of the caller's or a policy that was read wrongly."""
    assert len(_open(_seal([NOTE] * 512))) == 512
    for items, recipients in [([], [MINE.recipient]), ([NOTE] * 513, [MINE.recipient]), ([NOTE], [])]:
        with pytest.raises(MalformedError, match="1 to 512 items and at least one recipient"):
            _seal(items, recipients)


def test_sealing_adds_99_bytes_to_an_item() -> None:
    """The format's figure; the length of an item is not hidden."""
    batch = _seal([NOTE, Plain(b"", 1, bytes(32), b"")])
    assert [len(each) for each in batch.sealed] == [99 + len(NOTE.canonical), 99]
    assert len(batch.wraps) == 1240
    assert len(batch.header) == 325


def test_the_header_names_all_of_its_batch() -> None:
    """Its wraps, its key, its log key, its items."""
    batch = _seal([NOTE])
    header = parse_header(batch.header)
    assert header.wraps_hash == hashlib.sha256(batch.wraps).digest()
    assert header.log_key_hash == hashlib.sha256(world.LOG_KEY.public).digest()
    assert (header.pod_id, header.uid, header.ms, header.count, header.policy) == (
        world.POD_ID,
        batch.uid,
        5,
        1,
        bytes(32),
    )
    assert header.item_root == batch.leaves[0]


def test_hpke_is_what_the_format_says() -> None:
    """Opened here from RFC 9180 and X-Wing's draft alone: another language finds the same bytes."""
    info = wrap_info(world.POD_ID, bytes(16), bytes(32))
    assert info == pae(b"wrap/v1", b"\x02", world.POD_ID, bytes(16), bytes(32))
    assert _hpke_open(MINE.derive("seal"), MINE.recipient.seal(b"data key", info), info) == b"data key"


def _hpke_open(seed: bytes, sealed: bytes, info: bytes) -> bytes:
    expanded = hashlib.shake_256(seed).digest(96)
    x25519 = X25519PrivateKey.from_private_bytes(expanded[64:])
    mlkem_secret = MLKEM768PrivateKey.from_seed_bytes(expanded[:64]).decapsulate(sealed[:1088])
    ephemeral = sealed[1088:1120]
    x25519_secret = x25519.exchange(X25519PublicKey.from_public_bytes(ephemeral))
    public = x25519.public_key().public_bytes_raw()
    shared = hashlib.sha3_256(mlkem_secret + x25519_secret + ephemeral + public + b"\\.//^\\").digest()
    context = b"\0" + _extract(b"", b"psk_id_hash", b"") + _extract(b"", b"info_hash", info)
    secret = _extract(shared, b"secret", b"")
    key, nonce = _expand(secret, b"key", context, 32), _expand(secret, b"base_nonce", context, 12)
    return AESGCM(key).decrypt(nonce, sealed[1120:], b"")


_SUITE = b"HPKE-v1HPKE" + bytes.fromhex("647a00010002")


def _extract(salt: bytes, label: bytes, key: bytes) -> bytes:
    return hmac.digest(salt or bytes(32), _SUITE + label + key, "sha256")


def _expand(secret: bytes, label: bytes, info: bytes, count: int) -> bytes:
    return hmac.digest(secret, count.to_bytes(2, "big") + _SUITE + label + info + b"\1", "sha256")[:count]


def test_a_file_key_is_sealed_to_its_pod() -> None:
    """The HPKE info names the pod."""
    sealed = seal_to_each([MINE.recipient], world.FILE_KEY.reveal(), file_key_info(world.POD_ID))
    assert open_file_key(MINE, sealed, world.POD_ID) == world.FILE_KEY
    with pytest.raises(DamagedError, match="the pod's file key is sealed to this identity but does not open"):
        open_file_key(MINE, sealed, world.OTHER_POD_ID)
    with pytest.raises(WrongKeyError, match="the pod's file key is not sealed"):
        open_file_key(OTHER, sealed, world.POD_ID)


def test_a_sealed_file_key_of_another_length_is_refused() -> None:
    """SQLCipher would take it for a passphrase."""
    sealed = seal_to_each([MINE.recipient], bytes(31), file_key_info(world.POD_ID))
    with pytest.raises(MalformedError, match="FileKey: 32 bytes were expected, 31 were found"):
        open_file_key(MINE, sealed, world.POD_ID)


def test_what_is_sealed_for_one_use_opens_for_no_other() -> None:
    """Each has its own label in the HPKE info."""
    secrets = pae(bytes(32), bytes(32), bytes(32), b"field-team")
    rewrap = seal_to_each([MINE.recipient], secrets, slot_info(world.POD_ID, 1))
    assert open_slot_secrets(MINE, rewrap, world.POD_ID, 1).name == "field-team"
    with pytest.raises(DamagedError):
        open_file_key(MINE, rewrap, world.POD_ID)
    with pytest.raises(DamagedError):
        MINE.open_sealed(rewrap, wrap_info(world.POD_ID, bytes(16), bytes(32)), "a batch")


def test_a_recipient_shows_its_kid_and_equals_by_bytes() -> None:
    """It is public."""
    again = Recipient(MINE.recipient.raw)
    assert again == MINE.recipient
    assert {again, MINE.recipient} == {again}
    assert again != OTHER.recipient
    assert again != MINE.recipient.raw
    assert repr(again) == f"Recipient({MINE.recipient.kid.hex()[:8]}...)"


def test_a_recipient_nobody_can_be_is_refused_when_sealed_to() -> None:
    """A point of small order gives everybody the same secret."""
    recipient = Recipient(MINE.recipient.raw[:1184] + bytes(32))
    with pytest.raises(MalformedError, match="no usable X25519 public key"):
        recipient.seal(b"", b"")


def test_an_identity_opens_its_own_row_where_the_batch_has_none() -> None:
    """A recipient that came later; the batch's own entry comes first, so a bad row takes nothing away."""
    batch = _seal([NOTE], [OTHER.recipient])
    header = parse_header(batch.header)
    data_key = OTHER.open_sealed(batch.wraps, wrap_info(header.pod_id, header.uid, header.commit), "a batch")
    later = {
        MINE.recipient.kid: MINE.recipient.seal(data_key, wrap_info(header.pod_id, header.uid, header.commit))
    }
    opened = OpenedBatch(MINE, header, batch.wraps, later)
    assert [item.canonical for item in opened.open_items(batch.sealed)] == [b"note"]
    assert [
        item.canonical
        for item in OpenedBatch(OTHER, header, batch.wraps, {OTHER.recipient.kid: b""}).open_items(
            [None, *batch.sealed][1:]
        )
    ] == [b"note"]


def test_a_data_key_that_is_not_the_committed_one_opens_nothing() -> None:
    """AES-GCM alone lets one ciphertext open under two keys."""
    batch, other = _seal([NOTE]), _seal([NOTE])
    header, stranger = parse_header(batch.header), parse_header(other.header)
    info = wrap_info(header.pod_id, header.uid, header.commit)
    wraps = seal_to_each([MINE.recipient], bytes(32), info)
    swapped = _with_wraps(header, wraps)
    with pytest.raises(DamagedError, match="not the one its header commits to"):
        OpenedBatch(MINE, swapped, wraps)
    assert batch_keys(bytes(32))[1] not in {header.commit, stranger.commit}


def _with_wraps(header: Header, wraps: bytes) -> Header:
    return msgspec.structs.replace(
        header, wraps_hash=hashlib.sha256(wraps).digest(), pod_id=PodId(header.pod_id)
    )
