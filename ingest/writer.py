"""The writer process: ``python -m ingest.writer FD WORKER``, started by a worker.

Has every vault of the server open, and a thread for each; sees no network, no
request and no database key. What it is told comes over the socket FD: one byte
for each pod whose vault is wanted, with the socket on which that pod is served.
It ends with its worker (process id WORKER), however that ends, and ignores the
signals that stop a server: its worker closes every vault first.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import time

from ingest.hardening import die_with_parent, keep_memory_private
from ingest.logs import Log, write_stderr
from ingest.messages import READY, WANTED
from ingest.process import collect_rarely, now_ms
from ingest.vault_thread import Tools, serve_vault
from vault.locks import Patience
from vault.sqlcipher import assert_library

OPENING_SECONDS = 3.0
"""How long items wait for a snapshot to let their vault be opened; a reflink takes milliseconds."""


def serve(control: socket.socket, tools: Tools) -> None:
    """Start a thread for each socket that comes over ``control``, until it is closed."""
    control.sendall(READY)
    while True:
        received, descriptors, _, _ = socket.recv_fds(control, len(WANTED), 1)
        if not received:
            return
        (descriptor,) = descriptors
        vault = socket.socket(fileno=descriptor)
        threading.Thread(target=serve_vault, args=(vault, tools), name="vault").start()


def main() -> None:
    """Serve one worker."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    descriptor, worker = map(int, sys.argv[1:])
    die_with_parent(worker)
    keep_memory_private()
    try:
        assert_library()
    except ImportError as exc:
        Log(write_stderr, now_ms=now_ms, entropy=os.urandom).event("cannot_start", sentence=str(exc))
        sys.exit(1)
    collect_rarely()
    with socket.socket(fileno=descriptor) as control:
        serve(control, Tools(now_ms, os.urandom, Patience(OPENING_SECONDS, time.monotonic, time.sleep)))


if __name__ == "__main__":
    main()
