"""Receipts and receipt files, as a contributor gets them back from anyone.

Promises: a file that is read is written again with the same bytes; one that
holds does so by RFC 6962's own definitions too, path by path and proof by
proof, and each of its checkpoints has the line that the log key writes.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import NamedTuple

from tests.fuzz.target import Shape, Target
from tests.fuzz.trees import root_of_path, roots_of_proof
from tests.support.vectors import load, vectors
from tests.vectors import world
from vault.encoding import pae, unpae
from vault.errors import (
    DamagedError,
    ForeignPodError,
    FormatTooNewError,
    MalformedError,
    RollbackError,
    VaultError,
)
from vault.header import item_leaf, log_leaf, parse_header
from vault.keys import LogKey, PodId
from vault.notes import Checkpoint, read_checkpoint, sign_checkpoint
from vault.proofs import LogProof, format_proof, parse_proof
from vault.receipt_files import (
    ReceiptFile,
    VerifiedFile,
    check_continues,
    format_receipt_file,
    parse_receipt_file,
    verify_receipt_file,
)
from vault.receipts import MAX_RECEIPT_BYTES, encode_receipt


class Trust(NamedTuple):
    """Whose receipts a holder takes."""

    pod_id: PodId
    log_key: LogKey
    function_keys: tuple[bytes, ...]


_KNOWN = load("receipts/accept-receipt-for-a-known-item.json")
TRUSTS = (
    Trust(world.POD_ID, world.LOG_KEY, (world.FUNCTION_KEY.public,)),
    Trust(PodId(bytes.fromhex(_KNOWN["pod_id"])), LogKey.from_hex(_KNOWN["keys"]["log_key"]), ()),
)
"""The pod of the vectors of receipt files, and that of receipts alone."""
_MARK = b"shared-pod-receipt/"
_DOES_NOT_HOLD = (DamagedError, ForeignPodError, FormatTooNewError, MalformedError, RollbackError)


def run(data: bytes) -> None:
    """Read the file, and check it."""
    try:
        file = parse_receipt_file(data)
    except (MalformedError, FormatTooNewError):
        return
    encoded = encode_receipt(file.receipt)
    assert len(encoded) <= MAX_RECEIPT_BYTES
    if data.startswith(_MARK):
        assert format_receipt_file(file) == data
    else:
        assert encoded.encode() in data
        assert (file.item_id, file.refreshes) == (None, ())
    check_continues(file, ReceiptFile(file.item_id, file.receipt, file.refreshes[:1]))
    for trust in TRUSTS:
        try:
            verify(file, trust)
        except _DOES_NOT_HOLD:
            continue
        _require_holds(file, trust)


def verify(file: ReceiptFile, trust: Trust) -> VerifiedFile:
    """As its holder does."""
    log_keys = [trust.log_key.public]
    return verify_receipt_file(
        file, pod_id=trust.pod_id, log_keys=log_keys, function_keys=trust.function_keys
    )


def _require_holds(file: ReceiptFile, trust: Trust) -> None:
    receipt = file.receipt
    header = parse_header(receipt.header)
    assert header.pod_id == trust.pod_id
    leaf = item_leaf(header.pod_id, header.uid, receipt.index, receipt.c, receipt.digest)
    assert root_of_path(receipt.index, header.count, leaf, receipt.item_path) == header.item_root
    place, logged = receipt.batch - 1, log_leaf(receipt.header)
    here = _signed(receipt.checkpoint, trust.log_key)
    assert here.size == receipt.batch
    assert root_of_path(place, here.size, logged, receipt.log_path) == here.root
    for refresh in file.refreshes:
        later = _signed(refresh.checkpoint, trust.log_key)
        joins = roots_of_proof(here.size, later.size, here.root, refresh.consistency)
        assert joins == (here.root, later.root)
        assert root_of_path(place, later.size, logged, refresh.log_path) == later.root
        here = later


def _signed(note: bytes, log_key: LogKey) -> Checkpoint:
    checkpoint = read_checkpoint(note)
    assert sign_checkpoint(checkpoint, log_key).splitlines()[-1] in note.splitlines()
    return checkpoint


def _split(data: bytes) -> list[bytes]:
    """The first line, then of each proof its extra data, its index, its hashes and its note."""
    first, *lines = data.decode("ascii").splitlines()
    proofs = [parse_proof(base64.b64decode(line), "proof") for line in lines]
    return [
        first.encode(),
        *(pae(proof.extra, b"%d" % proof.index, *proof.path, proof.checkpoint) for proof in proofs),
    ]


def _join(fields: list[bytes]) -> bytes:
    first, *proofs = fields or [b""]
    return b"".join(line + b"\n" for line in (first, *map(_line, proofs)))


def _line(field: bytes) -> bytes:
    try:
        extra, index, *path, note = unpae(field)
        text = format_proof(LogProof(extra, int(index[:30]), tuple(path), _resigned(note)))
    except (ValueError, VaultError):
        return base64.b64encode(field)
    return base64.b64encode(text)


def _resigned(note: bytes) -> bytes:
    """Signed by the log key of its pod, whatever it says now."""
    checkpoint = read_checkpoint(note)
    own = (trust for trust in TRUSTS if trust.pod_id.hex()[:32] in checkpoint.origin)
    return sign_checkpoint(checkpoint, next(own, TRUSTS[0]).log_key)


def _seeds() -> Iterator[bytes]:
    for vector in vectors("receipt-files"):
        yield bytes.fromhex(vector["file_hex"]) if "file_hex" in vector else vector["file"].encode()
    for vector in vectors("receipts"):
        yield vector["receipt"].encode()
        yield b"shared-pod-receipt/v1 -\n%s\n" % vector["receipt"].encode()


TARGET = Target(run, _seeds, 32_768, (Shape(_split, _join),))
