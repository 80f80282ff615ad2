"""Vectors of caveats, wraps, rewraps and views. FORMAT.md, "Slots" and "Properties and views"."""

from __future__ import annotations

from typing import Any

from tests.vectors import world
from tests.vectors.family import Family, flipped
from tests.vectors.material import MATERIAL
from vault.caveats import Caveats, parse_caveats
from vault.encoding import mp, pae
from vault.errors import DamagedError, MalformedError, WrongKeyError
from vault.keys import DatabaseKey, PodId
from vault.opening import Identity
from vault.properties import MAX_VIEW_NAMES, ValueType
from vault.sealing import Recipient, slot_info
from vault.slots import lookup_of, wrap_file_key
from vault.views import seal_view

LIMITS: dict[str, Any] = {
    "expires": 1893456000000,
    "types": ["Note", "Photo"],
    "max_items": 1000,
    "max_bytes": 2**40,
    "max_item_bytes": 4096,
    "rate": [60, 65536],
}


def caveats_of(members: dict[str, Any]) -> Caveats:
    """Parse members that are well-formed."""
    caveats = parse_caveats(members)
    if caveats is None:
        raise ValueError("an unknown caveat")
    return caveats


def _caveats() -> Family:
    family = Family()
    family.good("none", "no limit", members={}, is_open=True, encoded=mp({}).hex())
    family.good("all", "every caveat", members=LIMITS, is_open=True, encoded=mp(LIMITS).hex())
    for name, value in LIMITS.items():
        family.good(name, "one caveat", members={name: value}, is_open=True, encoded=mp({name: value}).hex())
    largest: dict[str, Any] = {"expires": 2**63 - 1, "rate": [1, 2**63 - 1]}
    family.good("largest", "63 bits", members=largest, is_open=True, encoded=mp(largest).hex())
    family.good(
        "unknown",
        "a limit this program does not understand closes the slot",
        members={"colour": "red"},
        is_open=False,
    )
    family.good("unknown beside known", "likewise", members={"max_items": 1, "max_colours": 1}, is_open=False)
    for caveat in ("expires", "max_items", "max_bytes", "max_item_bytes"):
        for value in (0, -1, 2**63, 1.0, "1", True, None, [1]):
            family.bad(
                f"{caveat} {value!r}",
                "an integer from 1 to 2^63-1",
                MalformedError,
                f"the caveat {caveat}",
                members={caveat: value},
            )
    for value in (
        [],
        "Note",
        ["Photo", "Note"],
        ["Note", "Note"],
        ["../x"],
        ["Note\n"],
        [""],
        [1],
        None,
        {},
        [f"T{n:03}" for n in range(257)],
    ):
        shown = repr(value) if len(repr(value)) < 40 else f"{len(value or [])} of them"
        family.bad(
            f"types {shown}",
            "1 to 256 item types, sorted, none twice",
            MalformedError,
            "the caveat types",
            members={"types": value},
        )
    for value in ([], [1], [1, 1, 1], [0, 1], [1, 0], [1, 1.0], [True, 1], "60/1m", None, 60):
        family.bad(
            f"rate {value!r}",
            "two integers from 1",
            MalformedError,
            "the caveat rate",
            members={"rate": value},
        )
    return family


def wrap_of(number: int, key: DatabaseKey, caveats: dict[str, Any]) -> bytes:
    """The wrap of a slot of the main pod."""
    return wrap_file_key(
        world.FILE_KEY,
        key.derive("wrap", world.POD_ID),
        pod_id=world.POD_ID,
        number=number,
        caveats=caveats_of(caveats),
        nonce=world.draw(f"wrap nonce {number}", 12),
    )


