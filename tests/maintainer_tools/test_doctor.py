"""`doctor` and what `serve` says first: each thing that can be wrong, and the command that mends it."""

from __future__ import annotations

import http.server
import os
import shlex
import shutil
import ssl
import stat
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import formatdate
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from maintainer_tools.findings import Finding, Mark
from maintainer_tools.ground import (
    IMPLAUSIBLE_SECONDS,
    examine_kind,
    examine_listening,
    examine_modes,
    examine_space,
    examine_sync,
    examine_versions,
    file_system_of,
)
from maintainer_tools.reach import examine_reach
from tests.support.certificates import self_signed
from tests.support.maintaining import put, run, succeed
from tests.support.pods import TestPod, make_pod
from tests.support.server import serving
from vault.pod import PodFolder

MACHINES = {"storage", "sync", "disk"}
"""Matters of the machine that runs the test; tried one by one below."""
NOW = 1_790_000_000.0


def _findings(*arguments: str | Path) -> dict[str, Finding]:
    """Matter to finding; the worst where there are several of one matter."""
    found: dict[str, Finding] = {}
    for members in run("doctor", *arguments, "--json").json["findings"]:
        finding = Finding(Mark(members["mark"]), members["matter"], members["sentence"], members["mend"])
        if finding.matter not in found or found[finding.matter].mark is Mark.OK:
            found[finding.matter] = finding
    return found


def _unwell(*arguments: str | Path) -> dict[str, Mark]:
    found = _findings(*arguments)
    return {
        matter: finding.mark
        for matter, finding in found.items()
        if finding.mark is not Mark.OK and matter not in MACHINES
    }


def test_a_new_home_needs_paper_an_audit_and_a_copy(pod: TestPod) -> None:
    """Nothing fails; what is to be done is named by the command that does it, and doing it settles it."""
    assert _unwell(pod.home, "--offline") == dict.fromkeys(("recovery", "audited", "snapshot"), Mark.WARN)

    succeed("recovery", "make", pod.home, "--shares", "3", "--needs", "2", "--out", "sheets")
    succeed("recovery", "drill", pod.home, "sheets/share-1-of-3.txt", "sheets/share-3-of-3.txt")
    put(pod, pod.invite(), {"type": "Note"})
    for matter in ("audited", "snapshot"):
        words = shlex.split(_findings(pod.home, "--offline")[matter].mend)
        assert words[0] == "shared-pod"
        succeed(*words[1:])

    assert _unwell(pod.home, "--offline") == {}


def test_a_servers_pod_is_asked_for_less(pod: TestPod) -> None:
    """No identity, shares or snapshots: those are home's."""
    found = _findings(pod.folder.path, "--offline")

    assert {"policy", "log.key", "secrets", "vault", "modes"} <= set(found)
    assert not {"identity", "recovery", "snapshot", "audited"} & set(found)
    assert _unwell(pod.folder.path, "--offline") == {}


def test_people_read_lines_and_scripts_an_exit_code(pod: TestPod) -> None:
    """A word, a matter, a sentence, and below it what to do."""
    pod.folder.log_key.chmod(0o644)

    ended = run("doctor", pod.folder.path, "--offline")

    assert ended.code == 3
    (at,) = [number for number, line in enumerate(ended.lines) if line.startswith("FAIL  modes")]
    assert "log.key" in ended.lines[at]
    mend = ended.lines[at + 1].partition("-> ")[2]
    subprocess.run(shlex.split(mend), check=True, timeout=30)
    assert stat.S_IMODE(pod.folder.log_key.stat().st_mode) == 0o600
    assert ", 0 failed" not in ended.err
    assert "modes" not in _unwell(pod.folder.path, "--offline")


def test_an_identity_that_others_may_read(pod: TestPod) -> None:
    """The one secret, under a lax umask or copied carelessly."""
    (pod.home / "identity").chmod(0o640)

    finding = _findings(pod.home, "--offline")["modes"]

    assert finding.mark is Mark.FAIL
    assert "identity" in finding.sentence


@pytest.mark.parametrize(
    "name",
    ["identity", "identity.next", "identity.before", "review.db", "field-team.invite", "share-1-of-3.txt"],
)
def test_what_opens_items_has_no_place_in_the_pods_folder(pod: TestPod, name: str) -> None:
    """A server that is taken over then opens everything after all."""
    stray = pod.folder.path / name
    stray.touch(0o600)

    finding = _findings(pod.folder.path, "--offline")["secrets"]

    assert finding.mark is Mark.FAIL
    assert name in finding.sentence
    subprocess.run(shlex.split(finding.mend), check=True, timeout=30)
    assert not stray.exists()


