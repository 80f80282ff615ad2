"""Vectors of requests to a running server. FORMAT.md, "Requests"."""

from __future__ import annotations

from typing import Any

from tests.vectors import world
from tests.vectors.family import Family, flipped
from vault.encoding import le32, le64, pae
from vault.errors import DamagedError, ForeignPodError, FormatTooNewError, MalformedError
from vault.opening import Identity

ID = world.draw("request", 16)
UNTIL = 1763700000000
_STATEMENTS = [world.draw(f"statement {number}", 300) for number in range(2)]
_HOLD = [world.POD_ID, ID, b"hold", le64(UNTIL)]


def _signed(*fields: bytes, label: bytes = b"request/v1", by: Identity = world.IDENTITY) -> bytes:
    text = pae(label, *fields)
    return pae(text, by.signer, by.sign(text))


def _erase(body: bytes) -> bytes:
    return _signed(world.POD_ID, ID, b"erase", body)


def _fields(request: bytes) -> dict[str, Any]:
    return {
        "request": request.hex(),
        "pod_id": world.POD_ID.hex(),
        "id": ID.hex(),
        "signers": [world.IDENTITY.signer.hex()],
    }


def _good(family: Family) -> None:
    def good(name: str, why: str, request: bytes, asks: dict[str, Any]) -> None:
        family.good(name, why, **_fields(request), asks=asks)

    good("hold", "until a time", _signed(*_HOLD), {"verb": "hold", "until": UNTIL})
    statements = [each.hex() for each in _STATEMENTS]
    good("erase", "two items", _erase(pae(*_STATEMENTS)), {"verb": "erase", "statements": statements})
    good("erase nothing", "an empty list", _erase(pae()), {"verb": "erase", "statements": []})
    last = 2**64 - 1
    good(
        "hold for ever",
        "whether it asks now is the reader's clock's",
        _signed(*_HOLD[:3], le64(last)),
        {"verb": "hold", "until": last},
    )


def _bad(family: Family) -> None:
    right, signer = _signed(*_HOLD), world.IDENTITY
    text = pae(b"request/v1", *_HOLD)
    for name, why, error, says, request in [
        ("request/v2", "a later program wrote it", FormatTooNewError, "later format", _signed(label=b"request/v2")),
        ("another pod", "the pod id", ForeignPodError, "another pod", _signed(world.OTHER_POD_ID, *_HOLD[1:])),
        ("another id", "its name is its id", DamagedError, "another name", _signed(world.POD_ID, bytes(16), *_HOLD[2:])),
        ("id of 15 bytes", "its name is its id", DamagedError, "another name", _signed(world.POD_ID, ID[:15], *_HOLD[2:])),
        ("a stranger's", "a signer of the accepted policy", DamagedError, "not signed by", _signed(*_HOLD, by=world.OTHER_IDENTITY)),
        ("a stranger's signature", "the signer's own", DamagedError, "not signed by", pae(text, signer.signer, world.OTHER_IDENTITY.sign(text))),
        ("signed by the log key", "it signs batches", DamagedError, "not signed by", pae(text, world.LOG_KEY.public, world.LOG_KEY.sign(text))),
        ("signature altered", "one bit", DamagedError, "not signed by", flipped(right, -1)),
        ("signature short", "64 bytes", DamagedError, "not signed by", pae(text, signer.signer, bytes(63))),
        ("time altered", "it is signed", DamagedError, "not signed by", right.replace(le64(UNTIL), le64(UNTIL + 1))),
        ("an erasure", "each label in one place", MalformedError, "its label", _signed(*_HOLD, label=b"erasure/v1")),
        ("another verb", "erase or hold", MalformedError, "verb", _signed(*_HOLD[:2], b"stop", b"")),
        ("verb in capitals", "matched whole", MalformedError, "verb", _signed(*_HOLD[:2], b"HOLD", _HOLD[3])),
        ("time of 4 bytes", "LE64", MalformedError, "8-byte", _signed(*_HOLD[:3], le32(1))),
        ("no time", "LE64", MalformedError, "8-byte", _signed(*_HOLD[:3], b"")),
        ("statements without a list", "a pae", MalformedError, "before its count", _erase(b"")),
        ("statements cut", "exact lengths", MalformedError, "", _erase(pae(*_STATEMENTS)[:-1])),
        ("request/v2, cut", "a label is read once its fields are", MalformedError, "", pae(pae(b"request/v2", *_HOLD)[:-1], signer.signer, bytes(64))),
        ("no verb", "four fields follow the label", MalformedError, "4 fields", _signed(*_HOLD[:2])),
        ("a field more", "four fields follow the label", MalformedError, "4 fields", _signed(*_HOLD, b"")),
        ("no signature", "three fields", MalformedError, "3 fields", pae(text, signer.signer)),
        ("unsigned", "three fields", MalformedError, "3 fields", text),
        ("nothing", "a pae", MalformedError, "before its count", b""),
        ("a byte after it", "nothing follows", MalformedError, "", right + b"\n"),
    ]:  # fmt: skip
        vector = family.bad(name, why, error, says, **_fields(request))
        if not says:
            del vector["says"]


def build() -> dict[str, Any]:
    """requests/."""
    family = Family()
    _good(family)
    _bad(family)
    return {
        "about": "request: the file of the name id in the folder requests/ of the pod with pod_id, whose accepted policy has "
        "signers; it asks what asks says. Bytes are hexadecimal.",
        "vectors": family.vectors,
    }
