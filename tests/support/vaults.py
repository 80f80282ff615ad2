"""The writer's side of a pod in this process: a thread where a server has a process."""

from __future__ import annotations

import os
import socket
import threading

from ingest.remote_vault import Connect, RemoteVault
from ingest.vault_thread import Clock, Tools, serve_vault
from tests.support.pods import PATIENCE
from vault.pod import PodFolder


def connect_to_thread(now_ms: Clock) -> Connect:
    """What has a vault served by a thread of this process."""
    tools = Tools(now_ms, os.urandom, PATIENCE)

    def connect(theirs: socket.socket) -> None:
        threading.Thread(target=serve_vault, args=(theirs.dup(), tools), daemon=True).start()

    return connect


def vault_in_a_thread(folder: PodFolder, now_ms: Clock) -> RemoteVault:
    """The way to a pod's vault, which a thread of this process opens."""
    return RemoteVault(folder, connect_to_thread(now_ms), lambda _: None, lambda _: None)
