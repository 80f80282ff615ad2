"""A segment from a bucket: bytes by anyone, among them whoever has the file key."""

from __future__ import annotations

import hashlib
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.functions import Function, database, new_function, plain_page, with_page
from tests.support.pods import new_pod
from vault.encoding import pae
from vault.errors import (
    DamagedError,
    DiskFullError,
    ForeignPodError,
    FormatTooNewError,
    MalformedError,
    PolicyError,
    StorageError,
    VaultError,
)
from vault.keys import FileKey, LogKey, PodId
from vault.segment_reading import VerifiedSegment, read_segment, verify_segment
from vault.segments import MAX_SEGMENT_BYTES, PAGE_BYTES, TABLES, Segment

BATCH, ITEM = TABLES.values()
_NEW_BATCH = (
    "INSERT INTO batch (rowid, uid, header, wraps, signature) VALUES ({}, x'00', x'00', x'00', x'00')"
)
_NEW_ITEM = "INSERT INTO item (rowid, name, c, digest, sealed) VALUES ({}, x'00', x'00', x'00', x'00')"
ROWS = _NEW_BATCH.format(1), _NEW_ITEM.format(1)


@pytest.fixture(scope="module")
def function(tmp_path_factory: pytest.TempPathFactory) -> Function:
    """A function of a pod ``infer``."""
    folder = tmp_path_factory.mktemp("function")
    return new_function(new_pod(folder, "infer"), folder / "scratch")


@pytest.fixture(scope="module")
def content(function: Function) -> bytes:
    """A segment as it lies in a bucket."""
    return function.send(function.pod.slot("reading"), text="x", id="item-1").content


@pytest.fixture
def segment(function: Function, content: bytes) -> Segment:
    """The same, read."""
    return read(function, content)


def read(function: Function, content: bytes) -> Segment:
    """Read as home does."""
    return read_segment(content, function.pod.keys.file_key, function.scratch)


def verify(function: Function, segment: Segment) -> VerifiedSegment:
    """Verify as home does."""
    policy = function.pod.policy
    return verify_segment(segment, {policy.digest: policy}.get, policy.pod_id)


def test_an_honest_segment_is_verified(function: Function, segment: Segment) -> None:
    """Nothing of it changes on the way."""
    verified = verify(function, segment)
    assert verified.segment is segment
    assert verified.policy is function.pod.policy
    assert (verified.header.uid, verified.header.count) == (segment.uid, 1)


@pytest.mark.parametrize("size", [0, 1, 1023, 1025, 4095, MAX_SEGMENT_BYTES + PAGE_BYTES])
def test_other_lengths_are_refused_unread(function: Function, size: int) -> None:
    """Whole pages, and no more of them than a batch can need."""
    with pytest.raises(MalformedError, match=f"{size} bytes were found"):
        read(function, bytes(size))


def test_every_flipped_byte_is_refused(function: Function, content: bytes) -> None:
    """Every page is authenticated; none is taken for another."""
    for at in range(0, len(content), 13):
        flipped = bytearray(content)
        flipped[at] ^= 0x10
        with pytest.raises(DamagedError):
            read(function, bytes(flipped))


def test_pages_that_change_places_or_are_cut_are_refused(function: Function, content: bytes) -> None:
    """A page's number is authenticated with it."""
    pages = [content[at : at + PAGE_BYTES] for at in range(0, len(content), PAGE_BYTES)]
    for changed in (pages[:3], [pages[0], pages[2], pages[1], pages[3]], [*pages[:2], pages[3]]):
        with pytest.raises(DamagedError):
            read(function, b"".join(changed))


def test_another_pods_segment_does_not_open(function: Function, content: bytes) -> None:
    """Under its own key alone."""
    with pytest.raises(DamagedError, match="does not open under the pod's file key"):
        read_segment(content, FileKey(bytes(32)), function.scratch)


@pytest.mark.parametrize("content", [bytes(4096), b"SQLite format 3\0" + bytes(4080), b"x" * 1024])
def test_what_is_no_segment_is_refused(function: Function, content: bytes) -> None:
    """Zeros, plaintext, noise."""
    with pytest.raises(DamagedError):
        read(function, content)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(pages=st.lists(st.binary(min_size=PAGE_BYTES, max_size=PAGE_BYTES), min_size=1, max_size=4))
