"""A disk that fills up under a running server: 507, nothing half stored, nothing acknowledged lost.

The pod lies on a small file system of its own, which only the server's mount
namespace has. It is filled by the server's own items or by a file of somebody
else's; what is on it is copied out when the server has stopped.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.pods import TestPod, make_pod
from tests.support.server import Response, Server, serving
from tests.support.small_disk import NAMESPACE, WITHOUT, can_mount
from vault.notes import read_checkpoint

SMALL_DISK = """
trap : TERM
mount -t tmpfs -o size=4m tmpfs "$1" && cp -a "$2"/. "$1" || exit 99
shift 2
out=$1
shift
"$@"
code=$?
for disk in "$@"; do :; done
rm -f "$disk/filler"
cp -a "$disk"/. "$out"
exit $code
"""


pytestmark = pytest.mark.skipif(not can_mount(), reason=WITHOUT)


class _Small:
    """A server whose pod lies on a small disk of its own.

    Attributes:
        server: The server.
        acknowledged: Ids that were answered 200, in their order.
    """

    def __init__(self, pod: TestPod, key: str, server: Server, disk: Path) -> None:
        self.server = server
        self.acknowledged: list[str] = []
        self._owner, self._key = pod.owner, key
        self._sent = 0
        # The disk as the shell sees it, which is the first process of its namespace.
        self._filler = Path(f"/proc/{server.process.pid}/root{disk}/filler")

    def send(self, size: int) -> Response:
        """Send one item of about ``size`` bytes."""
        item = {"type": "Note", "id": f"item-{self._sent}", "sha256": "x" * size}
        self._sent += 1
        answer = self.server.create_item(self._owner, self._key, item)
        if answer.status == 200:
            self.acknowledged.append(answer.json)
        return answer

    def send_until_full(self, size: int) -> Response:
        """Send items until one is refused; return its answer."""
        answers = (self.send(size) for _ in range(500))
        return next(answer for answer in answers if answer.status != 200)

    def fill(self) -> None:
        """Have somebody else take every byte that is left."""
        with self._filler.open("ab", buffering=0) as filler, contextlib.suppress(OSError):
            while True:
                filler.write(bytes(4_096))

    def free(self) -> None:
        """Give it back."""
        self._filler.unlink()


@contextlib.contextmanager
def _small_disk(pod: TestPod, folder: Path, *options: str) -> Iterator[_Small]:
    """Serve ``pod`` from a small disk; afterwards its folder is what was on it."""
    key = pod.invite().database_key.reveal().hex()
    disk, out = folder / "disk", folder / "out"
    disk.mkdir()
    out.mkdir()
    prefix = [*NAMESPACE, "sh", "-c", SMALL_DISK, "sh", str(disk), str(pod.folder.path), str(out)]
    with serving(disk, prefix=prefix, options=options) as server:
        yield _Small(pod, key, server, disk)
    shutil.rmtree(pod.folder.path)
    out.rename(pod.folder.path)


def _stored_ids(pod: TestPod) -> list[str]:
    return [item.id for item in pod.items()]


def test_a_full_disk_is_507_and_keeps_what_was_acknowledged(tmp_path: Path) -> None:
    """Retrying does not help until the maintainer acts, so no Retry-After."""
    pod = make_pod(tmp_path / "home")
    with _small_disk(pod, tmp_path) as small:
        full = small.send_until_full(4_000)
        after = [small.send(4_000).status for _ in range(5)]
        assert small.server.wait_for("commit_failed")["error"] == "DiskFullError"
        assert small.server.stop_group() == 0

    assert full.status == 507
    assert b"disk is full" in full.body
    assert "retry-after" not in full.headers
    assert after == [507] * 5
    assert len(small.acknowledged) > 50
    assert _stored_ids(pod) == small.acknowledged


def test_what_is_kept_free_is_enough_for_an_orderly_stop(tmp_path: Path) -> None:
    """The log is moved into the vault and its head published: items filled the disk, but not all of it."""
    pod = make_pod(tmp_path / "home")
    with _small_disk(pod, tmp_path) as small:
        assert small.send_until_full(60_000).status == 507
        assert small.server.stop_group() == 0

    events = [line["event"] for line in small.server.events]
    assert "close_failed" not in events
    assert "vault_warning" not in events
    assert not pod.folder.wal.exists()
    assert read_checkpoint(pod.folder.log_head.read_bytes()).size == len(small.acknowledged)
    assert _stored_ids(pod) == small.acknowledged


def test_small_items_fit_where_a_large_one_does_not(tmp_path: Path) -> None:
    """What is needed is asked for each batch: a refusal of one says nothing of another."""
    pod = make_pod(tmp_path / "home")
    with _small_disk(pod, tmp_path) as small:
        assert small.send_until_full(500_000).status == 507
        assert small.send(10).status == 200
        assert small.server.stop_group() == 0

    assert _stored_ids(pod) == small.acknowledged


def test_a_disk_that_somebody_else_fills(tmp_path: Path) -> None:
    """507 at once, everything else goes on, and items are taken again as soon as there is room."""
    pod = make_pod(tmp_path / "home")
    with _small_disk(pod, tmp_path, "--metrics", "127.0.0.1:0") as small:
        server = small.server
        assert [small.send(4_000).status for _ in range(20)] == [200] * 20
        small.fill()

        assert [small.send(10).status for _ in range(3)] == [507] * 3
        assert server.request("GET", "/version").status == 200
        assert server.probe("/ready").status == 200
        assert b'shared_pod_requests_total{status="507"} 3.0' in server.probe("/metrics").body

        small.free()
        assert small.send(10).status == 200
        small.fill()
        assert small.send(10).status == 507
        assert server.stop_group() == 0

    assert len(server.events) == len(server.log.splitlines())
    assert _stored_ids(pod) == small.acknowledged
