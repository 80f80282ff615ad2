"""Checkpoints of a pod's log: three lines of text, signed with its Ed25519 key.

They are C2SP tlog-checkpoints in C2SP signed notes, so that other people's
tools and witnesses can check them. The origin, which is also the name of the
signing key, is ``shared-pod/<first 32 hex digits of the pod id>/<epoch>``.

What is not here: the tree that a checkpoint sums up (``vault.tree``), and
which log keys to trust (``vault.slots``, ``vault.links``). Extension lines are
refused: nothing of ours writes them. See FORMAT.md, "Checkpoints";
https://c2sp.org/signed-note and https://c2sp.org/tlog-checkpoint.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Sequence

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from vault.errors import DamagedError, Fault, ForeignPodError, MalformedError
from vault.keys import LogKey, PodId
from vault.tree import HASH_BYTES

MAX_NOTE_BYTES = 131_072
"""Room for the 16 signatures every verifier must accept, of up to 5,000 bytes each in base64."""

_MAX_SIZE = 2**63 - 1  # what SQLite can count
_ED25519 = b"\x01"  # signed-note, "Signature types"
_KEY_ID_BYTES = 4
_TEXT_LINES = 3
_SIGNATURE_PREFIX = "\u2014 "
_DECIMAL = re.compile(r"0|[1-9][0-9]{0,18}", re.ASCII)
_ORIGIN = re.compile(r"shared-pod/([0-9a-f]{32})/([1-9][0-9]{0,18})", re.ASCII)
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f]")


class Checkpoint(msgspec.Struct, frozen=True):
    """The state of a log at one size.

    Attributes:
        origin: Names the log; see ``origin_of``.
        size: Number of leaves, 0 to 2^63-1.
        root: The tree's root, 32 bytes.
    """

    origin: str
    size: int
    root: bytes


def origin_of(pod_id: PodId, epoch: int) -> str:
    """Return the origin of a pod's log in one epoch.

    Args:
        pod_id: 32 bytes, of which the first 16 are shown.
        epoch: From 1; a repair starts the next one.
    """
    return f"shared-pod/{pod_id.hex()[:32]}/{epoch}"


def epoch_of(origin: str, pod_id: PodId) -> int:
    """Read the epoch from an origin of this pod; the inverse of ``origin_of``.

    Raises:
        ForeignPodError: It is another pod's origin.
        MalformedError: It is no pod's.
    """
    match = _ORIGIN.fullmatch(origin)
    if match is None:
        raise MalformedError("checkpoint: an origin shared-pod/<32 hex digits>/<epoch> was expected")
    if match[1] != pod_id.hex()[:32]:
        raise ForeignPodError(f"the checkpoint is of pod {match[1]}, {pod_id.hex()[:32]} was expected")
    return int(match[2])


def sign_checkpoint(checkpoint: Checkpoint, log_key: LogKey) -> bytes:
    """Return the signed note of a checkpoint, in UTF-8.

    Ed25519 is deterministic: the same checkpoint and key give the same bytes.

    Args:
        checkpoint: Its origin, which is also the key's name, has no spaces and no plus.
        log_key: Signs the three lines.
    """
    text = f"{checkpoint.origin}\n{checkpoint.size}\n{to_base64(checkpoint.root)}\n"
    key_id = _key_id(checkpoint.origin, log_key.public)
    signature = to_base64(key_id + log_key.sign(text.encode()))
    return f"{text}\n{_SIGNATURE_PREFIX}{checkpoint.origin} {signature}\n".encode()


def read_checkpoint(unverified_note: bytes) -> Checkpoint:
    """Read a checkpoint without asking who signed it.

    For choosing an epoch, a size or a key. Its content is to be believed only
    once ``verify_checkpoint`` has accepted the same bytes.

    Raises:
        MalformedError: Not a signed note of exactly three lines, longer than
            ``MAX_NOTE_BYTES``, or a size or root not in canonical form.
    """
    text, _ = _split_note(unverified_note)
    return _parse_text(text)


def verify_checkpoint(note: bytes, origin: str, log_keys: Sequence[bytes]) -> Checkpoint:
    """Accept a checkpoint of one log that one of its keys signed.

    Signatures by other keys, as of witnesses, are ignored. A signature that
    claims to be by one of ``log_keys`` and is not condemns the whole note.

    Args:
        note: Untrusted bytes.
        origin: The log's origin, which must also be the key's name.
        log_keys: Ed25519 public keys, 32 bytes each, one of which must have signed.

    Raises:
        MalformedError: As for ``read_checkpoint``.
        DamagedError: The checkpoint is of another origin, no key of
            ``log_keys`` signed it, or a signature of one of them is wrong.
    """
    text, signatures = _split_note(note)
    checkpoint = _parse_text(text)
    if checkpoint.origin != origin:
        raise DamagedError(f"a checkpoint of {origin} was expected, it is of another log")
    known = {_key_id(origin, key): key for key in log_keys}
    ours = [
        (known[key_id], signature)
        for name, key_id, signature in signatures
        if name == origin and key_id in known
    ]
    if not ours:
        raise DamagedError("the checkpoint is not signed by a log key of this pod", Fault.UNKNOWN_LOG_KEY)
    for key, signature in ours:
        _check_signature(key, signature, text.encode())
    return checkpoint


def to_base64(raw: bytes) -> str:
    """Return standard base64 with padding, on one line (RFC 4648 section 4)."""
    return binascii.b2a_base64(raw, newline=False).decode()


def from_base64(text: str, what: str) -> bytes:
    """Read base64 in the one form that ``to_base64`` writes.

    Args:
        text: Untrusted text.
        what: The name of the thing, for the error's sentence.

    Raises:
        MalformedError: Another alphabet, white space, missing padding, or bits set in the padding.
    """
    try:
        raw = base64.b64decode(text, validate=True)
    except ValueError as exc:
        raise MalformedError(f"{what}: base64 was expected") from exc
    if to_base64(raw) != text:
        raise MalformedError(f"{what}: base64 in its canonical form was expected")
    return raw


def parse_size(text: str, what: str) -> int:
    """Read a number of leaves, or an index: ASCII decimal, no sign, no leading zeros, below 2^63.

    Args:
        text: Untrusted text.
        what: The name of the thing, for the error's sentence.

    Raises:
        MalformedError: Anything else.
    """
    if not _DECIMAL.fullmatch(text) or int(text) > _MAX_SIZE:
        raise MalformedError(f"{what}: a decimal number from 0 to {_MAX_SIZE} was expected")
    return int(text)


def _key_id(name: str, public_key: bytes) -> bytes:
    return hashlib.sha256(name.encode() + b"\n" + _ED25519 + public_key).digest()[:_KEY_ID_BYTES]


def _split_note(note: bytes) -> tuple[str, list[tuple[str, bytes, bytes]]]:
    """Split into the signed text and each signature line's key name, key id and signature."""
    if len(note) > MAX_NOTE_BYTES:
        raise MalformedError(f"a signed note of at most {MAX_NOTE_BYTES} bytes was expected")
    decoded = _decode_text(note)
    # The last empty line separates; the text itself may hold others (signed-note, "Format").
    text, blank, tail = decoded.rpartition("\n\n")
    if not blank or not tail.endswith("\n"):
        raise MalformedError("a signed note was expected: text, an empty line, signature lines")
    return text + "\n", [_parse_signature(line) for line in tail[:-1].split("\n")]


