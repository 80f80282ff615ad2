"""Whose a request is where no key tells: the network of its connection, or what a trusted proxy says.

A proxy's connections all come from the proxy; it may name the client in
``X-Forwarded-For``, or in ``Forwarded`` (RFC 7239). Anybody can send these
headers, so they are read only where the connection comes from an address that
was named with ``--trust-forwarded``, and from the right, past trusted addresses
only: what stands further left was said by somebody else. A proxy that sets one
of the two headers hands the other through, so a request with both is the
proxy's own. Used for nothing but the throttle; no address is logged.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from ingest.asgi import Scope
from ingest.networks import NO_NETWORK, Address, Network, network_of, parse_address
from ingest.settings import Trusted

MOST_HOPS = 16
"""Proxies one behind the other; what a client says itself may be longer."""

_PORT = re.compile(r"\A(?:\[([^\]]*)\](?::\d{1,5})?|([^:]*):\d{1,5})\Z")
_FOR = re.compile(r"(?:\A|;)\s*for=(?:\"([^\"]*)\"|([^;\"]*))\s*(?:;|\Z)", re.IGNORECASE)


def _address(text: str) -> Address | None:
    """An address as proxies write it: bare, in brackets, with a port."""
    text = text.strip()
    found = _PORT.match(text)
    return parse_address(found[1] or found[2] or "" if found else text)


def _from_right(values: Sequence[bytes]) -> Iterator[str]:
    """The elements of a header that may have come several times, the last first."""
    for value in reversed(values):
        rest = value.decode("latin-1")
        while rest:
            rest, _, element = rest.rpartition(",")
            yield element


def _clients(headers: Iterable[tuple[bytes, bytes]]) -> Iterator[str]:
    """The addresses that proxies say they were asked from, the nearest proxy's first; none where in doubt."""
    plain: list[bytes] = []
    standard: list[bytes] = []
    for name, value in headers:
        if name == b"x-forwarded-for":
            plain.append(value)
        elif name == b"forwarded":
            standard.append(value)
    if plain and standard:
        return
    yield from _from_right(plain)
    for element in _from_right(standard):
        found = _FOR.search(element)
        yield (found[1] or found[2] or "") if found else ""


class Origins:
    """Tells whose a request is.

    Args:
        trusted: The proxies whose word is taken.
    """

    __slots__ = ("_trusted",)

    def __init__(self, trusted: Sequence[Trusted]) -> None:
        self._trusted = trusted

    def network(self, scope: Scope) -> Network:
        """The network a request comes from.

        Args:
            scope: ASGI's, with the connection's ``client`` and the headers.
        """
        client = scope.get("client")
        if client is None:
            return NO_NETWORK
        address = parse_address(client[0])
        if self._is_trusted(address):
            for text in islice(_clients(scope["headers"]), MOST_HOPS):
                named = _address(text)
                if named is None:
                    break
                address = named
                if not self._is_trusted(address):
                    break
        return network_of(address)

    def _is_trusted(self, address: Address | None) -> bool:
        return address is not None and any(
            address.version == trusted.version and address in trusted for trusted in self._trusted
        )
