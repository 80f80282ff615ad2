"""The vault's ``meta`` table: format, pod id, epoch, and how earlier epochs ended.

Numbers are LE32. The table never changes but by upgrade and repair.
FORMAT.md, "Tables".
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import msgspec

from vault.encoding import from_le32, le32
from vault.errors import DamagedError, ForeignPodError, MalformedError
from vault.keys import PodId
from vault.migrations import FORMAT
from vault.rows import Rows, typed

_EARLIER = re.compile(r"\Aepoch/([1-9][0-9]{0,8})\Z")


class Meta(msgspec.Struct, frozen=True):
    """What ``meta`` says.

    Attributes:
        pod_id: 32 bytes.
        epoch: From 1; grows with each repair.
        earlier: Epoch to the last checkpoint (a signed note) of that epoch.
    """

    pod_id: PodId
    epoch: int
    earlier: Mapping[int, bytes]


def first_meta(pod_id: PodId) -> dict[str, bytes]:
    """The rows of a new vault."""
    return {"format": le32(FORMAT), "pod_id": pod_id, "epoch": le32(1)}


def _epoch(rows: Mapping[str, bytes]) -> int:
    try:
        return from_le32(rows["epoch"])
    except (KeyError, MalformedError) as exc:
        raise DamagedError("the vault does not say which epoch it is in; restore a snapshot") from exc


def load_meta(rows: Rows, pod_id: PodId) -> Meta:
    """Read ``meta`` from an open vault; raises what ``parse_meta`` does."""
    found = rows.execute("SELECT key, value FROM meta")
    return parse_meta(dict(typed(found, list[tuple[str, bytes]])), pod_id)


def parse_meta(rows: Mapping[str, bytes], pod_id: PodId) -> Meta:
    """Read the rows of a vault of this program's format.

    Args:
        rows: All of ``meta``.
        pod_id: The pod the folder is of.

    Raises:
        ForeignPodError: Another pod's vault.
        DamagedError: A row is missing or not of its form, or the last
            checkpoint of one of the epochs before this one is.
    """
    if rows.get("pod_id") != pod_id:
        raise ForeignPodError("the vault is of another pod than pod.toml; put this pod's vault.db here")
    epoch = _epoch(rows)
    earlier = {int(found[1]): note for name, note in rows.items() if (found := _EARLIER.match(name))}
    if len(earlier) != epoch - 1 or any(number >= epoch for number in earlier):
        raise DamagedError("the vault does not say how each earlier epoch ended; restore a snapshot")
    return Meta(pod_id=pod_id, epoch=epoch, earlier=earlier)
