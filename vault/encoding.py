"""The two encodings everything else is built from: ``pae`` and ``MP``.

``pae`` (pre-authentication encoding, after PASETO) joins fields so that no two
lists of fields give the same bytes: a little-endian 64-bit count, then for each
field a little-endian 64-bit length and its bytes. ``MP`` is MessagePack with
one form a value: map keys sorted by their UTF-8 bytes, shortest lengths,
non-negative integers as uint, floats as float64. See FORMAT.md, "Encodings".

Labels such as ``batch/v1`` say which bytes follow; each stands in one place only.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping, Sequence

import msgspec

from vault.errors import FormatTooNewError, MalformedError

_LE64 = struct.Struct("<Q")
_LE32 = struct.Struct("<I")
_encoder = msgspec.msgpack.Encoder(order="deterministic")

Atom = str | int | float | bool
"""What an MP map holds under a key, or in a list under a key; integers have 64 bits."""

MpMap = dict[str, Atom | list[Atom]]
"""What MP encodes: a flat map."""

_decoder = msgspec.msgpack.Decoder(MpMap)


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
    pack = _LE64.pack
    pieces = [pack(len(fields))]
    for field in fields:
        pieces += (pack(len(field)), field)
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
    size, unpack = len(joined), _LE64.unpack_from
    if size < _LE64.size:
        raise MalformedError("a list of fields was expected, the bytes end before its count")
    (found,) = unpack(joined)
    if count is not None and found != count:
        raise MalformedError(f"{count} fields were expected, {found} were found")
    # A count is believed only as far as bytes for its lengths can exist.
    if found > (size - _LE64.size) // _LE64.size:
        raise MalformedError("a list of fields ends before its last field")
    fields = []
    at = _LE64.size
    for _ in range(found):
        start = at + 8
        if start > size:
            raise MalformedError("a list of fields ends before its last field")
        (length,) = unpack(joined, at)
        at = start + length
        if at > size:
            raise MalformedError("a list of fields ends inside a field")
        fields.append(joined[start:at])
    if at != size:
        raise MalformedError("bytes follow the last field")
    return fields


def unpae_labelled(joined: bytes, label: bytes, count: int, what: str) -> list[bytes]:
    """Split what ``pae(label, ...)`` joined and return what follows the label.

    Args:
        joined: Untrusted bytes.
        label: As for ``require_label``.
        count: How many fields follow it.
        what: The name of the thing, for the error's sentence.

    Raises:
        FormatTooNewError: The label is of a later format, whatever follows.
        MalformedError: Not a list of fields, another label, or another count.
    """
    fields = unpae(joined)
    require_label(fields[0] if fields else b"", label, what)
    if len(fields) != count + 1:
        raise MalformedError(f"{what}: {count} fields were expected, {len(fields) - 1} were found")
    return fields[1:]


def mp(value: Mapping[str, Atom | Sequence[Atom]]) -> bytes:
    """Encode a flat map as canonical MessagePack (``MP``)."""
    # Deterministic: the encoder orders keys by their UTF-8 bytes. It knows no mapping but a dictionary.
    return _encoder.encode(value if type(value) is dict else dict(value))


def un_mp(encoded: bytes) -> MpMap:
    """Decode ``MP``; anything but the one canonical form is refused.

    Raises:
        MalformedError: Not MessagePack, not a flat map with text keys, or not
            in canonical form (keys unsorted or repeated, longer forms than
            needed, a float32).
    """
    try:
        value = _decoder.decode(encoded)
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        raise MalformedError("a flat MessagePack map with text keys was expected") from exc
    if _encoder.encode(value) != encoded:
        raise MalformedError("a MessagePack map is not in its canonical form")
    return value


def require_label(found: bytes, label: bytes, what: str) -> None:
    """Accept bytes that begin with their own label, ``name/v1``.

    Args:
        found: Untrusted.
        label: The one this program reads.
        what: The name of the thing, for the error's sentence.

    Raises:
        FormatTooNewError: ``found`` is the same name with a later number.
        MalformedError: Anything else.
    """
    if found == label:
        return
    name = label.rpartition(b"/v")[0]
    if re.fullmatch(re.escape(name) + rb"/v[1-9][0-9]{0,8}", found):
        raise FormatTooNewError(f"{what}: it is of a later format; update this program")
    raise MalformedError(f"{what}: its label {label.decode()} was expected and not found")
