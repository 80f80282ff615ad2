"""Our reading of the write-ahead log agrees with SQLite's, whatever the log looks like."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.child import Child
from tests.support.vaultfile import make_vault, raw_connection
from vault.errors import StorageError
from vault.wal import (
    FRAME_BYTES,
    HEADER_BYTES,
    PAGE_BYTES,
    Survey,
    holds_frames,
    newest_committed_page,
    survey,
)


class Crashed:
    """The files of a killed writer, and a place to look at damaged copies of them."""

    def __init__(self, folder: Path) -> None:
        path = make_vault(folder)
        with Child("writer", folder) as writer:
            for _ in range(4):
                writer.ask("commit")
        self.vault = path.read_bytes()
        self.wal = path.with_name("vault.db-wal").read_bytes()
        self._folder = folder / "copy"
        self._folder.mkdir()

    def ours(self, wal: bytes) -> bytes:
        """Page 1 as we would find it: in the log, else in the file."""
        path = self._folder / "ours-wal"
        path.write_bytes(wal)
        return newest_committed_page(path, 1) or self.vault[:PAGE_BYTES]

    def surveyed(self, wal: bytes) -> Survey:
        """What we say the log holds."""
        path = self._folder / "ours-wal"
        path.write_bytes(wal)
        return survey(path)

    def sqlites_database(self, wal: bytes) -> tuple[int, int]:
        """How many pages and batches SQLite sees."""
        connection = self._open(wal)
        ((pages,),) = connection.execute("PRAGMA page_count")
        ((batches,),) = connection.execute("SELECT count(*) FROM batch")
        connection.close()
        return pages, batches

    def sqlites(self, wal: bytes) -> bytes:
        """Page 1 as it is in the file once SQLite has moved the log there."""
        connection = self._open(wal)
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.close()
        return (self._folder / "vault.db").read_bytes()[:PAGE_BYTES]

    def _open(self, wal: bytes) -> Any:
        path = self._folder / "vault.db"
        path.write_bytes(self.vault)
        path.with_name("vault.db-wal").write_bytes(wal)
        return raw_connection(path)


@pytest.fixture(scope="module")
def crashed(tmp_path_factory: pytest.TempPathFactory) -> Crashed:
    """Made once: its files are only read."""
    return Crashed(tmp_path_factory.mktemp("crashed"))


def _checksum(order: str, content: bytes, first: int, second: int) -> tuple[int, int]:
    """SQLite's checksum as fileformat2.html, 4.2, writes it down."""
    words = struct.unpack(f"{order}{len(content) // 4}I", content)
    for i in range(0, len(words), 2):
        first = (first + words[i] + second) % 2**32
        second = (second + words[i + 1] + first) % 2**32
    return first, second


def _in_byte_order(wal: bytes, magic: int, order: str) -> bytes:
    """Write a log again with checksums of the other byte order."""
    header = struct.pack(">I", magic) + wal[4:24]
    sums = _checksum(order, header, 0, 0)
    pieces = [header, struct.pack(">2I", *sums)]
    for at in range(HEADER_BYTES, len(wal), FRAME_BYTES):
        frame = wal[at : at + FRAME_BYTES]
        sums = _checksum(order, frame[:8] + frame[24:], *sums)
        pieces += [frame[:16], struct.pack(">2I", *sums), frame[24:]]
    return b"".join(pieces)


def test_the_newest_page_is_what_sqlite_would_use(crashed: Crashed) -> None:
    """Page 1 is in the log here, and differs from the file's."""
    found = crashed.ours(crashed.wal)
    assert found == crashed.sqlites(crashed.wal)
    assert found != crashed.vault[:PAGE_BYTES]


@pytest.mark.parametrize(("magic", "order"), [(0x377F0682, "<"), (0x377F0683, ">")])
def test_logs_of_either_byte_order_are_read(crashed: Crashed, magic: int, order: str) -> None:
    """The magic number says how the machine that wrote the log computed its checksums."""
    wal = _in_byte_order(crashed.wal, magic, order)
    assert crashed.ours(wal) == crashed.sqlites(wal) != crashed.vault[:PAGE_BYTES]


@given(data=st.data())
def test_a_cut_log_reads_as_sqlite_reads_it(crashed: Crashed, data: st.DataObject) -> None:
    """A commit whose last frame is gone did not happen."""
    wal = crashed.wal[: data.draw(st.integers(0, len(crashed.wal)))]
    assert crashed.ours(wal) == crashed.sqlites(wal)


