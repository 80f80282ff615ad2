"""Who counts as one caller where no key tells: the network an address is in.

An IPv4 address is one; of IPv6 whoever has one address has its /64, so that is
one. Kept in memory only, and never logged.
"""

from __future__ import annotations

import ipaddress
from typing import NewType

Network = NewType("Network", bytes)
"""4 bytes of an IPv4 address, 8 of an IPv6 one; none of what is no address, such as a Unix socket."""

IPV6_BYTES = 8
"""A /64: the smallest a customer gets (RFC 6177)."""
NO_NETWORK = Network(b"")

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def parse_address(text: str) -> Address | None:
    """Read an IP address; one that is IPv4 written as IPv6 is IPv4. None for anything else."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def network_of(address: Address | None) -> Network:
    """The network ``address`` is in."""
    if address is None:
        return NO_NETWORK
    return Network(address.packed[:IPV6_BYTES])
