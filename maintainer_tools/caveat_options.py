"""The limits of an invite as options: read from the command line, and shown again. Pure."""

from __future__ import annotations

import re

from maintainer_tools.times import iso_minute, parse_expiry
from vault.caveats import Caveats
from vault.errors import MalformedError

MOST = 2**63 - 1
"""No limit, where the format wants a number: the largest a caveat can hold."""

_COUNT = re.compile(r"\A([1-9][0-9]{0,18})([kMG]?)\Z")
_FACTORS = {"": 1, "k": 1 << 10, "M": 1 << 20, "G": 1 << 30}
_TYPE = re.compile(r"\A[A-Za-z][A-Za-z0-9_]{0,63}\Z")


def parse_count(option: str, text: str) -> int:
    """Read a count or a size: digits, and k, M or G for powers of 1024.

    Raises:
        MalformedError: Anything else, or beyond 63 bits.
    """
    found = _COUNT.match(text)
    count = int(found[1]) * _FACTORS[found[2]] if found else 0
    if not 1 <= count <= MOST:
        raise MalformedError(f"{option}: a number above 0 was expected, such as 500, 64k or 10M")
    return count


def parse_types(text: str) -> tuple[str, ...]:
    """Read item types, comma-separated; sorted, each once.

    Raises:
        MalformedError: One is no item type.
    """
    names = sorted({name.strip() for name in text.split(",")})
    if not all(_TYPE.match(name) for name in names):
        raise MalformedError("--types: names such as Plant,Photo were expected: letters, digits, underscores")
    return tuple(names)


def parse_rate(text: str) -> tuple[int, int]:
    """Read a rate a minute: items, and if given bytes behind a comma.

    Raises:
        MalformedError: Not one or two counts.
    """
    items, comma, size = text.partition(",")
    return parse_count("--rate", items.strip()), parse_count("--rate", size.strip()) if comma else MOST


def caveats_of(
    *,
    types: str | None,
    expires: str | None,
    max_items: str | None,
    max_bytes: str | None,
    max_item_bytes: str | None,
    rate: str | None,
    now_ms: int,
) -> Caveats:
    """Read all limits of an invite; None is no limit.

    Raises:
        MalformedError: One of them cannot be read; names the option.
    """
    return Caveats(
        expires=None if expires is None else parse_expiry(expires, now_ms),
        types=None if types is None else parse_types(types),
        max_items=None if max_items is None else parse_count("--max-items", max_items),
        max_bytes=None if max_bytes is None else parse_count("--max-bytes", max_bytes),
        max_item_bytes=None if max_item_bytes is None else parse_count("--max-item-bytes", max_item_bytes),
        rate=None if rate is None else parse_rate(rate),
    )


def shown_limits(caveats: Caveats) -> list[str]:
    """Each limit that is set, in words."""
    limits = []
    if caveats.expires is not None:
        limits.append(f"until {iso_minute(caveats.expires)}")
    if caveats.max_items is not None:
        limits.append(f"{caveats.max_items} items")
    if caveats.max_bytes is not None:
        limits.append(f"{caveats.max_bytes} bytes")
    if caveats.max_item_bytes is not None:
        limits.append(f"{caveats.max_item_bytes} bytes an item")
    if caveats.rate is not None:
        items, size = caveats.rate
        limits.append(f"{items} items a minute" + (f", {size} bytes a minute" if size < MOST else ""))
    if caveats.types is not None:
        limits.append(f"types {','.join(caveats.types)}")
    return limits