@given(data=st.data())
def test_a_log_with_a_flipped_bit_reads_as_sqlite_reads_it(crashed: Crashed, data: st.DataObject) -> None:
    """Nothing from the damaged frame on counts, though it may be whole."""
    wal = bytearray(crashed.wal)
    offset = data.draw(st.integers(0, len(wal) - 1) | st.integers(0, HEADER_BYTES + 24))
    wal[offset] ^= 1 << data.draw(st.integers(0, 7))
    assert crashed.ours(bytes(wal)) == crashed.sqlites(bytes(wal))


@given(data=st.data())
def test_a_survey_counts_what_sqlite_sees(crashed: Crashed, data: st.DataObject) -> None:
    """Whether the log belongs to the vault beside it is decided by these numbers."""
    wal = crashed.wal[: data.draw(st.integers(0, len(crashed.wal)))]
    found = crashed.surveyed(wal)
    pages, batches = crashed.sqlites_database(wal)
    assert found.commits == batches
    assert found.database_pages == (pages if batches else 0)


def test_a_survey_names_every_page_a_commit_wrote(crashed: Crashed) -> None:
    """Each page the vault has grown by, and page 1, which says how many there are."""
    found = crashed.surveyed(crashed.wal)
    before = len(crashed.vault) // PAGE_BYTES
    assert {1, *range(before + 1, found.database_pages + 1)} <= found.pages
    assert found.database_pages > before


def test_a_survey_leaves_out_what_was_not_committed(crashed: Crashed) -> None:
    """The pages of an interrupted commit are in the log, and count for nothing."""
    assert crashed.surveyed(crashed.wal[: HEADER_BYTES + FRAME_BYTES]) == Survey(0, 0, frozenset())


def test_frames_of_an_older_log_do_not_count(crashed: Crashed) -> None:
    """A log that is used again keeps old frames behind the new ones; only their salts tell."""
    frames = crashed.wal[HEADER_BYTES:]
    older = frames[:8] + bytes(8) + frames[16:]
    wal = crashed.wal + older
    assert crashed.ours(wal) == crashed.sqlites(wal) == crashed.ours(crashed.wal)


def test_a_page_that_is_not_in_the_log_is_not_found(crashed: Crashed, tmp_path: Path) -> None:
    """The caller then looks into the file."""
    (tmp_path / "wal").write_bytes(crashed.wal)
    assert newest_committed_page(tmp_path / "wal", 10_000) is None


def test_an_absent_log_has_no_pages(tmp_path: Path) -> None:
    """A vault that was closed has none."""
    assert survey(tmp_path / "wal") == Survey(0, 0, frozenset())
    assert newest_committed_page(tmp_path / "wal", 1) is None


@pytest.mark.parametrize(("size", "is_something"), [(None, False), (0, False), (32, False), (33, True)])
def test_a_log_with_more_than_its_header_holds_frames(
    tmp_path: Path, size: int | None, is_something: bool
) -> None:
    """An absent and a truncated log are the same: everything is in the vault."""
    wal = tmp_path / "wal"
    if size is not None:
        wal.write_bytes(bytes(size))
    assert holds_frames(wal) is is_something


def test_a_log_whose_size_cannot_be_asked_is_said_so(tmp_path: Path) -> None:
    """To take it for absent would call the vault torn."""
    (tmp_path / "wal").symlink_to("wal")
    with pytest.raises(StorageError, match="wal: the operating system refused"):
        holds_frames(tmp_path / "wal")


def test_a_log_that_cannot_be_read_is_said_so(tmp_path: Path) -> None:
    """It may hold what heals the vault; to go on as if it were absent would call the key wrong."""
    wal = tmp_path / "vault.db-wal"
    wal.mkdir()
    with pytest.raises(StorageError, match=r"vault\.db-wal: the operating system refused: Is a directory"):
        newest_committed_page(wal, 1)
    with pytest.raises(StorageError, match="Is a directory"):
        survey(wal)


@given(content=st.binary(max_size=200))
def test_any_bytes_give_an_answer(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    """The file comes from outside; nothing but an answer may come out."""
    path = tmp_path_factory.getbasetemp() / "any-wal"
    path.write_bytes(content)
    assert newest_committed_page(path, 1) is None
    assert survey(path) == Survey(0, 0, frozenset())
