"""What a pod stands on: its files' modes and owners, its disk, that disk's fsync, the clock.

Needs no key and opens nothing that is encrypted. `serve` asks when it starts,
`doctor` at any time. The only thing written is a nameless file that is gone
when it is closed.
"""

from __future__ import annotations

import contextlib
import ipaddress
import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from maintainer_tools.console import pasteable
from maintainer_tools.findings import Finding, doubt, fault, ok
from vault.pod import PodFolder

SCARCE_BYTES = 1 << 30
"""A vault's write-ahead log may reach this while a snapshot is taken."""
SPENT_BYTES = 64 << 20
IMPLAUSIBLE_SECONDS = 15e-6
"""A write that reaches a medium takes longer: the fastest drives twice that, a RAM disk a tenth."""
LATE_SECONDS = 60.0
SYNCS = 5

_PROBE = b"\0" * 4096
_VOLATILE = frozenset({"tmpfs", "ramfs"})
_REMOTE = frozenset({"nfs", "nfs4", "cifs", "smb3", "9p", "fuse.sshfs", "fuse.rclone", "fuse.s3fs"})
_PACKAGES = ("granian", "litestar", "sqlcipher3", "cryptography")


def examine_versions() -> Finding:
    """Name the versions that run."""
    found = [f"{name} {_version(name)}" for name in ("shared-pod", *_PACKAGES)]
    return ok("versions", f"{', '.join(found)}, Python {sys.version.split()[0]}")


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches what listens at ``host``."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def examine_listening(host: str) -> Finding:
    """Look who can reach, and overhear, a server that listens at ``host``."""
    if is_loopback(host):
        return ok("listening", f"at {host}, which only this machine reaches")
    return doubt(
        "listening",
        f"at {host or 'every address'}, in clear: whoever is on the way reads keys and items",
        "listen at 127.0.0.1 behind a proxy that speaks TLS: docs/deploy.md",
    )


def examine_ground(pod: PodFolder, clock: Callable[[], float], now_seconds: float) -> Iterator[Finding]:
    """Examine one pod's folder.

    Args:
        pod: The folder; it exists.
        clock: Monotone seconds, to time an fsync with.
        now_seconds: Since 1970.
    """
    yield from examine_modes(_files_of(pod))
    yield examine_time(pod, now_seconds)
    yield examine_space(pod)
    yield examine_kind(pod)
    yield examine_sync(pod, clock)


def _files_of(pod: PodFolder) -> list[Path]:
    return [pod.path, *sorted(path for path in pod.path.iterdir() if not path.is_symlink())]


def examine_modes(paths: Iterable[Path]) -> Iterator[Finding]:
    """Look who may read files that are nobody else's, and whether one user owns them all."""
    found = list(_statuses(paths))
    if not found:
        return
    open_to_others = [path for path, status in found if stat.S_IMODE(status.st_mode) & 0o077]
    first, status = found[0]
    strangers = [path for path, other in found if other.st_uid != status.st_uid]
    if open_to_others:
        names = ", ".join(path.name for path in open_to_others)
        yield fault(
            "modes", f"others on this machine may read {names}", pasteable("chmod", "go=", *open_to_others)
        )
    else:
        names = ", ".join(path.name for path, _ in found)
        what = f"{first.name} and what is in it ({len(found) - 1})" if stat.S_ISDIR(status.st_mode) else names
        yield ok("modes", f"only one user may read {what}")
    if strangers:
        names = ", ".join(path.name for path in strangers)
        owner = f"--reference={first}"
        yield fault(
            "owner", f"{names}: of another user than {first.name}", pasteable("chown", owner, *strangers)
        )


def _statuses(paths: Iterable[Path]) -> Iterator[tuple[Path, os.stat_result]]:
    for path in paths:
        # A server that closes its vault takes files away meanwhile.
        with contextlib.suppress(FileNotFoundError):
            yield path, path.lstat()


def examine_time(pod: PodFolder, now_seconds: float) -> Finding:
    """Compare the clock with the newest file: time does not run backwards."""
    newest = max(status.st_mtime for _, status in _statuses(_files_of(pod)))
    if newest > now_seconds + LATE_SECONDS:
        behind = round(newest - now_seconds)
        return fault(
            "clock", f"it is {behind} s behind the newest file of the pod", "timedatectl set-ntp true"
        )
    return ok("clock", "it is not behind the pod's files")


def examine_space(pod: PodFolder) -> Finding:
    """Look how much room is left."""
    free = shutil.disk_usage(pod.path).free
    sentence = f"{_size(free)} are free where the pod lies"
    if free < SPENT_BYTES:
        return fault("disk", sentence, f"free at least {_size(SCARCE_BYTES)}, or move the pod")
    if free < SCARCE_BYTES:
        return doubt("disk", sentence, f"free at least {_size(SCARCE_BYTES)}, or move the pod")
    return ok("disk", sentence)


def _size(count: int) -> str:
    return f"{count / (1 << 30):.1f} GiB" if count >= 1 << 30 else f"{count >> 20} MiB"


def examine_kind(pod: PodFolder, mounts: Path = Path("/proc/self/mountinfo")) -> Finding:
    """Look on what kind of file system the pod lies."""
    kind = file_system_of(pod.path.resolve(), mounts)
    if kind in _VOLATILE:
        return fault("storage", f"the pod lies in memory ({kind}): a restart loses it", "move it to a disk")
    if kind in _REMOTE:
        return doubt(
            "storage",
            f"the pod lies on a network file system ({kind}), which may lose locks and syncs",
            "move it to a local disk, and copy snapshots to the network",
        )
    return ok("storage", f"the file system is {kind}")


def file_system_of(path: Path, mounts: Path) -> str:
    """The kind of file system ``path`` lies on, by its longest mount point; proc_pid_mountinfo(5)."""
    try:
        lines = mounts.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return "unknown"
    best, kind = Path(), "unknown"
    for line in lines:
        before, _, after = line.partition(" - ")
        point = Path(before.split(" ")[4].replace("\\040", " "))
        # The last of equal ones lies on top.
        if path.is_relative_to(point) and len(point.parts) >= len(best.parts):
            best, kind = point, after.split(" ")[0]
    return kind


def examine_sync(pod: PodFolder, clock: Callable[[], float]) -> Finding:
    """Time an fsync: one that is too fast to be true does not keep what was acknowledged."""
    try:
        seconds = _sync_seconds(pod.path, clock)
    except OSError as exc:
        return fault(
            "sync", f"this user cannot write there: {exc.strerror}", "serve as the user who owns the folder"
        )
    sentence = f"an fsync takes {seconds * 1000:.3f} ms"
    if seconds < IMPLAUSIBLE_SECONDS:
        return doubt(
            "sync",
            f"{sentence}, too little to reach a disk: a power cut may lose acknowledged items",
            "move the pod to a disk that syncs; a cache that lies must be switched off",
        )
    return ok("sync", sentence)


def _sync_seconds(folder: Path, clock: Callable[[], float]) -> float:
    took = []
    with tempfile.TemporaryFile(dir=folder, buffering=0) as probe:
        for _ in range(SYNCS):
            probe.write(_PROBE)
            began = clock()
            os.fsync(probe.fileno())
            took.append(clock() - began)
    return sorted(took)[SYNCS // 2]
