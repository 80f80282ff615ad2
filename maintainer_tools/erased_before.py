"""Items that were erased before: found by the id they had, for who asks for one of them.

An erased item keeps its name (``vault.items.item_name``), which only its id and
its slot's key give; so an end of an id finds none.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from vault.items import is_item_id, item_name
from vault.policies import past_signers
from vault.reader import Reader
from vault.whereabouts import erased_ms, find_by_name


class ErasedBefore(msgspec.Struct, frozen=True):
    """An item that was erased.

    Attributes:
        full_id: ``invite/id``.
        ms: When, as the maintainer's statement says; UTC milliseconds.
    """

    full_id: str
    ms: int


def erased_before(reader: Reader, wanted: str) -> Iterator[ErasedBefore]:
    """Yield what was erased and may be meant.

    Args:
        reader: The vault.
        wanted: As it was typed: an id, or INVITE/ID.

    Raises:
        DamagedError: One is gone without a statement that holds, or a page fails its checks.
        MalformedError: What stands in its place is no statement.
    """
    sender, _, item_id = wanted.rpartition("/")
    if not is_item_id(item_id):
        return
    for secrets in reader.slots.values():
        if sender in {"", secrets.name}:
            place = find_by_name(reader.rows, item_name(secrets.name_key, item_id))
            if place is not None and place.is_erased:
                ms = erased_ms(reader.rows, place, past_signers(reader.policy))
                yield ErasedBefore(f"{secrets.name}/{item_id}", ms)
