"""Items: from a decoded payload to canonical bytes, commitment and name.

Parsing applies the wire's rules that need no view: the item's own members,
their types and their ranges. Whether a slot may use a property is decided in
the store, after the name, so that a retry is a retry whatever the view says
now. The canonical form depends on the JSON sent alone. FORMAT.md, "Items".
"""

from __future__ import annotations

import functools
import hmac
import math
import re
from collections.abc import Callable, Mapping
from typing import cast

import msgspec

from vault.encoding import mp, un_mp
from vault.errors import ItemError, MalformedError
from vault.keys import MacKey
from vault.properties import INT64_MAX, INT64_MIN, Scalar

SCHEMA_TYPE = "ItemPropertySchema"
"""The item type that declares a property."""

WITHDRAWAL_TYPE = "Withdrawal"
"""The item type that asks for another item of its slot to be erased."""

TARGET = "targetItemId"
"""The property of a withdrawal that names the other."""

MAX_TYPES = 256
"""Most types one invite may list."""

MAX_FIELDS = 512
"""Most members of one payload: bounds what one body can make the decoder allocate."""

ITEM_TYPE = re.compile(r"\A[A-Za-z][A-Za-z0-9_]{0,63}\Z")
"""An item's type; the names of its members are of this shape too."""
_ID = re.compile(r"\A[a-zA-Z0-9_-]{6,36}\Z")
_SHOWABLE = re.compile(r"\A[A-Za-z0-9_]{1,64}\Z")
_HEX_ID = re.compile(
    r"\A([0-9a-fA-F]{12})7[0-9a-fA-F]{3}[89abAB][0-9a-fA-F]{15}\Z"
    r"|\A([0-9a-fA-F]{8})-([0-9a-fA-F]{4})-7[0-9a-fA-F]{3}-[89abAB][0-9a-fA-F]{3}-[0-9a-fA-F]{12}\Z"
)
_TIME_MIN = bytes.fromhex("016f5e66e800")
"""2020-01-01 as UUIDv7 milliseconds: below it 48 bits are taken for a hash, not a time."""
_TIME_MAX = bytes.fromhex("03bb2cc3d800")
"""2100-01-01 likewise, exclusive."""
_NO_TIME = bytes(6)

_BEYOND_INT64 = 2.0**64

NAME_BYTES = 22
"""Bytes of an item's name: 6 of time and 16 of HMAC."""


class Item(msgspec.Struct, frozen=True, array_like=True):
    """One item as a contributor sent it, checked but for the view.

    Attributes:
        type: 1 to 64 characters.
        id: The client's, or the one the server made.
        fields: Properties sent with a value, as decoded (an int only for ``-?digits``); an integer
            literal beyond 64 bits as some float64 beyond them, which is all its judge asks.
        nulls: Properties sent as null: absent, but their names must be known.
        canonical: MP of the flat map of what was sent; what is sealed and committed to.
    """

    type: str
    id: str
    fields: dict[str, Scalar]
    nulls: tuple[str, ...]
    canonical: bytes

    @property
    def is_declaration(self) -> bool:
        """Whether the item declares a property."""
        return self.type == SCHEMA_TYPE

    @property
    def is_withdrawal(self) -> bool:
        """Whether the item asks for another to be erased."""
        return self.type == WITHDRAWAL_TYPE

    @property
    def is_bare_withdrawal(self) -> bool:
        """Whether it does, and has no other property: at most 161 canonical bytes, dates included."""
        return self.type == WITHDRAWAL_TYPE and self.fields.keys() == {TARGET}


def shown(name: str) -> str:
    """A client's member name as an error may show it: itself if plain and short."""
    return name if _SHOWABLE.match(name) else "a property"


def _type_of(value: object) -> str:
    if type(value) is not str or not ITEM_TYPE.match(value):
        raise ItemError("type", "1 to 64 letters, digits and underscores, a letter first, were expected")
    return value


def is_item_id(text: str) -> bool:
    """Whether a text can be an item's id: 6 to 36 letters, digits, underscores and hyphens."""
    return _ID.match(text) is not None


def _id_of(value: object, make_id: Callable[[], str]) -> str:
    if value is None:
        return make_id()
    check_id("id", value)
    return cast(str, value)


