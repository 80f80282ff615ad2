"""The connections of a worker: how many there may be, and which end when there are too many.

The server below takes connections up to a bound and lets all others wait, and
ends those whose request does not come. It neither knows who has them, nor ends
one whose client does not read. Here, where it has many, those of the networks
that have most are ended, the longest silent first; and the kernel ends one
whose answer was not taken. Linux; elsewhere only the server's own bounds hold.
docs/decisions/connections-are-shed-by-network.md.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import struct
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from ingest.networks import Network, network_of, parse_address

LEAST_CONNECTIONS = 64
OTHER_DESCRIPTORS = 256
"""Files and sockets of a worker that are no connections; a vault has one more of each."""
CROWDED = 0.75
"""Of the bound: from here on connections are ended."""
EASED = 0.5
"""Of the bound: as many are left then."""
LOOK_SECONDS = 0.25
UNSENT_BYTES = 32 << 10
"""What the kernel keeps of answers to one client (it doubles the number). One answer has less than 3 KB."""

_DESCRIPTORS = "/proc/self/fd"
_TCP_INFO_BYTES = 104
_SILENT_AT = 52
"""Of tcpi_last_data_recv in struct tcp_info: milliseconds since anything came. linux/tcp.h"""


def affordable(wanted: int, descriptors: int, max_open_vaults: int) -> int:
    """How many connections a worker takes.

    Fewer than the descriptors it may have: where those run out, taking a
    connection fails, and is tried again without end.

    Args:
        wanted: How many were asked for.
        descriptors: How many the process may have.
        max_open_vaults: How many of them may be vaults'.
    """
    left = descriptors - OTHER_DESCRIPTORS - 2 * max_open_vaults
    return min(wanted, max(left, LEAST_CONNECTIONS))


class Held(NamedTuple):
    """One connection at a moment.

    Attributes:
        descriptor: Its number in this process, which another may have a moment later.
        peer: Its other end, as the kernel says it.
        network: Whose it is.
        silent_ms: How long nothing has come.
    """

    descriptor: int
    peer: object
    network: Network
    silent_ms: int


@contextlib.contextmanager
def _borrowed(descriptor: int) -> Iterator[socket.socket]:
    """The socket behind a descriptor that is not ours, if it is one, for a moment.

    Raises:
        OSError: It is no socket, or not there any more.
    """
    own = os.dup(descriptor)
    try:
        found = socket.socket(fileno=own)
    except OSError:
        os.close(own)
        raise
    with found:
        yield found


def _descriptors() -> list[int]:
    try:
        return [int(name) for name in os.listdir(_DESCRIPTORS)]  # noqa: PTH208  # thousands: no Path for each
    except OSError:
        # No Linux.
        return []


def _is_of(found: socket.socket, port: int) -> bool:
    return found.family in {socket.AF_INET, socket.AF_INET6} and found.getsockname()[1] == port


def _held(descriptor: int, port: int) -> Held | None:
    try:
        with _borrowed(descriptor) as found:
            if not _is_of(found, port):
                return None
            peer = found.getpeername()
            info = found.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_BYTES)
    except OSError:
        # No socket, one that listens, or one that has ended meanwhile.
        return None
    (silent_ms,) = struct.unpack_from("=I", info, _SILENT_AT)
    return Held(descriptor, peer, network_of(parse_address(peer[0])), silent_ms)


def held_at(port: int) -> list[Held]:
    """Every connection that this process has taken at ``port``."""
    return [held for held in (_held(descriptor, port) for descriptor in _descriptors()) if held]


def arrange_listening(port: int, unread_seconds: float) -> None:
    """Have the kernel bound what clients leave unread, in bytes and in time.

    Connections taken from now on inherit it from the socket that listens.

    Args:
        port: Where it does.
        unread_seconds: How long an answer may wait for its client to take any of it.
    """
    for descriptor in _descriptors():
        with contextlib.suppress(OSError), _borrowed(descriptor) as found:
            if _is_of(found, port) and found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                found.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, round(unread_seconds * 1_000))
                found.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, UNSENT_BYTES)


def _share(counts: Iterable[int], most: int) -> int:
    """How many each may have, so that together they have at most ``most``: the largest such number."""
    left, share = most, 0
    rising = sorted(counts)
    for place, count in enumerate(rising):
        share = left // (len(rising) - place)
        if count > share:
            return share
        left -= count
    return rising[-1] if rising else share


def too_many(held: Sequence[Held], most: int) -> list[Held]:
    """Choose which connections to end.

    Args:
        held: All there are.
        most: How many may be left.

    Returns:
        Those beyond an equal share of each network, the longest silent of it.
        A network with less than its share loses none.
    """
    by_network: defaultdict[Network, list[Held]] = defaultdict(list)
    for one in held:
        by_network[one.network].append(one)
    share = _share(map(len, by_network.values()), most)
    return [
        one
        for group in by_network.values()
        for one in sorted(group, key=lambda one: one.silent_ms, reverse=True)[: max(len(group) - share, 0)]
    ]


def end(held: Iterable[Held]) -> int:
    """End connections; the server closes them. Returns how many."""
    ended = 0
    for one in held:
        with contextlib.suppress(OSError), _borrowed(one.descriptor) as found:
            if found.getpeername() == one.peer:
                found.shutdown(socket.SHUT_RDWR)
                ended += 1
    return ended


class Usher:
    """Keeps the connections of a worker below their bound.

    Args:
        port: Where they are taken.
        most: How many the server takes.
        told: Called with how many were ended, where any were.
    """

    def __init__(self, port: int, most: int, told: Callable[[int], None]) -> None:
        self._port = port
        self._most = most
        self._told = told

    async def watch(self) -> None:
        """Look, until cancelled."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            # Cheap, and never less than there are connections.
            if len(_descriptors()) >= CROWDED * self._most:
                ended = await asyncio.to_thread(self._ease)
                if ended:
                    self._told(ended)

    def _ease(self) -> int:
        held = held_at(self._port)
        if len(held) < CROWDED * self._most:
            return 0
        return end(too_many(held, int(EASED * self._most)))