def test_a_copy_cannot_be_served(pod: TestPod) -> None:
    """Without its log key, or with another pod's."""
    key = pod.folder.log_key
    other = make_pod(Path("other")).folder.log_key
    key.write_bytes(other.read_bytes())
    assert _findings(pod.folder.path, "--offline")["log.key"].mark is Mark.FAIL
    key.write_bytes(b"nothing\n")
    assert _findings(pod.folder.path, "--offline")["log.key"].mark is Mark.FAIL
    key.unlink()
    assert _findings(pod.folder.path, "--offline")["log.key"].mark is Mark.WARN


def test_an_edit_by_hand_is_signed_by_the_command_that_is_named(pod: TestPod) -> None:
    """Until then the server goes by what was signed."""
    pod.folder.pod_toml.write_text(pod.folder.pod_toml.read_text() + "# by hand\n")

    finding = _findings(pod.home, "--offline")["policy"]
    assert finding.mark is Mark.FAIL
    succeed(*shlex.split(finding.mend)[1:])

    assert _findings(pod.home, "--offline")["policy"].mark is Mark.OK


def test_a_policy_that_is_no_policy(pod: TestPod) -> None:
    """Nothing here can mend that; what depends on it says so, and nothing else falls over."""
    pod.folder.slots_json.write_bytes(b"{}")

    found = _findings(pod.home)

    assert found["policy"].mark is Mark.FAIL
    assert "from a snapshot" in found["policy"].mend
    assert found["log.key"].mark is Mark.WARN
    assert found["identity"].mark is Mark.FAIL
    pod.folder.pod_toml.write_bytes(b"\xff")
    assert _findings(pod.home)["url"].mark is Mark.WARN


@pytest.mark.parametrize(
    ("content", "word"), [(b"", "empty"), (b"SQLite format 3\0" + b"\0" * 4080, "not encrypted")]
)
def test_a_vault_that_is_none(pod: TestPod, content: bytes, word: str) -> None:
    """Seen without any key; and with the identity by the pod's own."""
    pod.folder.vault.write_bytes(content)

    found = _findings(pod.home, "--offline")

    assert word in found["vault"].sentence
    assert found["vault"].mark is found["vault key"].mark is Mark.FAIL


def test_a_pipe_in_place_of_the_vault_is_not_waited_for(pod: TestPod) -> None:
    """Whoever can write the folder could keep a maintainer's terminal for ever."""
    pod.folder.vault.unlink()
    os.mkfifo(pod.folder.vault, 0o600)

    assert _findings(pod.folder.path, "--offline")["vault"].mark is Mark.FAIL


def test_another_pods_vault(pod: TestPod) -> None:
    """It is encrypted, and not for this home."""
    shutil.copy(make_pod(Path("other")).folder.vault, pod.folder.vault)

    found = _findings(pod.home, "--offline")

    assert found["vault"].mark is Mark.OK
    assert found["vault key"].mark is Mark.FAIL


def test_an_identity_behind_a_passphrase_that_nobody_can_give(pod: TestPod) -> None:
    """A script has no terminal: it is told how, and the rest is examined."""
    (pod.home / "identity").unlink()

    found = _findings(pod.home, "--offline")

    assert found["identity"].mark is Mark.WARN
    assert "snapshot" in found


def test_an_identity_that_is_damaged(pod: TestPod) -> None:
    """What was found, and where another can come from."""
    (pod.home / "identity").write_text("zz\n")

    assert _findings(pod.home, "--offline")["identity"].mark is Mark.FAIL


def test_a_record_of_recovery_that_cannot_be_read(pod: TestPod) -> None:
    """It is not guessed at."""
    (pod.home / "recovery.json").mkdir()

    assert _findings(pod.home, "--offline")["recovery"].mark is Mark.FAIL


def test_old_snapshots_and_audits_are_said(pod: TestPod, tmp_path: Path) -> None:
    """Of this pod only, wherever they are kept."""
    (tmp_path / "kept").mkdir()
    succeed("snapshot", pod.home, "kept/mine")
    succeed("snapshot", make_pod(Path("other")).home, "kept/theirs")
    (tmp_path / "kept" / "notes").mkdir()
    (pod.home / "seen.checkpoint").touch()
    long_ago = time.time() - 40 * 86_400
    os.utime("kept/mine", (long_ago, long_ago))
    os.utime(pod.home / "seen.checkpoint", (long_ago, long_ago))

    found = _findings(pod.home, "--offline", "--snapshots", "kept")
    assert found["snapshot"].sentence == "the newest of 1 was taken 40 days ago"
    assert found["snapshot"].mark is found["audited"].mark is Mark.WARN
    assert (
        "none of this pod" in _findings(pod.home, "--offline", "--snapshots", "nowhere")["snapshot"].sentence
    )