def check_id(name: str, value: object) -> None:
    """Refuse what cannot be an item's id.

    Raises:
        ItemError: It names the member ``name``.
    """
    if type(value) is not str or not _ID.match(value):
        raise ItemError(name, "6 to 36 letters, digits, underscores and hyphens were expected")


def _check_int64(name: str, value: object) -> None:
    if value is not None and (type(value) is not int or not INT64_MIN <= value <= INT64_MAX):
        raise ItemError(name, "an integer of 64 bits or null was expected")


def _check_deleted(value: object) -> None:
    if type(value) is not bool:
        raise ItemError("deleted", "true or false was expected")


def canonical_number(name: str, value: float) -> int | float:
    """The one form of a number: an int64 where it is one, else the nearest float64.

    Args:
        name: The property, named in the error.
        value: An int for a ``-?digits`` literal, else a float.

    Raises:
        ItemError: No float64 is near: an integer literal beyond about 1.8e308,
            or an infinity.
    """
    if type(value) is int and INT64_MIN <= value <= INT64_MAX:
        return value
    try:
        nearest = float(value)
    except OverflowError as exc:
        raise ItemError(shown(name), "a finite number was expected") from exc
    if nearest.is_integer() and INT64_MIN <= nearest <= INT64_MAX:
        return int(nearest)
    if nearest - nearest != 0:
        raise ItemError(shown(name), "a finite number was expected")
    return nearest


def _within_64_bits(value: float) -> int | float:
    if type(value) is int and not INT64_MIN <= value <= INT64_MAX:
        # Between processes an int has 64 bits. Beyond them the judge asks only whether it is within.
        return math.copysign(max(abs(float(value)), _BEYOND_INT64), value)
    return value


_DATES = ("dateCreated", "dateModified")
_RARE_MEMBERS = frozenset(("rowid", "deleted", *_DATES))
"""What most items have none of, and is looked for in all of them at once."""
_OWN_MEMBERS = _RARE_MEMBERS | {"type", "id", "dateServerModified"}


def _check_rare(payload: Mapping[str, Scalar | None]) -> None:
    for name in ("rowid", *_DATES):
        _check_int64(name, payload.get(name))
    _check_deleted(payload.get("deleted", False))


def _rare_members(payload: Mapping[str, Scalar | None]) -> dict[str, Scalar]:
    """Those of them that are stored; they were checked."""
    kept = {name: date for name in _DATES if (date := payload.get(name)) is not None}
    return {**kept, "deleted": True} if payload.get("deleted") else kept


def parse_item(
    payload: Mapping[str, Scalar | None], *, make_id: Callable[[], str], most_members: int = MAX_FIELDS
) -> Item:
    """Check a decoded payload and bring it into canonical form.

    Args:
        payload: Untrusted; a flat map as the typed decoder gave it.
        make_id: Called for an id when the client sent none.
        most_members: How many it may have.

    Raises:
        ItemError: A member of the item itself breaks a rule, or a number has
            no float64.
    """
    if len(payload) > most_members:
        raise ItemError("payload", f"at most {most_members} members were expected")
    item_type = _type_of(payload.get("type"))
    has_rare = not _RARE_MEMBERS.isdisjoint(payload)
    if has_rare:
        _check_rare(payload)
    item_id = _id_of(payload.get("id"), make_id)
    fields: dict[str, Scalar] = {}
    nulls = []
    members: dict[str, Scalar] = {"type": item_type, "id": item_id}
    for name, value in payload.items():
        if name in _OWN_MEMBERS:
            continue
        if value is None:
            nulls.append(name)
        elif type(value) is str or type(value) is bool:
            fields[name] = members[name] = value
        else:
            members[name] = canonical_number(name, value)  # type: ignore[arg-type]  # neither: a number
            fields[name] = _within_64_bits(value)  # type: ignore[arg-type]  # likewise
    if has_rare:
        members |= _rare_members(payload)
    return Item(item_type, item_id, fields, tuple(nulls), mp(members))


def is_type_list(value: object) -> bool:
    """Whether a value is a list of 1 to ``MAX_TYPES`` item types, sorted, none twice."""
    if type(value) is not list or not 1 <= len(value) <= MAX_TYPES:
        return False
    is_named = all(type(name) is str and ITEM_TYPE.match(name) for name in value)
    return is_named and value == sorted(set(value))


_NEVER_STORED = frozenset(("rowid", "dateServerModified"))
_OWN_TYPED = frozenset(("deleted", *_DATES))
_REMEMBERED_BYTES = 4_096
"""Largest canonical item whose names are remembered: bounds what items made by hand take of memory."""


