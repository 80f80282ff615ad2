"""Vectors of public key files. FORMAT.md, "Public key file"."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

from tests.vectors import world
from tests.vectors.family import Family, flipped
from vault.encoding import pae
from vault.errors import DamagedError, FormatTooNewError, MalformedError
from vault.opening import Identity

_MARK = "shared-pod-public/v1 "
_OWN = world.IDENTITY.recipient.raw


def _raw(recipient: bytes, by: Identity = world.IDENTITY, label: bytes = b"public/v1") -> bytes:
    return recipient + by.signer + by.sign(pae(label, recipient, by.signer))


def _line(raw: bytes) -> str:
    return _MARK + base64.b64encode(raw).decode()


def _bad(family: Family) -> None:
    right = _raw(_OWN)
    whole = _line(right)
    other = _raw(world.OTHER_IDENTITY.recipient.raw, world.OTHER_IDENTITY)
    signer = slice(len(_OWN), len(_OWN) + 32)
    unsealable = _OWN[:-32] + bytes(32)
    for name, why, error, says, line in [
        ("version 2", "a later program wrote it", FormatTooNewError, "later format", whole.replace("/v1", "/v2")),
        ("version 10", "a later program wrote it", FormatTooNewError, "later format", whole.replace("/v1", "/v10")),
        ("recipient altered", "it is signed", DamagedError, "does not hold", _line(flipped(right, 5))),
        ("signer altered", "it signed", DamagedError, "does not hold", _line(flipped(right, len(_OWN)))),
        ("signature altered", "one bit", DamagedError, "does not hold", _line(flipped(right, -1))),
        ("another's recipient", "the two halves are one identity's", DamagedError, "does not hold", _line(other[: len(_OWN)] + right[len(_OWN) :])),
        ("another's signer", "the two halves are one identity's", DamagedError, "does not hold", _line(right[: signer.start] + other[signer] + right[signer.stop :])),
        ("signed as an endorsement", "each label in one place", DamagedError, "does not hold", _line(_raw(_OWN, label=b"signer/v1"))),
        ("nobody can seal to it", "X25519 of small order", MalformedError, "", _line(_raw(unsealable))),
        ("no encapsulation key", "FIPS 203's check", MalformedError, "", _line(_raw(b"\xff" * len(_OWN)))),
        ("a byte short", "1,312 bytes", MalformedError, "1312 bytes", _line(right[:-1])),
        ("a byte more", "1,312 bytes", MalformedError, "1312 bytes", _line(right + b"\0")),
        ("no key", "1,312 bytes", MalformedError, "1312 bytes", _MARK),
        ("not base64", "RFC 4648 section 4", MalformedError, "base64", whole[:-3] + "-" + whole[-2:]),
        ("unpadded", "RFC 4648 section 4", MalformedError, "base64", whole.rstrip("=")),
        ("empty", "its mark", MalformedError, "was expected", ""),
        ("no mark", "its mark", MalformedError, "was expected", whole.removeprefix(_MARK)),
        ("an identity", "its mark", MalformedError, "was expected", world.SECRETS["other_identity"]),
        ("a letter before the mark", "a line of nothing else", MalformedError, "was expected", "x" + whole),
    ]:  # fmt: skip
        vector = family.bad(name, why, error, says, line=line)
        if not says:
            del vector["says"]


def build() -> dict[str, Any]:
    """public-files/."""
    family = Family()
    for name, identity in (("public key", world.IDENTITY), ("another", world.OTHER_IDENTITY)):
        recipient = identity.recipient
        family.good(
            name,
            "a recipient and the signer of one identity",
            line=_line(_raw(recipient.raw, identity)),
            kid=recipient.kid.hex(),
            signer=identity.signer.hex(),
            fingerprint=hashlib.sha256(recipient.raw + identity.signer).hexdigest(),
        )
    _bad(family)
    return {
        "about": "line: a public key file without its newline; kid: of its recipient. Bytes are hexadecimal.",
        "vectors": family.vectors,
    }
