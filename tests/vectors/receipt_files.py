"""Vectors of receipt files: receipts with their refreshes. FORMAT.md, "Refreshes" and "Receipt files".

The log's roots and proofs are the definition's (``tests.vectors.trees``), over
headers as leaves; texts and labelled fields are put together here, not by the
code that reads them.
"""

from __future__ import annotations

import base64
import hashlib
from typing import Any

from tests.vectors import batches, world
from tests.vectors.family import Family, flipped
from tests.vectors.trees import mth, path, proof
from vault.encoding import le32, pae
from vault.errors import (
    DamagedError,
    ForeignPodError,
    FormatTooNewError,
    MalformedError,
    RollbackError,
    VaultError,
)
from vault.header import item_leaf
from vault.items import commitment
from vault.keys import LogKey
from vault.notes import Checkpoint, origin_of, sign_checkpoint

SIZE = 12
BATCH = 6
INDEX = 1
MARK = "shared-pod-receipt/v1"
ITEM_ID = "note-2"

_SEALED = [batches.seal(index, batches.plain(index)) for index in range(3)]
_HEADER = batches.header_of(batches.wraps_for([world.IDENTITY.recipient]), _SEALED)
HEADER = _HEADER.pack()
C = commitment(batches.SALTS[INDEX], batches.CANONICAL[INDEX])
LOG = [*(world.draw(f"header {number}", 325) for number in range(1, BATCH)), HEADER]
LOG += [world.draw(f"header {number}", 325) for number in range(BATCH + 1, SIZE + 1)]
"""The leaves' data; only the sixth is of a real batch."""
FORK = [
    *LOG[: BATCH + 1],
    *(world.draw(f"forked header {number}", 325) for number in range(BATCH + 2, SIZE + 1)),
]
"""Another story from the eighth on."""


def _b64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def _note(size: int, log: list[bytes] = LOG, **changes: Any) -> bytes:
    """A signed checkpoint; ``changes`` are origin, root and key."""
    key: LogKey = changes.get("key", world.LOG_KEY)
    origin = changes.get("origin", origin_of(world.POD_ID, 1))
    return sign_checkpoint(Checkpoint(origin, size, changes.get("root", mth(log[:size]))), key)


def _text(extra: bytes, hashes: list[bytes], note: bytes, index: int = BATCH - 1) -> str:
    lines = ["c2sp.org/tlog-proof@v1", f"extra {_b64(extra)}", f"index {index}", *map(_b64, hashes), "", ""]
    return _b64("\n".join(lines).encode() + note)


def _leaves() -> list[bytes]:
    return [
        item_leaf(world.POD_ID, batches.UID, place, commitment(batches.SALTS[place], batches.CANONICAL[place]), _digest(place))
        for place in range(3)
    ]  # fmt: skip


def _digest(place: int) -> bytes:
    return hashlib.sha256(_SEALED[place]).digest()


def _receipt(note: bytes | None = None, c: bytes = C) -> str:
    first, _, third = _leaves()
    fields = (c, _digest(INDEX), le32(INDEX), HEADER, first + third)
    own = _note(BATCH) if note is None else note
    return _text(pae(b"receipt/v1", *fields), path(BATCH - 1, LOG[:BATCH]), own)


def _refresh(old: int, new: int, log: list[bytes] = LOG, **changes: Any) -> str:
    """From one size to another; ``changes`` are extra, consistency, path, note and index."""
    consistency = changes.get("consistency", proof(old, log[:new]) if old <= new else [])
    extra = changes.get("extra", pae(b"refresh/v1", b"".join(consistency)))
    hashes = changes.get("path", path(BATCH - 1, log[:new]) if new >= BATCH else [])
    return _text(extra, hashes, changes.get("note", _note(new, log)), changes.get("index", BATCH - 1))


def _file(*refreshes: str, first: str = f"{MARK} {ITEM_ID}", receipt: str | None = None) -> str:
    lines = [first, _receipt() if receipt is None else receipt, *refreshes]
    return "".join(f"{line}\n" for line in lines)