def _wraps() -> Family:
    family = Family()
    key, wrap = world.KEYS[1], wrap_of(1, world.KEYS[1], LIMITS)

    def fields(**changes: Any) -> dict[str, Any]:
        same = {
            "database_key": key.reveal().hex(),
            "pod_id": world.POD_ID.hex(),
            "number": 1,
            "caveats": LIMITS,
            "state": "active",
            "wrap": wrap.hex(),
        }
        return same | changes

    file_key = world.FILE_KEY.reveal().hex()
    family.good(
        "slot",
        "file key under D(K, wrap)",
        **fields(),
        file_key=file_key,
        lookup=lookup_of(key, world.POD_ID).hex(),
    )
    family.good(
        "slot without limits",
        "an empty map",
        **fields(
            database_key=world.KEYS[2].reveal().hex(),
            number=2,
            caveats={},
            wrap=wrap_of(2, world.KEYS[2], {}).hex(),
        ),
        file_key=file_key,
        lookup=lookup_of(world.KEYS[2], world.POD_ID).hex(),
    )
    says = "does not open its slot"
    moved: list[tuple[str, str, dict[str, Any]]] = [
        ("another key", "D(K, wrap) of another K", {"database_key": world.KEYS[2].reveal().hex()}),
        ("another pod", "the pod id is in key and associated data", {"pod_id": world.OTHER_POD_ID.hex()}),
        ("another number", "the number is associated data", {"number": 2}),
        (
            "a caveat dropped",
            "caveats are associated data",
            {"caveats": {k: v for k, v in LIMITS.items() if k != "expires"}},
        ),
        ("a caveat raised", "caveats are associated data", {"caveats": LIMITS | {"max_items": 1001}}),
        ("nonce altered", "one bit", {"wrap": flipped(wrap, 0).hex()}),
        ("file key altered", "one bit", {"wrap": flipped(wrap, 20).hex()}),
        ("tag altered", "one bit", {"wrap": flipped(wrap, -1).hex()}),
    ]
    for name, why, changes in moved:
        family.bad(name, why, WrongKeyError, says, **fields(**changes))
    closed: list[tuple[str, str, dict[str, Any]]] = [
        ("revoked", "a tombstone has no wrap", {"state": "revoked", "wrap": None}),
        ("revoked with its wrap", "the state counts", {"state": "revoked"}),
        ("unknown state", "is not open", {"state": "paused"}),
        ("active without wrap", "is not open", {"wrap": None}),
        ("unknown caveat", "closes the slot", {"caveats": LIMITS | {"colour": 1}}),
    ]
    for name, why, changes in closed:
        family.bad(name, why, WrongKeyError, "this slot is closed", **fields(**changes))
    return family


def _slot_secrets(key: DatabaseKey, name: bytes) -> bytes:
    return pae(*(key.derive(use, world.POD_ID) for use in ("wrap", "view", "name")), name)


def rewrap_of(number: int, key: DatabaseKey, name: str, recipients: list[Recipient] | None = None) -> bytes:
    """The rewrap of a slot of the main pod."""
    return MATERIAL.sealed_to_each(
        f"rewrap {number} {name}",
        recipients or [world.IDENTITY.recipient],
        _slot_secrets(key, name.encode()),
        slot_info(world.POD_ID, number),
    )


def _rewraps() -> Family:
    family = Family()
    key = world.KEYS[1]
    rewrap = rewrap_of(1, key, "field-team")
    both = rewrap_of(1, key, "two-readers", [world.OTHER_IDENTITY.recipient, world.IDENTITY.recipient])

    def fields(rewrap: bytes, identity: Identity = world.IDENTITY, number: int = 1) -> dict[str, Any]:
        return {
            "identity": identity.reveal().hex(),
            "pod_id": world.POD_ID.hex(),
            "number": number,
            "rewrap": rewrap.hex(),
        }

    secrets = {f"{use}_key": key.derive(use, world.POD_ID).hex() for use in ("wrap", "view", "name")}
    family.good("rewrap", "one recipient", **fields(rewrap), slot_name="field-team", **secrets)
    family.good(
        "first of two",
        "each opens its own",
        **fields(both, world.OTHER_IDENTITY),
        slot_name="two-readers",
        **secrets,
    )
    family.good("second of two", "each opens its own", **fields(both), slot_name="two-readers", **secrets)
    family.bad(
        "another identity",
        "not sealed to it",
        WrongKeyError,
        "is not sealed to this identity",
        **fields(rewrap, world.OTHER_IDENTITY),
    )
    family.bad(
        "for nobody", "an empty list", WrongKeyError, "is not sealed to this identity", **fields(pae())
    )
    family.bad(
        "another number",
        "the number is in the HPKE info",
        DamagedError,
        "was altered",
        **fields(rewrap, number=2),
    )
    family.bad(
        "altered", "one bit of the ciphertext", DamagedError, "was altered", **fields(flipped(rewrap, -20))
    )
    family.bad(
        "encapsulated key altered", "one bit", DamagedError, "was altered", **fields(flipped(rewrap, 100))
    )
    kid = world.IDENTITY.recipient.kid
    family.bad(
        "nothing sealed",
        "shorter than an encapsulated key",
        DamagedError,
        "was altered",
        **fields(pae(pae(kid, b""))),
    )
    family.bad(
        "twice the same recipient",
        "one entry each",
        MalformedError,
        "names one twice",
        **fields(pae(pae(kid, b""), pae(kid, b""))),
    )
    family.bad("short kid", "32 bytes", MalformedError, "not by a hash", **fields(pae(pae(kid[:31], b""))))
    family.bad(
        "an entry of one field",
        "kid and sealed",
        MalformedError,
        "2 fields were expected",
        **fields(pae(pae(kid))),
    )
    family.bad("cut", "exact lengths", MalformedError, "inside a field", **fields(rewrap[:-1]))
    for name, why, plaintext, says in [
        ("short key", "32 bytes each", pae(bytes(31), bytes(32), bytes(32), b"x"), "32 bytes each"),
        ("three fields", "four", pae(bytes(32), bytes(32), b"x"), "4 fields were expected"),
        ("name not UTF-8", "text", pae(bytes(32), bytes(32), bytes(32), b"\xff"), "is not UTF-8"),
    ]:
        sealed = MATERIAL.sealed_to_each(
            f"rewrap, {name}", [world.IDENTITY.recipient], plaintext, slot_info(world.POD_ID, 1)
        )
        family.bad(name, why, MalformedError, says, **fields(sealed))
    return family


