"""The two encodings everything else is built from: ``pae`` and ``MP``.

``pae`` (pre-authentication encoding, after PASETO) joins fields so that no two
lists of fields give the same bytes: a little-endian 64-bit count, then for each
field a little-endian 64-bit length and its bytes. ``MP`` is MessagePack with
one form a value: map keys sorted by their UTF-8 bytes, shortest lengths,
non-negative integers as uint, floats as float64. See FORMAT.md, "Encodings".
"""

from __future__ import annotations

import struct
from typing import Any

import msgspec

from vault.errors import MalformedError

_LE64 = struct.Struct("<Q")
_LE32 = struct.Struct("<I")
_encoder = msgspec.msgpack.Encoder()


def le32(number: int) -> bytes:
    """Return ``number`` (0 to 2^32-1) as 4 little-endian bytes."""
    return _LE32.pack(number)


def le64(number: int) -> bytes:
    """Return ``number`` (0 to 2^64-1) as 8 little-endian bytes."""
    return _LE64.pack(number)


def from_le32(field: bytes) -> int:
    """Read 4 little-endian bytes.

    Raises:
        MalformedError: ``field`` is not 4 bytes.
    """
    if len(field) != _LE32.size:
        raise MalformedError(f"a 4-byte integer was expected, {len(field)} bytes were found")
    return int(_LE32.unpack(field)[0])


def from_le64(field: bytes) -> int:
    """Read 8 little-endian bytes.

    Raises:
        MalformedError: ``field`` is not 8 bytes.
    """
    if len(field) != _LE64.size:
        raise MalformedError(f"an 8-byte integer was expected, {len(field)} bytes were found")
    return int(_LE64.unpack(field)[0])


def pae(*fields: bytes) -> bytes:
    """Join ``fields`` unambiguously: LE64 count, then LE64 length and bytes of each."""
    pieces = [_LE64.pack(len(fields))]
    for field in fields:
        pieces.append(_LE64.pack(len(field)))
        pieces.append(field)
    return b"".join(pieces)


def unpae(joined: bytes, count: int | None = None) -> list[bytes]:
    """Split what ``pae`` joined; the exact inverse, no trailing bytes.

    Args:
        joined: Untrusted bytes.
        count: How many fields there must be; any number if None.

    Raises:
        MalformedError: Too short, a length past the end, bytes left over, or
            another number of fields than ``count``.
    """
    if len(joined) < _LE64.size:
        raise MalformedError("a list of fields was expected, the bytes end before its count")
    (found,) = _LE64.unpack_from(joined)
    if count is not None and found != count:
        raise MalformedError(f"{count} fields were expected, {found} were found")
    # A count is believed only as far as bytes for its lengths can exist.
    if found > (len(joined) - _LE64.size) // _LE64.size:
        raise MalformedError("a list of fields ends before its last field")
    fields = []
    at = _LE64.size
    for _ in range(found):
        if at + _LE64.size > len(joined):
            raise MalformedError("a list of fields ends before its last field")
        (length,) = _LE64.unpack_from(joined, at)
        at += _LE64.size
        if length > len(joined) - at:
            raise MalformedError("a list of fields ends inside a field")
        fields.append(joined[at : at + length])
        at += length
    if at != len(joined):
        raise MalformedError("bytes follow the last field")
    return fields


def mp(value: dict[str, Any]) -> bytes:
    """Encode a map as canonical MessagePack (``MP``).

    Args:
        value: A flat or nested map with text keys; values are text, integers
            of 64 bits, floats, booleans, lists or such maps. Nested maps must
            be sorted by the caller.
    """
    # Python orders str by code point, which is the order of their UTF-8 bytes.
    return _encoder.encode({key: value[key] for key in sorted(value)})


def un_mp(encoded: bytes) -> dict[str, Any]:
    """Decode ``MP``; anything but the one canonical form is refused.

    Raises:
        MalformedError: Not MessagePack, not a map with text keys, or not in
            canonical form (keys unsorted or repeated, longer forms than needed).
    """
    try:
        value = msgspec.msgpack.decode(encoded, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise MalformedError("a MessagePack map was expected") from exc
    try:
        is_canonical = mp(value) == encoded
    except (TypeError, ValueError, OverflowError, RecursionError) as exc:
        raise MalformedError("a MessagePack map holds a value that has no canonical form") from exc
    if not is_canonical:
        raise MalformedError("a MessagePack map is not in its canonical form")
    return value
