"""The key is checked before SQLCipher sees the file, and a torn first page is told from a wrong key."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.child import Child
from tests.support.vaultfile import FILE_KEY, ITEMS, WRONG_KEY, make_vault, raw_connection
from vault.database import connect_append, connect_read
from vault.errors import (
    DamagedError,
    EmptyFileError,
    MissingError,
    PlaintextError,
    StorageError,
    TruncatedError,
    VaultError,
    WrongKeyError,
)
from vault.page_one import verify_page_one
from vault.wal import PAGE_BYTES


@pytest.fixture
def vault(tmp_path: Path) -> Path:
    """A closed vault."""
    return make_vault(tmp_path)


@pytest.fixture
def crashed(tmp_path: Path) -> Path:
    """A vault whose writer was killed: three batches in the WAL, page 1 among their pages."""
    path = make_vault(tmp_path)
    with Child("writer", tmp_path) as writer:
        assert [writer.ask("commit") for _ in range(3)] == ["1", "2", "3"]
    return path


def _overwrite(path: Path, offset: int, content: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(content)


def _batches(path: Path) -> int:
    with connect_append(path, FILE_KEY) as connection:
        return len(connection.execute("SELECT batch FROM batch"))


def test_the_right_key_is_accepted(vault: Path) -> None:
    """The check agrees with SQLCipher's own derivation on a file SQLCipher wrote."""
    verify_page_one(vault, FILE_KEY)


def test_a_wrong_key_is_refused(vault: Path) -> None:
    """Also the sentence: nothing can tell a wrong key from a damaged page, so it says both."""
    with pytest.raises(WrongKeyError, match="wrong key or damaged first page"):
        verify_page_one(vault, WRONG_KEY)


def test_a_wrong_key_leaves_a_write_ahead_log_untouched(crashed: Path) -> None:
    """SQLCipher, given a wrong key, checkpoints the log and deletes it before it complains."""
    wal = crashed.with_name("vault.db-wal")
    before = (crashed.read_bytes(), wal.read_bytes())
    with pytest.raises(WrongKeyError):
        connect_append(crashed, WRONG_KEY)
    assert (crashed.read_bytes(), wal.read_bytes()) == before


def test_every_flipped_byte_of_page_one_is_refused(vault: Path) -> None:
    """Salt, ciphertext, IV and HMAC: one bit of each byte, a different one from byte to byte."""
    whole = vault.read_bytes()
    descriptor = os.open(vault, os.O_WRONLY)
    for offset in range(PAGE_BYTES):
        os.pwrite(descriptor, bytes([whole[offset] ^ 1 << offset % 8]), offset)
        with pytest.raises(WrongKeyError):
            verify_page_one(vault, FILE_KEY)
        os.pwrite(descriptor, whole[offset : offset + 1], offset)
    os.close(descriptor)
    verify_page_one(vault, FILE_KEY)


def _remove(path: Path) -> None:
    path.unlink()


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _replace_by_plaintext(path: Path) -> None:
    path.write_bytes(b"SQLite format 3\0" + bytes(PAGE_BYTES - 16))


def _replace_by_short_plaintext(path: Path) -> None:
    path.write_bytes(b"SQLite format 3\0")


def _cut_inside_a_page(path: Path) -> None:
    os.truncate(path, 3 * PAGE_BYTES + 1)


def _cut_inside_page_one(path: Path) -> None:
    os.truncate(path, PAGE_BYTES - 1)


def _append_junk(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"x")


def _replace_by_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _replace_by_link(path: Path) -> None:
    path.rename(path.with_name("elsewhere"))
    path.symlink_to("elsewhere")


@pytest.mark.parametrize(
    ("spoil", "error"),
    [
        (_remove, MissingError),
        (_empty, EmptyFileError),
        (_replace_by_plaintext, PlaintextError),
        (_replace_by_short_plaintext, PlaintextError),
        (_cut_inside_a_page, TruncatedError),
        (_cut_inside_page_one, TruncatedError),
        (_append_junk, TruncatedError),
        (_replace_by_folder, StorageError),
        (_replace_by_link, StorageError),
    ],
)
def test_each_kind_of_bad_file_has_its_own_error(
    vault: Path, spoil: Callable[[Path], None], error: type[VaultError]
) -> None:
    """A person restores, moves or unpacks something else for each; SQLCipher says the same for all."""
    spoil(vault)
    with pytest.raises(error) as raised:
        verify_page_one(vault, FILE_KEY)
    assert type(raised.value) is error
    assert str(vault) in str(raised.value) or vault.name in str(raised.value)


