"""Which item a person means by what they typed: an id, INVITE/ID, or the end of a long id. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import click

from maintainer_tools.console import clean
from maintainer_tools.erased_before import ErasedBefore
from maintainer_tools.listing import ID_END
from maintainer_tools.times import iso
from vault.errors import MissingError
from vault.stored import StoredItem

_MOST_CANDIDATES = 10


def fits(item: StoredItem, wanted: str) -> bool:
    """Whether an item may be meant."""
    sender, slash, end = wanted.rpartition("/")
    if slash and sender != item.slot_name:
        return wanted == item.id
    return item.id == end or (len(end) >= ID_END and item.id.endswith(end))


def the_one(found: Sequence[StoredItem], wanted: str, before: Sequence[ErasedBefore] = ()) -> StoredItem:
    """The item that is meant: whole ids come before ends of ids.

    Args:
        found: Every item that ``fits``.
        wanted: What was typed.
        before: What was erased and may be meant; said where nothing else is.

    Raises:
        MissingError: None fits.
        click.UsageError: Several do; it lists them.
    """
    best = [item for item in found if wanted in {item.id, item.full_id}] or found
    if not best and before:
        gone = ", ".join(f"{clean(each.full_id)} was erased {iso(each.ms)}" for each in before)
        raise MissingError(f"{gone}; nothing of it is left but that it came, and when it went")
    if not best:
        raise MissingError(f"no item {wanted} is in this pod; `ls` lists items")
    if len(best) > 1:
        raise click.UsageError(_which(best))
    return best[0]


def _which(found: Sequence[StoredItem]) -> str:
    names = [f"{item.full_id} ({item.type})" for item in found[:_MOST_CANDIDATES]]
    more = "" if len(found) == len(names) else f", and {len(found) - len(names)} more"
    return f"several items fit; name one of {clean(', '.join(names))}{more}"