def test_any_bytes_are_refused_in_our_words(function: Function, pages: list[bytes]) -> None:
    """Never a library's error."""
    with pytest.raises(DamagedError):
        read(function, b"".join(pages))


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(number=st.integers(1, 4), at=st.integers(0, 943), change=st.binary(min_size=1, max_size=8))
def test_any_page_of_a_holder_of_the_file_key_is_read_or_refused(
    function: Function, content: bytes, number: int, at: int, change: bytes
) -> None:
    """SQLite's own structures, altered and authenticated anew: the same rows, others, or our error; soon."""
    key = function.pod.keys.file_key
    page = plain_page(content, key, number)
    page[at : at + len(change)] = change
    altered = with_page(content, key, number, bytes(page[: PAGE_BYTES - 80]))
    began = time.process_time()
    try:
        verify(function, read(function, altered))
    except VaultError as exc:
        assert not isinstance(exc, StorageError)  # noqa: PT017  # any other kind is right
    assert time.process_time() - began < 2


@pytest.mark.parametrize(
    ("why", "statements"),
    [
        ("no tables", ("CREATE TABLE t (a)",)),
        ("no batch", (ITEM, ROWS[1])),
        ("no items", (BATCH, ROWS[0])),
        ("one table more", (BATCH, ITEM, "CREATE TABLE more (a BLOB)", *ROWS)),
        ("in another order", (ITEM, BATCH, *ROWS)),
        ("an index", (BATCH, ITEM, "CREATE INDEX i ON item (name)", *ROWS)),
        ("a view for a table", ("CREATE VIEW batch AS SELECT x'00' AS uid", ITEM, ROWS[1])),
        ("a trigger", (BATCH, ITEM, "CREATE TRIGGER t AFTER INSERT ON item BEGIN SELECT 1; END", *ROWS)),
        ("not strict", (BATCH.removesuffix(" STRICT"), ITEM, *ROWS)),
        ("a generated column", (BATCH, ITEM.replace("sealed BLOB NOT NULL", "sealed BLOB AS (name)"))),
        ("another case", (BATCH, ITEM.replace("CREATE TABLE item", "CREATE TABLE Item"), *ROWS)),
    ],
)
def test_another_schema_is_refused(function: Function, why: str, statements: tuple[str, ...]) -> None:
    """SQLite would run what stands in it."""
    with pytest.raises(DamagedError, match="other tables than a segment's"):
        read(function, database(function.pod.keys.file_key, *statements))
    assert why


@pytest.mark.parametrize(
    ("says", "statements"),
    [
        ("holds one batch", (ROWS[1],)),
        ("holds one batch", (ROWS[0], _NEW_BATCH.format(2), ROWS[1])),
        ("holds one batch", (_NEW_BATCH.format(2), ROWS[1])),
        ("1 to 512 items", (ROWS[0],)),
        ("1 to 512 items", (ROWS[0], "BEGIN", *map(_NEW_ITEM.format, range(1, 514)), "COMMIT")),
        ("in their order", (ROWS[0], _NEW_ITEM.format(-1))),
        ("in their order", (*ROWS, _NEW_ITEM.format(7))),
    ],
)
def test_other_rows_are_refused(function: Function, says: str, statements: tuple[str, ...]) -> None:
    """One batch, and its items in their order."""
    with pytest.raises(DamagedError, match=says):
        read(function, database(function.pod.keys.file_key, BATCH, ITEM, *statements))


def test_a_value_of_another_type_is_refused(function: Function) -> None:
    """STRICT is checked by who inserts, not by who reads."""
    loose = BATCH.removesuffix(" STRICT")
    swap = f"UPDATE sqlite_schema SET sql = '{BATCH}' WHERE name = 'batch'"
    rows = ("INSERT INTO batch VALUES ('text', 1, 2.5, x'00')", ROWS[1])
    made = database(function.pod.keys.file_key, loose, ITEM, *rows, "PRAGMA writable_schema = ON", swap)
    with pytest.raises(DamagedError, match="what its column cannot have"):
        read(function, made)


def test_another_page_size_is_refused(function: Function) -> None:
    """A vault is no segment."""
    with pytest.raises(DamagedError):
        read(function, database(function.pod.keys.file_key, BATCH, ITEM, *ROWS, page_bytes=4096))


def _endless(content: bytes, key: FileKey, page: int, depth: int) -> bytes:
    """Interior pages that all lead to the same next one: 90^depth rows in a few pages."""
    raw = bytearray(content)
    base = len(content) // PAGE_BYTES
    leaf = plain_page(content, key, page)
    first_row = bytes(leaf[: PAGE_BYTES - 80])
    last = base + depth + 1
    grown = bytes(raw) + bytes((depth + 1) * PAGE_BYTES)
    for level in range(depth):
        number = page if level == 0 else base + level
        below = base + level + 1
        interior = bytearray(PAGE_BYTES - 80)
        count, at = 90, PAGE_BYTES - 80
        interior[0] = 0x05
        interior[3:5] = count.to_bytes(2, "big")
        interior[8:12] = below.to_bytes(4, "big")
        for cell in range(count):
            at -= 6
            interior[at : at + 6] = below.to_bytes(4, "big") + bytes([0x81, cell & 0x7F])
            interior[12 + 2 * cell : 14 + 2 * cell] = at.to_bytes(2, "big")
        interior[5:7] = at.to_bytes(2, "big")
        grown = with_page(grown, key, number, bytes(interior))
    grown = with_page(grown, key, base + depth, first_row)
    head = plain_page(grown, key, 1)
    head[28:32] = (last - 1).to_bytes(4, "big")
    grown = grown[: (last - 1) * PAGE_BYTES]
    return with_page(grown, key, 1, bytes(head[: PAGE_BYTES - 80]))


