"""Keys a server may hold: owner key, database key, file key, log key.

Every secret is a ``Secret``: its repr is redacted, it does not compare, pickle
or format by accident, and reading it is spelled out (``reveal``). Private keys
that open items are not here but in ``vault.opening``, which the server never
imports. Derivations are FORMAT.md, "Keys".
"""

from __future__ import annotations

import hashlib
import hmac
from typing import NewType, NoReturn, Protocol, Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from vault.errors import MalformedError

PodId = NewType("PodId", bytes)
"""32 bytes: SHA-256 of the owner key's 32 bytes."""

KEY_BYTES = 32


def parse_hex_32(text: str, what: str) -> bytes:
    """Read exactly 64 hexadecimal digits of any case as 32 bytes.

    Args:
        text: Untrusted text.
        what: The name of the thing, for the error's sentence.

    Raises:
        MalformedError: Not exactly 64 hexadecimal digits. The text is not quoted.
    """
    try:
        # It skips white space; 64 characters that are 32 bytes hold none.
        raw = bytes.fromhex(text) if len(text) == 2 * KEY_BYTES else b""
    except ValueError:
        raw = b""
    if len(raw) != KEY_BYTES:
        raise MalformedError(f"{what}: 64 hexadecimal digits were expected")
    return raw


def hkdf_sha256(key: bytes, *, salt: bytes, info: bytes) -> bytes:
    """HKDF-SHA256 (RFC 5869) with a 32-byte output, which is one block of expand.

    Args:
        key: Input keying material.
        salt: May be empty, which RFC 5869 2.2 reads as 32 zero bytes.
        info: Context.
    """
    pseudorandom_key = hmac.digest(salt or bytes(32), key, "sha256")
    return hmac.digest(pseudorandom_key, info + b"\x01", "sha256")


def hkdf_expand_sha256(pseudorandom_key: bytes, info: bytes) -> bytes:
    """HKDF-Expand (RFC 5869 2.3) with SHA-256 and a 32-byte output."""
    return hmac.digest(pseudorandom_key, info + b"\x01", "sha256")


def is_signed(public: bytes, signature: bytes, message: bytes) -> bool:
    """Whether ``signature`` is the Ed25519 key's over ``message``; False for anything malformed.

    Args:
        public: 32 bytes, or else False.
        signature: 64 bytes, or else False.
        message: What was signed; it begins with a label of its own.
    """
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


class Signs(Protocol):
    """Who signs what a maintainer says: an identity, which is not known here."""

    @property
    def signer(self) -> bytes:
        """32 bytes, the Ed25519 public key."""

    def sign(self, message: bytes) -> bytes:
        """Return the 64-byte signature of ``message``."""


class Secret:
    """32 secret bytes that do not show themselves.

    Args:
        raw: Exactly 32 bytes.

    Raises:
        MalformedError: Another length.
    """

    __slots__ = ("_raw",)

    def __init__(self, raw: bytes) -> None:
        if len(raw) != KEY_BYTES:
            raise MalformedError(f"{type(self).__name__}: 32 bytes were expected, {len(raw)} were found")
        self._raw = bytes(raw)

    @classmethod
    def from_hex(cls, text: str) -> Self:
        """Read 64 hexadecimal digits of any case.

        Raises:
            MalformedError: Anything else.
        """
        return cls(parse_hex_32(text, cls.__name__))

    def reveal(self) -> bytes:
        """Return the secret bytes. The caller keeps them out of logs, errors and files."""
        return self._raw

    def __repr__(self) -> str:
        return f"{type(self).__name__}(**redacted**)"

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return hmac.compare_digest(self._raw, other._raw)

    __hash__ = None  # type: ignore[assignment]  # a secret is no dictionary key

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"{type(self).__name__} is a secret and is not pickled")


class OwnerKey:
    """The public 32 bytes that name a pod on the wire."""

    __slots__ = ("pod_id", "raw")

    def __init__(self, raw: bytes) -> None:
        """Wrap 32 bytes.

        Raises:
            MalformedError: Another length.
        """
        if len(raw) != KEY_BYTES:
            raise MalformedError(f"OwnerKey: 32 bytes were expected, {len(raw)} were found")
        self.raw = bytes(raw)
        self.pod_id = PodId(hashlib.sha256(self.raw).digest())

    @classmethod
    def from_hex(cls, text: str) -> Self:
        """Read 64 hexadecimal digits; their case makes no second pod.

        Raises:
            MalformedError: Anything else.
        """
        return cls(parse_hex_32(text, "owner key"))

    @property
    def hex(self) -> str:
        """64 lower-case hexadecimal digits."""
        return self.raw.hex()

    def __repr__(self) -> str:
        return f"OwnerKey({self.hex[:8]}...)"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, OwnerKey) and self.raw == other.raw

    def __hash__(self) -> int:
        return hash(self.raw)


class DatabaseKey(Secret):
    """K: the secret a contributor sends with each item. Opens one key slot."""

    __slots__ = ()

    def derive(self, use: str, pod_id: PodId) -> bytes:
        """D(K, use): 32 bytes for one use in one pod.

        Args:
            use: One of lookup, wrap, view, item, name, id.
            pod_id: The pod's 32-byte id, the HKDF salt.
        """
        return hkdf_sha256(self._raw, salt=pod_id, info=b"shared-pod/%s/v1" % use.encode())


class FileKey(Secret):
    """The SQLCipher raw key of a vault and of its segments."""

    __slots__ = ()


class MacKey(Secret):
    """Authenticates many short messages: salts an invite's items, or names them.

    What depends on the key alone is done once, which is half of the work
    (measured: 0.9 us a message; ``hmac.digest`` takes 2.2).
    """

    __slots__ = ("_begun",)

    def __init__(self, raw: bytes) -> None:
        super().__init__(raw)
        self._begun = HMAC(self._raw, SHA256())

    def mac(self, message: bytes) -> bytes:
        """Return the 32-byte HMAC-SHA256 (RFC 2104) of ``message``."""
        begun = self._begun.copy()
        begun.update(message)
        return begun.finalize()


class LogKey(Secret):
    """Ed25519 seed of a pod's log; signs batch headers and checkpoints, opens nothing."""

    __slots__ = ("_private", "public")

    def __init__(self, raw: bytes) -> None:
        super().__init__(raw)
        self._private = Ed25519PrivateKey.from_private_bytes(self._raw)
        self.public = self._private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)

    def sign(self, message: bytes) -> bytes:
        """Return the 64-byte Ed25519 signature (RFC 8032) of ``message``."""
        return self._private.sign(message)
