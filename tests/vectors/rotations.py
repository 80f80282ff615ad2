"""Vectors of a rotation that is not done. FORMAT.md, "Rotation"."""

from __future__ import annotations

import base64
from typing import Any

from tests.vectors import world
from tests.vectors.family import Family, flipped
from tests.vectors.material import MATERIAL
from vault.encoding import pae
from vault.errors import DamagedError, FormatTooNewError, MalformedError, WrongKeyError
from vault.opening import Identity

_MARK = "shared-pod-rotation/v1 "
_KEY = world.draw("the coming file key")
_INFO = pae(b"rotation/v1", b"\x02", world.POD_ID)


def _sealed(name: str, key: bytes = _KEY, info: bytes = _INFO, to: Identity = world.IDENTITY) -> bytes:
    return MATERIAL.sealed_to_each(f"rotation/{name}", [to.recipient], key, info)


def _line(sealed: bytes) -> str:
    return _MARK + base64.b64encode(sealed).decode()


def build() -> dict[str, Any]:
    """rotations/."""
    family, right = Family(), _sealed("right")
    whole = _line(right)

    def fields(line: str) -> dict[str, Any]:
        return {"line": line, "identity": world.IDENTITY.reveal().hex(), "pod_id": world.POD_ID.hex()}

    family.good("rotation", "the coming file key", **fields(whole), file_key=_KEY.hex())
    other_pod = pae(b"rotation/v1", b"\x02", world.OTHER_POD_ID)
    for name, why, error, says, line in [
        ("version 2", "a later program wrote it", FormatTooNewError, "later format", whole.replace("/v1", "/v2")),
        ("version 10", "a later program wrote it", FormatTooNewError, "later format", whole.replace("/v1", "/v10")),
        ("version 0", "from 1", MalformedError, "was expected", whole.replace("/v1", "/v0")),
        ("another identity's", "not sealed to it", WrongKeyError, "another identity", _line(_sealed("other identity", to=world.OTHER_IDENTITY))),
        ("for nobody", "an empty list", WrongKeyError, "another identity", _line(pae())),
        ("another pod's", "the HPKE info holds it", DamagedError, "", _line(_sealed("other pod", info=other_pod))),
        ("sealed as a policy's file key", "each label in one place", DamagedError, "", _line(_sealed("other label", info=pae(b"file-key/v1", b"\x02", world.POD_ID)))),
        ("altered", "HPKE does not open", DamagedError, "", _line(flipped(right, -1))),
        ("a key of 31 bytes", "a file key is 32", DamagedError, "holds no key", _line(_sealed("short", _KEY[:-1]))),
        ("cut", "exact lengths", MalformedError, "", _line(right[:-1])),
        ("no list", "a pae", MalformedError, "", _line(b"")),
        ("not base64", "RFC 4648 section 4", MalformedError, "base64", whole[:-4] + "-" + whole[-3:]),
        ("empty", "its mark", MalformedError, "was expected", ""),
        ("a public key", "its mark", MalformedError, "was expected", whole.replace("rotation", "public")),
    ]:  # fmt: skip
        vector = family.bad(name, why, error, says, **fields(line))
        if not says:
            del vector["says"]
    return {
        "about": "line: home's file rotation of the pod with pod_id, without its newline, opened with identity. HPKE's bytes are "
        "golden for opening only. Bytes are hexadecimal.",
        "vectors": family.vectors,
    }
