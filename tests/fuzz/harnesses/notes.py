"""Signed notes and checkpoints: log.head, seen.checkpoint, a witness, what a receipt ends with.

Promises: a note that is read is, to the byte, three lines in their one form and
signature lines; one that is accepted has the very line that the log key writes
(Ed25519 is deterministic), or another key's signature was taken for it.
"""

from __future__ import annotations

from collections.abc import Iterator

from tests.fuzz.target import Shape, Target
from tests.support.vectors import vectors
from tests.vectors import world
from vault.errors import DamagedError, ForeignPodError, MalformedError
from vault.notes import Checkpoint, origin_of, read_checkpoint, sign_checkpoint, to_base64, verify_checkpoint
from vault.witness import read_witness

ORIGIN = origin_of(world.POD_ID, 1)
LOG_KEYS = [world.LOG_KEY.public, world.OTHER_LOG_KEY.public]


def run(data: bytes) -> None:
    """Read it, accept it, and take it for a witness."""
    try:
        checkpoint = read_checkpoint(data)
    except MalformedError:
        _refuse(data)
        return
    text = f"{checkpoint.origin}\n{checkpoint.size}\n{to_base64(checkpoint.root)}\n\n\u2014 "
    assert data.startswith(text.encode())
    assert data.endswith(b"\n")
    _verify(data, checkpoint)


def _refuse(data: bytes) -> None:
    """What cannot be read is accepted by nobody."""
    for accept in (_accepted, _witnessed):
        assert accept(data) is None


def _verify(data: bytes, checkpoint: Checkpoint) -> None:
    accepted = _accepted(data)
    lines = {sign_checkpoint(checkpoint, key) for key in (world.LOG_KEY, world.OTHER_LOG_KEY)}
    signed = [line for line in lines if line.splitlines()[-1] in data.splitlines()[4:]]
    assert accepted in (None, checkpoint)
    assert accepted is None or (signed and checkpoint.origin == ORIGIN)
    witness = _witnessed(data)
    if accepted is not None:
        assert witness == (1, checkpoint.size, checkpoint.root)


def _accepted(data: bytes) -> Checkpoint | None:
    try:
        return verify_checkpoint(data, ORIGIN, LOG_KEYS)
    except (MalformedError, DamagedError):
        return None


def _witnessed(data: bytes) -> tuple[int, int, bytes] | None:
    try:
        witness = read_witness(data, "a file", pod_id=world.POD_ID, log_keys=LOG_KEYS)
    except (MalformedError, DamagedError, ForeignPodError):
        return None
    assert witness.note == data
    return witness.epoch, witness.size, witness.root


def _split(data: bytes) -> list[bytes]:
    return data.removesuffix(b"\n").split(b"\n")


def _join(lines: list[bytes]) -> bytes:
    """Signed by the log key where the first three lines are a checkpoint."""
    note = b"\n".join(lines) + b"\n"
    try:
        return note + sign_checkpoint(read_checkpoint(note), world.LOG_KEY).splitlines()[-1] + b"\n"
    except (MalformedError, UnicodeEncodeError):
        return note


def _seeds() -> Iterator[bytes]:
    for vector in vectors("checkpoints"):
        if "note" in vector:
            yield vector["note"].encode("utf-8", "surrogatepass")
        elif "note_hex" in vector:
            yield bytes.fromhex(vector["note_hex"])


TARGET = Target(run, _seeds, 4_096, (Shape(_split, _join),))
