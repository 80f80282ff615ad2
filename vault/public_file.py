"""A maintainer's public half as a line of text, to be given to another maintainer.

A recipient to seal to and a signer to trust, signed by that signer, so that the
two halves are one identity's and no letter was lost. Whose identity it is,
only people can tell: they compare fingerprints. FORMAT.md, "Public key file".
"""

from __future__ import annotations

import hashlib
import re

import msgspec

from vault.encoding import pae
from vault.errors import DamagedError, FormatTooNewError, MalformedError
from vault.keys import KEY_BYTES, is_signed
from vault.notes import from_base64, to_base64
from vault.opening import Identity
from vault.sealing import RECIPIENT_BYTES, Recipient

MAX_PUBLIC_CHARACTERS = 4096
"""Longest public key file read; ours has 1,774."""

_MARK = "shared-pod-public/v1 "
_LATER = re.compile(r"\Ashared-pod-public/v(?!1 )[1-9][0-9]{0,8} ")
_WHAT = "public key"
_SIGNATURE_BYTES = 64
_BYTES = RECIPIENT_BYTES + KEY_BYTES + _SIGNATURE_BYTES


class PublicKey(msgspec.Struct, frozen=True):
    """What others may know of an identity.

    Attributes:
        recipient: To seal to.
        signer: 32 bytes, whose policies and requests it signs.
    """

    recipient: Recipient
    signer: bytes

    @property
    def fingerprint(self) -> str:
        """64 hex digits that two people compare over another channel."""
        return hashlib.sha256(self.recipient.raw + self.signer).hexdigest()


def _signed_bytes(recipient: bytes, signer: bytes) -> bytes:
    return pae(b"public/v1", recipient, signer)


def public_key_of(identity: Identity) -> PublicKey:
    """An identity's public half."""
    return PublicKey(identity.recipient, identity.signer)


def format_public(identity: Identity) -> str:
    """The line of an identity's public key file, without newline."""
    recipient, signer = identity.recipient.raw, identity.signer
    signature = identity.sign(_signed_bytes(recipient, signer))
    return _MARK + to_base64(recipient + signer + signature)


def parse_public(line: str) -> PublicKey:
    """Read the line of a public key file.

    Args:
        line: Untrusted, without newline.

    Raises:
        FormatTooNewError: Of a later format.
        MalformedError: Anything else than a public key, or one nobody can seal to.
        DamagedError: Its signature does not hold: it was altered.
    """
    if _LATER.match(line):
        raise FormatTooNewError("public key: it is of a later format; update shared-pod")
    if not line.startswith(_MARK):
        raise MalformedError("public key: what `identity public` prints was expected")
    raw = from_base64(line.removeprefix(_MARK), _WHAT)
    if len(raw) != _BYTES:
        raise MalformedError(f"public key: {_BYTES} bytes were expected, {len(raw)} were found")
    recipient, signer = raw[:RECIPIENT_BYTES], raw[RECIPIENT_BYTES:-_SIGNATURE_BYTES]
    if not is_signed(signer, raw[-_SIGNATURE_BYTES:], _signed_bytes(recipient, signer)):
        raise DamagedError("public key: its signature does not hold: it was altered; get it again")
    key = PublicKey(Recipient(recipient), signer)
    # A small-order point is seen only when something is sealed to it.
    key.recipient.seal(b"", b"")
    return key
