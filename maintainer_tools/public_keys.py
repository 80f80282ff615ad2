"""Public key files: what two maintainers give each other."""

from __future__ import annotations

import sys
from pathlib import Path

from vault.pod import parse_hex_line, read_file
from vault.public_file import MAX_PUBLIC_CHARACTERS, PublicKey, parse_public

_STDIN = "-"


def read_public(path: Path) -> PublicKey:
    """Read a public key file, or standard input where ``path`` is ``-``.

    Raises:
        MissingError: There is no such file.
        VaultError: As ``vault.public_file.parse_public``; or it cannot be read.
    """
    if str(path) == _STDIN:
        raw = sys.stdin.buffer.read(MAX_PUBLIC_CHARACTERS + 1)
    else:
        raw = read_file(path, MAX_PUBLIC_CHARACTERS, may_be_pipe=True)
    return parse_public(parse_hex_line(raw, "public key").strip())
