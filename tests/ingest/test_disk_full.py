"""A disk that fills up under a running server: 507, nothing half stored, nothing acknowledged lost.

The pod lies on a small file system of its own, which only the server's mount
namespace has; what is on it is copied out when the server has stopped.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.pods import TestPod, make_pod
from tests.support.server import Response, serving

SMALL_DISK = """
trap : TERM
mount -t tmpfs -o size=1m tmpfs "$1" && cp -a "$2"/. "$1" || exit 99
shift 2
out=$1
shift
"$@"
code=$?
for disk in "$@"; do :; done
cp -a "$disk"/. "$out"
exit $code
"""


def _has_namespaces() -> bool:
    tried = subprocess.run(["unshare", "-rm", "true"], capture_output=True, check=False)
    return tried.returncode == 0


needs_namespaces = pytest.mark.skipif(
    not (shutil.which("unshare") and _has_namespaces()), reason="this machine gives no mount namespace"
)


def _fill(pod: TestPod, folder: Path) -> tuple[list[Response], Path]:
    """Send until the disk has been full for a while; return the answers and what was on the disk."""
    key = pod.invite().database_key.reveal().hex()
    disk, out = folder / "disk", folder / "out"
    disk.mkdir()
    out.mkdir()
    prefix = ["unshare", "-rm", "sh", "-c", SMALL_DISK, "sh", str(disk), str(pod.folder.path), str(out)]
    answers: list[Response] = []
    with serving(disk, prefix=prefix) as server:
        while [answer.status for answer in answers[-5:]] != [507] * 5 and len(answers) < 500:
            item = {"type": "Note", "id": f"item-{len(answers)}", "sha256": "x" * 4_000}
            answers.append(server.create_item(pod.owner, key, item))
        assert server.wait_for("commit_failed")["error"] == "DiskFullError"
        assert server.stop_group() == 0
    return answers, out


@needs_namespaces
def test_a_full_disk_is_507_and_keeps_what_was_acknowledged(tmp_path: Path) -> None:
    """Retrying does not help until the maintainer acts, so no Retry-After."""
    pod = make_pod(tmp_path / "home")
    answers, out = _fill(pod, tmp_path)
    shutil.rmtree(pod.folder.path)
    out.rename(pod.folder.path)
    acknowledged = [answer.json for answer in answers if answer.status == 200]
    full = [answer for answer in answers if answer.status == 507]

    assert {answer.status for answer in answers} == {200, 507}
    assert b"disk is full" in full[0].body
    assert "retry-after" not in full[0].headers
    assert len(acknowledged) > 10
    assert [item.id for item in pod.items()] == acknowledged
