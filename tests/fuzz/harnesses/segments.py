"""Segments: small databases from a bucket, made by one who has the file key, as every contributor has.

Rows of an honest one are changed, and signed by the function's log key or not;
then bytes of its decrypted pages, each authenticated anew. Promises: it is
refused in a bounded number of steps, or all of it agrees: a function of the pod
signed it, and without a new signature its items are those that were put in.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from typing import NamedTuple

import msgspec

from tests.fuzz.cuts import Cuts
from tests.fuzz.plants import require_no_secret, scratch
from tests.fuzz.target import Target
from tests.support.functions import plain_page, with_page
from tests.vectors import batches, world
from tests.vectors.policies import POD_TOML, members, packed, signed
from vault.errors import (
    DamagedError,
    ForeignPodError,
    FormatTooNewError,
    MalformedError,
    PolicyError,
    VaultError,
)
from vault.header import item_leaves, parse_header
from vault.items import commitment, item_name
from vault.keys import MacKey, is_signed
from vault.policies import Policy, parse_policy
from vault.segment_reading import read_segment, verify_segment
from vault.segments import PAGE_BYTES, Segment, SegmentItem, write_segment
from vault.tree import root_of

KEY = world.FUNCTION_KEY
_MOST_ACTS = 16
_LOGS = [{"key": world.LOG_KEY.public.hex(), "kind": "vault"}, {"key": KEY.public.hex(), "kind": "function"}]
_POLICY = parse_policy(POD_TOML.encode(), signed(packed(members(logs=_LOGS))).encode())


def _policy_of(digest: bytes) -> Policy | None:
    return _POLICY if digest == _POLICY.digest else None


def _honest() -> Segment:
    wraps = batches.wraps_for([world.IDENTITY.recipient])
    sealed = [batches.seal(index, batches.plain(index)) for index in range(3)]
    key_hash = hashlib.sha256(KEY.public).digest()
    header = batches.header_of(wraps, sealed, policy=_POLICY.digest, log_key_hash=key_hash).pack()
    name_key = MacKey(world.KEYS[1].derive("name", world.POD_ID))
    items = (
        SegmentItem(
            item_name(name_key, batches.ITEMS[index][0]),
            commitment(batches.SALTS[index], batches.CANONICAL[index]),
            hashlib.sha256(each).digest(),
            each,
        )
        for index, each in enumerate(sealed)
    )
    return Segment(batches.UID, header, wraps, KEY.sign(header), tuple(items))


class _Page(NamedTuple):
    """Bytes to be written into a decrypted page."""

    number: int
    at: int
    written: bytes


def run(data: bytes) -> None:
    """Change the segment, write it, change its pages, and read it as home does."""
    cuts = Cuts(data)
    is_signed_anew, segment = bool(cuts.number() & 1), HONEST
    pages: list[_Page] = []
    for _ in range(_MOST_ACTS):
        if not cuts:
            break
        act = cuts.number() % (len(ACTS) + 1)
        if act == len(ACTS):
            pages.append(_Page(cuts.number(), cuts.number(2), cuts.text()))
        else:
            segment = ACTS[act](segment, cuts)
    _read(_with_pages(_written(_rooted(segment) if is_signed_anew else segment), pages), is_signed_anew)


def _read(content: bytes, is_signed_anew: bool) -> None:
    try:
        segment = read_segment(content, world.FILE_KEY, _FOLDER)
        verified = verify_segment(segment, _policy_of, world.POD_ID)
    except (DamagedError, ForeignPodError, FormatTooNewError, MalformedError, PolicyError) as exc:
        require_no_secret(str(exc))
        return
    assert is_signed(KEY.public, segment.signature, segment.header)
    assert verified.header == parse_header(segment.header)
    assert verified.policy is _POLICY
    assert all(hashlib.sha256(item.sealed).digest() == item.digest for item in segment.items)
    assert len(segment.items) == verified.header.count
    if not is_signed_anew:
        # A name stands in no header; a check of the vault computes it again.
        unnamed = [msgspec.structs.replace(item, name=b"") for item in segment.items]
        assert unnamed == [msgspec.structs.replace(item, name=b"") for item in HONEST.items]
        assert (segment.header, segment.wraps) == (HONEST.header, HONEST.wraps)
    assert read_segment(_written(segment), world.FILE_KEY, _FOLDER) == segment


def _written(segment: Segment) -> bytes:
    return _CONTENT if segment is HONEST else write_segment(segment, world.FILE_KEY, _FOLDER)


def _with_pages(content: bytes, pages: list[_Page]) -> bytes:
    for page in pages:
        number = page.number % (len(content) // PAGE_BYTES) + 1
        plain = plain_page(content, world.FILE_KEY, number)
        at = page.at % len(plain)
        plain[at : at + len(page.written)] = page.written[: len(plain) - at]
        content = with_page(content, world.FILE_KEY, number, bytes(plain))
    return content


def _rooted(segment: Segment) -> Segment:
    """Its header made to agree with its rows, and signed by the function."""
    try:
        header = parse_header(segment.header)
    except VaultError:
        return msgspec.structs.replace(segment, signature=KEY.sign(segment.header))
    leaves = item_leaves(
        header.pod_id, header.uid, [item.c for item in segment.items], [item.digest for item in segment.items]
    )
    header = msgspec.structs.replace(
        header,
        count=len(segment.items),
        item_root=root_of(leaves),
        wraps_hash=hashlib.sha256(segment.wraps).digest(),
    )
    return msgspec.structs.replace(segment, header=header.pack(), signature=KEY.sign(header.pack()))


def _changed(field: bytes, cuts: Cuts) -> bytes:
    """Bytes written over some of it, or it cut short."""
    at, written = cuts.number(2) % (len(field) + 1), cuts.text()
    return field[:at] + written + field[at + len(written) :] if written else field[:at]


def _change_batch(segment: Segment, cuts: Cuts) -> Segment:
    name = cuts.one_of(("uid", "header", "wraps", "signature"))
    return msgspec.structs.replace(segment, **{name: _changed(getattr(segment, name), cuts)})


def _change_item(segment: Segment, cuts: Cuts) -> Segment:
    items, at = list(segment.items), cuts.number() % len(segment.items)
    name = cuts.one_of(("name", "c", "digest", "sealed"))
    items[at] = msgspec.structs.replace(items[at], **{name: _changed(getattr(items[at], name), cuts)})
    return msgspec.structs.replace(segment, items=tuple(items))


def _reseal(segment: Segment, cuts: Cuts) -> Segment:
    """Other sealed bytes, and the digest that fits them."""
    items, at = list(segment.items), cuts.number() % len(segment.items)
    sealed = _changed(items[at].sealed, cuts)
    items[at] = msgspec.structs.replace(items[at], sealed=sealed, digest=hashlib.sha256(sealed).digest())
    return msgspec.structs.replace(segment, items=tuple(items))


def _rearrange(segment: Segment, cuts: Cuts) -> Segment:
    """One item once more, at another place; or moved there; or gone."""
    items = list(segment.items)
    taken, copies = items.pop(cuts.number() % len(items)), cuts.number() % 3
    for _ in range(copies if items else max(copies, 1)):
        items.insert(cuts.number() % (len(items) + 1), taken)
    return msgspec.structs.replace(segment, items=tuple(items))


ACTS: tuple[Callable[[Segment, Cuts], Segment], ...] = (_change_batch, _change_item, _reseal, _rearrange)
"""What is done to rows; the number after the last changes a page."""

_FOLDER = scratch()
HONEST = _honest()
_CONTENT = write_segment(HONEST, world.FILE_KEY, _FOLDER)


def _seeds() -> Iterator[bytes]:
    yield from (b"", b"\1")
    for sign in range(2):
        for act in range(2):
            for field in range(4):
                change = bytes([field]) if act == 0 else bytes([1, field])
                yield bytes([sign, act]) + change + bytes([3, 0, 1, 0xFF])
                yield bytes([sign, act]) + change + bytes([5, 0, 0])
        yield from (bytes([sign, 2, 1, 9, 0, 2, 1, 1]), bytes([sign, 2, 1, 0, 0, 0]))
        yield from (bytes([sign, 3, at, copies, 1, 2]) for at in range(3) for copies in range(3))
    for page in range(len(_CONTENT) // PAGE_BYTES):
        for at in (0, 3, 8, 12, 20, 28, 100, 103, 108, 500, 930):
            yield bytes([0, len(ACTS), page, *at.to_bytes(2, "little"), 2, 0xFF, 0x07])
            yield bytes([0, len(ACTS), page, *at.to_bytes(2, "little"), 4, 0, 0, 0, page + 1])


TARGET = Target(run, _seeds, 512)
