"""Writes the golden vectors that are made here, or compares them with what stands in ``vault/testdata``.

``python -m tests.vectors.generate`` writes; with ``--check`` it only compares,
and exits with 1 and the names of files that differ. What HPKE and SQLCipher
draw for themselves is made once and kept (``tests.vectors.material``,
``tests.vectors.vaults``). A vector of a released format is never edited.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.vectors import batches, encodings, items, keys, links, policies, slots, vaults
from tests.vectors.material import MATERIAL
from vault import errors

TESTDATA = Path(errors.__file__).parent / "testdata"

FILES: dict[str, Callable[[], dict[str, Any]]] = {
    "encodings.json": encodings.build,
    "keys.json": keys.build,
    "items.json": items.build,
    "slots.json": slots.build,
    "views.json": slots.build_views,
    "policies.json": policies.build,
    "invites.json": links.build_invites,
    "identities.json": links.build_identities,
    "sealing.json": batches.build,
    "erasures.json": batches.build_erasures,
    "vaults.json": vaults.build,
}


def text_of(build: Callable[[], dict[str, Any]]) -> str:
    """A file of vectors as it stands on disk."""
    return json.dumps(build(), indent=1, ensure_ascii=False) + "\n"


def stale() -> list[str]:
    """The files that are not what would be written now."""
    return [name for name, build in FILES.items() if (TESTDATA / name).read_text() != text_of(build)]


def main(arguments: list[str]) -> int:
    """Write or check; return the exit code."""
    if arguments == ["--check"]:
        found = stale()
        sys.stdout.write("".join(f"{name} differs\n" for name in found))
        return 1 if found else 0
    vaults.make_files()
    for name, build in FILES.items():
        (TESTDATA / name).write_text(text_of(build))
    MATERIAL.save()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
