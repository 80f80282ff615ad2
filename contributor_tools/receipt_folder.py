"""The folder in which `send --receipts` keeps what proves, later and offline, what the pod took.

Two files an item, named by its id: `ID.receipt`, or `ID.promise` where a function
took it, and `ID.json` with the item as it was sent, since they prove nothing
without it. Each is verified before it is kept: one that does not hold is told
while the sender is still there. What is kept is never replaced by another story.
"""

from __future__ import annotations

import threading
from pathlib import Path

import msgspec

from contributor_tools.payloads import Outgoing
from contributor_tools.promise_verdict import judge_promise_header
from contributor_tools.verdict import Unproven, judge_header
from vault.errors import StorageError, VaultError
from vault.files import PRIVATE_FOLDER, read_file, replace_file
from vault.links import Invite
from vault.promise_files import MAX_PROMISE_FILE_BYTES, format_promise_file
from vault.receipt_files import (
    MAX_RECEIPT_FILE_BYTES,
    ReceiptFile,
    format_receipt_file,
    parse_receipt_file,
)

_NONE: str | None = "the pod gave no receipt"


class ReceiptFolder:
    """Keeps receipts; shared by the threads of a run.

    Args:
        path: The folder; made if it is not there.
        invite: With what the items are sent.

    Attributes:
        path: The folder.
        kept: Items whose receipt, or promise, is in the folder now.
        faults: Why, by line, of items the pod took without a receipt that holds. Untrusted.

    Raises:
        StorageError: The folder cannot be made.
    """

    def __init__(self, path: Path, invite: Invite) -> None:
        self.path = path
        self.kept: set[str] = set()
        self.faults: dict[int, str] = {}
        self._invite = invite
        # A file may hold two rows of one id: they would write one file at once.
        self._lock = threading.Lock()
        try:
            path.mkdir(mode=PRIVATE_FOLDER, exist_ok=True)
        except OSError as exc:
            raise StorageError(f"{path} could not be made: {exc.strerror}") from exc

    def keep(self, row: Outgoing, receipt: str | None, promise: str | None = None) -> None:
        """Keep the receipt of an item that was accepted, or what a function gave in its place, if it holds.

        Not synced: after a power cut, sending again brings back the same bytes.

        Args:
            row: What was sent.
            receipt: The header's value, as it came; None if there was none.
            promise: Likewise.

        Raises:
            StorageError: The operating system refuses; the item is in the pod nevertheless.
        """
        fault = _NONE
        if receipt is not None:
            fault = self._keep(row, receipt)
        elif promise is not None:
            fault = self._keep_promise(row, promise)
        with self._lock:
            if fault is None:
                self.kept.add(row.item.id)
            else:
                self.faults[row.line] = fault

    def _keep(self, row: Outgoing, receipt: str) -> str | None:
        verdict = judge_header(receipt, self._invite, row.item)
        if isinstance(verdict, Unproven):
            return verdict.sentence
        with self._lock:
            return self._write(row, verdict.file)

    def _write(self, row: Outgoing, file: ReceiptFile) -> str | None:
        path = self.path / f"{row.item.id}.receipt"
        earlier = _earlier(path)
        if earlier is not None and earlier.receipt != file.receipt:
            return f"{path} holds another receipt and was left as it is; keep it, and ask the maintainer why"
        if earlier is None:
            replace_file(path, format_receipt_file(file), is_synced=False)
        self._write_item(row)
        return None

    def _keep_promise(self, row: Outgoing, promise: str) -> str | None:
        file = judge_promise_header(promise, self._invite, row.item)
        if isinstance(file, Unproven):
            return file.sentence
        path, content = self.path / f"{row.item.id}.promise", format_promise_file(file)
        with self._lock:
            if path.exists() and read_file(path, MAX_PROMISE_FILE_BYTES) != content:
                return (
                    f"{path} holds another promise and was left as it is; keep it, and ask the maintainer why"
                )
            replace_file(path, content, is_synced=False)
            self._write_item(row)
        return None

    def _write_item(self, row: Outgoing) -> None:
        sent = msgspec.json.encode(row.payload) + b"\n"
        replace_file(self.path / f"{row.item.id}.json", sent, is_synced=False)


def _earlier(path: Path) -> ReceiptFile | None:
    """What an earlier run kept, refreshed since or not; None if that is no receipt."""
    if not path.exists():
        return None
    try:
        return parse_receipt_file(read_file(path, MAX_RECEIPT_FILE_BYTES))
    except StorageError:
        raise
    except VaultError:
        return None
