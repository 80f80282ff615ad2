"""OpenStack Swift with its s3api on loopback: a store that `store certify` has to reject.

The real servers, from PyPI: one account, container and object server, one copy,
one proxy. Its conditional put looks and then writes: one by one it keeps its
word, and of racing writers several win.
"""

from __future__ import annotations

import contextlib
import getpass
import secrets
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tests.stores.programs import INSTALLED, Program, is_listening, scratch_folder
from tests.support.ports import free_port
from tests.support.stores import Keys, Store

_ACCOUNT, _USER = "test", "tester"
_HASH = """\
[swift-hash]
swift_hash_path_suffix = {suffix}
"""
_COMMON = """\
[DEFAULT]
swift_dir = {folder}
devices = {folder}/devices
mount_check = false
bind_ip = 127.0.0.1
bind_port = {port}
user = {user}
# One process each: a child of one that is killed would live on.
workers = 0
log_level = WARNING
"""
_STORAGE = """\
[pipeline:main]
pipeline = {kind}-server

[app:{kind}-server]
use = egg:swift#{kind}
"""
_PROXY = """\
[pipeline:main]
pipeline = catch_errors s3api tempauth slo symlink versioned_writes proxy-server

[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true

[filter:catch_errors]
use = egg:swift#catch_errors

[filter:s3api]
use = egg:swift#s3api
location = us-east-1

[filter:tempauth]
use = egg:swift#tempauth
user_{account}_{user} = {secret} .admin

[filter:slo]
use = egg:swift#slo

[filter:symlink]
use = egg:swift#symlink

[filter:versioned_writes]
use = egg:swift#versioned_writes
allow_object_versioning = true
"""
_STORAGE_KINDS = ("account", "container", "object")


class Swift:
    """A running Swift.

    Args:
        folder: Of ``scratch_folder``.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._running: list[Program] = []
        self._port = free_port()
        self._secret = secrets.token_hex(16)

    def start(self) -> None:
        """Make it, and wait until it answers."""
        (self._folder / "devices" / "disk").mkdir(parents=True)
        (self._folder / "swift.conf").write_text(_HASH.format(suffix=secrets.token_hex(8)))
        for kind in _STORAGE_KINDS:
            port = free_port()
            self._make_ring(kind, port)
            self._start(kind, port, _STORAGE.format(kind=kind))
        self._start("proxy", self._port, _PROXY.format(account=_ACCOUNT, user=_USER, secret=self._secret))

    def stop(self) -> None:
        """End it."""
        for program in reversed(self._running):
            program.kill()

    def store(self) -> Store:
        """It, and its owner."""
        return Store(f"http://127.0.0.1:{self._port}", Keys(f"{_ACCOUNT}:{_USER}", self._secret))

    @staticmethod
    def version() -> str:
        """Its version, as it was installed."""
        [found] = INSTALLED.glob("lib/python*/site-packages/swift-*.dist-info")
        return found.name.removeprefix("swift-").removesuffix(".dist-info")

    def _make_ring(self, kind: str, port: int) -> None:
        builder = self._folder / f"{kind}.builder"
        for step in (
            ("create", "4", "1", "0"),
            ("add", f"r1z1-127.0.0.1:{port}/disk", "1"),
            ("rebalance",),
        ):
            subprocess.run(
                [INSTALLED / "bin" / "swift-ring-builder", builder, *step], check=True, capture_output=True
            )

    def _start(self, kind: str, port: int, configuration: str) -> None:
        common = _COMMON.format(folder=self._folder, port=port, user=getpass.getuser())
        path = self._folder / f"{kind}-server.conf"
        path.touch(mode=0o600)
        path.write_text(f"{common}\n{configuration}")
        command: list[str | Path] = [INSTALLED / "bin" / f"swift-{kind}-server", path, "verbose"]
        program = Program(f"swift-{kind}", command, self._folder / f"{kind}.out")
        self._running.append(program)
        program.await_ready(lambda: is_listening(port))


@contextlib.contextmanager
def running_swift() -> Iterator[Swift]:
    """Start one, and leave nothing of it."""
    with scratch_folder("swift-") as folder:
        swift = Swift(folder)
        try:
            swift.start()
            yield swift
        finally:
            swift.stop()
