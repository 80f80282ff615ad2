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
    deadline = time.monotonic() + 10
    while not found.exists():
        assert time.monotonic() < deadline, "the hook did not run"
        time.sleep(0.02)
    return set(json.loads(found.read_text()))


def test_no_code_that_opens_items_is_loaded_in_a_serving_worker(tmp_path: Path) -> None:
    """Looked at after it stored an item, when everything it ever imports is imported."""
    pod, target = new_pod(tmp_path), tmp_path / "modules"
    invite = pod.invite()
    (tmp_path / "hook").mkdir()
    (tmp_path / "hook" / "sitecustomize.py").write_text(HOOK)
    environment = {"PYTHONPATH": str(tmp_path / "hook"), "DUMP_MODULES": str(target)}
    with serving(pod.folder.path, environment=environment) as server:
        key = invite.database_key.reveal().hex()
        assert server.create_item(pod.owner, key, {"type": "Note", "text": "x"}).status == 200
        loaded = _modules(server.worker_pid, target) | _modules(server.process.pid, target)
    assert {"vault.store", "vault.sealing"} <= loaded
    assert not loaded & NEVER_LOADED
    assert not {name for name in loaded if name.startswith(("maintainer_tools", "contributor_tools"))}
