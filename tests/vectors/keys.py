"""Vectors of derivations, pod ids and the 64 digits. FORMAT.md, "Keys"."""

from __future__ import annotations

from typing import Any

from tests.vectors import world
from tests.vectors.family import Family
from vault.errors import MalformedError
from vault.keys import OwnerKey
from vault.opening import Identity

USES = ("lookup", "wrap", "view", "item", "name", "id")
IDENTITY_USES = ("seal", "sign", "desk", "review")


def _database_keys() -> Family:
    family = Family()
    for number, pod_id in [(1, world.POD_ID), (2, world.POD_ID), (1, world.OTHER_POD_ID)]:
        key = world.KEYS[number]
        family.good(
            f"key {number} in pod {pod_id.hex()[:8]}",
            "HKDF-SHA256, the pod id is the salt",
            database_key=key.reveal().hex(),
            pod_id=pod_id.hex(),
            derived={use: key.derive(use, pod_id).hex() for use in USES},
        )
    return family


def _identities() -> Family:
    family = Family()
    for name, identity in [
        ("identity", world.IDENTITY),
        ("other identity", world.OTHER_IDENTITY),
        ("zeros", Identity(bytes(32))),
    ]:
        family.good(
            name,
            "one seed gives recipient and signer",
            identity=identity.reveal().hex(),
            derived={use: identity.derive(use).hex() for use in IDENTITY_USES},
            recipient=identity.recipient.raw.hex(),
            kid=identity.recipient.kid.hex(),
            signer=identity.signer.hex(),
        )
    return family


def _recipients() -> Family:
    family = Family()
    raw = world.IDENTITY.recipient.raw
    family.good("recipient", "1,216 bytes", recipient=raw.hex(), kid=world.IDENTITY.recipient.kid.hex())
    family.bad(
        "short", "lengths are exact", MalformedError, "1216 bytes were expected", recipient=raw[:-1].hex()
    )
    family.bad(
        "long", "lengths are exact", MalformedError, "1216 bytes were expected", recipient=(raw + b"\0").hex()
    )
    family.bad("empty", "lengths are exact", MalformedError, "1216 bytes were expected", recipient="")
    family.bad(
        "coefficient of q or more",
        "FIPS 203 7.2, modulus check",
        MalformedError,
        "no ML-KEM-768 public key",
        recipient=(b"\xff" * 3 + raw[3:]).hex(),
    )
    return family


def _digits() -> Family:
    family = Family()
    digits = world.OWNER_KEY.hex
    for name, text in [
        ("small", digits),
        ("capital", digits.upper()),
        ("mixed", digits[:32] + digits[32:].upper()),
    ]:
        family.good(
            name,
            "any case, one pod",
            digits=text,
            raw=world.OWNER_KEY.raw.hex(),
            pod_id=OwnerKey.from_hex(text).pod_id.hex(),
        )
    for name, text in [
        ("63 digits", digits[:-1]),
        ("65 digits", digits + "0"),
        ("nothing", ""),
        ("newline at the end", digits + "\n"),
        ("white space inside", digits[:30] + "  " + digits[32:]),
        ("white space around", " " + digits[1:]),
        ("a letter beyond f", "g" + digits[1:]),
        ("0x before", "0x" + digits[2:]),
        ("full-width digit", "\uff10" + digits[1:]),
        ("Arabic digit", "\u0660" + digits[1:]),
        ("NUL", "\0" + digits[1:]),
        ("96 digits", digits + digits[:32]),
    ]:
        family.bad(name, "exactly 64 of 0-9 a-f A-F", MalformedError, "64 hexadecimal digits", digits=text)
    return family


def build() -> dict[str, Any]:
    """keys/."""
    return {
        "about": "D(K, use) of database keys, I(use) and public keys of identities, recipients, and what passes for "
        "64 hexadecimal digits. Bytes are hexadecimal.",
        "database_keys": _database_keys().vectors,
        "identities": _identities().vectors,
        "recipients": _recipients().vectors,
        "digits": _digits().vectors,
    }
