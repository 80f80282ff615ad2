"""What an export is about: which items, and an item as a line of JSON.

Written files are for their owner alone: what a pod keeps sealed lies open in them.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from maintainer_tools.console import json_line
from vault.errors import MissingError
from vault.files import PRIVATE_FILE
from vault.items import SCHEMA_TYPE
from vault.reader import Reader
from vault.stored import StoredItem

ReadItems = Callable[[], Iterable[StoredItem]]
"""Begins a new pass over the items to export."""


class Wanted(msgspec.Struct, frozen=True):
    """Which items an export is about.

    Attributes:
        type: Of this type only; None for all.
        sender: From this invite only; None for all.
        has_declarations: Whether items that declare properties count, if no type is named.
    """

    type: str | None = None
    sender: str | None = None
    has_declarations: bool = True

    def items(self, reader: Reader) -> Iterator[StoredItem]:
        """The items that are wanted, oldest first; one batch in memory at a time."""
        return (item for item in reader.items() if self.includes(item))

    def includes(self, item: StoredItem) -> bool:
        """Whether one item is wanted."""
        if self.type is not None:
            is_type = item.type == self.type
        else:
            is_type = self.has_declarations or item.type != SCHEMA_TYPE
        return is_type and self.sender in {None, item.slot_name}


def require_sender(reader: Reader, sender: str | None) -> None:
    """Refuse the name of an invite that never was.

    Raises:
        MissingError: No invite of the pod has that name.
    """
    names = {secrets.name for secrets in reader.slots.values()}
    if sender is not None and sender not in names:
        raise MissingError(f"no invite is named {sender}; `invite ls` lists them")


def open_new(path: Path) -> BinaryIO:
    """Open a new file for writing, mode 0600.

    Raises:
        OSError: As ``open``.
    """
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, PRIVATE_FILE), "wb")


def line_of(item: StoredItem) -> bytes:
    """One item as a line of JSON: its members as they were sealed, and where it came from.

    Added are `_from` (the invite's name), `_seq` (its place in the vault) and
    `_received` (UTC milliseconds). No member a client sends begins with an underscore.
    """
    document: dict[str, Any] = {
        **item.members,
        "_from": item.slot_name,
        "_seq": item.seq,
        "_received": item.ms,
    }
    return json_line(document)