def _decode_text(note: bytes) -> str:
    try:
        decoded = note.decode()
    except UnicodeDecodeError as exc:
        raise MalformedError("signed note: UTF-8 was expected") from exc
    if _CONTROL.search(decoded):
        raise MalformedError("signed note: a control character was found")
    return decoded


def _parse_signature(line: str) -> tuple[str, bytes, bytes]:
    if not line.startswith(_SIGNATURE_PREFIX):
        raise MalformedError("signed note: a signature line was expected")
    name, _, encoded = line.removeprefix(_SIGNATURE_PREFIX).partition(" ")
    if not name or "+" in name or any(character.isspace() for character in name):
        raise MalformedError("signed note: a key name without spaces or plus was expected")
    body = from_base64(encoded, "signed note, signature")
    if len(body) <= _KEY_ID_BYTES:
        raise MalformedError("signed note: a signature line ends before its signature")
    return name, body[:_KEY_ID_BYTES], body[_KEY_ID_BYTES:]


def _parse_text(text: str) -> Checkpoint:
    lines = text.removesuffix("\n").split("\n")
    if len(lines) != _TEXT_LINES or not lines[0]:
        raise MalformedError("checkpoint: exactly an origin, a size and a root were expected")
    origin, size, encoded_root = lines
    root = from_base64(encoded_root, "checkpoint, root")
    if len(root) != HASH_BYTES:
        raise MalformedError(f"checkpoint: a root of {HASH_BYTES} bytes was expected, {len(root)} were found")
    return Checkpoint(origin=origin, size=parse_size(size, "checkpoint, size"), root=root)


def _check_signature(public_key: bytes, signature: bytes, message: bytes) -> None:
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, message)
    except InvalidSignature as exc:
        raise DamagedError(
            "the checkpoint's signature does not match its text: it was altered", Fault.SIGNATURE
        ) from exc
