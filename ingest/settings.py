"""What a server is told when it starts: frozen values, units in their names.

Nothing here is secret: a server starts locked and a contributor's request
brings the key. Reading the command line is ``ingest.__main__``'s.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from pathlib import Path

import msgspec

from vault.errors import MalformedError, MissingError
from vault.keys import PodId, parse_hex_32

ANY_OWNER = "ANY"
"""The original's magic value of --owners: every pod that is served is allowed."""

Trusted = ipaddress.IPv4Network | ipaddress.IPv6Network
"""An address of a proxy, or a network of them."""

DEFAULT_BODY_BYTES = 1 << 20
MOST_BODY_BYTES = 5 << 20
"""What the original accepted; a larger limit would only help a bomb."""
MOST_CONNECTIONS = 12_288
"""Unless told otherwise. A silent one costs 3 KB, one with the longest head 20 KB."""
THROTTLE_PER_SECOND = 10.0
MOST_WRITERS = 64


class LocalAddress(msgspec.Struct, frozen=True):
    """An address that only this machine reaches: loopback TCP, or a Unix socket.

    Attributes:
        host: A loopback IP address; empty for a Unix socket.
        port: Of TCP; 0 for a free one.
        path: Of the Unix socket; None for TCP.
    """

    host: str = ""
    port: int = 0
    path: Path | None = None


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """How one server runs.

    Attributes:
        pods: The pod folders it serves.
        owners: Pod ids it serves; None for every pod in ``pods``.
        host: Address to listen at.
        port: Port to listen at.
        max_body_bytes: Largest request body.
        body_seconds: How long a client may take to send a body.
        header_seconds: How long a client may take to send a request's head.
        idle_seconds: How long after its last request a vault is closed and its keys are dropped.
        max_open_vaults: Most vaults open at once; each costs a thread and some MiB.
        writers: Processes that write vaults; each costs some 30 MiB.
        max_connections: Most connections at once.
        throttle: Answers a second to one network that no key vouches for; 0 for no bound.
        trusted: Proxies whose word on a client's address is taken.
        is_logging_requests: Whether accepted requests get a log line too.
        metrics: Where measures and probes are served; None for nowhere.
    """

    pods: tuple[Path, ...]
    owners: frozenset[PodId] | None = None
    host: str = "127.0.0.1"
    port: int = 3030
    max_body_bytes: int = DEFAULT_BODY_BYTES
    body_seconds: float = 10.0
    header_seconds: float = 5.0
    idle_seconds: float = 1.0
    max_open_vaults: int = 64
    writers: int = 1
    max_connections: int = MOST_CONNECTIONS
    throttle: float = THROTTLE_PER_SECOND
    trusted: tuple[Trusted, ...] = ()
    is_logging_requests: bool = False
    metrics: LocalAddress | None = None


def parse_owners(text: str | None) -> frozenset[PodId] | None:
    """Read an allow-list: comma-separated SHA-256 of owner keys' bytes in hex, or ``ANY``.

    Args:
        text: As given; None or empty when no list was given.

    Returns:
        The pod ids allowed, or None for every pod that is served.

    Raises:
        MalformedError: An entry is neither 64 hexadecimal digits nor ``ANY``.
    """
    entries = [entry.strip() for entry in (text or "").split(",") if entry.strip()]
    if not entries or ANY_OWNER in entries:
        return None
    return frozenset(PodId(parse_hex_32(entry, "owners")) for entry in entries)


def parse_trusted(texts: Iterable[str]) -> tuple[Trusted, ...]:
    """Read which proxies' word on a client's address is taken.

    Args:
        texts: Each an IP address, or a network (``10.0.0.0/8``).

    Raises:
        MalformedError: One is neither.
    """
    try:
        return tuple(ipaddress.ip_network(text) for text in texts)
    except ValueError as exc:
        raise MalformedError(
            "--trust-forwarded: the address of a proxy, or a network such as 10.1.2.0/24, was expected"
        ) from exc


def parse_local_address(text: str) -> LocalAddress:
    """Read where measures are to be served.

    Args:
        text: ``HOST:PORT`` with a loopback address or ``localhost`` (brackets
            around IPv6), a port alone, or ``unix:PATH``.

    Raises:
        MalformedError: Anything else; an address that other machines reach too.
    """
    kind, colon, path = text.partition(":")
    if kind == "unix" and colon and path:
        return LocalAddress(path=Path(path).absolute())
    host, _, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    try:
        address = ipaddress.ip_address("127.0.0.1" if host in {"", "localhost"} else host)
        number = int(port) if port.isascii() and port.isdecimal() else -1
    except ValueError as exc:
        raise MalformedError(_LOCAL_EXPECTED) from exc
    if not (address.is_loopback and 0 <= number <= _MOST_PORT):
        raise MalformedError(_LOCAL_EXPECTED)
    return LocalAddress(str(address), number)


_LOCAL_EXPECTED = (
    "--metrics: an address that only this machine reaches was expected, "
    "such as 127.0.0.1:9464 or unix:/run/shared-pod/metrics.sock"
)
_MOST_PORT = 65_535


def _pods_in(path: Path) -> list[Path]:
    if (path / "pod.toml").is_file():
        return [path]
    if not path.is_dir():
        raise MissingError(f"{path} is no folder; give a pod's folder or a folder of pods")
    found = sorted(child for child in path.iterdir() if (child / "pod.toml").is_file())
    if not found:
        raise MissingError(
            f"{path} holds no pod.toml, nor does a folder in it; `shared-pod init` makes a pod"
        )
    return found


def find_pods(paths: Iterable[Path]) -> tuple[Path, ...]:
    """Resolve what the command line named to pod folders.

    Args:
        paths: Pod folders, or folders whose children are pod folders.

    Raises:
        MissingError: One of them is neither.
    """
    found = [pod.resolve() for path in paths for pod in _pods_in(path)]
    return tuple(dict.fromkeys(found))
