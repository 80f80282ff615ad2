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


def keys_in_store(reader: Reader, items: Iterable[Chosen]) -> dict[int, str]:
    """The keys of the objects that items were collected from, below the store's prefix.

    Args:
        reader: The vault.
        items: Of it. What cannot be read was never collected.

    Returns:
        By their place in the vault, for those that were collected.

    Raises:
        DamagedError: A page fails its checks, or a row is not of its types.
        MalformedError: The header of a batch is not of its format.
    """
    functions = {hashlib.sha256(key).digest() for key in reader.policy.function_logs}
    if not functions:
        return {}
    return {
        item.seq: object_key(reader.policy.pod_id, item_name(reader.slots[item.slot].name_key, item.id))
        for item in items
        if item.slot is not None
        and item.id is not None
        and parse_header(header_with(reader.rows, item.seq)).log_key_hash in functions
    }
