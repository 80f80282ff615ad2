"""A Ceph cluster of one monitor, manager and storage daemon on loopback, with object gateways.

The real engine, from Debian's packages, small: one copy of everything, no
authentication between its own daemons, everything in one temporary folder. It
listens on 127.0.0.1 alone. For tests, and for nothing else.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.stores.programs import START_SECONDS, Program, is_listening, scratch_folder
from tests.support.ports import free_port
from tests.support.stores import Keys, Store

PROGRAMS = ("monmaptool", "ceph-mon", "ceph-mgr", "ceph-osd", "ceph", "radosgw", "radosgw-admin")
PACKAGES = "ceph-mon ceph-osd ceph-mgr radosgw"
_TRIES = 10
_WAIT_SECONDS = 1.0
_STARTS = 3

_CONFIGURATION = """\
[global]
fsid = {fsid}
mon host = v1:127.0.0.1:{mon_port}
public addr = 127.0.0.1
cluster addr = 127.0.0.1
auth cluster required = none
auth service required = none
auth client required = none
ms bind msgr2 = false
run dir = {folder}
admin socket = {folder}/$name.asok
log file = {folder}/$name.log
crash dir = {folder}/crash
heartbeat file = {folder}/$name.heartbeat
mon data = {folder}/mon
mgr data = {folder}/mgr
osd data = {folder}/osd
rgw data = {folder}/rgw
mon allow pool size one = true
mon cluster log file = {folder}/cluster.log
mgr initial modules =
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 8
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
osd objectstore = bluestore
osd memory target = 939524096
bluestore block size = 4294967296
bluestore fsck quick fix on mount = false
{more}
"""


class Ceph:
    """A running cluster.

    Args:
        folder: Of ``scratch_folder``.
        gateways: How many gateways.
        options: Further lines of its configuration, for every daemon.

    Attributes:
        endpoints: A URL for each gateway.
    """

    def __init__(self, folder: Path, gateways: int = 2, options: str = "") -> None:
        self._folder = folder
        self._configuration = folder / "ceph.conf"
        self._ports: list[int] = []
        self._frontends: list[str] = []
        self._gateways = gateways
        self.endpoints: list[str] = []
        self._mon_port = free_port()
        self._running: dict[str, Program] = {}
        fsid = str(uuid.uuid4())
        self._configuration.write_text(
            _CONFIGURATION.format(fsid=fsid, mon_port=self._mon_port, folder=folder, more=options)
        )
        self._fsid = fsid
        for name in ("mon", "mgr", "osd", "rgw", "crash"):
            (folder / name).mkdir()

    def start(self) -> None:
        """Make it, and wait until every gateway answers."""
        monmap = self._folder / "monmap"
        at = f"[v1:127.0.0.1:{self._mon_port}]"
        self._run("monmaptool", "--create", "--fsid", self._fsid, "--addv", "a", at, str(monmap))
        self._run("ceph-mon", "--mkfs", "-i", "a", "--monmap", str(monmap))
        self._start("mon", lambda: is_listening(self._mon_port), "ceph-mon", "-i", "a")
        self._start("mgr", lambda: True, "ceph-mgr", "-i", "a")
        osd = str(uuid.uuid4())
        # Both under one uuid, or it never joins.
        self._asked("ceph", "osd", "new", osd)
        self._run("ceph-osd", "-i", "0", "--mkfs", "--osd-uuid", osd)
        self.start_osd()
        # The first one makes the pools; two at once would race for that.
        for _ in range(self._gateways):
            self.endpoints.append(self._add_gateway())

    def stop(self) -> None:
        """End every daemon, those first that depend on others."""
        for name in reversed(list(self._running)):
            # The data is thrown away: nothing has to be closed with care.
            self._running.pop(name).kill()

    def kill_osd(self) -> None:
        """End the storage daemon as a crash does."""
        self._running.pop("osd").kill()

    def start_osd(self) -> None:
        """Start the storage daemon, and wait until it takes part."""
        # The monitor counts one that was killed as up for a while: what counts is a new life.
        before = self._life_of_osd()
        self._start("osd", lambda: self._life_of_osd() > before, "ceph-osd", "-i", "0")

    def kill_gateway(self, number: int) -> None:
        """End a gateway as a crash does; for half a minute the others wait for it when buckets change."""
        self._running.pop(f"rgw.{number}").kill()

    def stop_gateway(self, number: int) -> None:
        """End a gateway as an administrator does."""
        self._running.pop(f"rgw.{number}").stop()

    def start_gateway(self, number: int) -> None:
        """Start a gateway where it was, and wait until it answers."""
        name, port = f"rgw.{number}", self._ports[number]
        frontend = f"--rgw-frontends={self._frontends[number]}"
        self._start(name, lambda: is_listening(port), "radosgw", "-n", f"client.{name}", frontend)

    @contextlib.contextmanager
    def more_gateways(self, count: int, options: str, certificate: Path) -> Iterator[list[str]]:
        """Run further ones for a while, which are none of ``endpoints``; yield their URLs.

        Args:
            count: How many.
            options: Lines of configuration for them alone.
            certificate: PEM, its private key with it: they speak TLS, and nothing else.
        """
        first = len(self._ports)
        try:
            yield [self._add_gateway(options, certificate) for _ in range(count)]
        finally:
            for number in range(first, len(self._ports)):
                self.stop_gateway(number)
            del self._ports[first:], self._frontends[first:]

    def _add_gateway(self, options: str = "", certificate: Path | None = None) -> str:
        number, port = len(self._ports), free_port()
        with self._configuration.open("a") as configuration:
            configuration.write(f"[client.rgw.{number}]\n{options}\n")
        at = f"127.0.0.1:{port}"
        tls = f"ssl_endpoint={at} ssl_certificate={certificate} ssl_private_key={certificate}"
        self._ports.append(port)
        self._frontends.append(f"beast {tls if certificate else f'endpoint={at}'}")
        self.start_gateway(number)
        return f"{'https' if certificate else 'http'}://{at}"

    def user(self, *options: str) -> Keys:
        """Keys of a new user, whose name is the access key; they may make buckets, unless options say not."""
        name = f"user-{uuid.uuid4().hex[:12]}"
        made = self._run(
            "radosgw-admin",
            "user",
            "create",
            f"--uid={name}",
            "--display-name=A test",
            f"--access-key={name}",
            "--gen-secret",
            *options,
        )
        keys = json.loads(made)["keys"][0]
        return Keys(keys["access_key"], keys["secret_key"])

    def store(self) -> Store:
        """The first gateway, and a new user; ``tests.support.stores.new_bucket`` makes a bucket of theirs."""
        return Store(self.endpoints[0], self.user())

    def version(self) -> str:
        """Its version, as it says it."""
        said = self._run("ceph", "--version")
        found = re.search(r"\d+(?:\.\d+)+", said)
        assert found, said
        return found[0]

    def _life_of_osd(self) -> int:
        """Since which epoch the cluster counts it as up; 0 for one that never was."""
        return int(self._told("ceph", "osd", "dump", "--format=json")["osds"][0]["up_from"])

    def _told(self, *command: str) -> Any:
        return json.loads(self._asked(*command))

    def _asked(self, *command: str) -> str:
        """What the monitor answers; one that has just started answers EPERM for a moment."""
        for _ in range(_TRIES - 1):
            with contextlib.suppress(AssertionError):
                return self._run(*command)
            time.sleep(_WAIT_SECONDS)
        return self._run(*command)

    def _start(self, name: str, is_ready: Callable[[], bool], program: str, *arguments: str) -> None:
        """Start a daemon, and wait until it is ready.

        One that asks a monitor in a bad moment is told "wrong fsid", and ends; one
        that was killed may find a lock it left. Those are started again.
        """
        command = [program, "-f", *self._common(), *arguments]
        for left in reversed(range(_STARTS)):
            daemon = Program(name, command, self._folder / f"{name}.out", self._environment())
            self._running[name] = daemon
            try:
                daemon.await_ready(is_ready)
                break
            except AssertionError:
                if daemon.is_running or not left:
                    raise

    def _run(self, program: str, *arguments: str) -> str:
        ended = subprocess.run(
            [program, *self._common(), *arguments],
            env=self._environment(),
            capture_output=True,
            text=True,
            timeout=START_SECONDS,
            check=False,
        )
        assert ended.returncode == 0, f"{program}: {ended.stderr}"
        return ended.stdout

    def _common(self) -> list[str]:
        return ["-c", str(self._configuration)]

    @staticmethod
    def _environment() -> dict[str, str]:
        # Not the CEPH_ARGS of whoever runs this, which may name a cluster of theirs.
        return {"PATH": os.environ["PATH"], "LANG": "C.UTF-8"}


@contextlib.contextmanager
def running_ceph(gateways: int = 2, options: str = "") -> Iterator[Ceph]:
    """Start a cluster, and leave nothing of it.

    Args:
        gateways: How many gateways.
        options: Further lines of its configuration.
    """
    with scratch_folder("ceph-") as folder:
        ceph = Ceph(folder, gateways, options)
        try:
            ceph.start()
            yield ceph
        finally:
            ceph.stop()
