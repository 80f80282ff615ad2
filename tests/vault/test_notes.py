"""Checkpoints as C2SP signed notes: other implementations' bytes, and strictness about ours."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.vectors import cases, load, refusal
from vault.errors import DamagedError, ForeignPodError, MalformedError
from vault.keys import LogKey, OwnerKey, PodId
from vault.notes import (
    MAX_NOTE_BYTES,
    Checkpoint,
    epoch_of,
    from_base64,
    origin_of,
    parse_size,
    read_checkpoint,
    sign_checkpoint,
    to_base64,
    verify_checkpoint,
)

GOLDEN = load("checkpoints/accept-checkpoint.json")
LOG_KEY = LogKey.from_hex(GOLDEN["keys"]["log_key"])
POD_ID = PodId(bytes.fromhex(GOLDEN["pod_id"]))
ORIGIN = origin_of(POD_ID, 1)

hashes = st.binary(min_size=32, max_size=32)
checkpoints = st.builds(
    Checkpoint,
    origin=st.integers(1, 2**62).map(lambda epoch: origin_of(POD_ID, epoch)),
    size=st.integers(0, 2**63 - 1),
    root=hashes,
)


def _note_of(vector: dict[str, Any]) -> bytes:
    if "note_hex" in vector:
        return bytes.fromhex(vector["note_hex"])
    if "note_repeat" in vector:
        repeat = vector["note_repeat"]
        return str(repeat["prefix"] + repeat["line"] * repeat["times"]).encode()
    return str(vector["note"]).encode()


def _checkpoint(fields: dict[str, Any]) -> Checkpoint:
    return Checkpoint(origin=fields["origin"], size=fields["size"], root=bytes.fromhex(fields["root"]))


@pytest.mark.parametrize("vector", cases("checkpoints"))
def test_checkpoint_vectors(vector: dict[str, Any]) -> None:
    """Each is accepted, or refused for its one fault."""
    note, keys = _note_of(vector), [bytes.fromhex(key) for key in vector["log_keys"]]
    if "error" in vector:
        with refusal(vector):
            verify_checkpoint(note, vector["origin"], keys)
    else:
        assert verify_checkpoint(note, vector["origin"], keys) == _checkpoint(vector["checkpoint"])


@pytest.mark.parametrize("vector", cases("checkpoints"))
def test_reading_refuses_what_is_malformed_and_asks_for_no_key(vector: dict[str, Any]) -> None:
    """The shape is checked the same whether or not a key is at hand."""
    if vector.get("error") == "MalformedError":
        with refusal(vector):
            read_checkpoint(_note_of(vector))
    else:
        assert read_checkpoint(_note_of(vector)).root


def test_a_signed_checkpoint_is_golden() -> None:
    """Ed25519 is deterministic, so a retry's receipt is the first one's, byte for byte."""
    assert sign_checkpoint(_checkpoint(GOLDEN["checkpoint"]), LOG_KEY) == GOLDEN["note"].encode()


def test_the_key_id_is_that_of_the_go_implementation() -> None:
    """The key of golang.org/x/mod/sumdb/note's own example has the id c74f20a3 there, so here."""
    signer = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz"
    verifier = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
    log_key = LogKey(base64.b64decode(signer.split("+", 4)[4])[1:])
    assert log_key.public == base64.b64decode(verifier.split("+", 2)[2])[1:]
    note = sign_checkpoint(Checkpoint("PeterNeumann", 1, bytes(32)), log_key).decode()
    signature = base64.b64decode(note.rsplit(" ", 1)[1])
    assert signature[:4].hex() == "c74f20a3"


@given(checkpoint=checkpoints)
def test_a_checkpoint_is_read_as_it_was_signed(checkpoint: Checkpoint) -> None:
    """Any size and any root, in any epoch."""
    note = sign_checkpoint(checkpoint, LOG_KEY)
    assert verify_checkpoint(note, checkpoint.origin, [LOG_KEY.public]) == checkpoint
    assert read_checkpoint(note) == checkpoint


