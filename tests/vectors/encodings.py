"""Vectors of pae, MP and labels. FORMAT.md, "Encodings"."""

from __future__ import annotations

from typing import Any

from tests.vectors.family import Family
from vault.encoding import le64, mp, pae
from vault.errors import FormatTooNewError, MalformedError


def _pae() -> Family:
    family = Family()
    for name, why, fields in [
        ("no fields", "a count alone", []),
        ("an empty field", "not the same as no field", [b""]),
        ("two empty fields", "nor as one", [b"", b""]),
        ("text", "lengths are of bytes", [b"test"]),
        ("a boundary", "ab, c is not a, bc", [b"ab", b"c"]),
        ("the other boundary", "a, bc is not ab, c", [b"a", b"bc"]),
        ("a pae in a pae", "fields are any bytes", [b"x", pae(b"y", b"")]),
        ("300 bytes", "a length of two bytes", [bytes(300)]),
    ]:
        family.good(name, why, fields=[field.hex() for field in fields], joined=pae(*fields).hex())
    one = pae(b"test")
    for name, why, joined, count, says in [
        ("nothing", "a count is 8 bytes", b"", None, "before its count"),
        ("a cut count", "a count is 8 bytes", one[:7], None, "before its count"),
        ("a count without fields", "the field is missing", le64(1), None, "before its last field"),
        ("a cut length", "a length is 8 bytes", one[:12], None, "before its last field"),
        ("a cut field", "lengths are exact", one[:-1], None, "inside a field"),
        ("a byte more", "nothing follows", one + b"\0", None, "follow the last field"),
        (
            "a huge count",
            "refused before anything is allocated",
            le64(2**64 - 1),
            None,
            "before its last field",
        ),
        (
            "a huge length",
            "refused before anything is allocated",
            le64(1) + le64(2**63),
            None,
            "inside a field",
        ),
        ("a big-endian count", "little-endian", bytes(7) + b"\1" + one[8:], None, "before its last field"),
        (
            "a second field short",
            "its length is missing",
            le64(2) + one[8:] + bytes(4),
            None,
            "its last field",
        ),
        ("a field too few", "the count is the format's", one, 2, "2 fields were expected"),
        ("a field too many", "the count is the format's", pae(b"", b""), 1, "1 fields were expected"),
    ]:
        family.bad(name, why, MalformedError, says, joined=joined.hex(), count=count)
    return family


def _good_maps() -> list[tuple[str, str, dict[str, Any]]]:
    return [
        ("empty", "the smallest map", {}),
        ("text", "fixstr", {"a": "b", "": ""}),
        ("sorted", "keys by their UTF-8 bytes, capitals first", {"b": 1, "B": 2, "a": 3, "aa": 4}),
        ("sorted beyond ASCII", "UTF-8 order is code point order, not UTF-16 order", {"\U0001f33b": 1, "\uff5e": 2}),
        ("booleans", "c2 and c3", {"f": False, "t": True}),
        ("uints", "non-negative integers are uint in their shortest form",
         {f"{n:020}": n for n in (0, 127, 128, 255, 256, 65535, 65536, 2**32 - 1, 2**32, 2**63 - 1, 2**63, 2**64 - 1)}),
        ("ints", "negative integers are int in their shortest form",
         {f"{-n:020}": n for n in (-1, -32, -33, -128, -129, -32768, -32769, -(2**31), -(2**31) - 1, -(2**63))}),
        ("floats", "always float64", {"a": 1.5, "b": -0.1, "c": 5e-324, "d": 1.7976931348623157e308, "e": 2.0}),
        ("a list", "of atoms", {"l": [1, "a", 1.5, True, -1]}),
        ("an empty list", "fixarray", {"l": []}),
        ("a list of 16", "array 16", {"l": list(range(16))}),
        ("texts of each length", "fixstr, str 8, str 16", {"a": "x" * 31, "b": "x" * 32, "c": "x" * 255, "d": "x" * 256}),
        ("a map of 16", "map 16", {f"k{n:02}": n for n in range(16)}),
        ("NUL and emoji", "text unchanged", {"t": "a\0b\U0001f33b"}),
    ]  # fmt: skip


