"""Small files of a home: identity, public key, rotation, recovery.json, log.key.

Promises: each is refused with an error of ours or is, to the byte, what is
written of it again; a passphrase is asked for only when its costs are bounded;
no error quotes what the file holds.
"""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Callable, Iterator

from maintainer_tools.drills import RECORD_FILE, read_record, warning_of
from tests.fuzz.plants import require_no_secret, scratch
from tests.fuzz.target import Shape, Target
from tests.support.vectors import vectors
from tests.vectors import world
from vault.encoding import pae, unpae
from vault.errors import (
    DamagedError,
    FormatTooNewError,
    MalformedError,
    MissingError,
    VaultError,
    WrongKeyError,
)
from vault.identity_file import format_identity, parse_identity
from vault.keys import LogKey
from vault.notes import from_base64, to_base64
from vault.opening import Identity
from vault.pod import parse_hex_line
from vault.public_file import PublicKey, parse_public
from vault.rekeying import parse_rotation

_QUOTED = re.compile(r"[A-Za-z0-9+/]{24,}")
_MOST_KIB, _MOST_PASSES = 256, 4
"""Argon2id that is worth doing here; a file may ask for 2 GiB."""
_COSTS = re.compile(rb"shared-pod-identity/v1 argon2id m=([0-9]+),t=([0-9]+),p=([0-9]+) ([^ ]+) ([^ ]+)")
_FOLDER = scratch()
_RECORD = _FOLDER / RECORD_FILE


class _TooDear(Exception):  # noqa: N818 - a way out, not an error
    """Its passphrase was asked for, and its costs were found to be bounded."""


def run(data: bytes) -> None:
    """Read it as each of them."""
    for read in (_identity, _public, _rotation, _log_key, _record):
        try:
            read(data)
        except (MalformedError, FormatTooNewError, WrongKeyError, DamagedError) as exc:
            _require_not_quoted(data, exc)
        except _TooDear:
            continue


def _require_not_quoted(data: bytes, error: VaultError) -> None:
    require_no_secret(str(error))
    assert not [word for word in _QUOTED.findall(str(error)) if word.encode() in data], error


def _identity(data: bytes) -> None:
    def ask() -> str:
        found = _COSTS.fullmatch(data.removesuffix(b"\n"))
        assert found
        memory_kib, passes, lanes = map(int, found.groups()[:3])
        assert [len(b64decode(part)) for part in found.groups()[3:]] == [16, 60]
        assert 8 * lanes <= memory_kib <= 2_097_152
        assert 1 <= passes <= 16
        assert 1 <= lanes <= 16
        if memory_kib > _MOST_KIB or passes > _MOST_PASSES:
            raise _TooDear
        return "correct horse"

    identity = parse_identity(data, ask)
    if not data.startswith(b"shared-pod-"):
        assert format_identity(identity, None, bytes) == data.removesuffix(b"\n").lower() + b"\n"


def _line(data: bytes) -> str:
    return data.decode("ascii", "replace").strip()


def _public(data: bytes) -> None:
    found: PublicKey = parse_public(_line(data))
    raw = from_base64(_line(data).rpartition(" ")[2], "public key")
    assert raw.startswith(found.recipient.raw + found.signer)
    assert len(raw) == 1312


def _rotation(data: bytes) -> None:
    line = _line(data)
    parse_rotation(line, world.IDENTITY, world.POD_ID)
    assert line.startswith("shared-pod-rotation/v1 ")


def _log_key(data: bytes) -> None:
    key = LogKey.from_hex(parse_hex_line(data, "log.key"))
    assert key.reveal().hex().encode() == data.removesuffix(b"\n").lower()


def _record(data: bytes) -> None:
    _RECORD.write_bytes(data)
    try:
        record = read_record(_FOLDER)
    except MissingError as exc:
        raise AssertionError("the file is there") from exc
    finally:
        said = warning_of(_FOLDER, world.IDENTITY, 1_763_700_000_000)
    assert record.format == 1
    assert record.drilled_ms is None or said is None or isinstance(said, str)


_OPENERS: tuple[tuple[bytes, Callable[[bytes], list[bytes]]], ...] = (
    (b"shared-pod-public/v1 ", lambda raw: [raw[:1216], raw[1216:1248]]),
    (b"shared-pod-rotation/v1 ", unpae),
)


def _split(data: bytes) -> list[bytes]:
    """The mark, and what is sealed or signed behind it."""
    for mark, split in _OPENERS:
        if data.startswith(mark):
            return [mark, *split(from_base64(_line(data).rpartition(" ")[2], "file"))]
    raise ValueError("none of those with fields")


def _join(fields: list[bytes]) -> bytes:
    mark, *parts = fields or [b""]
    if mark == _OPENERS[1][0]:
        return mark + to_base64(pae(*parts)).encode() + b"\n"
    raw = b"".join(parts)
    signature = world.IDENTITY.sign(pae(b"public/v1", raw[:1216], raw[1216:1248]))
    return mark + to_base64(raw + signature).encode() + b"\n"


def _seeds() -> Iterator[bytes]:
    for vector in vectors("identities"):
        yield vector["content"].encode()
    for folder in ("public-files", "rotations"):
        for vector in vectors(folder):
            yield vector["line"].encode() + b"\n"
    kid = Identity(world.IDENTITY.reveal()).recipient.kid.hex()
    for members in ('"made_ms":1763700000000', '"drilled_ms":1763600000000', '"drilled_ms":1700000000000'):
        yield f'{{"format":1,"recipient":"{kid}","set":"a b",{members}}}\n'.encode()
    yield b'{"format":2}'
    yield b'{"format":1,"recipient":"x","set":"y","made_ms":null}'


TARGET = Target(run, _seeds, 4_096, (Shape(_split, _join),))
