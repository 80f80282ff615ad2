"""Vectors of checkpoints that two readers once read differently. FORMAT.md, "Checkpoints".

Most checkpoints were made once and are kept (``tests.vectors.generate``).
"""

from __future__ import annotations

import base64
from typing import Any

from tests.vectors import world
from tests.vectors.family import Family
from vault.errors import MalformedError
from vault.notes import Checkpoint, origin_of, sign_checkpoint

_ORIGIN = origin_of(world.POD_ID, 1)
_ROOT = world.draw("a root")
_WITNESS = base64.b64encode(world.draw("a witness", 68)).decode()


def _witnessed(line: str) -> str:
    return sign_checkpoint(Checkpoint(_ORIGIN, 5, _ROOT), world.LOG_KEY).decode() + line


def build() -> dict[str, Any]:
    """checkpoints/."""
    family = Family()

    def fields(note: str) -> dict[str, Any]:
        return {"note": note, "origin": _ORIGIN, "log_keys": [world.LOG_KEY.public.hex()]}

    accepted = {"origin": _ORIGIN, "size": 5, "root": _ROOT.hex()}
    for name, why, witness in [
        ("a witness with DEL in its name", "control characters are those below U+0020", "wit\x7fness"),
        ("a witness with a letter beyond ASCII in its name", "names are UTF-8", "witné"),
    ]:
        family.good(name, why, **fields(_witnessed(f"— {witness} {_WITNESS}\n")), checkpoint=accepted)
    for name, why, line, says in [
        ("a witness with U+001F in its name", "no control character", f"— wit\x1fness {_WITNESS}\n", "control character"),
        ("a witness without a signature", "at least a byte behind the key id", f"— witness {_WITNESS[:4]}\n", "before its signature"),
        ("a line that is no signature", "signatures alone follow the empty line", "witness\n", "signature line"),
    ]:  # fmt: skip
        family.bad(name, why, MalformedError, says, **fields(_witnessed(line)))
    return {
        "about": "Signed checkpoints (c2sp.org/tlog-checkpoint). note is text, note_hex bytes, note_repeat a prefix followed by "
        "a line so many times; keys has the seeds of Ed25519 keys. A vector gives a checkpoint, or the kind of error and a "
        "part of our sentence.",
        "vectors": family.vectors,
    }