def test_a_clock_behind_its_own_files(pod: TestPod) -> None:
    """Items would be received before the pod was made."""
    soon = time.time() + 3600
    os.utime(pod.folder.slots_json, (soon, soon))

    finding = _findings(pod.folder.path, "--offline")["clock"]

    assert finding.mark is Mark.FAIL
    assert "behind" in finding.sentence


def test_a_file_of_another_user(pod: TestPod) -> None:
    """What root put there, the server cannot read."""
    is_root = not os.getuid()
    # Only root can give a file away; for everybody else one of root's stands for it.
    strange = pod.folder.slots_json if is_root else Path("/etc/passwd")
    if is_root:
        os.chown(strange, 12_345, 12_345)
    finding = {found.matter: found for found in examine_modes([pod.folder.path, strange])}["owner"]
    assert finding.mark is Mark.FAIL
    assert finding.sentence == f"{strange.name}: of another user than the folder"
    assert shlex.split(finding.mend) == ["chown", f"--reference={pod.folder.path}", str(strange)]

    if is_root:
        subprocess.run(shlex.split(finding.mend), check=True, timeout=30)
        assert "owner" not in _findings(pod.folder.path, "--offline")


def test_names_in_a_pods_folder_are_hostile(pod: TestPod) -> None:
    """They could move the cursor of whoever reads the report."""
    (pod.folder.path / "\x1b[2J.invite").touch(0o600)

    ended = run("doctor", pod.folder.path, "--offline")

    assert "\x1b" not in ended.out
    assert "\\x1b[2J.invite" in ended.out


# The ground


def test_what_is_gone_meanwhile_has_no_mode(tmp_path: Path) -> None:
    """A server that closes its vault takes files away while they are looked at."""
    assert list(examine_modes([tmp_path / "vault.db-wal"])) == []


def test_a_package_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """A home on a laptop needs no server."""
    monkeypatch.setattr("maintainer_tools.ground._PACKAGES", ("no-such-package",))

    assert "no-such-package not installed" in examine_versions().sentence


class _Usage(NamedTuple):
    free: int


@pytest.mark.parametrize(
    ("free", "mark"), [(10 << 30, Mark.OK), (512 << 20, Mark.WARN), (1 << 20, Mark.FAIL)]
)
def test_room_on_the_disk(pod: TestPod, monkeypatch: pytest.MonkeyPatch, free: int, mark: Mark) -> None:
    """A gibibyte may go into the log while a snapshot is taken."""
    monkeypatch.setattr(shutil, "disk_usage", lambda _: _Usage(free))

    assert examine_space(pod.folder).mark is mark


@pytest.mark.parametrize(
    ("kind", "mark"),
    [("ext4", Mark.OK), ("tmpfs", Mark.FAIL), ("nfs4", Mark.WARN), ("fuse.sshfs", Mark.WARN)],
)
def test_kinds_of_file_systems(pod: TestPod, tmp_path: Path, kind: str, mark: Mark) -> None:
    """The one mounted last and nearest counts."""
    mounts = tmp_path / "mountinfo"
    place = str(pod.home.resolve()).replace(" ", "\\040")
    lines = [
        "22 1 8:1 / / rw - ext4 /dev/a rw",
        f"23 22 0:1 / {place} rw - xfs x rw",
        f"24 23 0:2 / {place} rw shared:1 - {kind} x rw",
        "25 22 0:3 / /elsewhere rw - proc x rw",
    ]
    mounts.write_text("\n".join(lines) + "\n")

    assert examine_kind(pod.folder, mounts).mark is mark
    assert file_system_of(pod.folder.path.resolve(), tmp_path / "none") == "unknown"


