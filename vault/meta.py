"""The vault's ``meta`` table: format, pod id, epoch, and how earlier epochs ended.

Numbers are ASCII decimals. The table never changes but by upgrade and repair.
FORMAT.md, "Tables".
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import msgspec

from vault.errors import DamagedError, ForeignPodError, FormatTooNewError, FormatTooOldError
from vault.keys import PodId

FORMAT = 1
"""The vault format this program writes."""

_DECIMAL = re.compile(rb"\A(0|[1-9][0-9]{0,8})\Z")


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
    return {"format": str(FORMAT).encode(), "pod": pod_id, "epoch": b"1"}


def _number(rows: Mapping[str, bytes], name: str) -> int:
    found = _DECIMAL.match(rows.get(name, b""))
    if not found:
        raise DamagedError(f"the vault's meta row {name} is missing or no number; restore a snapshot")
    return int(found[1])


def check_format(rows: Mapping[str, bytes]) -> None:
    """Refuse a vault of another format than this program's.

    Raises:
        FormatTooNewError: A later one.
        FormatTooOldError: An earlier one.
        DamagedError: There is no format.
    """
    found = _number(rows, "format")
    if found > FORMAT:
        raise FormatTooNewError(f"the vault has format {found}, this program knows {FORMAT}; update shared-pod")
    if found < FORMAT:
        raise FormatTooOldError(f"the vault has format {found}, this program writes {FORMAT}; run `upgrade` once")


def parse_meta(rows: Mapping[str, bytes], pod_id: PodId) -> Meta:
    """Read the rows of a vault of this format.

    Args:
        rows: All of ``meta``.
        pod_id: The pod the folder is of.

    Raises:
        FormatTooNewError: A later format.
        FormatTooOldError: An earlier format.
        ForeignPodError: Another pod's vault.
        DamagedError: A row is missing or not of its form.
    """
    check_format(rows)
    if rows.get("pod") != pod_id:
        raise ForeignPodError("the vault is of another pod than pod.toml; put the right vault.db here")
    earlier = {int(name[6:]): note for name, note in rows.items() if re.match(r"\Aepoch/[1-9][0-9]{0,8}\Z", name)}
    return Meta(pod_id=pod_id, epoch=_number(rows, "epoch"), earlier=earlier)
