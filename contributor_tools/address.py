"""Where an invite sends to, and whether it is safe to send a key there.

The database key goes with every item, so plain http is refused unless it stays
on this machine or the contributor says in so many words that the network
between is trusted. This is `http.client` and a URL; nothing is fetched here.
"""

from __future__ import annotations

import http.client
import ipaddress
import ssl
from urllib.parse import quote, urlsplit

import msgspec

from vault.errors import MalformedError, VaultError

REQUEST_SECONDS = 30.0
"""Longest silence of a server, in connecting and in each read."""


class PlainHttpError(VaultError):
    """An invite whose URL would send the key readably over a network."""


class Address(msgspec.Struct, frozen=True):
    """One pod's server.

    Attributes:
        host: Name or IP address, without brackets.
        port: None is the scheme's own.
        is_tls: Whether https.
        path: In front of the wire's own paths; empty or `/prefix`.
    """

    host: str
    port: int | None
    is_tls: bool
    path: str

    def connection(self, tls: ssl.SSLContext) -> http.client.HTTPConnection:
        """An unopened connection; certificates are verified as `tls` says."""
        if self.is_tls:
            return http.client.HTTPSConnection(self.host, self.port, timeout=REQUEST_SECONDS, context=tls)
        return http.client.HTTPConnection(self.host, self.port, timeout=REQUEST_SECONDS)


def parse_address(url: str, *, allows_plain_http: bool = False) -> Address:
    """Read an invite's URL.

    Args:
        url: As `vault.links` checked it: http or https, a host, no query.
        allows_plain_http: Whether the contributor trusts the network between.

    Raises:
        MalformedError: A host no resolver takes.
        PlainHttpError: Plain http to another machine, and it was not allowed.
    """
    parts = urlsplit(url)
    host = _ascii_host(parts.hostname or "")
    is_tls = parts.scheme == "https"
    if not (is_tls or allows_plain_http or is_loopback(host)):
        raise PlainHttpError(
            "the invite's address begins with http://, so anyone on the way could read your items and key. "
            "Ask the maintainer for an https:// invite; or, if you trust the whole network up to there, "
            "pass --insecure-http"
        )
    return Address(host, parts.port, is_tls, quote(parts.path.rstrip("/"), safe="/%"))


def is_loopback(host: str) -> bool:
    """Whether a host is this machine: `localhost` or a loopback address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _ascii_host(host: str) -> str:
    try:
        return host.encode("idna").decode("ascii")
    except UnicodeError as exc:
        raise MalformedError(
            "invite: its address has a host name that cannot exist; copy the whole link again"
        ) from exc
