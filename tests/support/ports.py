"""Ports for programs that must be told theirs."""

from __future__ import annotations

import contextlib
import random
import socket

_PORTS = range(20_000, 32_000)
"""Below those that the system gives to whoever asks for any: nobody else is given one meanwhile."""


def free_port() -> int:
    """A port of loopback that nobody listens at now."""
    while True:
        port = random.choice(_PORTS)  # noqa: S311  # no secret
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
