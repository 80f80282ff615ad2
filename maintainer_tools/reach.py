"""Asking a pod's server who it is, at its url, as a contributor's client would.

What comes back is untrusted: it is read up to a bound, and only compared. No
key is sent.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import ssl
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from maintainer_tools.findings import Finding, doubt, fault, ok
from maintainer_tools.ground import is_loopback

SECONDS = 10.0
MOST_BYTES = 65_536
EXPIRY_DAYS = 14
"""Let's Encrypt's clients renew 30 days before; half of that means that they do not."""
SKEW_SECONDS = 60.0

_DAY = 86_400


class _Answer(NamedTuple):
    status: int
    date: str | None
    body: bytes
    expires: float | None


def examine_reach(url: str, now_seconds: float) -> Iterator[Finding]:
    """Ask for the version at a pod's url.

    Args:
        url: Of pod.toml, which has checked it; empty if it has none.
        now_seconds: Since 1970.
    """
    if not url:
        yield doubt(
            "url", "pod.toml names no url, so new invites do not say where to send", "edit url in pod.toml"
        )
        return
    yield _examine_scheme(url)
    try:
        answer = _ask(url)
    except ssl.SSLCertVerificationError as exc:
        yield fault(
            "tls", f"the certificate at {url} is not trusted: {exc.verify_message}", "renew it at the proxy"
        )
    except (OSError, http.client.HTTPException) as exc:
        said = exc.strerror if isinstance(exc, OSError) and exc.strerror else type(exc).__name__
        yield fault(
            "server", f"{url} cannot be reached: {said}", "start it: shared-pod serve; docs/deploy.md"
        )
    else:
        yield _examine_answer(url, answer)
        yield from _examine_times(answer, now_seconds)


def _examine_scheme(url: str) -> Finding:
    parts = urlsplit(url)
    if parts.scheme == "https":
        return ok("url", f"{url}, over TLS")
    if is_loopback(parts.hostname or ""):
        return ok("url", f"{url}, on this machine only")
    return fault(
        "url",
        f"{url} sends keys and items in clear over the network",
        "put a proxy with TLS in front (docs/deploy.md), then write https:// into pod.toml",
    )


def _ask(url: str) -> _Answer:
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port
    connection: http.client.HTTPConnection
    if parts.scheme == "https":
        context = ssl.create_default_context()
        connection = http.client.HTTPSConnection(host, port, timeout=SECONDS, context=context)
    else:
        connection = http.client.HTTPConnection(host, port, timeout=SECONDS)
    with contextlib.closing(connection):
        connection.request("GET", f"{parts.path}/version", headers={"Accept": "application/json"})
        sock, expires = connection.sock, None
        if isinstance(sock, ssl.SSLSocket):
            certificate = sock.getpeercert() or {}
            expires = ssl.cert_time_to_seconds(str(certificate["notAfter"]))
        answer = connection.getresponse()
        return _Answer(answer.status, answer.getheader("Date"), answer.read(MOST_BYTES), expires)


def _examine_answer(url: str, answer: _Answer) -> Finding:
    said = _decoded(answer.body)
    if answer.status != http.client.OK or said.get("service") != "shared-pod":
        return fault(
            "server",
            f"what answers at {url} is no shared-pod server (HTTP status {answer.status})",
            "correct url in pod.toml, or the proxy",
        )
    return ok("server", f"shared-pod {said.get('cargo')} answers at {url}")


def _decoded(body: bytes) -> dict[str, Any]:
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}


def _examine_times(answer: _Answer, now_seconds: float) -> Iterator[Finding]:
    if answer.expires is not None:
        days = int((answer.expires - now_seconds) / _DAY)
        sentence = f"the certificate is good for {days} days"
        if days < EXPIRY_DAYS:
            yield doubt("tls", sentence, "renew it; the proxy should have")
        else:
            yield ok("tls", sentence)
    try:
        theirs = parsedate_to_datetime(answer.date or "").timestamp()
    except ValueError:
        # Not every server sends one, or a good one.
        return
    skew = round(abs(theirs - now_seconds))
    if skew > SKEW_SECONDS:
        yield doubt(
            "clocks", f"the server's and this machine's are {skew} s apart", "timedatectl set-ntp true"
        )
    else:
        yield ok("clocks", "the server's and this machine's agree")
