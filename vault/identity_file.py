"""The identity file: 64 hex digits, or a box under a passphrase (Argon2id).

Argon2id protects a low-entropy passphrase at rest on the maintainer's machine.
It has no place on the request path, where keys have 256 bits. FORMAT.md,
"Identity file".
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from pathlib import Path

from argon2.exceptions import HashingError
from argon2.low_level import Type, hash_secret_raw
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from vault.errors import FormatTooNewError, MalformedError, StorageError, WrongKeyError
from vault.files import read_file, replace_file
from vault.keys import KEY_BYTES
from vault.notes import from_base64, to_base64
from vault.opening import Identity
from vault.pod import parse_hex_line
from vault.sealing import Entropy
from vault.slots import NONCE_BYTES

MEMORY_KIB = 262_144
"""256 MiB: four times RFC 9106's second recommendation; about 0.5 s on a laptop."""
PASSES = 3
LANES = 4
SALT_BYTES = 16

_MARK = "shared-pod-identity/v1"
_BOXED = re.compile(
    rf"\A({_MARK} argon2id m=([1-9][0-9]{{0,6}}),t=([1-9][0-9]?),p=([1-9][0-9]?) ([A-Za-z0-9+/=]+) )"
    r"([A-Za-z0-9+/=]+)\Z"
)
_LATER = re.compile(r"\Ashared-pod-identity/v(?!1 )[1-9][0-9]{0,8} ")
_BOX_BYTES = NONCE_BYTES + KEY_BYTES + 16
_WHAT = "identity"
_MOST_MEMORY_KIB = 2_097_152
"""2 GiB, RFC 9106's first recommendation: a file cannot ask this machine for more."""
_MOST_PASSES = 16
_MOST_LANES = 16

AskPassphrase = Callable[[], str]


def _stretch(passphrase: str, salt: bytes, memory_kib: int, passes: int, lanes: int) -> bytes:
    try:
        return hash_secret_raw(
            unicodedata.normalize("NFC", passphrase).encode(),
            salt,
            time_cost=passes,
            memory_cost=memory_kib,
            parallelism=lanes,
            hash_len=KEY_BYTES,
            type=Type.ID,
        )
    except UnicodeEncodeError as exc:
        raise MalformedError("passphrase: it is not text in this terminal's encoding; type it again") from exc
    except HashingError as exc:
        raise StorageError(f"identity: Argon2id needs {memory_kib} KiB of memory; free some") from exc


def _box(identity: Identity, passphrase: str, entropy: Entropy, memory_kib: int) -> str:
    salt, nonce = entropy(SALT_BYTES), entropy(NONCE_BYTES)
    line = f"{_MARK} argon2id m={memory_kib},t={PASSES},p={LANES} {to_base64(salt)} "
    key = _stretch(passphrase, salt, memory_kib, PASSES, LANES)
    box = nonce + AESGCM(key).encrypt(nonce, identity.reveal(), line.encode())
    return line + to_base64(box)


def format_identity(
    identity: Identity, passphrase: str | None, entropy: Entropy, *, memory_kib: int = MEMORY_KIB
) -> bytes:
    """The bytes of an identity file.

    Args:
        identity: What to keep.
        passphrase: Protects it; None keeps the 64 hex digits in clear (mode 0600).
        entropy: Source of salt and nonce.
        memory_kib: Argon2id memory; less than the default only in tests.

    Raises:
        MalformedError: The passphrase has no UTF-8 form.
        StorageError: There is not enough memory.
    """
    if passphrase is None:
        return identity.reveal().hex().encode() + b"\n"
    return _box(identity, passphrase, entropy, memory_kib).encode() + b"\n"


def _costs(found: re.Match[str]) -> tuple[int, int, int]:
    memory_kib, passes, lanes = int(found[2]), int(found[3]), int(found[4])
    is_sane = (
        1 <= passes <= _MOST_PASSES
        and 1 <= lanes <= _MOST_LANES
        and 8 * lanes <= memory_kib <= _MOST_MEMORY_KIB
    )
    if not is_sane:
        raise MalformedError(
            "identity: its Argon2id costs are out of range (at most 2 GiB, 16 passes, 16 lanes)"
        )
    return memory_kib, passes, lanes


def _box_of(found: re.Match[str]) -> tuple[bytes, bytes]:
    salt, box = from_base64(found[5], _WHAT), from_base64(found[6], _WHAT)
    if len(salt) != SALT_BYTES or len(box) != _BOX_BYTES:
        raise MalformedError("identity: its box has another length; restore the file or `recover` from paper")
    return salt, box


def _unbox(found: re.Match[str], passphrase: str) -> Identity:
    salt, box = _box_of(found)
    key = _stretch(passphrase, salt, *_costs(found))
    try:
        return Identity(AESGCM(key).decrypt(box[:NONCE_BYTES], box[NONCE_BYTES:], found[1].encode()))
    except InvalidTag as exc:
        raise WrongKeyError("identity: this passphrase does not open it; try again") from exc


def parse_identity(content: bytes, ask_passphrase: AskPassphrase) -> Identity:
    """Read an identity file's bytes.

    Args:
        content: Untrusted.
        ask_passphrase: Called only if the file is protected.

    Raises:
        MalformedError: Neither form, or a passphrase without UTF-8 form.
        FormatTooNewError: Of a later format.
        WrongKeyError: The passphrase does not open it.
        StorageError: There is not enough memory for its Argon2id.
    """
    line = parse_hex_line(content, "identity")
    found = _BOXED.match(line)
    if found:
        _costs(found)
        _box_of(found)
        return _unbox(found, ask_passphrase())
    if _LATER.match(line):
        raise FormatTooNewError("identity: it is of a later format; update this program")
    return Identity.from_hex(line)


def is_protected(content: bytes) -> bool:
    """Whether an identity file asks for a passphrase."""
    return content.startswith(_MARK.encode())


def read_identity(path: Path, ask_passphrase: AskPassphrase) -> Identity:
    """Read an identity file.

    Raises:
        MissingError: There is none.
        MalformedError: It is neither form.
        FormatTooNewError: Of a later format.
        WrongKeyError: The passphrase does not open it.
        StorageError: It cannot be read, or there is not enough memory.
    """
    return parse_identity(read_file(path, 1_000), ask_passphrase)


def write_identity(path: Path, identity: Identity, passphrase: str | None, entropy: Entropy) -> None:
    """Write an identity file, mode 0600, durable on return.

    Raises:
        StorageError: It cannot be written.
    """
    replace_file(path, format_identity(identity, passphrase, entropy))
