"""Is this the right key for this file? Asked before SQLCipher may touch it.

SQLCipher answers a wrong key with "file is not a database", whatever the file
is, and by then has checkpointed a write-ahead log that was there. So page 1 is
authenticated here, read-only, in 30 microseconds. Not here: the other pages,
which SQLCipher checks as it reads them.

A SQLCipher 4 page (zetetic.net/sqlcipher/design) is 4016 bytes of ciphertext,
16 of IV and an HMAC-SHA512 over both and the page's number; page 1 begins with
the salt in place of 16 bytes of ciphertext. See FORMAT.md, "Opening".
"""

from __future__ import annotations

import hashlib
import hmac
import os
from pathlib import Path

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC

from vault.disk import open_regular, storage_error
from vault.encoding import le32
from vault.errors import (
    DamagedError,
    EmptyFileError,
    MissingError,
    PlaintextError,
    TruncatedError,
    WrongKeyError,
)
from vault.keys import FileKey
from vault.wal import PAGE_BYTES, newest_committed_page

_PLAINTEXT = b"SQLite format 3\0"
_SALT_BYTES = 16
_MAC_BYTES = 64
# SQLCipher derives the HMAC key from the raw key in 2 rounds, with each byte of the salt xor 0x3a.
_MAC_SALT_MASK = 0x3A
_MAC_KEY_ROUNDS = 2
_MAC_KEY_BYTES = 32
_IV = slice(-_MAC_BYTES - 16, -_MAC_BYTES)
# Fields of SQLite's database header (sqlite.org/fileformat2.html, 1.3), big-endian.
_CHANGE_COUNTER = slice(24, 28)
_DATABASE_PAGES = slice(28, 32)
_PAGES_VALID_FOR = slice(92, 96)


def verify_page_one(vault_path: Path, file_key: FileKey) -> None:
    """Check that a vault's first page authenticates under its key; nothing is changed.

    A page that a crash left torn in the middle of a checkpoint is whole in the
    write-ahead log, and is taken from there, as SQLite will.

    Opens and closes the file, so it must not run while a connection to it is
    open in this process: closing drops SQLite's POSIX locks.

    Raises:
        MissingError: Nothing is at ``vault_path``.
        EmptyFileError: It has no bytes; it would open under any key.
        PlaintextError: It is an unencrypted SQLite file.
        TruncatedError: It ends inside a page that is not whole in the log; or, with
            nothing in the log, before its last page, which none of SQLite's checks
            would call by that name.
        WrongKeyError: Neither page 1 nor the log's image of it authenticates.
        DamagedError: The log's image does, but the salt in the file is another.
        StorageError: The operating system refused to read it.
    """
    size, page = _read(vault_path)
    wal = vault_path.with_name(f"{vault_path.name}-wal")
    if size == 0:
        raise EmptyFileError(f"{vault_path} is empty, a vault was expected; restore a snapshot")
    if page.startswith(_PLAINTEXT):
        raise PlaintextError(f"{vault_path} is an unencrypted SQLite file, a vault was expected")
    if size % PAGE_BYTES and newest_committed_page(wal, size // PAGE_BYTES + 1) is None:
        raise TruncatedError(f"{vault_path} ends inside a page, at byte {size}; restore a snapshot")
    if not _is_authentic(page, file_key):
        _verify_in_log(vault_path, wal, page, file_key)
    elif not _has_content(wal):
        _require_all_pages(vault_path, size // PAGE_BYTES, page, file_key)


def _require_all_pages(vault_path: Path, found: int, page: bytes, file_key: FileKey) -> None:
    # An authentic page 1 may be decrypted; its first 16 bytes, the salt, hold no field asked for.
    decryptor = Cipher(AES(file_key.reveal()), CBC(page[_IV])).decryptor()
    header = bytes(_SALT_BYTES) + decryptor.update(page[_SALT_BYTES : 8 * _SALT_BYTES])
    expected = int.from_bytes(header[_DATABASE_PAGES], "big")
    is_valid = header[_CHANGE_COUNTER] == header[_PAGES_VALID_FOR]
    if is_valid and found < expected:
        raise TruncatedError(f"{vault_path} ends after page {found} of {expected}; restore a snapshot")


def _verify_in_log(vault_path: Path, wal: Path, torn: bytes, file_key: FileKey) -> None:
    page = newest_committed_page(wal, 1)
    if page is None or not _is_authentic(page, file_key):
        raise WrongKeyError(f"{vault_path}: wrong key or damaged first page; check whose key it is")
    if page[:_SALT_BYTES] != torn[:_SALT_BYTES]:
        raise DamagedError(f"{vault_path}: right key, but a damaged salt; restore a snapshot")


def _read(path: Path) -> tuple[int, bytes]:
    """Return the file's size in bytes and, as far as it goes, its first page."""
    try:
        with open_regular(path, is_link_followed=False) as file:
            return os.fstat(file.fileno()).st_size, file.read(PAGE_BYTES)
    except FileNotFoundError as exc:
        raise MissingError(f"{path} does not exist; a vault is made by `init`") from exc
    except OSError as exc:
        raise storage_error(path, exc) from exc


def _has_content(wal: Path) -> bool:
    try:
        return wal.stat().st_size > 0
    except FileNotFoundError:
        return False
    except OSError as exc:
        raise storage_error(wal, exc) from exc


def _is_authentic(page: bytes, file_key: FileKey) -> bool:
    mac_salt = bytes(byte ^ _MAC_SALT_MASK for byte in page[:_SALT_BYTES])
    mac_key = hashlib.pbkdf2_hmac("sha512", file_key.reveal(), mac_salt, _MAC_KEY_ROUNDS, _MAC_KEY_BYTES)
    mac = hmac.digest(mac_key, page[_SALT_BYTES:-_MAC_BYTES] + le32(1), "sha512")
    return hmac.compare_digest(mac, page[-_MAC_BYTES:])
