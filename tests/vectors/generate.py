"""Writes the golden vectors that are made here, or compares them with what stands in ``vault/testdata``.

``python -m tests.vectors.generate`` writes; with ``--check`` it only compares,
and exits with 1 and the names of files that differ, are missing, or are no
vector. What HPKE and SQLCipher draw for themselves, and what was taken from
other implementations, is made once and kept: HPKE's outputs in
``hpke.json``, and whole files by their hashes in ``kept.json``, beside this
module. So are most vectors of checkpoints and receipts: they were drawn under keys
of their own, before there was a world of names to draw from, and what drew them is
gone. A vector of a released format is never edited.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable
from pathlib import Path, PurePath
from typing import Any

from tests.vectors import (
    asking,
    batches,
    encodings,
    headers,
    items,
    keys,
    links,
    notes,
    policies,
    public_files,
    receipt_files,
    recovery,
    rotations,
    segments,
    slots,
    trees,
    vaults,
    witnesses,
)
from tests.vectors.layout import split
from tests.vectors.material import MATERIAL
from vault import errors

TESTDATA = Path(errors.__file__).parent / "testdata"
_KEPT = Path(__file__).with_name("kept.json")

FOLDERS: dict[str, Callable[[], dict[str, Any]]] = {
    "encodings": encodings.build,
    "headers": headers.build,
    "keys": keys.build,
    "items": items.build,
    "slots": slots.build,
    "views": slots.build_views,
    "policies": policies.build,
    "invites": links.build_invites,
    "identities": links.build_identities,
    "sealing": batches.build,
    "erasures": batches.build_erasures,
    "receipt-files": receipt_files.build,
    "tree": trees.build,
    "checkpoints": notes.build,
    "requests": asking.build,
    "segments": segments.build,
    "promises": segments.build_promises,
    "objects": segments.build_objects,
    "rotations": rotations.build,
    "public-files": public_files.build,
    "recovery": recovery.build,
    "witnesses": witnesses.build,
    "schema": vaults.build_schema,
    "vaults": vaults.build,
}


def made() -> dict[str, str]:
    """The text of every file that is made anew each time, by its path in ``vault/testdata``."""
    files: dict[str, str] = {}
    for folder, build in FOLDERS.items():
        files |= split(folder, build())
    return files


def kept() -> dict[str, str]:
    """The hash of every file that was made once, by its path in ``vault/testdata``."""
    hashes: dict[str, str] = json.loads(_KEPT.read_bytes())
    return hashes


def present() -> dict[str, str]:
    """The hash of every file that is there, by its path in ``vault/testdata``."""
    paths = (path for path in sorted(TESTDATA.rglob("*")) if path.is_file())
    return {path.relative_to(TESTDATA).as_posix(): _hash(path.read_bytes()) for path in paths}


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def stale() -> list[str]:
    """The files that are not what would be written now, are not there, or should not be."""
    expected = kept() | {path: _hash(text.encode()) for path, text in made().items()}
    found = present()
    return sorted(path for path in expected | found if expected.get(path) != found.get(path))


def write() -> None:
    """Write what is made; keep what is new and cannot be made again; remove vectors that are made no more."""
    vaults.make_files()
    files, kept_before, found = made(), kept(), present()
    folders = {PurePath(path).parent for path in files}
    for path in found.keys() - files.keys() - kept_before.keys():
        if PurePath(path).parent in folders:
            (TESTDATA / path).unlink()
    for path, text in files.items():
        (TESTDATA / path).parent.mkdir(parents=True, exist_ok=True)
        (TESTDATA / path).write_text(text)
    keeping = {path: digest for path, digest in present().items() if path not in files}
    _KEPT.write_text(json.dumps(keeping, indent=1, sort_keys=True) + "\n")
    MATERIAL.save()


def main(arguments: list[str]) -> int:
    """Write or check; return the exit code."""
    if arguments == ["--check"]:
        found = stale()
        sys.stdout.write("".join(f"{name} differs\n" for name in found))
        return 1 if found else 0
    write()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
