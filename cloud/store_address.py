"""Where an object store is: ``s3://BUCKET[/PREFIX][?endpoint=URL][&region=NAME][&tags=none]``.

An address holds no secret: keys come from the environment, as with every
client of such stores, and never from a command line. Plain HTTP is accepted
from this machine alone: who sits between could answer 200 for a store that
never saw the item.
"""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import parse_qsl, quote, urlsplit

import msgspec

from vault.errors import MalformedError
from vault.pod import check_url

EXPECTED = (
    "a store: s3://BUCKET/PREFIX, optionally with ?endpoint=URL, &region=NAME, &tags=none, was expected"
)
MOST_ENDPOINTS = 16
DEFAULT_REGION = "us-east-1"

_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", re.ASCII)
# No empty part, none of dots alone: some stores take those for folders.
_PREFIX = re.compile(r"(?:(?!\.{1,2}(?:/|\Z))[A-Za-z0-9._=-]{1,100}/){0,5}", re.ASCII)
_REGION = re.compile(r"[a-z0-9-]{1,40}", re.ASCII)


class StoreAddress(msgspec.Struct, frozen=True):
    """One place for objects.

    Attributes:
        bucket: Its name.
        prefix: Before every key; empty, or ends with a slash.
        endpoints: Every way there, as URLs without a trailing slash; empty for AWS's own.
        region: What requests are signed for; None for the environment's.
        keeps_tags: Whether objects keep tags, so that retries are told from conflicts.
    """

    bucket: str
    prefix: str = ""
    endpoints: tuple[str, ...] = ()
    region: str | None = None
    keeps_tags: bool = True

    def __str__(self) -> str:
        """The address as it is written; ``parse_store_address`` reads it."""
        options = [f"endpoint={quote(endpoint, safe=':/')}" for endpoint in self.endpoints]
        options += [f"region={self.region}"] if self.region else []
        options += [] if self.keeps_tags else ["tags=none"]
        return f"s3://{self.bucket}/{self.prefix}{'?' * bool(options)}{'&'.join(options)}"


def parse_store_address(text: str) -> StoreAddress:
    """Read an address.

    Raises:
        MalformedError: Not of its form, with keys in it, or with an endpoint
            on another machine that is not https. The text is not quoted.
    """
    if not text.isascii() or not text.isprintable():
        # The library would drop a newline, and go on.
        raise MalformedError(EXPECTED)
    try:
        parts = urlsplit(text)
        options = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
    except ValueError as exc:
        raise MalformedError(EXPECTED) from exc
    if "@" in parts.netloc:
        raise MalformedError(
            "a store's address holds no keys; give them in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        )
    prefix = parts.path.strip("/") + "/" if parts.path.strip("/") else ""
    is_place = _BUCKET.fullmatch(parts.netloc) and _PREFIX.fullmatch(prefix)
    if parts.scheme != "s3" or parts.fragment or not is_place:
        raise MalformedError(EXPECTED)
    return _with_options(StoreAddress(parts.netloc, prefix), options)


def _with_options(address: StoreAddress, options: list[tuple[str, str]]) -> StoreAddress:
    endpoints = tuple(_endpoint(value) for name, value in options if name == "endpoint")
    others = [(name, value) for name, value in options if name != "endpoint"]
    if len(endpoints) > MOST_ENDPOINTS or len(dict(others)) != len(others):
        raise MalformedError(EXPECTED)
    for name, value in others:
        if not (name == "region" and _REGION.fullmatch(value)) and (name, value) != ("tags", "none"):
            raise MalformedError(EXPECTED)
    given = dict(others)
    return StoreAddress(address.bucket, address.prefix, endpoints, given.get("region"), "tags" not in given)


def _endpoint(url: str) -> str:
    checked = check_url(url)
    if not (checked.startswith("https://") or _is_local(urlsplit(checked).hostname or "")):
        raise MalformedError("a store's endpoint: https:// was expected, http:// is for this machine alone")
    return checked


def _is_local(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