def _fields(file: str | bytes, c: bytes | None = C, earlier: str | None = None) -> dict[str, Any]:
    content = {"file_hex": file.hex()} if isinstance(file, bytes) else {"file": file}
    return {
        **content,
        "earlier": earlier,
        "pod_id": world.POD_ID.hex(),
        "log_keys": [world.LOG_KEY.public.hex()],
        "function_keys": [world.FUNCTION_KEY.public.hex()],
        "c": None if c is None else c.hex(),
    }


def _proven(*sizes: int, item_id: str | None = ITEM_ID) -> dict[str, Any]:
    return {
        "item_id": item_id,
        "c": C.hex(),
        "index": INDEX,
        "batch": BATCH,
        "ms": batches.MS,
        "epoch": 1,
        "sizes": [BATCH, *sizes],
    }


def _good(family: Family) -> None:
    one, chain = _refresh(6, 9), [_refresh(6, 7), _refresh(7, 8), _refresh(8, 12)]
    nobody = _proven(item_id=None)
    family.good("receipt alone", "as send writes it", **_fields(_file()), proves=_proven())
    family.good("no id", "a hyphen stands for it", **_fields(_file(first=f"{MARK} -")), proves=nobody)
    family.good("header value", "as it travels", **_fields(_receipt()), proves=nobody)
    dump = f"HTTP/1.1 200 OK\r\nserver: x\r\npod-receipt: {_receipt()}\r\n\r\n"
    family.good("headers of an answer", "the header's name in any case", **_fields(dump), proves=nobody)
    family.good("one refresh", "from 6 batches to 9", **_fields(_file(one)), proves=_proven(9))
    family.good(
        "three refreshes", "each from the one before", **_fields(_file(*chain)), proves=_proven(7, 8, 12)
    )
    later = _refresh(6, 12, note=_note(12, origin=origin_of(world.POD_ID, 3)))
    family.good(
        "refresh of a later epoch", "a repair kept these", **_fields(_file(later)), proves=_proven(12)
    )
    family.good(
        "continues the earlier file",
        "refreshes were added, nothing changed",
        **_fields(_file(*chain), earlier=_file(chain[0])),
        proves=_proven(7, 8, 12),
    )


