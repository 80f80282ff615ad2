"""The running server holds no code that opens a stored item."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

from tests.support.pods import new_pod
from tests.support.server import serving

HOOK = """
import json, os, signal, sys
def _dump(*_):
    with open(os.environ["DUMP_MODULES"] + f".{os.getpid()}.part", "w") as file:
        json.dump(sorted(sys.modules), file)
    os.rename(file.name, os.environ["DUMP_MODULES"] + f".{os.getpid()}")
signal.signal(signal.SIGUSR2, _dump)
"""
"""Run by Python itself at start (site's usercustomize): the product knows nothing of it."""

NEVER_LOADED = {"vault.opening", "vault.reader", "vault.invites", "vault.identity_file", "vault.checking"}


def _modules(pid: int, target: Path) -> set[str]:
    os.kill(pid, signal.SIGUSR2)
    found = Path(f"{target}.{pid}")
    deadline = time.monotonic() + 60
    while not found.exists():
        assert time.monotonic() < deadline, "the hook did not run"
        time.sleep(0.02)
    return set(json.loads(found.read_text()))


def _of_rooms(modules: set[str], *rooms: str) -> set[str]:
    return {name for name in modules if name.partition(".")[0] in rooms}


def test_no_code_that_opens_items_is_loaded_in_a_serving_process(tmp_path: Path) -> None:
    """Looked at after an item was stored, when everything they ever import is imported.

    What speaks HTTP holds no database, and what holds the database no HTTP.
    """
    pod, target = new_pod(tmp_path), tmp_path / "modules"
    invite = pod.invite()
    (tmp_path / "hook").mkdir()
    (tmp_path / "hook" / "sitecustomize.py").write_text(HOOK)
    environment = {"PYTHONPATH": str(tmp_path / "hook"), "DUMP_MODULES": str(target)}
    with serving(pod.folder.path, environment=environment) as server:
        key = invite.database_key.reveal().hex()
        assert server.create_item(pod.owner, key, {"type": "Note", "text": "x"}).status == 200
        parent, worker, writer = (
            _modules(pid, target) for pid in (server.process.pid, server.worker_pid, server.writer_pid)
        )
    assert {"vault.store", "vault.sealing"} <= writer
    assert not (parent | worker | writer) & NEVER_LOADED
    assert not _of_rooms(parent | worker | writer, "maintainer_tools", "contributor_tools", "shamir_mnemonic")
    assert not _of_rooms(parent | worker, "sqlcipher3")
    assert not worker & {"vault.store", "vault.database"}
    assert not _of_rooms(writer, "litestar", "granian", "asyncio", "http")