def test_a_tree_that_leads_to_itself_ends(function: Function, content: bytes) -> None:
    """90^8 items in a few pages: refused as soon as they are together more than the file has bytes."""
    hostile = _endless(content, function.pod.keys.file_key, 3, 8)
    began = time.process_time()
    with pytest.raises(DamagedError, match="says more than it has bytes"):
        read(function, hostile)
    assert time.process_time() - began < 2


def test_rows_of_nothing_are_counted(function: Function) -> None:
    """90^8 items of no byte: one more than a batch may have is read, and no more."""
    key = function.pod.keys.file_key
    content = database(key, BATCH, ITEM, ROWS[0], "INSERT INTO item VALUES (x'', x'', x'', x'')")
    began = time.process_time()
    with pytest.raises(DamagedError, match="1 to 512 items in their order"):
        read(function, _endless(content, key, 3, 8))
    assert time.process_time() - began < 2


def test_rows_that_share_their_pages_do_not_fill_memory(function: Function, segment: Segment) -> None:
    """One large item, named by every cell of its tree: no more is taken in than the file has bytes."""
    large = msgspec.structs.replace(segment.items[0], sealed=bytes(400_000))
    content = function.written(msgspec.structs.replace(segment, items=(large,)))
    hostile = _endless(content, function.pod.keys.file_key, 3, 3)
    with pytest.raises(DamagedError, match="says more than it has bytes"):
        read(function, hostile)


def test_a_schema_that_leads_to_itself_ends(function: Function) -> None:
    """SQLite reads all of it before the first statement, and without end if nobody counts."""
    key = function.pod.keys.file_key
    content = database(key, *(f"CREATE TABLE t{n} (a BLOB)" for n in range(40)))
    head = plain_page(content, key, 1)
    base = len(content) // PAGE_BYTES
    grown = content + bytes(8 * PAGE_BYTES)
    # Page 1 is an interior page of the schema's tree: all its cells lead down the same path.
    path = [base + step for step in range(1, 8)]
    child = int.from_bytes(head[108:112], "big")
    for cell in range(int.from_bytes(head[103:105], "big")):
        at = int.from_bytes(head[112 + 2 * cell : 114 + 2 * cell], "big")
        head[at : at + 4] = path[0].to_bytes(4, "big")
    assert head[100] == 0x05
    head[108:112] = path[0].to_bytes(4, "big")
    head[28:32] = (base + 8).to_bytes(4, "big")
    grown = with_page(grown, key, 1, bytes(head[: PAGE_BYTES - 80]))
    for number, below in zip(path, [*path[1:], child], strict=True):
        interior = bytearray(PAGE_BYTES - 80)
        interior[0], at = 0x05, PAGE_BYTES - 80
        interior[3:5], interior[8:12] = (90).to_bytes(2, "big"), below.to_bytes(4, "big")
        for cell in range(90):
            at -= 6
            interior[at : at + 6] = below.to_bytes(4, "big") + bytes([0x81, cell])
            interior[12 + 2 * cell : 14 + 2 * cell] = at.to_bytes(2, "big")
        interior[5:7] = at.to_bytes(2, "big")
        grown = with_page(grown, key, number, bytes(interior))
    grown = with_page(grown, key, base + 8, bytes(PAGE_BYTES - 80))
    began = time.process_time()
    with pytest.raises(DamagedError):
        read(function, grown)
    assert time.process_time() - began < 5