def test_a_missing_vault_is_not_created(tmp_path: Path) -> None:
    """The first caller must not choose the key."""
    with pytest.raises(MissingError):
        connect_append(tmp_path / "vault.db", FILE_KEY)
    assert list(tmp_path.iterdir()) == []


def test_a_page_one_torn_by_a_crash_is_taken_from_the_log(crashed: Path) -> None:
    """A power cut in the middle of a checkpoint costs no acknowledged item: SQLite heals the page."""
    _overwrite(crashed, PAGE_BYTES // 2, bytes(PAGE_BYTES // 2))
    verify_page_one(crashed, FILE_KEY)
    assert _batches(crashed) == 3


def test_a_torn_page_one_without_a_log_is_refused(crashed: Path) -> None:
    """Nothing heals it then."""
    crashed.with_name("vault.db-wal").unlink()
    _overwrite(crashed, PAGE_BYTES // 2, bytes(PAGE_BYTES // 2))
    with pytest.raises(WrongKeyError):
        verify_page_one(crashed, FILE_KEY)


def test_a_torn_page_one_does_not_let_a_wrong_key_pass(crashed: Path) -> None:
    """The log's image is authenticated as well."""
    _overwrite(crashed, PAGE_BYTES // 2, bytes(PAGE_BYTES // 2))
    with pytest.raises(WrongKeyError):
        verify_page_one(crashed, WRONG_KEY)


def test_a_damaged_log_does_not_heal_page_one(crashed: Path) -> None:
    """SQLite would not believe these frames, so neither may the check."""
    _overwrite(crashed, PAGE_BYTES // 2, bytes(PAGE_BYTES // 2))
    _overwrite(crashed.with_name("vault.db-wal"), 60, b"\0\0\0\0")
    with pytest.raises(WrongKeyError):
        verify_page_one(crashed, FILE_KEY)


def test_a_damaged_salt_is_told_from_a_wrong_key(crashed: Path) -> None:
    """SQLCipher reads the salt from the file alone: the log cannot heal it, though it proves the key."""
    _overwrite(crashed, 0, bytes(16))
    with pytest.raises(DamagedError, match="right key, but a damaged salt"):
        verify_page_one(crashed, FILE_KEY)


def test_a_last_page_cut_by_a_full_disk_is_healed_by_the_log(crashed: Path) -> None:
    """A checkpoint that ran out of space leaves part of a page, which is whole in the log."""
    pages = crashed.stat().st_size // PAGE_BYTES
    with crashed.open("ab") as file:
        file.write(bytes(1024))
    assert crashed.stat().st_size == pages * PAGE_BYTES + 1024
    verify_page_one(crashed, FILE_KEY)
    assert _batches(crashed) == 3
    with connect_read(crashed, FILE_KEY) as connection:
        assert connection.problems() == []
        assert connection.execute("SELECT count(*) FROM item") == [(3 * ITEMS,)]


def test_the_check_is_needed_sqlcipher_alone_harms_the_log(crashed: Path) -> None:
    """The reason for this module: opening with a wrong key is not free of side effects."""
    wal = crashed.with_name("vault.db-wal")
    connection = raw_connection(crashed, WRONG_KEY)
    with pytest.raises(Exception, match="file is not a database"):
        connection.execute("SELECT 1 FROM sqlite_schema")
    connection.close()
    assert not wal.exists() or wal.stat().st_size == 0


@pytest.mark.parametrize("pages", [1, 2, -1])
def test_a_vault_cut_between_pages_is_truncated(vault: Path, pages: int) -> None:
    """Each page that is left is whole: only page 1 says how many there were."""
    whole = vault.read_bytes()
    vault.write_bytes(whole[: pages * PAGE_BYTES])
    with pytest.raises(TruncatedError, match=r"ends after page \d+ of \d+"):
        verify_page_one(vault, FILE_KEY)


def test_pages_that_are_still_in_the_log_are_not_missed(crashed: Path) -> None:
    """A checkpoint that a crash cut short may leave page 1 ahead of the file's end."""
    crashed.write_bytes(crashed.read_bytes()[:PAGE_BYTES])
    verify_page_one(crashed, FILE_KEY)


def test_a_log_that_cannot_be_looked_at_is_named(vault: Path) -> None:
    """Rather than taken for absent."""
    loop = vault.with_name("vault.db-wal")
    loop.symlink_to(loop)
    with pytest.raises(StorageError, match=r"vault\.db-wal"):
        verify_page_one(vault, FILE_KEY)