def _views() -> Family:
    family = Family()
    key = world.KEYS[1].derive("view", world.POD_ID)
    own = {"height": ValueType.REAL, "species": ValueType.TEXT, "n": ValueType.INTEGER}
    nonce = world.draw("view nonce", 12)

    def seal(names: dict[str, Any]) -> bytes:
        return seal_view(names, key, pod_id=world.POD_ID, slot=1, nonce=nonce)

    def fields(
        view: bytes | None, pod_id: PodId = world.POD_ID, slot: int = 1, view_key: bytes = key
    ) -> dict[str, Any]:
        sealed = None if view is None else view.hex()
        return {"view_key": view_key.hex(), "pod_id": pod_id.hex(), "slot": slot, "view": sealed}

    view = seal(own)
    family.good(
        "view",
        "three names",
        **fields(view),
        own={name: str(kind) for name, kind in own.items()},
        nonce=nonce.hex(),
    )
    family.good("empty view", "an empty map", **fields(seal({})), own={}, nonce=nonce.hex())
    family.good("no view", "NULL", **fields(None), own={}, nonce=None)
    says = "does not open"
    family.bad("another slot", "the number is associated data", DamagedError, says, **fields(view, slot=2))
    family.bad(
        "another pod", "the pod id is associated data", DamagedError, says, **fields(view, world.OTHER_POD_ID)
    )
    family.bad(
        "another key",
        "D(K, view) of another K",
        DamagedError,
        says,
        **fields(view, view_key=world.KEYS[2].derive("view", world.POD_ID)),
    )
    for name, at in [("nonce altered", 0), ("altered", 15), ("tag altered", -1)]:
        family.bad(name, "one bit", DamagedError, says, **fields(flipped(view, at)))
    family.bad("cut", "no tag", DamagedError, says, **fields(view[:20]))
    family.bad("nothing", "no nonce", DamagedError, says, **fields(b""))
    strange: list[tuple[str, str, dict[str, Any]]] = [
        ("another type", "five types", {"a": "Blob"}),
        ("type in small letters", "spelled as on the wire", {"a": "text"}),
        ("number as type", "text", {"a": 5}),
        ("reserved name", "no declaration takes it", {"rowId": "Text"}),
        ("name with a hyphen", "the pattern of names", {"a-b": "Text"}),
    ]
    for name, why, names in strange:
        family.bad(name, why, DamagedError, says, **fields(seal(names)))
    many = {f"n{number}": ValueType.TEXT for number in range(MAX_VIEW_NAMES + 1)}
    family.bad("513 names", "at most 512", DamagedError, "more than 512 names", **fields(seal(many)))
    return family


def build() -> dict[str, Any]:
    """slots/."""
    return {
        "about": "caveats: as a slot of slots.json has them, with their MP; is_open false: an unknown one closes the slot. "
        "wraps: opened with the database key. rewraps: opened with the identity. Bytes are hexadecimal; HPKE's are golden "
        "for opening only.",
        "caveats": _caveats().vectors,
        "wraps": _wraps().vectors,
        "rewraps": _rewraps().vectors,
    }


def build_views() -> dict[str, Any]:
    """views/."""
    return {
        "about": "A slot's own view, sealed under D(K, view); null is the table's NULL. Bytes are hexadecimal.",
        "vectors": _views().vectors,
    }