def _mp() -> Family:
    family = Family()
    for name, why, members in _good_maps():
        family.good(name, why, map=members, encoded=mp(members).hex())
    for name, why, encoded in [
        ("nothing", "a map", ""),
        ("nil", "a map", "c0"),
        ("an integer", "a map", "05"),
        ("a list at the top", "a map", "90"),
        ("a cut map", "a value is missing", "81a161"),
        ("bytes after the map", "nothing follows", "8000"),
        ("a key of bin", "keys are text", "81c4016101"),
        ("an integer key", "keys are text", "810101"),
        ("bad UTF-8 in a key", "text is UTF-8", "81a1ff01"),
        ("bad UTF-8 in a text", "text is UTF-8", "81a161a1ff"),
        ("a surrogate", "text is UTF-8, which has none", "81a161a3eda080"),
        ("nil as value", "no nil", "81a161c0"),
        ("bin as value", "no bin", "81a161c40101"),
        ("ext as value", "no ext", "81a161d40101"),
        ("a timestamp", "no ext", "81a161d6ff00000000"),
        ("a map in the map", "flat", "81a16180"),
        ("a list in a list", "flat", "81a1619190"),
        ("nil in a list", "atoms", "81a16191c0"),
        ("the never-used byte", "c1 is no type", "81a161c1"),
    ]:
        family.bad(name, why, MalformedError, "a flat MessagePack map", encoded=encoded)
    for name, why, encoded in [
        ("keys unsorted", "sorted", "82a16201a16101"),
        ("a key twice", "none twice", "82a16101a16102"),
        ("map 16 for one", "shortest form", "de0001a16101"),
        ("str 8 for a short key", "shortest form", "81d9016101"),
        ("str 16 for a short text", "shortest form", "81a161da000162"),
        ("array 16 for one", "shortest form", "81a161dc000101"),
        ("uint 8 for 1", "shortest form", "81a161cc01"),
        ("uint 64 for 256", "shortest form", "81a161cf0000000000000100"),
        ("int 8 for 1", "non-negative integers are uint", "81a161d001"),
        ("int 64 for 2^62", "non-negative integers are uint", "81a161d34000000000000000"),
        ("int 16 for -1", "shortest form", "81a161d1ffff"),
        ("float32", "float64", "81a161ca3fc00000"),
    ]:
        family.bad(name, why, MalformedError, "canonical form", encoded=encoded)
    return family


def _labels() -> Family:
    family = Family()
    family.good("itself", "the label asked for", found=b"item/v1".hex(), label="item/v1")
    for found in (b"item/v2", b"item/v10", b"item/v999999999"):
        family.bad(
            found.decode(),
            "a later number",
            FormatTooNewError,
            "later format",
            found=found.hex(),
            label="item/v1",
        )
    for found in (
        b"",
        b"item",
        b"item/v",
        b"item/v0",
        b"item/v01",
        b"item/v1\n",
        b"item/v1 ",
        b"Item/v1",
        b"leaf/v1",
        b"leaf/v2",
        b"item/v1.1",
        b"item/v9999999999",
        b"xitem/v2",
    ):
        family.bad(
            repr(found)[2:-1] or "nothing",
            "another label, or none",
            MalformedError,
            "its label",
            found=found.hex(),
            label="item/v1",
        )
    return family


def build() -> dict[str, Any]:
    """encodings/."""
    return {
        "about": "pae joins fields; MP encodes a flat map, where a number written with a point or an exponent is a "
        "float64; a label is asked for. Bytes are hexadecimal. A negative vector names the kind of error and a part of "
        "our sentence.",
        "pae": _pae().vectors,
        "mp": _mp().vectors,
        "labels": _labels().vectors,
    }
