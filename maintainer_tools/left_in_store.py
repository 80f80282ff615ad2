"""Items that functions took in: the objects they lie in, which an erasure at home does not reach."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from maintainer_tools.choosing import Chosen
from vault.header import parse_header
from vault.items import item_name
from vault.objects import object_key
from vault.reader import Reader
from vault.whereabouts import header_with


def key_in_store(reader: Reader, item: Chosen) -> str | None:
    """The key of the object that an item was collected from, below the store's prefix; None if it was not.

    Args:
        reader: The vault.
        item: One of its items. What cannot be read was never collected.

    Raises:
        DamagedError: A page fails its checks, or a row is not of its types.
        MalformedError: The header of its batch is not of its format.
    """
    functions = {hashlib.sha256(key).digest() for key in reader.policy.function_logs}
    if not functions or item.slot is None or item.id is None:
        return None
    if parse_header(header_with(reader.rows, item.seq)).log_key_hash not in functions:
        return None
    return object_key(reader.policy.pod_id, item_name(reader.slots[item.slot].name_key, item.id))


def keys_in_store(reader: Reader, items: Iterable[Chosen]) -> dict[int, str]:
    """The same for several: by their place in the vault, for those that were collected."""
    found = ((item.seq, key_in_store(reader, item)) for item in items)
    return {seq: key for seq, key in found if key is not None}