def test_a_scratch_folder_that_cannot_be_written_is_ours(
    function: Function, content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not the segment's fault."""
    with pytest.raises(StorageError):
        read_segment(content, function.pod.keys.file_key, tmp_path / "nowhere")

    make = tempfile.mkstemp

    def full(*names: str, **options: Path) -> tuple[int, str]:
        descriptor, name = make(*names, **options)  # type: ignore[call-overload]
        device = os.open("/dev/full", os.O_WRONLY)
        os.dup2(device, descriptor)
        os.close(device)
        return descriptor, name

    monkeypatch.setattr(tempfile, "mkstemp", full)
    with pytest.raises(DiskFullError, match="no space is left"):
        read(function, content)
    assert list(function.scratch.iterdir()) == []


def _altered(content: bytes) -> bytes:
    """With one bit of its last byte turned: a byte put in its place may be the one that was there."""
    return content[:-1] + bytes([content[-1] ^ 1])


def _refusals() -> list[Any]:
    other = LogKey(b"\x07" * 32)
    return [
        pytest.param("header cut", MalformedError, lambda _, s: {"header": s.header[:-1]}),
        pytest.param("another uid beside it", DamagedError, lambda _, __: {"uid": bytes(16)}),
        pytest.param("signature altered", DamagedError, lambda _, s: {"signature": _altered(s.signature)}),
        pytest.param("signature empty", DamagedError, lambda _, __: {"signature": b""}),
        pytest.param("another's signature", DamagedError, lambda _, s: {"signature": other.sign(s.header)}),
        pytest.param("wraps altered", DamagedError, lambda _, s: {"wraps": _altered(s.wraps)}),
        pytest.param("an item gone", DamagedError, lambda _, __: {"items": ()}),
        pytest.param("an item twice", DamagedError, lambda _, s: {"items": s.items * 2}),
    ]


@pytest.mark.parametrize(("why", "kind", "change"), _refusals())
def test_a_segment_that_is_altered_is_refused(
    function: Function, segment: Segment, why: str, kind: type[VaultError], change: Any
) -> None:
    """By who may write to the store."""
    with pytest.raises(kind):
        verify(function, msgspec.structs.replace(segment, **change(function, segment)))
    assert why


def _changed_item(segment: Segment, **changes: Any) -> Segment:
    return msgspec.structs.replace(segment, items=(msgspec.structs.replace(segment.items[0], **changes),))


@pytest.mark.parametrize(
    ("kind", "says", "changes"),
    [
        (MalformedError, "another length", {"name": b"n" * 21}),
        (MalformedError, "another length", {"c": b""}),
        (DamagedError, "sealed item was altered", {"sealed": b"x"}),
        (DamagedError, "sealed item was altered", {"digest": bytes(32)}),
        (DamagedError, "not those its header names", {"c": bytes(32)}),
        (DamagedError, "not those its header", {"sealed": b"x", "digest": hashlib.sha256(b"x").digest()}),
    ],
)  # fmt: skip
def test_an_item_that_is_altered_is_refused(
    function: Function, segment: Segment, kind: type[VaultError], says: str, changes: dict[str, Any]
) -> None:
    """Its name is bound by the key it lies under, the rest by the header."""
    with pytest.raises(kind, match=says):
        verify(function, _changed_item(segment, **changes))


def test_what_a_function_signs_is_still_judged(function: Function, segment: Segment) -> None:
    """One that was taken over signs what it likes."""
    for kind, says, changes in (
        (ForeignPodError, "another pod", {"pod_id": PodId(bytes(32))}),
        (PolicyError, "does not hold", {"policy": bytes(32)}),
        (DamagedError, "not signed by a function's log key", {"log_key_hash": bytes(32)}),
        (DamagedError, "counts 2 items", {"count": 2}),
        (DamagedError, "wraps are not those", {"wraps_hash": bytes(32)}),
    ):
        with pytest.raises(kind, match=says):
            verify(function, function.signed(segment, **changes))


def test_a_vaults_log_key_signs_no_segment(function: Function, segment: Segment) -> None:
    """A kind each: who serves a vault puts no segments."""
    key = function.pod.keys.log_key
    header = function.signed(segment, log_key_hash=hashlib.sha256(key.public).digest()).header
    forged = msgspec.structs.replace(segment, header=header, signature=key.sign(header))
    with pytest.raises(DamagedError, match="not signed by a function's log key"):
        verify(function, forged)


def test_it_is_sealed_to_exactly_the_recipients(function: Function, segment: Segment) -> None:
    """One more could read along, one less could not."""
    mine = function.pod.keys.identity.recipient
    for wraps, kind in (
        (pae(), DamagedError),
        (pae(pae(bytes(32), b"")), DamagedError),
        (pae(pae(mine.kid, b""), pae(bytes(32), b"")), DamagedError),
        (pae(pae(mine.kid, b""), pae(mine.kid, b"")), MalformedError),
        (b"", MalformedError),
    ):
        with pytest.raises(kind):
            verify(function, function.rooted(segment, wraps=wraps))


def test_a_later_header_is_a_later_format(function: Function, segment: Segment) -> None:
    """Not damage: this program is too old."""
    header = pae(b"batch/v2", b"")
    with pytest.raises(FormatTooNewError):
        verify(function, msgspec.structs.replace(segment, header=header))