def _bad_to_read(family: Family) -> None:
    def bad(name: str, why: str, error: type[VaultError], says: str, file: str | bytes) -> None:
        family.bad(name, why, error, says, **_fields(file), at="read")

    refresh, receipt = _refresh(6, 9), _receipt()
    for name, why, says, file in [
        ("empty", "nothing", "tlog-proof", ""),
        ("mark of version 0", "versions start at 1", "base64", _file(first="shared-pod-receipt/v0 note-2")),
        ("mark after a space", "the mark comes first", "base64", " " + _file()),
        ("mark alone", "an id or a hyphen follows", "in its first line", _file(first=MARK)),
        ("id of 5 characters", "6 to 36", "in its first line", _file(first=f"{MARK} note2")),
        ("id of 37 characters", "6 to 36", "in its first line", _file(first=f"{MARK} {'n' * 37}")),
        ("id that is a path", "no slash", "in its first line", _file(first=f"{MARK} ../../n")),
        ("two spaces", "one", "in its first line", _file(first=f"{MARK}  {ITEM_ID}")),
        ("no receipt", "the second line", "whole lines", f"{MARK} {ITEM_ID}\n"),
        ("no newline at the end", "every line ends with one", "whole lines", _file().rstrip("\n")),
        ("carriage returns", "newlines alone", "in its first line", _file().replace("\n", "\r\n")),
        ("empty line at the end", "a line is a refresh", "tlog-proof", _file("")),
        ("empty second line", "the receipt", "tlog-proof", _file(receipt="")),
        ("receipt not base64", "base64", "base64", _file(receipt="?" + receipt[1:])),
        ("receipt too long", "at most 4,000", "at most 4000", _file(receipt="A" * 4004)),
        ("a refresh for a receipt", "each has its label", "its label", _file(receipt=_refresh(6, 6))),
        ("refresh not base64", "base64", "base64", _file("?" + refresh[1:])),
        ("refresh too long", "at most 16,384", "at most 16384", _file("A" * 16388)),
        ("a receipt for a refresh", "each has its label", "refresh was expected", _file(receipt)),
        ("refresh without fields", "a label", "refresh was expected", _file(_refresh(6, 9, extra=pae()))),
        (
            "refresh without proof",
            "one field follows",
            "refresh was expected",
            _file(_refresh(6, 9, extra=pae(b"refresh/v1"))),
        ),
        (
            "refresh with two proofs",
            "one field follows",
            "refresh was expected",
            _file(_refresh(6, 9, extra=pae(b"refresh/v1", b"", b""))),
        ),
        (
            "refresh of version 0",
            "versions start at 1",
            "refresh was expected",
            _file(_refresh(6, 9, extra=pae(b"refresh/v0", b""))),
        ),
        (
            "consistency proof of 33 bytes",
            "whole hashes",
            "consistency proof",
            _file(_refresh(6, 9, extra=pae(b"refresh/v1", bytes(33)))),
        ),
        (
            "refresh, log hash of 31 bytes",
            "hashes are 32 bytes",
            "log path",
            _file(_refresh(6, 9, path=[bytes(31)])),
        ),
        ("two headers", "exactly one", "2 were found", f"Pod-Receipt: {receipt}\nPod-Receipt: {receipt}\n"),
        ("headers without a receipt", "exactly one", "base64", "HTTP/1.1 200 OK\r\nserver: x\r\n\r\n"),
    ]:
        bad(name, why, MalformedError, says, file)
    bad("not ASCII", "ASCII", MalformedError, "ASCII", _file().encode() + b"\xc3\xa9\n")
    bad(
        "mark of version 2",
        "a later program wrote it",
        FormatTooNewError,
        "later format",
        _file(first="shared-pod-receipt/v2 x"),
    )
    bad(
        "refresh of version 2",
        "a later program wrote it",
        FormatTooNewError,
        "later format",
        _file(_refresh(6, 9, extra=pae(b"refresh/v2"))),
    )