def _are_stored_names(names: tuple[str, ...]) -> bool:
    return all(map(ITEM_TYPE.match, names)) and _NEVER_STORED.isdisjoint(names)


# A pod has few lists of names and many items.
_are_remembered_names = functools.lru_cache(maxsize=256)(_are_stored_names)


def _is_stored_value(value: object) -> bool:
    """Whether ``parse_item`` and a view can have let this value of a property through."""
    kind = type(value)
    if kind is float:
        # One that is an int64 has that form: see `canonical_number`.
        is_int64 = value.is_integer() and INT64_MIN <= value <= INT64_MAX  # type: ignore[attr-defined, operator]  # a float
        return not is_int64 and math.isfinite(value)  # type: ignore[arg-type]  # likewise
    if kind is int:
        return INT64_MIN <= value <= INT64_MAX  # type: ignore[operator]  # an int
    return kind is str or kind is bool


def _are_own_members(members: Mapping[str, object]) -> bool:
    """Likewise of what the item itself has, and properties have not."""
    dates = [members[name] for name in _DATES if name in members]
    return members.get("deleted", True) is True and all(type(date) is int for date in dates)


def read_canonical(canonical: bytes) -> dict[str, Scalar]:
    """Read a canonical item that was sealed; the inverse of what ``parse_item`` wrote.

    Strict, because a server that was taken over seals what it likes, and at
    home types become names of files and members names of columns.

    Raises:
        MalformedError: Not MP, or not what an item's canonical form can be: no
            type or id of its shape, a member no property can have, a number in
            another than its one form.
    """
    members = un_mp(canonical)
    item_type, item_id = members.get("type"), members.get("id")
    if not isinstance(item_type, str) or not isinstance(item_id, str):
        raise MalformedError("a sealed item has no type or no id of their shape")
    if not ITEM_TYPE.match(item_type) or not _ID.match(item_id):
        raise MalformedError("a sealed item has no type or no id of their shape")
    are_named = _are_remembered_names if len(canonical) <= _REMEMBERED_BYTES else _are_stored_names
    if not are_named(tuple(members)) or not (_OWN_TYPED.isdisjoint(members) or _are_own_members(members)):
        raise MalformedError("a sealed item has a member that no item can have")
    for value in members.values():
        # The first half is for speed: most values are texts.
        if type(value) is not str and not _is_stored_value(value):
            raise MalformedError("a sealed item has a member that no item can have")
    return cast("dict[str, Scalar]", members)


def item_salt(item_key: MacKey, item_id: str) -> bytes:
    """salt = HMAC-SHA256(D(K,"item"), id): 32 bytes only the contributor and the maintainer know."""
    return item_key.mac(item_id.encode())


def commitment(salt: bytes, canonical: bytes) -> bytes:
    """C = HMAC-SHA256(salt, canonical): 32 bytes that decide retry or conflict."""
    return hmac.digest(salt, canonical, "sha256")


def _time_prefix(item_id: str) -> bytes:
    found = _HEX_ID.match(item_id)
    if not found:
        return _NO_TIME
    time = bytes.fromhex(found[1] or found[2] + found[3])
    # A hash used as an id must not show 48 of its bits, and 6 % look like UUIDv7.
    return time if _TIME_MIN <= time < _TIME_MAX else _NO_TIME


def item_name(name_key: MacKey, item_id: str) -> bytes:
    """The opaque 22 bytes that stand for an id in the vault.

    t || HMAC-SHA256(D(K,"name"), id)[:16]; t is a UUIDv7's time (2020 to 2100)
    or zeros. Time-ordered names keep inserts at one end of the index.
    """
    return _time_prefix(item_id) + name_key.mac(item_id.encode())[:16]


def server_id(ms: int, random: bytes) -> str:
    """A time-ordered id: UUIDv7 (RFC 9562 5.7) as 32 lower-case hex digits.

    Args:
        ms: UTC milliseconds since 1970.
        random: 10 random bytes.
    """
    bits = int.from_bytes(random, "big")
    rand_a, rand_b = bits & 0xFFF, (bits >> 12) & (2**62 - 1)
    return f"{(ms & (2**48 - 1)) << 80 | 7 << 76 | rand_a << 64 | 2 << 62 | rand_b:032x}"
