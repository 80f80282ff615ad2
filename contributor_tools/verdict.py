"""Whether a receipt proves that a pod accepted one item: the judgement, and how it is told. Pure.

A receipt that does not hold is an answer, not an accident: each way has its
reason, its sentence and its exit code, because each has another remedy. A
receipt says nothing of what became of the item since; nothing here pretends to.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from contributor_tools.console import clean
from contributor_tools.exits import Exit
from vault.errors import (
    DamagedError,
    Fault,
    ForeignPodError,
    FormatTooNewError,
    MalformedError,
    RollbackError,
    VaultError,
)
from vault.header import parse_header
from vault.items import Item, commitment, item_salt
from vault.keys import MacKey
from vault.links import Invite
from vault.notes import Checkpoint, read_checkpoint, to_base64
from vault.receipt_files import (
    ReceiptFile,
    VerifiedFile,
    check_continues,
    parse_receipt_file,
    verify_receipt_file,
)
from vault.receipts import decode_receipt

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SHOWN_DIGITS = 16
_WIDTH = 9

Facts = list[tuple[str, str]]


class Proven(msgspec.Struct, frozen=True):
    """The receipt proves it.

    Attributes:
        item_id: The item's id.
        pod_name: As the invite says. Untrusted.
        file: What proves it.
        verified: What it proves.
    """

    item_id: str
    pod_name: str
    file: ReceiptFile
    verified: VerifiedFile


class Unproven(msgspec.Struct, frozen=True):
    """The receipt does not prove it.

    Attributes:
        reason: For programs; never renamed.
        sentence: For people. Holds nothing of the item.
        exit_code: One a reason.
    """

    reason: str
    sentence: str
    exit_code: Exit


_OF_FAULTS = {
    Fault.OTHER_ITEM: Exit.OTHER_ITEM,
    Fault.UNKNOWN_LOG_KEY: Exit.UNKNOWN_LOG_KEY,
    Fault.SIGNATURE: Exit.BAD_SIGNATURE,
    Fault.ITEM_PATH: Exit.NOT_IN_BATCH,
    Fault.LOG_PATH: Exit.NOT_IN_LOG,
}
_ALTERED = "It was altered or cut. Send the item again, the same: a retry is given the same one."
_ADVICE = {
    Exit.OTHER_ITEM: "Look for the item, the id and the invite that belong together.",
    Exit.UNKNOWN_LOG_KEY: (
        "If the pod has a new log key, your invite is older than it: ask the maintainer for its new link "
        "(`invite refresh` makes it), keep what you have, and verify with that."
    ),
    Exit.BAD_SIGNATURE: _ALTERED,
    Exit.NOT_IN_BATCH: _ALTERED,
    Exit.NOT_IN_LOG: _ALTERED,
    Exit.DAMAGED: _ALTERED,
    Exit.MALFORMED: _ALTERED,
    Exit.FORMAT_TOO_NEW: "Update this program.",
    Exit.FOREIGN_POD: "Verify it with the invite of the pod that gave it.",
    Exit.ROLLBACK: "Keep the file as it is: it is evidence that the log was rewritten.",
}

_OF_KINDS: tuple[tuple[type[VaultError], str, Exit], ...] = (
    (MalformedError, "malformed", Exit.MALFORMED),
    (FormatTooNewError, "format_too_new", Exit.FORMAT_TOO_NEW),
    (ForeignPodError, "foreign_pod", Exit.FOREIGN_POD),
    (RollbackError, "rollback", Exit.ROLLBACK),
    (DamagedError, "damaged", Exit.DAMAGED),
)


def commitment_of(item: Item, invite: Invite) -> bytes:
    """C of an item sent with an invite: 32 bytes."""
    item_key = MacKey(invite.database_key.derive("item", invite.owner_key.pod_id))
    return commitment(item_salt(item_key, item.id), item.canonical)


def judge_receipt(
    file: ReceiptFile, invite: Invite, item: Item, earlier: ReceiptFile | None = None
) -> Proven | Unproven:
    """Decide whether a receipt proves that the invite's pod accepted exactly this item.

    Args:
        file: Untrusted.
        invite: Trusted: the pod, its log keys, and the key the item was sent with.
        item: The item, as `contributor_tools.sent_item.item_of` gives it.
        earlier: A file of the same receipt that was kept; what is judged must continue it.
    """
    c = commitment_of(item, invite)
    try:
        verified = verify_receipt_file(
            file,
            pod_id=invite.owner_key.pod_id,
            log_keys=invite.log_keys,
            function_keys=invite.function_keys,
            c=c,
        )
        if earlier is not None:
            check_continues(file, earlier)
    except VaultError as exc:
        return unproven(exc, file.receipt.c, c, "receipt")
    return Proven(item.id, invite.pod_name, file, verified)


def judge_header(value: str, invite: Invite, item: Item) -> Proven | Unproven:
    """Decide as `judge_receipt` does, for a header's value and the item of the same request.

    Args:
        value: Untrusted.
        invite: With what the item was sent.
        item: The item.
    """
    try:
        receipt = decode_receipt(value)
    except VaultError as exc:
        return unproven_kind(exc)
    return judge_receipt(ReceiptFile(item.id, receipt), invite, item)


def read_judged(content: bytes) -> ReceiptFile | Unproven:
    """Read a receipt's file; what is none proves nothing.

    Args:
        content: Untrusted.
    """
    try:
        return parse_receipt_file(content)
    except VaultError as exc:
        return unproven_kind(exc)


def verdict_lines(verdict: Proven | Unproven) -> Iterator[str]:
    """Yield the verdict for a terminal, clean."""
    if isinstance(verdict, Unproven):
        yield from unproven_lines(verdict)
        return
    yield "PROVEN: the pod accepted exactly this item."
    header = verdict.verified.receipt.header
    facts = [
        ("item", verdict.item_id),
        ("pod", f"{verdict.pod_name} ({header.pod_id.hex()})"),
        *_place(verdict.file, header.count, header.ms),
        ("epoch", str(verdict.verified.receipt.epoch)),
        *_log(verdict.verified.checkpoints),
    ]
    yield from shown_facts(facts)


def verdict_json(verdict: Proven | Unproven) -> str:
    """One JSON document of one line, ASCII. Members are only ever added."""
    if isinstance(verdict, Unproven):
        document = unproven_document(verdict, "receipt")
    else:
        header = verdict.verified.receipt.header
        document = {
            "message_type": "receipt",
            "is_proven": True,
            "item_id": verdict.item_id,
            "pod_name": verdict.pod_name,
            **_document(verdict.file, header.pod_id, header.count, header.ms),
            "epoch": verdict.verified.receipt.epoch,
            "log": _log_document(verdict.verified.checkpoints),
            # A receipt cannot say. null: not known.
            "is_erased": None,
            "exit_code": int(Exit.DONE),
        }
    return json.dumps(document)


def unproven_lines(verdict: Unproven) -> Iterator[str]:
    """Yield why it is not proven, and what to do, for a terminal."""
    yield f"NOT PROVEN: {clean(verdict.sentence)}."
    yield _ADVICE[verdict.exit_code]


def unproven_document(verdict: Unproven, what: str) -> dict[str, Any]:
    """The same for programs."""
    return {
        "message_type": what,
        "is_proven": False,
        "reason": verdict.reason,
        "message": verdict.sentence,
        "advice": _ADVICE[verdict.exit_code],
        "exit_code": int(verdict.exit_code),
    }


def claim_lines(file: ReceiptFile) -> Iterator[str]:
    """Yield what a receipt says of itself, clean; nothing of it is verified.

    Raises:
        VaultError: Its header or a checkpoint is not of its format.
    """
    header, checkpoints = parse_header(file.receipt.header), _claimed_log(file)
    facts = [
        ("item", file.item_id or "not named"),
        ("pod", header.pod_id.hex()),
        *_place(file, header.count, header.ms),
        ("origin", checkpoints[0].origin),
        *_log(checkpoints),
    ]
    yield from shown_facts(facts)


def claim_json(file: ReceiptFile) -> str:
    """What a receipt says of itself, as one JSON document of one line.

    Raises:
        VaultError: Its header or a checkpoint is not of its format.
    """
    header, checkpoints = parse_header(file.receipt.header), _claimed_log(file)
    document = {
        "message_type": "receipt",
        "is_proven": None,
        "item_id": file.item_id,
        **_document(file, header.pod_id, header.count, header.ms),
        "c": file.receipt.c.hex(),
        "origin": checkpoints[0].origin,
        "log": _log_document(checkpoints),
    }
    return json.dumps(document)


def unproven(error: VaultError, found_c: bytes, c: bytes, what: str) -> Unproven:
    """Why a receipt, or a promise, does not prove it.

    Args:
        error: What it was refused for.
        found_c: The commitment in it.
        c: The item's.
        what: "receipt" or "promise", for the sentence.
    """
    if isinstance(error, DamagedError) and error.fault is Fault.OTHER_ITEM:
        theirs, ours = (each.hex()[:_SHOWN_DIGITS] for each in (found_c, c))
        return Unproven(
            error.fault.value,
            f"the {what} is for another item: it commits to {theirs}..., this item with this invite gives "
            f"{ours}... The content, the id or the invite is not the one it was sent with",
            Exit.OTHER_ITEM,
        )
    if isinstance(error, DamagedError) and error.fault is not None:
        return Unproven(error.fault.value, str(error), _OF_FAULTS[error.fault])
    return unproven_kind(error)


def unproven_kind(error: VaultError) -> Unproven:
    """Why what is not even of its form proves nothing."""
    reason, code = next((reason, code) for kind, reason, code in _OF_KINDS if isinstance(error, kind))
    return Unproven(reason, str(error), code)


def _claimed_log(file: ReceiptFile) -> list[Checkpoint]:
    notes = [file.receipt.checkpoint, *(refresh.checkpoint for refresh in file.refreshes)]
    return [read_checkpoint(note) for note in notes]


def _place(file: ReceiptFile, count: int, ms: int) -> Facts:
    return [
        ("received", f"{when(ms)}, by the server's clock"),
        ("batch", str(file.receipt.batch)),
        ("index", f"{file.receipt.index} (of {count} items, from 0)"),
    ]


def _log(checkpoints: list[Checkpoint] | tuple[Checkpoint, ...]) -> Facts:
    names = ["log", *["later"] * (len(checkpoints) - 1)]
    return [
        (name, f"{checkpoint.size} batches, root {to_base64(checkpoint.root)}")
        for name, checkpoint in zip(names, checkpoints, strict=True)
    ]


def _document(file: ReceiptFile, pod_id: bytes, count: int, ms: int) -> dict[str, Any]:
    return {
        "pod_id": pod_id.hex(),
        "received_ms": ms,
        "batch": file.receipt.batch,
        "index": file.receipt.index,
        "count": count,
    }


def _log_document(checkpoints: list[Checkpoint] | tuple[Checkpoint, ...]) -> list[dict[str, Any]]:
    return [{"size": checkpoint.size, "root": to_base64(checkpoint.root)} for checkpoint in checkpoints]


def shown_facts(facts: Facts) -> Iterator[str]:
    """Yield facts in two columns, clean."""
    return (f"{name:<{_WIDTH}} {clean(value)}" for name, value in facts)


def when(ms: int) -> str:
    """UTC milliseconds for people."""
    try:
        moment = _EPOCH + timedelta(milliseconds=ms)
    except OverflowError:
        # A server may claim a time that no calendar reaches.
        return f"{ms} ms after 1970"
    return f"{moment.replace(tzinfo=None).isoformat(timespec='milliseconds')}Z"
