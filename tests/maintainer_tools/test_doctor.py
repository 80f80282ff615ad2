"""`doctor` and what `serve` says first: each thing that can be wrong, and the command that mends it."""

from __future__ import annotations

import os
import shlex
import shutil
import stat
import subprocess
import time
from pathlib import Path

import pytest

from maintainer_tools.findings import Finding, Mark
from maintainer_tools.ground import (
    examine_modes,
)
from tests.support.maintaining import put, run, succeed
from tests.support.pods import TestPod, make_pod

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
        assert words[1:3] == ["-m", "maintainer_tools"]
        succeed(*words[3:])

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
    subprocess.run(shlex.split(mend), check=True, timeout=60)
    assert stat.S_IMODE(pod.folder.log_key.stat().st_mode) == 0o600
    assert ", 0 failed" not in ended.err
    assert "modes" not in _unwell(pod.folder.path, "--offline")


@pytest.mark.parametrize("name", ["identity", "function.key"])
def test_a_key_that_others_may_read(pod: TestPod, name: str) -> None:
    """The one secret, or what signs promises, under a lax umask or copied carelessly."""
    (pod.home / name).touch()
    (pod.home / name).chmod(0o640)

    finding = _findings(pod.home, "--offline")["modes"]

    assert finding.mark is Mark.FAIL
    assert name in finding.sentence


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
    subprocess.run(shlex.split(finding.mend), check=True, timeout=60)
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
    succeed(*shlex.split(finding.mend)[3:])

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
    day = time.strftime("%Y-%m-%d", time.gmtime(long_ago))
    assert found["snapshot"].sentence == f"the newest of 1 was taken {day}"
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
    assert finding.sentence == f"{strange.name}: of another user than pod"
    assert shlex.split(finding.mend) == ["chown", f"--reference={pod.folder.path}", str(strange)]

    if is_root:
        subprocess.run(shlex.split(finding.mend), check=True, timeout=60)
        assert "owner" not in _findings(pod.folder.path, "--offline")


def test_names_in_a_pods_folder_are_hostile(pod: TestPod) -> None:
    """They could move the cursor of whoever reads the report."""
    (pod.folder.path / "\x1b[2J.invite").touch(0o600)

    ended = run("doctor", pod.folder.path, "--offline")

    assert "\x1b" not in ended.out
    assert "\\x1b[2J.invite" in ended.out
