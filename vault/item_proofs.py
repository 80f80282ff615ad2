"""What a receipt and a promise have in common: one item, its place in a batch, and the batch's header.

Both say: the item of this commitment stands at this place of the batch that
this header describes. Who vouches for the header is theirs: a receipt's log
(``vault.receipts``), a promise's signature (``vault.promises``). FORMAT.md,
"Receipts" and "Promises".
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Protocol

from vault.errors import DamagedError, Fault, ForeignPodError
from vault.header import Header, item_leaf
from vault.keys import PodId
from vault.tree import root_from_inclusion


class Placed(Protocol):
    """An item and what leads from it to the root of its batch."""

    @property
    def c(self) -> bytes:
        """The commitment, 32 bytes."""

    @property
    def digest(self) -> bytes:
        """SHA-256 of the sealed item, 32 bytes."""

    @property
    def index(self) -> int:
        """The item's place, from 0."""

    @property
    def item_path(self) -> tuple[bytes, ...]:
        """From the item's leaf up to the header's item root, 32 bytes each."""


def check_signer(header: Header, pod_id: PodId, keys: Iterable[bytes], what: str) -> bytes:
    """Return the log key that a header of this pod names; its signature is not looked at.

    Args:
        header: Read from untrusted bytes.
        pod_id: The pod.
        keys: 32 bytes each.
        what: "receipt" or "promise", for the sentence.

    Raises:
        ForeignPodError: It is another pod's.
        DamagedError: It names another key.
    """
    if header.pod_id != pod_id:
        raise ForeignPodError(f"the {what}'s header is of another pod; check it with that pod's invite")
    for key in keys:
        if hashlib.sha256(key).digest() == header.log_key_hash:
            return key
    raise DamagedError(
        f"the {what}'s header names a log key that is not one of this pod's", Fault.UNKNOWN_LOG_KEY
    )


def check_item(placed: Placed, header: Header, c: bytes | None, what: str) -> None:
    """Accept an item that is in the header's batch, and is the one of a commitment.

    Args:
        placed: Untrusted.
        header: Of the batch.
        c: The commitment that the holder computed; None leaves this comparison to the caller.
        what: "receipt" or "promise", for the sentence.

    Raises:
        MalformedError: The place is not one of the batch's, or the path has another length.
        DamagedError: Another item, or a path that does not lead to the batch's root.
    """
    if c not in (None, placed.c):
        raise DamagedError(
            f"the {what} is for another item, or for other content of this one", Fault.OTHER_ITEM
        )
    leaf = item_leaf(header.pod_id, header.uid, placed.index, placed.c, placed.digest)
    if root_from_inclusion(placed.index, header.count, leaf, placed.item_path) != header.item_root:
        raise DamagedError(
            f"the {what}'s item is not in the batch that its header describes", Fault.ITEM_PATH
        )
