"""Small real vaults, and rows that are whole but mean nothing.

For tests of the file itself. What rows mean is tested with ``vault.store``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import CBC
from sqlcipher3 import dbapi2

from vault.connection import AppendConnection
from vault.database import PolicyRow, create
from vault.encoding import le32
from vault.keys import FileKey
from vault.pod import PodFolder

FILE_KEY = FileKey(bytes(range(32)))
WRONG_KEY = FileKey(bytes(32))
ITEMS = 4
"""How many items ``append_batch`` stores."""

META = {"format": le32(1), "pod_id": bytes(32), "epoch": le32(1)}
POLICY = PolicyRow(1, b"p" * 32, b"pod.toml's bytes", b"slots.json's bytes")


def make_vault(folder: Path) -> Path:
    """Create an empty vault in ``folder`` and return its path."""
    path = folder / "vault.db"
    create(path, FILE_KEY, meta=META, policy_row=POLICY)
    return path


def append_batch(connection: AppendConnection, number: int) -> None:
    """Commit batch ``number`` (from 1) of ``ITEMS`` items, of about a page each, in one transaction."""
    first_seq = (number - 1) * ITEMS + 1
    seqs = range(first_seq, first_seq + ITEMS)
    connection.begin()
    connection.execute(
        "INSERT INTO batch VALUES (?, ?, ?, ?, ?, ?, ?)",
        (number, first_seq, number.to_bytes(16, "big"), b"h" * 300, b"w" * 1200, b"s" * 64, b"note"),
    )
    connection.executemany(
        "INSERT INTO item VALUES (?, ?, ?, ?, ?)",
        ((seq, seq.to_bytes(22, "big"), b"c" * 32, b"d" * 32, b"s" * 3000) for seq in seqs),
    )
    connection.commit()


_PAGE, _CIPHERTEXT, _IV = 4096, 4016, 16
_WAL_HEADER, _FRAME_HEADER, _SALT = 32, 24, 16


def _decrypted(page: bytes, key: bytes, *, is_first: bool) -> bytes:
    cipher = Cipher(AES256(key), CBC(page[_CIPHERTEXT : _CIPHERTEXT + _IV])).decryptor()
    return cipher.update(page[_SALT if is_first else 0 : _CIPHERTEXT]) + cipher.finalize()


def plain_pages(folder: PodFolder, file_key: FileKey) -> list[bytes]:
    """Every page of a vault and every page image in its log, used or not, decrypted."""
    key, vault = file_key.reveal(), folder.vault.read_bytes()
    pages = [_decrypted(vault[at : at + _PAGE], key, is_first=at == 0) for at in range(0, len(vault), _PAGE)]
    wal = folder.wal.read_bytes() if folder.wal.exists() else b""
    for at in range(_WAL_HEADER, len(wal), _FRAME_HEADER + _PAGE):
        number = int.from_bytes(wal[at : at + 4], "big")
        image = wal[at + _FRAME_HEADER : at + _FRAME_HEADER + _PAGE]
        pages.append(_decrypted(image, key, is_first=number == 1))
    return pages


def raw_connection(path: Path, file_key: FileKey = FILE_KEY) -> Any:
    """Open a vault with nothing of ours between: no authorizer, and no key check before."""
    connection = dbapi2.connect(path, isolation_level=None)
    connection.execute("PRAGMA cipher_log_level = NONE")
    connection.execute(f"PRAGMA key = \"x'{file_key.reveal().hex()}'\"")
    return connection
