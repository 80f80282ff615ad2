"""Refreshing a receipt from the vault: the newest checkpoint, and the way to it.

Made by the maintainer, on a private copy, without opening any item. A receipt
that this vault's log does not continue is refused, and that is worth knowing:
it says that the vault, or the receipt, is of another history. FORMAT.md,
"Refreshes".
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import msgspec

from vault.errors import DamagedError, MalformedError, RollbackError
from vault.keys import PodId
from vault.ledger import Ledger, frontier_at, node_at
from vault.notes import Checkpoint, epoch_of
from vault.receipt_files import (
    MAX_RECEIPT_FILE_BYTES,
    ReceiptFile,
    format_receipt_file,
    verify_receipt_file,
)
from vault.refreshes import Refresh
from vault.rows import Rows
from vault.tree import consistency_path, inclusion_path


def refreshed(
    file: ReceiptFile,
    rows: Rows,
    ledger: Ledger,
    *,
    pod_id: PodId,
    log_keys: Sequence[bytes],
    function_keys: Sequence[bytes],
) -> ReceiptFile:
    """Return the file with one more refresh, to the newest checkpoint; as it is if it reaches that.

    Args:
        file: Untrusted.
        rows: The vault.
        ledger: Its log, loaded and checked.
        pod_id: Its pod.
        log_keys: The keys that sign the pod's checkpoints.
        function_keys: Those that sign headers only.

    Raises:
        RollbackError: The vault's log does not continue the one the file is
            from: it is older, or another.
        DamagedError: The vault's nodes do not give its root.
        MalformedError: The file would be longer than such a file may be.
        VaultError: As ``vault.receipt_files.verify_receipt_file``: the file does not hold.
    """
    known = verify_receipt_file(file, pod_id=pod_id, log_keys=log_keys, function_keys=function_keys)
    since = known.newest
    _check_same_log(rows, ledger, since, pod_id)
    if (since.origin, since.size) == (ledger.origin, ledger.size):
        return file
    node = partial(node_at, rows)
    refresh = Refresh(
        consistency=tuple(consistency_path(since.size, ledger.size, node)),
        batch=file.receipt.batch,
        log_path=tuple(inclusion_path(file.receipt.batch - 1, ledger.size, node)),
        checkpoint=ledger.checkpoint,
    )
    longer = msgspec.structs.replace(file, refreshes=(*file.refreshes, refresh))
    if len(format_receipt_file(longer)) > MAX_RECEIPT_FILE_BYTES:
        raise MalformedError(
            "the receipt's file has no room for one more refresh; keep it, and refresh the receipt alone, "
            "its second line"
        )
    _prove(longer, pod_id, log_keys, function_keys)
    return longer


def _check_same_log(rows: Rows, ledger: Ledger, since: Checkpoint, pod_id: PodId) -> None:
    theirs, ours = (epoch_of(origin, pod_id) for origin in (since.origin, ledger.origin))
    if theirs > ours:
        raise RollbackError(
            f"the receipt is of epoch {theirs} of the log, the vault of epoch {ours}: "
            "this vault is older than the receipt. Put the newest vault.db and vault.db-wal here"
        )
    if since.size > ledger.size:
        raise RollbackError(
            f"the receipt knows {since.size} batches, the vault holds {ledger.size}: this vault is older "
            "than the receipt, or a repair lost the rest. Put the newest vault.db and vault.db-wal here"
        )
    if frontier_at(rows, since.size).root() != since.root:
        raise RollbackError(
            f"the receipt and the vault disagree on the first {since.size} batches, though a log key of the "
            "pod signed both: the log was forked, or its nodes are damaged. Keep both, and run `check`"
        )


def _prove(
    file: ReceiptFile, pod_id: PodId, log_keys: Sequence[bytes], function_keys: Sequence[bytes]
) -> None:
    """What is given away was checked as its holder will check it."""
    try:
        verify_receipt_file(file, pod_id=pod_id, log_keys=log_keys, function_keys=function_keys)
    except (DamagedError, RollbackError) as exc:
        raise DamagedError(
            "the log's nodes do not lead to its newest checkpoint; run `check`, restore a snapshot"
        ) from exc
