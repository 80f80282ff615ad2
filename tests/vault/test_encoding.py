"""pae and MP: no two values share bytes, no value has two forms, and no length is believed unseen."""

from __future__ import annotations

import tracemalloc

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from vault.encoding import (
    from_le32,
    from_le64,
    le32,
    le64,
    mp,
    pae,
    require_label,
    un_mp,
    unpae,
    unpae_labelled,
)
from vault.errors import FormatTooNewError, MalformedError

fields = st.lists(st.binary(max_size=20), max_size=6)
atoms = st.text(max_size=20) | st.integers(-(2**63), 2**64 - 1) | st.booleans() | st.floats(allow_nan=False)
maps = st.dictionaries(st.text(max_size=10), atoms | st.lists(atoms, max_size=5), max_size=20)


@given(parts=fields)
def test_fields_are_read_as_they_were_joined(parts: list[bytes]) -> None:
    """The exact inverse, whatever the fields hold."""
    assert unpae(pae(*parts)) == parts
    assert unpae(pae(*parts), len(parts)) == parts


@given(one=fields, other=fields)
@example(one=[b"ab", b"c"], other=[b"a", b"bc"])
@example(one=[b""], other=[])
def test_other_fields_give_other_bytes(one: list[bytes], other: list[bytes]) -> None:
    """Nothing that is signed or authenticated can be read as something else."""
    assert (pae(*one) == pae(*other)) is (one == other)


@given(joined=st.binary() | fields.map(lambda parts: pae(*parts)), count=st.none() | st.integers(0, 6))
def test_any_bytes_give_fields_or_our_error(joined: bytes, count: int | None) -> None:
    """And what is accepted is the one form."""
    try:
        found = unpae(joined, count)
    except MalformedError:
        return
    assert pae(*found) == joined
    assert count in (None, len(found))


@given(parts=fields, data=st.data())
def test_cut_or_lengthened_bytes_are_refused(parts: list[bytes], data: st.DataObject) -> None:
    """Lengths are exact."""
    joined = pae(*parts)
    with pytest.raises(MalformedError):
        unpae(joined[: data.draw(st.integers(0, len(joined) - 1))])
    with pytest.raises(MalformedError):
        unpae(joined + data.draw(st.binary(min_size=1)))


def test_a_claimed_count_allocates_nothing() -> None:
    """Eight bytes that claim 2^64 fields cost eight bytes."""
    tracemalloc.start()
    with pytest.raises(MalformedError, match="before its last field"):
        unpae(le64(2**64 - 1))
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak_bytes < 100_000


@given(number=st.integers(0, 2**32 - 1))
def test_numbers_of_32_bits(number: int) -> None:
    """Little-endian."""
    assert le32(number) == number.to_bytes(4, "little")
    assert from_le32(le32(number)) == number


@given(number=st.integers(0, 2**64 - 1))
def test_numbers_of_64_bits(number: int) -> None:
    """Little-endian."""
    assert le64(number) == number.to_bytes(8, "little")
    assert from_le64(le64(number)) == number


@pytest.mark.parametrize("size", [0, 3, 5, 8])
def test_a_number_of_another_length_is_refused(size: int) -> None:
    """A length is part of the format."""
    with pytest.raises(MalformedError, match=f"4-byte integer was expected, {size} bytes were found"):
        from_le32(bytes(size))


def test_a_long_number_of_another_length_is_refused() -> None:
    """As the short one."""
    with pytest.raises(MalformedError, match="8-byte integer was expected, 4 bytes were found"):
        from_le64(bytes(4))


@given(value=maps)
def test_a_map_is_read_as_it_was_encoded(value: dict[str, object]) -> None:
    """Types and all: True stays True, 1.0 stays a float."""
    found = un_mp(mp(value))  # type: ignore[arg-type]  # atoms and lists of them, by construction
    assert msgspec.msgpack.encode(found, order="deterministic") == msgspec.msgpack.encode(
        value, order="deterministic"
    )


@given(value=maps)
def test_keys_are_sorted_by_their_utf8_bytes(value: dict[str, object]) -> None:
    """Whatever order they came in."""
    keys = list(un_mp(mp(value)))  # type: ignore[arg-type]  # as above
    assert keys == sorted(value, key=lambda key: key.encode())
    assert mp(dict(reversed(value.items()))) == mp(value)  # type: ignore[arg-type]  # as above


anything = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text() | st.binary(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text() | st.integers(0, 9), inner, max_size=3)
    ),
    max_leaves=10,
)


@given(encoded=st.binary() | anything.map(msgspec.msgpack.encode) | maps.map(msgspec.msgpack.encode))
@example(encoded=b"\x81\xa1a\x91" * 5000)
@example(encoded=b"\xdf\xff\xff\xff\xff")
def test_any_bytes_give_a_map_or_our_error(encoded: bytes) -> None:
    """And what is accepted is the one form of it."""
    try:
        found = un_mp(encoded)
    except MalformedError:
        return
    assert mp(found) == encoded


@given(value=maps, data=st.data())
def test_a_changed_map_is_refused_or_another_map(value: dict[str, object], data: st.DataObject) -> None:
    """No two encodings are one map."""
    encoded = bytearray(mp(value))  # type: ignore[arg-type]  # as above
    encoded[data.draw(st.integers(0, len(encoded) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        found = un_mp(bytes(encoded))
    except MalformedError:
        return
    assert mp(found) != mp(value)  # type: ignore[arg-type]  # as above


@given(found=st.binary(max_size=20) | st.from_regex(rb"\Athing/v[0-9]{1,10}\Z"))
def test_a_label_is_ours_later_or_none(found: bytes) -> None:
    """Three reactions: go on, update, refuse."""
    try:
        require_label(found, b"thing/v1", "thing")
    except FormatTooNewError:
        assert found.startswith(b"thing/v")
        assert int(found[7:]) > 1
    except MalformedError:
        assert found != b"thing/v1"
    else:
        assert found == b"thing/v1"


def test_labelled_fields_are_counted_after_their_label() -> None:
    """A later format may have another number of fields, so the label is asked first."""
    assert unpae_labelled(pae(b"thing/v1", b"a", b"b"), b"thing/v1", 2, "thing") == [b"a", b"b"]
    with pytest.raises(FormatTooNewError, match="thing: it is of a later format"):
        unpae_labelled(pae(b"thing/v2"), b"thing/v1", 2, "thing")
    with pytest.raises(MalformedError, match="thing: 2 fields were expected, 1 were found"):
        unpae_labelled(pae(b"thing/v1", b"a"), b"thing/v1", 2, "thing")
    with pytest.raises(MalformedError, match="its label thing/v1"):
        unpae_labelled(pae(), b"thing/v1", 2, "thing")
