"""Reading a segment: bytes that anybody may have made, believed only when all of it agrees.

Whoever has an invite has the file key, so whoever may write to the store can
put any SQLite database there: with another schema, with a tree that leads to
itself, with values of other types. So: a bounded size, a bounded number of
steps, the exact tables, their exact types; then the header, its signature by a
function's log key, its policy, its recipients, its items. Only home reads
segments. Not here: opening what is sealed, and whether the vault takes it
(``vault.examining``). FORMAT.md, "Segments".
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from vault.errors import DamagedError, ForeignPodError, MalformedError, PolicyError
from vault.header import MAX_ITEMS, Header, item_leaves, parse_header
from vault.items import NAME_BYTES
from vault.keys import FileKey, PodId, is_signed
from vault.opening import sealed_by_kid
from vault.policies import Policy
from vault.rows import typed
from vault.segments import MAX_SEGMENT_BYTES, PAGE_BYTES, TABLES, Segment, SegmentItem, scratch_file
from vault.sqlcipher import LIBRARY_ERRORS, Connection, open_segment
from vault.tree import HASH_BYTES, root_of

MAX_STEPS = 100_000
"""Of SQLite's machine, for a statement: 512 items take 5,000. A tree that leads to itself has no end."""

_SCHEMA = "SELECT type, name, tbl_name, sql FROM sqlite_schema LIMIT 3"
_EXPECTED_SCHEMA = [("table", name, name, sql) for name, sql in TABLES.items()]
_BATCH = "SELECT rowid, uid, header, wraps, signature FROM batch LIMIT 2"
_ITEMS = f"SELECT rowid, name, c, digest, sealed FROM item LIMIT {MAX_ITEMS + 1}"  # noqa: S608  # a constant

_BatchRow = tuple[int, bytes, bytes, bytes, bytes]
_ItemRow = tuple[int, bytes, bytes, bytes, bytes]


class VerifiedSegment(msgspec.Struct, frozen=True):
    """A segment all of which agrees.

    Attributes:
        segment: As it was read.
        header: The same header, read.
        policy: The one it was taken under.
    """

    segment: Segment
    header: Header
    policy: Policy


def read_segment(content: bytes, file_key: FileKey, scratch: Path) -> Segment:
    """Read a segment; what it says is not believed yet.

    Args:
        content: Untrusted bytes.
        file_key: The pod's.
        scratch: A folder of this process's user; what is made there is removed again.

    Raises:
        MalformedError: Another number of bytes than a segment can have.
        DamagedError: It does not open under the file key, a page fails its
            checks, or it holds anything else than the two tables of one batch.
        DiskFullError: No space is left in the scratch folder.
        StorageError: It cannot be written.
    """
    if not PAGE_BYTES <= len(content) <= MAX_SEGMENT_BYTES or len(content) % PAGE_BYTES:
        raise MalformedError(
            f"a segment of whole pages of {PAGE_BYTES} bytes, and at most {MAX_SEGMENT_BYTES}, was expected; "
            f"{len(content)} bytes were found"
        )
    with scratch_file(scratch, content) as path:
        connection = open_segment(path, file_key, page_bytes=PAGE_BYTES, is_writable=False)
        try:
            connection.set_progress_handler(lambda: True, MAX_STEPS)
            return _read(connection, len(content))
        except LIBRARY_ERRORS as exc:
            raise DamagedError(
                "a segment does not open under the pod's file key, or one of its pages fails its checks"
            ) from exc
        finally:
            connection.close()


def _read(connection: Connection, size: int) -> Segment:
    if list(_bounded(connection, _SCHEMA, size)) != _EXPECTED_SCHEMA:
        raise DamagedError("a segment has other tables than a segment's")
    batches = typed(list(_bounded(connection, _BATCH, size)), list[_BatchRow])
    items = typed(list(_bounded(connection, _ITEMS, size)), list[_ItemRow])
    if [place for place, *_ in batches] != [1]:
        raise DamagedError(f"a segment holds one batch, {len(batches)} were found or another row")
    if [place for place, *_ in items] != list(range(1, len(items) + 1)) or not 1 <= len(items) <= MAX_ITEMS:
        raise DamagedError(f"a segment holds 1 to {MAX_ITEMS} items in their order")
    ((_, uid, header, wraps, signature),) = batches
    return Segment(uid, header, wraps, signature, tuple(SegmentItem(*item) for _, *item in items))


def _bounded(connection: Connection, sql: str, size: int) -> Iterator[tuple[Any, ...]]:
    """Rows, as long as they are together no larger than the file: pages can be shared between rows."""
    total = 0
    for row in connection.cursor().execute(sql):
        total += sum([len(value) for value in row if type(value) is bytes or type(value) is str])
        if total > size:
            raise DamagedError("a segment says more than it has bytes")
        yield row


PolicyOf = Callable[[bytes], Policy | None]
"""Gives the pod's policy of a digest, verified and of a signer that home trusts; None if there is none."""


def verify_segment(segment: Segment, policy_of: PolicyOf, pod_id: PodId) -> VerifiedSegment:
    """Accept a segment that a function of this pod signed, and all of which agrees.

    Args:
        segment: Untrusted.
        policy_of: The pod's policies.
        pod_id: The pod.

    Raises:
        MalformedError: The header, the wraps or a column is not of its format.
        FormatTooNewError: The header is of a later format.
        ForeignPodError: It is another pod's.
        PolicyError: It was taken under a policy that ``policy_of`` does not know.
        DamagedError: It is not signed by a function's log key of its policy, or
            something in it is not what its header names; the sentence says what.
    """
    header = parse_header(segment.header)
    if header.pod_id != pod_id:
        raise ForeignPodError("a segment is of another pod; name this pod's store")
    policy = policy_of(header.policy)
    if policy is None:
        raise PolicyError(
            "a segment was taken under a policy that this home does not hold; "
            "put the pod.toml and slots.json that the function was deployed with beside the pod's"
        )
    _check_signature(segment, header, policy)
    _check_recipients(segment, header, policy)
    _check_items(segment, header)
    return VerifiedSegment(segment, header, policy)


def _check_signature(segment: Segment, header: Header, policy: Policy) -> None:
    keys = [key for key in policy.function_logs if hashlib.sha256(key).digest() == header.log_key_hash]
    if not any(is_signed(key, segment.signature, segment.header) for key in keys):
        raise DamagedError("a segment's header is not signed by a function's log key of its policy")
    if header.uid != segment.uid:
        raise DamagedError("a segment names another uid than its header")


def _check_recipients(segment: Segment, header: Header, policy: Policy) -> None:
    if hashlib.sha256(segment.wraps).digest() != header.wraps_hash:
        raise DamagedError("a segment's wraps are not those its header names")
    if sealed_by_kid(segment.wraps).keys() != {recipient.kid for recipient in policy.recipients}:
        raise DamagedError("a segment is not sealed to exactly the recipients of its policy")


def _check_items(segment: Segment, header: Header) -> None:
    items = segment.items
    if len(items) != header.count:
        raise DamagedError(f"a segment's header counts {header.count} items, {len(items)} are here")
    for item in items:
        if len(item.name) != NAME_BYTES or len(item.c) != HASH_BYTES:
            raise MalformedError("a segment's item has a name or commitment of another length")
        if hashlib.sha256(item.sealed).digest() != item.digest:
            raise DamagedError("a segment's sealed item was altered")
    leaves = item_leaves(header.pod_id, header.uid, [i.c for i in items], [i.digest for i in items])
    if root_of(leaves) != header.item_root:
        raise DamagedError("a segment's items are not those its header names")
