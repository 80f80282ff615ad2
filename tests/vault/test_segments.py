"""Segments: small, private, encrypted like a vault, and nothing left behind."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from tests.support.functions import Function, new_function
from tests.support.pods import new_pod
from tests.support.small_disk import run_on_small_disk
from vault import segments
from vault.errors import MalformedError, StorageError
from vault.segment_reading import read_segment
from vault.segments import MAX_SEGMENT_BYTES, PAGE_BYTES, Segment, scratch_file, write_segment
from vault.sqlcipher import Connection, RefusedStatementError, open_segment


@pytest.fixture
def function(tmp_path: Path) -> Function:
    """A function of a pod ``infer``."""
    return new_function(new_pod(tmp_path, "infer"), tmp_path / "scratch")


@pytest.fixture
def segment(function: Function) -> Segment:
    """One with one item."""
    deposit = function.send(function.pod.slot(), text="x", id="item-1")
    return read_segment(deposit.content, function.pod.keys.file_key, function.scratch)


def test_one_small_item_is_four_small_pages(function: Function) -> None:
    """What a million items cost is decided here."""
    slot = function.pod.slot()
    assert len(function.send(slot, text="x" * 400).content) == 4 * PAGE_BYTES
    assert len(function.send(slot, text="x" * 900).content) == 5 * PAGE_BYTES


def test_what_is_written_is_read(function: Function, segment: Segment) -> None:
    """Byte for byte, whatever SQLCipher drew for salt and page."""
    once, twice = function.written(segment), function.written(segment)
    assert once != twice
    for content in (once, twice):
        assert read_segment(content, function.pod.keys.file_key, function.scratch) == segment


def test_nothing_of_it_is_clear(function: Function, segment: Segment) -> None:
    """Counts and sizes show; names, header and signature do not."""
    content = function.written(segment)
    rows = [segment.uid, segment.header[-32:], segment.signature[:16], segment.items[0].name]
    assert not any(part in content for part in [b"SQLite", b"CREATE", *rows])


def test_nothing_is_left_in_the_scratch_folder(function: Function, segment: Segment) -> None:
    """After writing, reading, and failing to."""
    function.written(segment)
    with pytest.raises(MalformedError):
        function.written(msgspec.structs.replace(segment, items=()))
    assert list(function.scratch.iterdir()) == []


def test_a_scratch_file_is_private_and_its_name_is_new(tmp_path: Path) -> None:
    """Others on the machine read nothing and plant nothing."""
    with scratch_file(tmp_path) as one, scratch_file(tmp_path) as another:
        assert one != another
        assert one.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there_is_said(function: Function, segment: Segment, tmp_path: Path) -> None:
    """Not an accident of the library's."""
    with pytest.raises(StorageError, match="nowhere"):
        write_segment(segment, function.pod.keys.file_key, tmp_path / "nowhere")


def test_a_file_that_goes_away_is_said(
    function: Function, segment: Segment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another program empties temporary folders."""
    fill = segments._fill

    def fill_and_lose(connection: Connection, segment: Segment) -> None:
        fill(connection, segment)
        for path in function.scratch.iterdir():
            path.unlink()

    monkeypatch.setattr(segments, "_fill", fill_and_lose)
    with pytest.raises(StorageError, match="No such file"):
        function.written(segment)


def test_no_items_or_too_many_are_refused(function: Function, segment: Segment) -> None:
    """A batch has 1 to 512."""
    many = segment.items * 512
    assert len(read_back(function, many).items) == 512
    for items in ((), segment.items * 513):
        with pytest.raises(MalformedError, match="1 to 512 items"):
            function.written(msgspec.structs.replace(segment, items=items))


def read_back(function: Function, items: tuple[segments.SegmentItem, ...]) -> Segment:
    """Write a segment of these items and read it."""
    segment = Segment(b"u" * 16, b"header", b"wraps", b"signature", items)
    return read_segment(function.written(segment), function.pod.keys.file_key, function.scratch)


def test_what_no_reader_takes_is_not_written(function: Function, segment: Segment) -> None:
    """16 MiB: twice the largest batch."""
    item = msgspec.structs.replace(segment.items[0], sealed=bytes(MAX_SEGMENT_BYTES))
    with pytest.raises(MalformedError, match="at most 16777216 bytes"):
        function.written(msgspec.structs.replace(segment, items=(item,)))


def test_a_file_that_is_not_there_is_said(function: Function, tmp_path: Path) -> None:
    """None is made in its place."""
    with pytest.raises(StorageError):
        open_segment(
            tmp_path / "nothing", function.pod.keys.file_key, page_bytes=PAGE_BYTES, is_writable=True
        )
    assert not (tmp_path / "nothing").exists()


def test_what_a_column_cannot_hold_is_our_own_fault(function: Function, segment: Segment) -> None:
    """Not the disk's, and nothing is left behind."""
    item = msgspec.structs.replace(segment.items[0], name=None)
    with pytest.raises(RefusedStatementError):
        function.written(msgspec.structs.replace(segment, items=(item,)))
    assert list(function.scratch.iterdir()) == []


def test_a_scratch_folder_that_is_none_is_said(function: Function, segment: Segment) -> None:
    """What the function answers 503 to."""
    function.scratch.rmdir()
    function.scratch.symlink_to("/dev/null")
    with pytest.raises(StorageError):
        function.written(segment)


_FULL = """
import sys, tempfile
from pathlib import Path
from tests.support.functions import new_function
from tests.support.pods import new_pod
from vault.errors import DiskFullError
with tempfile.TemporaryDirectory() as folder:
    function = new_function(new_pod(Path(folder), "infer"), Path(folder, "scratch"))
    slot = function.pod.slot()
    function.scratch = Path(sys.argv[1])
    function.send(slot, id="item-1", text="x")
    try:
        function.send(slot, id="item-2", text="x" * 100_000)
    except DiskFullError:
        print("full", len(list(function.scratch.iterdir())))
    function.send(slot, id="item-3", text="x")
"""


def test_a_full_disk_is_said(tmp_path: Path) -> None:
    """What the function answers 507 to; nothing of it is left, and the next item finds its room."""
    assert run_on_small_disk(tmp_path, 64, _FULL) == "full 0\n"