@given(data=st.data())
def test_a_changed_note_is_refused(data: st.DataObject) -> None:
    """Every byte of a note is either signed, or names the key and the signature."""
    note = bytearray(sign_checkpoint(Checkpoint(ORIGIN, 5, bytes(32)), LOG_KEY))
    note[data.draw(st.integers(0, len(note) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises((MalformedError, DamagedError)):
        verify_checkpoint(bytes(note), ORIGIN, [LOG_KEY.public])


any_note = st.one_of(
    st.binary(),
    st.text().map(str.encode),
    st.builds(
        lambda lines, tail: "\n".join([*lines, "", *tail, ""]).encode(),
        st.lists(st.sampled_from([ORIGIN, "5", "0", to_base64(bytes(32))]) | st.text(max_size=8), max_size=4),
        st.lists(st.just(f"\u2014 {ORIGIN} {to_base64(bytes(68))}") | st.text(max_size=8), max_size=3),
    ),
)


@given(note=any_note)
def test_any_bytes_give_a_checkpoint_or_our_error(note: bytes) -> None:
    """log.head may hold anything after a bad day, and a receipt comes from a stranger."""
    try:
        checkpoint = read_checkpoint(note)
    except MalformedError:
        return
    assert note.startswith(
        f"{checkpoint.origin}\n{checkpoint.size}\n{to_base64(checkpoint.root)}\n\n".encode()
    )


@given(note=any_note)
def test_no_bytes_pass_for_signed(note: bytes) -> None:
    """Whatever stands in a note, without the log key it is refused as ours."""
    with pytest.raises((MalformedError, DamagedError)):
        verify_checkpoint(note, ORIGIN, [LOG_KEY.public])


def test_there_is_room_for_sixteen_large_signatures() -> None:
    """Verifiers accept at least 16 signatures, of which post-quantum ones reach 5 kB."""
    line = f"\u2014 witness.example {to_base64(bytes(5_004))}\n".encode()
    note = sign_checkpoint(Checkpoint(ORIGIN, 5, bytes(32)), LOG_KEY) + line * 16
    assert len(note) < MAX_NOTE_BYTES
    assert verify_checkpoint(note, ORIGIN, [LOG_KEY.public]).size == 5


@pytest.mark.parametrize("beyond", [0, 1])
def test_a_note_of_exactly_the_limit_is_read(beyond: int) -> None:
    """131,072 bytes and no more: what is refused for its length is never parsed."""
    note = sign_checkpoint(Checkpoint(ORIGIN, 5, bytes(32)), LOG_KEY)
    line = "\u2014 {} AAAAAAA=\n"
    name = "w" * (131_072 + beyond - len(note) - len(line.format("").encode()))
    note += line.format(name).encode()
    if beyond:
        with pytest.raises(MalformedError, match="a signed note of at most 131072 bytes was expected"):
            read_checkpoint(note)
    else:
        assert read_checkpoint(note).size == 5


@given(epoch=st.integers(1, 10**19 - 1))
def test_an_origin_gives_its_epoch_back(epoch: int) -> None:
    """An epoch is read from the origin before the origin is verified."""
    assert epoch_of(origin_of(POD_ID, epoch), POD_ID) == epoch


def test_an_origin_shows_half_of_the_pod_id() -> None:
    """32 hex digits keep the line short; 128 bits are enough to tell pods apart."""
    assert origin_of(POD_ID, 7) == f"shared-pod/{POD_ID.hex()[:32]}/7"


def test_the_origin_of_another_pod_is_told_from_no_origin() -> None:
    """A whole file of another pod is another mistake than a damaged one."""
    foreign = origin_of(OwnerKey(bytes(32)).pod_id, 1)
    sentence = f"the checkpoint is of pod {foreign[11:43]}, {ORIGIN[11:43]} was expected"
    with pytest.raises(ForeignPodError, match=sentence):
        epoch_of(foreign, POD_ID)


@pytest.mark.parametrize(
    "origin",
    ["", "example.com/log", ORIGIN[:-2], ORIGIN[:-1], ORIGIN[:-1] + "0", ORIGIN[:-1] + "01", ORIGIN + "\n",
     ORIGIN[:-1] + "\u0661", ORIGIN.upper(), " " + ORIGIN, f"shared-pod/{POD_ID.hex()}/1", ORIGIN + "/1"],
)  # fmt: skip
def test_what_is_no_origin_has_no_epoch(origin: str) -> None:
    """One form an epoch: from 1, decimal, no leading zero."""
    with pytest.raises(MalformedError):
        epoch_of(origin, POD_ID)


@given(raw=st.binary())
def test_base64_is_read_as_it_was_written(raw: bytes) -> None:
    """Standard alphabet, padded, on one line."""
    assert to_base64(raw) == base64.b64encode(raw).decode()
    assert from_base64(to_base64(raw), "bytes") == raw


@given(text=st.text() | st.text("AB+/=-_ \n", max_size=12))
def test_any_text_is_canonical_base64_or_refused(text: str) -> None:
    """One text for one value, else a receipt could be changed without being altered."""
    try:
        raw = from_base64(text, "bytes")
    except MalformedError as refused:
        assert str(refused).startswith("bytes: base64")  # noqa: PT017 - either outcome is fine
        return
    assert to_base64(raw) == text


@given(number=st.integers(0, 2**63 - 1))
def test_a_size_is_read_as_it_was_written(number: int) -> None:
    """Every size that SQLite can count."""
    assert parse_size(str(number), "size") == number


@given(text=st.text() | st.text("0123456789+-_. ", max_size=20))
def test_any_text_is_a_canonical_size_or_refused(text: str) -> None:
    """int() would take signs, spaces, underscores and other scripts' digits."""
    try:
        number = parse_size(text, "size")
    except MalformedError:
        return
    assert str(number) == text
    assert number < 2**63
