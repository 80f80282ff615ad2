"""What a contributor sees before anything is sent: where to, what, and what not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any
from urllib.parse import urlsplit

import msgspec

from contributor_tools.console import clean, shortened
from contributor_tools.payloads import Outgoing, Rejected
from vault.columns import Column
from vault.links import Invite

_SAMPLES = 3
_MOST_FIELDS = 40
_MOST_REJECTED = 5
_MOST_CELL_CHARACTERS = 30
_MOST_SAMPLE_FIELDS = 6
_MOST_HEADER_CHARACTERS = 60
_KIB = 1024
_OWNER_DIGITS = 8


class Survey(msgspec.Struct):
    """What a whole file comes to, row by row, before anything is sent.

    Attributes:
        types: Rows that can be sent, by type.
        item_bytes: Sum of their sizes as the pod counts them.
        used: Names of the properties they have.
        samples: The first three.
        rejected: Why the others cannot be sent, by line.
    """

    types: Counter[str] = msgspec.field(default_factory=Counter)
    item_bytes: int = 0
    used: set[str] = msgspec.field(default_factory=set)
    samples: list[dict[str, Any]] = msgspec.field(default_factory=list)
    rejected: dict[int, str] = msgspec.field(default_factory=dict)

    @property
    def count(self) -> int:
        """Rows that can be sent."""
        return self.types.total()


def survey(rows: Iterable[Outgoing | Rejected]) -> Survey:
    """Count a file's rows."""
    found = Survey()
    for row in rows:
        if isinstance(row, Rejected):
            found.rejected[row.line] = row.reason
            continue
        found.types[row.item.type] += 1
        found.item_bytes += len(row.item.canonical)
        found.used.update(row.item.fields)
        if len(found.samples) < _SAMPLES:
            found.samples.append(dict(row.item.fields))
    return found


def preview_lines(invite: Invite, columns: Sequence[Column], found: Survey) -> Iterator[str]:
    """Yield the preview, line by line, clean for a terminal."""
    host = urlsplit(invite.url).netloc
    owner = invite.owner_key.hex[:_OWNER_DIGITS]
    yield f"To       {shortened(invite.pod_name or 'a pod', 100)}  ({clean(host)}, owner {owner})"
    counts = ", ".join(f"{count} {item_type}" for item_type, count in sorted(found.types.items()))
    yield f"Items    {counts or 'none'}, {_size(found.item_bytes)}"
    yield from _labelled("Fields", _field_lines([column for column in columns if column.name in found.used]))
    yield from _labelled("First", (_sample_line(sample) for sample in found.samples))
    yield from _labelled("Left out", _rejected_lines(found.rejected))
    yield "You cannot read or change sent items in the pod. An item of type Withdrawal asks for one back."


def _labelled(label: str, lines: Iterable[str]) -> Iterator[str]:
    for line in lines:
        yield f"{label:<9}{line}"
        label = ""


def _field_lines(columns: Sequence[Column]) -> Iterator[str]:
    shown = columns[:_MOST_FIELDS]
    width = max((len(column.name) for column in shown), default=0)
    for column in shown:
        header = shortened(column.header, _MOST_HEADER_CHARACTERS)
        origin = "" if header == column.name else f"  from {header}"
        yield f"{column.name:<{width}}  {column.value_type:<8}{origin}".rstrip()
    if len(columns) > len(shown):
        yield f"and {len(columns) - len(shown)} more"


def _sample_line(sample: dict[str, Any]) -> str:
    shown = list(sample.items())[:_MOST_SAMPLE_FIELDS]
    line = "  ".join(f"{name}={shortened(str(value), _MOST_CELL_CHARACTERS)}" for name, value in shown)
    return line + ("  ..." if len(sample) > len(shown) else "")


def _rejected_lines(rejected: dict[int, str]) -> Iterator[str]:
    for line, reason in list(rejected.items())[:_MOST_REJECTED]:
        yield f"line {line}: {clean(reason)}"
    if len(rejected) > _MOST_REJECTED:
        yield f"and {len(rejected) - _MOST_REJECTED} more rows"


def _size(count: int) -> str:
    if count < _KIB:
        return f"{count} bytes"
    return f"{count / _KIB:.1f} KiB" if count < _KIB * _KIB else f"{count / _KIB / _KIB:.1f} MiB"
