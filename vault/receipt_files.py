"""A receipt as a file: the item's id, the receipt, and every refresh it was given since.

What travels in the header is the receipt alone; its holder keeps it as it came,
or in a file that has the id too. A refresh adds a line and changes none, so
that who kept the older file sees that the newer one continues it.

What is not here: reading and writing files, and the item. FORMAT.md,
"Receipt files".
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

from vault.errors import FormatTooNewError, MalformedError, RollbackError
from vault.header import log_leaf
from vault.items import is_item_id
from vault.keys import PodId
from vault.notes import Checkpoint
from vault.receipts import Receipt, VerifiedReceipt, decode_receipt, encode_receipt, verify_receipt
from vault.refreshes import Refresh, decode_refresh, encode_refresh, verify_refresh

MAX_RECEIPT_FILE_BYTES = 1 << 20
"""A file larger than this is refused unread; one refresh in a log of 2^30 batches takes about 6,000."""

_MARK = "shared-pod-receipt/v1"
_LATER_MARK = re.compile(r"shared-pod-receipt/v[1-9][0-9]{0,8}\Z")
_NO_ID = "-"
_FEWEST_LINES = 2
_HEADER = "Pod-Receipt"


class ReceiptFile(msgspec.Struct, frozen=True):
    """What a file holds. Believe it once ``verify_receipt_file`` has returned.

    Attributes:
        item_id: The item's id, as the one who wrote the file says; None if they did not.
        receipt: As the pod gave it.
        refreshes: In the order in which they were made.
    """

    item_id: str | None
    receipt: Receipt
    refreshes: tuple[Refresh, ...] = ()

    def continues(self, earlier: ReceiptFile) -> bool:
        """Whether this is the earlier file with nothing but refreshes added."""
        kept = self.refreshes[: len(earlier.refreshes)]
        return (self.receipt, kept) == (earlier.receipt, earlier.refreshes)


class VerifiedFile(msgspec.Struct, frozen=True):
    """What a verified file proves.

    Attributes:
        receipt: That the item is in its batch, and the batch in the log.
        checkpoints: Of the log: the receipt's own, then each refresh's. Each extends the one before.
    """

    receipt: VerifiedReceipt
    checkpoints: tuple[Checkpoint, ...]

    @property
    def newest(self) -> Checkpoint:
        """The latest state of the log that the file reaches."""
        return self.checkpoints[-1]


def format_receipt_file(file: ReceiptFile) -> bytes:
    """Return the file's bytes."""
    head = [f"{_MARK} {file.item_id or _NO_ID}", encode_receipt(file.receipt)]
    return "".join(f"{line}\n" for line in [*head, *map(encode_refresh, file.refreshes)]).encode()


def parse_receipt_file(content: bytes) -> ReceiptFile:
    """Read a receipt from a file, or from what HTTP clients print.

    Args:
        content: Untrusted: a receipt file; or the header's value, white space
            around it ignored; or lines one of which is the header.

    Raises:
        FormatTooNewError: Something of a later format.
        MalformedError: Anything else that is none of these.
    """
    if len(content) > MAX_RECEIPT_FILE_BYTES:
        raise MalformedError(f"a receipt file of at most {MAX_RECEIPT_FILE_BYTES} bytes was expected")
    try:
        text = content.decode("ascii")
    except UnicodeDecodeError as exc:
        raise MalformedError("receipt file: ASCII was expected") from exc
    mark = text.partition("\n")[0].partition(" ")[0]
    if mark == _MARK:
        return _parse_lines(text)
    if _LATER_MARK.match(mark):
        raise FormatTooNewError(f"a receipt file of a later format was found, {_MARK} was expected; update")
    return ReceiptFile(None, decode_receipt(header_in(text, _HEADER)))


def verify_receipt_file(
    file: ReceiptFile,
    *,
    pod_id: PodId,
    log_keys: Sequence[bytes],
    function_keys: Sequence[bytes] = (),
    c: bytes | None = None,
) -> VerifiedFile:
    """Accept a file whose receipt holds, and whose every refresh extends the log before it.

    Args:
        file: Untrusted.
        pod_id: As for ``vault.receipts.verify_receipt``, and so the rest.
        log_keys: Sign checkpoints.
        function_keys: Sign headers only.
        c: The item's commitment, if the holder knows it.

    Raises:
        VaultError: As ``vault.receipts.verify_receipt`` and
            ``vault.refreshes.verify_refresh``, which say when.
    """
    proven = verify_receipt(file.receipt, pod_id=pod_id, log_keys=log_keys, function_keys=function_keys, c=c)
    checkpoints = [proven.checkpoint]
    leaf, batch = log_leaf(file.receipt.header), file.receipt.batch
    for refresh in file.refreshes:
        checkpoints.append(
            verify_refresh(refresh, checkpoints[-1], pod_id=pod_id, batch=batch, leaf=leaf, log_keys=log_keys)
        )
    return VerifiedFile(proven, tuple(checkpoints))


def check_continues(file: ReceiptFile, earlier: ReceiptFile) -> None:
    """Refuse a file that is not an earlier one with refreshes added.

    Whoever holds the log key can tell two stories of one item, each of which
    verifies. Only the file that was kept says which was told first.

    Raises:
        RollbackError: It does not continue the earlier one.
    """
    if not file.continues(earlier):
        raise RollbackError(
            "the file does not continue the earlier one: its receipt, or a refresh it had, is another now. "
            "Keep both: together they show two stories of one log"
        )


def _parse_lines(text: str) -> ReceiptFile:
    lines = text.split("\n")
    if lines.pop() or len(lines) < _FEWEST_LINES:
        raise MalformedError("receipt file: whole lines were expected: its mark, a receipt, and refreshes")
    item_id = lines[0].removeprefix(f"{_MARK} ")
    if item_id != _NO_ID and not is_item_id(item_id):
        raise MalformedError(f"receipt file: {_MARK} and an item's id, or -, were expected in its first line")
    return ReceiptFile(
        None if item_id == _NO_ID else item_id,
        decode_receipt(lines[1]),
        tuple(map(decode_refresh, lines[2:])),
    )


def header_in(text: str, name: str) -> str:
    """The value of the one header of a name among what an HTTP client shows; else all of the text.

    Args:
        text: Untrusted, ASCII.
        name: Of the header, in any case.

    Raises:
        MalformedError: It stands there more than once.
    """
    line = rf"^{name}:[ \t]*([^\r\n]*?)[ \t\r]*$"
    found = re.findall(line, text, re.IGNORECASE | re.MULTILINE)
    if len(found) > 1:
        raise MalformedError(f"one {name} header was expected, {len(found)} were found")
    return str(found[0]) if found else text.strip()
