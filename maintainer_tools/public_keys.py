"""Public key files: what two maintainers give each other."""

from __future__ import annotations

import sys
from pathlib import Path

from vault.files import read_given
from vault.pod import parse_hex_line
from vault.public_file import MAX_PUBLIC_CHARACTERS, PublicKey, parse_public


def read_public(path: Path) -> PublicKey:
    """Read a public key file, or standard input where ``path`` is ``-``.

    Raises:
        MissingError: There is no such file.
        VaultError: As ``vault.public_file.parse_public``; or it cannot be read.
    """
    raw = read_given(path, MAX_PUBLIC_CHARACTERS, sys.stdin.buffer)
    return parse_public(parse_hex_line(raw, "public key").strip())
