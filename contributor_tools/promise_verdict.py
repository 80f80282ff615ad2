"""Whether a promise proves that a function accepted one item: the judgement, and how it is told. Pure.

As `contributor_tools.verdict` judges receipts; what a promise lacks is the log.
Its maintainer makes a receipt of it once its batch was collected.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import msgspec

from contributor_tools.exits import Exit
from contributor_tools.verdict import (
    Unproven,
    commitment_of,
    shown_facts,
    unproven,
    unproven_document,
    unproven_kind,
    unproven_lines,
    when,
)
from vault.errors import VaultError
from vault.header import Header
from vault.items import Item
from vault.links import Invite
from vault.promise_files import PromiseFile, parse_promise_file
from vault.promises import decode_promise, verify_promise


class ProvenPromise(msgspec.Struct, frozen=True):
    """The promise proves it.

    Attributes:
        item_id: The item's id.
        pod_name: As the invite says. Untrusted.
        index: The item's place in its batch.
        header: Of the batch.
    """

    item_id: str
    pod_name: str
    index: int
    header: Header


def read_promise(content: bytes) -> PromiseFile | Unproven:
    """Read a promise's file; what is none proves nothing.

    Args:
        content: Untrusted.
    """
    try:
        return parse_promise_file(content)
    except VaultError as exc:
        return unproven_kind(exc)


def judge_promise_header(value: str, invite: Invite, item: Item) -> PromiseFile | Unproven:
    """Decide as `judge_promise` does, for a header's value and the item of the same request.

    Args:
        value: Untrusted.
        invite: With what the item was sent.
        item: The item.

    Returns:
        What to keep, if it holds.
    """
    try:
        file = PromiseFile(item.id, decode_promise(value))
    except VaultError as exc:
        return unproven_kind(exc)
    verdict = judge_promise(file, invite, item)
    return verdict if isinstance(verdict, Unproven) else file


def judge_promise(file: PromiseFile, invite: Invite, item: Item) -> ProvenPromise | Unproven:
    """Decide whether a promise proves that a function of the invite's pod accepted exactly this item.

    Args:
        file: Untrusted.
        invite: Trusted: the pod, its functions' log keys, and the key the item was sent with.
        item: The item, as `contributor_tools.sent_item.item_of` gives it.
    """
    c = commitment_of(item, invite)
    pod_id = invite.owner_key.pod_id
    try:
        header = verify_promise(file.promise, pod_id=pod_id, function_keys=invite.function_keys, c=c)
    except VaultError as exc:
        return unproven(exc, file.promise.c, c, "promise")
    return ProvenPromise(item.id, invite.pod_name, file.promise.index, header)


def promise_lines(verdict: ProvenPromise | Unproven) -> Iterator[str]:
    """Yield the verdict for a terminal, clean."""
    if isinstance(verdict, Unproven):
        yield from unproven_lines(verdict)
        return
    header = verdict.header
    yield "PROVEN: a function of the pod accepted exactly this item."
    yield from shown_facts(
        [
            ("item", verdict.item_id),
            ("pod", f"{verdict.pod_name} ({header.pod_id.hex()})"),
            ("received", f"{when(header.ms)}, by the function's clock"),
            ("batch", f"{header.uid.hex()}, not logged yet when this was given"),
            ("index", f"{verdict.index} (of {header.count} items, from 0)"),
        ]
    )


def promise_json(verdict: ProvenPromise | Unproven) -> str:
    """One JSON document of one line, ASCII. Members are only ever added."""
    if isinstance(verdict, Unproven):
        return json.dumps(unproven_document(verdict, "promise"))
    header = verdict.header
    document = {
        "message_type": "promise",
        "is_proven": True,
        "item_id": verdict.item_id,
        "pod_name": verdict.pod_name,
        "pod_id": header.pod_id.hex(),
        "received_ms": header.ms,
        "uid": header.uid.hex(),
        "index": verdict.index,
        "count": header.count,
        "exit_code": int(Exit.DONE),
    }
    return json.dumps(document)