def _bad_to_verify(family: Family) -> None:
    def bad(name: str, why: str, error: type[VaultError], says: str, *refreshes: str) -> None:
        family.bad(name, why, error, says, **_fields(_file(*refreshes)), at="verify")

    right = proof(6, LOG[:9])
    where = path(BATCH - 1, LOG[:9])
    other_pod = origin_of(world.OTHER_POD_ID, 1)
    bad(
        "of another batch",
        "the receipt's index",
        MalformedError,
        "batch 6 was expected",
        _refresh(6, 9, index=4),
    )
    bad(
        "of another pod",
        "one log key in two pods",
        ForeignPodError,
        "is of pod",
        _refresh(6, 9, note=_note(9, origin=other_pod)),
    )
    bad(
        "origin of no pod",
        "as in Checkpoints",
        MalformedError,
        "an origin",
        _refresh(6, 9, note=_note(9, origin="log")),
    )
    bad(
        "by a stranger",
        "a vault key signs",
        DamagedError,
        "not signed by",
        _refresh(6, 9, note=_note(9, key=world.OTHER_LOG_KEY)),
    )
    bad(
        "by a function",
        "it signs no checkpoints",
        DamagedError,
        "not signed by",
        _refresh(6, 9, note=_note(9, key=world.FUNCTION_KEY)),
    )
    bad(
        "unsigned text altered",
        "the signature covers it",
        DamagedError,
        "was altered",
        _refresh(6, 9, note=_note(9).replace(b"\n9\n", b"\n10\n")),
    )
    bad("no note", "a checkpoint", MalformedError, "signed note", _refresh(6, 9, note=b""))
    bad(
        "another root",
        "the log was made anew",
        RollbackError,
        "does not extend",
        _refresh(6, 9, note=_note(9, root=bytes(32))),
    )
    bad(
        "same size, another root",
        "a fork",
        RollbackError,
        "does not extend",
        _refresh(6, 6, note=_note(6, root=bytes(32))),
    )
    bad(
        "smaller",
        "batches are gone",
        RollbackError,
        "later entries are missing",
        _refresh(6, 5, path=[], note=_note(5)),
    )
    bad(
        "wrong order",
        "sizes only grow",
        RollbackError,
        "later entries are missing",
        _refresh(6, 9),
        _refresh(9, 8, path=path(5, LOG[:8])),
    )
    bad(
        "earlier epoch",
        "epochs only grow",
        RollbackError,
        "of epoch 1",
        _refresh(6, 9, note=_note(9, origin=origin_of(world.POD_ID, 2))),
        _refresh(9, 12),
    )
    bad(
        "a fork of the refresh before",
        "the ninth batch is another",
        RollbackError,
        "does not extend",
        _refresh(6, 9),
        _refresh(9, 12, FORK),
    )
    bad(
        "consistency altered",
        "one bit",
        RollbackError,
        "does not extend",
        _refresh(6, 9, consistency=[flipped(right[0], 0), *right[1:]]),
    )
    bad(
        "consistency upside down",
        "the RFC's order",
        RollbackError,
        "does not extend",
        _refresh(6, 9, consistency=right[::-1]),
    )
    bad(
        "consistency from elsewhere",
        "from the checkpoint before",
        RollbackError,
        "does not extend",
        _refresh(6, 9),
        _refresh(6, 12),
    )
    bad(
        "consistency short",
        "its length follows from the sizes",
        MalformedError,
        "hashes was expected",
        _refresh(6, 9, consistency=right[:-1]),
    )
    bad(
        "consistency long",
        "its length follows from the sizes",
        MalformedError,
        "hashes was expected",
        _refresh(6, 9, consistency=[*right, bytes(32)]),
    )
    bad(
        "path altered",
        "one bit",
        DamagedError,
        "not in the log",
        _refresh(6, 9, path=[flipped(where[0], 0), *where[1:]]),
    )
    bad(
        "path short",
        "its length follows from the size",
        MalformedError,
        "hashes was expected",
        _refresh(6, 9, path=where[:-1]),
    )
    bad(
        "path long",
        "its length follows from the size",
        MalformedError,
        "hashes was expected",
        _refresh(6, 9, path=[*where, bytes(32)]),
    )
    bad(
        "a good refresh after a bad one",
        "each counts",
        DamagedError,
        "not in the log",
        _refresh(6, 9, path=[flipped(where[0], 0), *where[1:]]),
        _refresh(9, 12),
    )
    for name, why, receipt, c in [
        ("another item", "C is another's", None, bytes(32)),
        ("receipt does not hold", "before any refresh", _receipt(_note(6, root=bytes(32))), C),
    ]:
        family.bad(
            name,
            why,
            DamagedError,
            "the receipt",
            **_fields(_file(_refresh(6, 9), receipt=receipt), c),
            at="verify",
        )


def _bad_to_continue(family: Family) -> None:
    first, second, skipping = _refresh(6, 9), _refresh(9, 12), _refresh(6, 12)
    witnessed = _receipt(_note(6) + "\u2014 witness AAAAAAA=\n".encode())
    for name, why, file, earlier in [
        ("a refresh is gone", "all of the earlier file's stay", _file(first), _file(first, second)),
        ("a refresh is another", "all of the earlier file's stay", _file(skipping), _file(first)),
        ("the receipt is another", "it never changes", _file(first), _file(receipt=witnessed)),
    ]:
        family.bad(
            name, why, RollbackError, "does not continue", **_fields(file, earlier=earlier), at="continue"
        )


def build() -> dict[str, Any]:
    """receipt-files/."""
    family = Family()
    _good(family)
    _bad_to_read(family)
    _bad_to_verify(family)
    _bad_to_continue(family)
    return {
        "about": "Receipt files, or what HTTP clients show of the header (file; file_hex where it is no text), checked as "
        "receipts are with pod_id, log_keys, function_keys and c, each refresh after the one before; where earlier is not "
        "null, the file must continue that one. at says whether reading (read), checking (verify) or the comparison "
        "(continue) refuses it. sizes are of the receipt's checkpoint, then of each refresh's.",
        "vectors": family.vectors,
    }