@pytest.mark.parametrize(("seconds", "mark"), [(0.002, Mark.OK), (IMPLAUSIBLE_SECONDS / 20, Mark.WARN)])
def test_an_fsync_too_fast_to_be_true(pod: TestPod, seconds: float, mark: Mark) -> None:
    """By a clock that the test moves; nothing of the probe stays."""
    ticks = iter(range(1000))
    before = sorted(os.listdir(pod.folder.path))

    assert examine_sync(pod.folder, lambda: next(ticks) * seconds).mark is mark
    assert sorted(os.listdir(pod.folder.path)) == before


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    """Named, not raised: the rest is examined too."""
    assert examine_sync(PodFolder(tmp_path / "gone"), time.perf_counter).mark is Mark.FAIL


@pytest.mark.parametrize(
    ("host", "mark"),
    [
        *[("127.0.0.1", Mark.OK), ("::1", Mark.OK), ("localhost", Mark.OK)],
        *[("0.0.0.0", Mark.WARN), ("::", Mark.WARN), ("pod.example.org", Mark.WARN), ("", Mark.WARN)],  # noqa: S104
    ],
)
def test_who_can_overhear(host: str, mark: Mark) -> None:
    """Anything but loopback is in clear on some wire."""
    assert examine_listening(host).mark is mark


# The server at the url


class _Said(http.server.BaseHTTPRequestHandler):
    """Answers with what the test put into the server."""

    def do_GET(self) -> None:
        body, date = self.server.said  # type: ignore[attr-defined]
        self.send_response_only(200)
        if date is not None:
            self.send_header("Date", date)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@contextmanager
def _answering(body: bytes, date: str | None, pem: Path | None = None) -> Iterator[int]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Said)
    server.said = body, date  # type: ignore[attr-defined]
    if pem:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pem)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _reached(url: str, now: float = NOW) -> dict[str, Mark]:
    return {finding.matter: finding.mark for finding in examine_reach(url, now)}


OURS = b'{"service": "shared-pod", "cargo": "1"}'


def test_a_real_server_answers(pod: TestPod) -> None:
    """At the url of pod.toml, with a clock that agrees."""
    with serving(pod.folder.path.resolve()) as server:
        found = _reached(f"http://127.0.0.1:{server.port}", time.time())

    assert found["url"] is found["server"] is Mark.OK
    assert found.get("clocks", Mark.OK) is Mark.OK


@pytest.mark.parametrize(
    ("body", "mark"),
    [
        (OURS, Mark.OK),
        (b"<html>", Mark.FAIL),
        (b"[]", Mark.FAIL),
        (b"[" * 60_000, Mark.FAIL),
        (b"{}", Mark.FAIL),
    ],
)
def test_what_answers_may_be_anything(body: bytes, mark: Mark) -> None:
    """Another program's page, or a bomb."""
    with _answering(body, None) as port:
        assert _reached(f"http://127.0.0.1:{port}") == {"url": Mark.OK, "server": mark}


@pytest.mark.parametrize(
    ("date", "mark"),
    [
        (formatdate(NOW + 5, usegmt=True), Mark.OK),
        (formatdate(NOW - 3600, usegmt=True), Mark.WARN),
        ("x", None),
    ],
)
def test_two_clocks_are_compared(date: str, mark: Mark | None) -> None:
    """By the Date header, where there is a good one."""
    with _answering(OURS, date) as port:
        assert _reached(f"http://localhost:{port}").get("clocks") is mark


def test_a_certificate_nobody_trusts(tmp_path: Path) -> None:
    """TLS that anybody could have set up is none."""
    with _answering(OURS, None, self_signed(tmp_path / "both.pem")) as port:
        assert _reached(f"https://localhost:{port}") == {"url": Mark.OK, "tls": Mark.FAIL}


def test_a_certificate_that_ends_soon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Good for a day: whoever renews it has stopped."""
    pem = self_signed(tmp_path / "both.pem")
    trusting = ssl.create_default_context(cafile=pem)
    trusting.check_hostname = False
    monkeypatch.setattr(ssl, "create_default_context", lambda: trusting)
    with _answering(OURS, None, pem) as port:
        assert _reached(f"https://localhost:{port}", time.time())["tls"] is Mark.WARN
        assert _reached(f"https://localhost:{port}", time.time() - 60 * 86_400)["tls"] is Mark.OK


def test_nobody_answers_and_nobody_is_named() -> None:
    """Refused connections, and pods without a url; a name in clear is a fault of its own."""
    with _answering(OURS, None) as port:
        pass
    assert _reached(f"http://127.0.0.1:{port}")["server"] is Mark.FAIL
    assert _reached("") == {"url": Mark.WARN}
    assert _reached("http://pod.invalid") == {"url": Mark.FAIL, "server": Mark.FAIL}
