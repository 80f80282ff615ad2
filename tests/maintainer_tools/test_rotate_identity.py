"""`rotate --identity`: another secret opens everything, and at no step nobody does."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from functools import partial
from pathlib import Path

import pytest

from maintainer_tools import identity_rotation
from maintainer_tools.homes import find_home, open_identity
from maintainer_tools.identity_rotation import rotate_identity
from tests.support.killing import killed_at
from tests.support.maintaining import put, renames_refused, run, succeed
from tests.support.pods import TestPod
from vault.keys import FileKey
from vault.links import Invite
from vault.opening import Identity
from vault.policies import check_signer, check_successor, load_policy
from vault.reader import file_key_of
from vault.rekeying import format_rotation

ROTATE = ("rotate", "plants", "--identity")
NOTE = {"type": "Plant", "latinName": "Bellis perennis"}


def _identity(home: str | Path = "plants") -> Identity:
    return open_identity(find_home(Path(home)))


def _count(home: str | Path = "plants") -> int:
    """How many items a home opens, none of them with a fault."""
    assert run("check", home).out == "ok\n"
    return len(succeed("ls", home, "--json").lines)


def test_the_new_identity_alone_opens_everything(pod: TestPod, invite: Invite) -> None:
    """Old batches and new ones; the invite of before goes on; paper of the old one opens the pod no more."""
    put(pod, invite, NOTE)
    put(pod, invite, NOTE)
    first = load_policy(pod.folder)
    file_key = file_key_of(first, pod.keys.identity)

    ended = succeed(*ROTATE)

    new = _identity()
    assert new != pod.keys.identity
    policy = load_policy(pod.folder)
    assert [recipient.kid for recipient in policy.recipients] == [new.recipient.kid]
    assert (policy.signers, policy.signer) == ((new.signer,), new.signer)
    assert policy.revision > first.revision
    assert check_successor(first, policy)
    check_signer(policy, invite.signer)
    assert file_key_of(policy, new) == file_key
    put(pod, invite, NOTE)
    assert _count() == 3
    assert "Save it on paper now" in ended.err
    digits = pod.keys.identity.reveal().hex()
    assert Path("plants/identity.before").read_text() == f"{digits}\n"
    assert stat.S_IMODE(Path("plants/identity").stat().st_mode) == 0o600
    assert not Path("plants/identity.next").exists()
    succeed("snapshot", "plants", "copy")
    assert run("recover", "again", "--pod", "copy", stdin=f"{digits}\n").code == 12
    fresh = succeed("identity", "print", "plants").out
    succeed("recover", "again", "--pod", "copy", stdin=fresh)
    assert _count("again") == 3


def test_an_older_copy_still_needs_the_old_identity(pod: TestPod, invite: Invite) -> None:
    """Why the old file is kept, and said to be."""
    put(pod, invite, NOTE)
    succeed("snapshot", "plants", "copy")
    succeed(*ROTATE)
    old = Path("plants/identity.before").read_text()
    succeed("recover", "old", "--pod", "copy", stdin=old)
    assert _count("old") == 1


def test_what_comes_after_is_the_new_identitys(pod: TestPod, invite: Invite) -> None:
    """Invites are issued and revoked, the file key rotated, the identity again."""
    put(pod, invite, NOTE)
    succeed(*ROTATE)
    other = pod.home / "other"
    succeed("invite", "new", "plants", "--name", "late")
    succeed("invite", "revoke", "plants", "late", "--rotate")
    put(pod, invite, NOTE)
    ended = run(*ROTATE)
    assert (ended.code, "move that away" in ended.err) == (26, True)
    Path("plants/identity.before").rename(other)
    second = _identity()
    succeed(*ROTATE)
    assert _identity() != second
    put(pod, invite, NOTE)
    assert _count() == 3


def test_a_colleague_reads_on(pod: TestPod, invite: Invite) -> None:
    """They trust the signer of before, who endorsed the one of now."""
    put(pod, invite, NOTE)
    succeed("identity", "new", "ada")
    Path("ada.pub").write_bytes(succeed("identity", "public", "ada").raw)
    Path("plants.pub").write_bytes(succeed("identity", "public", "plants").raw)
    succeed("recipient", "add", "plants", "ada.pub", "--name", "ada")
    succeed(*ROTATE)
    put(pod, invite, NOTE)
    succeed("snapshot", "plants", "copy")
    succeed("join", "ada", "--pod", "copy", "--maintainer", "plants.pub")
    assert _count("ada") == 2
    names = [each["name"] for each in succeed("recipient", "ls", "plants", "--json").json]
    assert sorted(names, key=str) == [None, "ada"]


def test_a_passphrase_is_asked_for_again(
    pod: TestPod, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A protected identity is followed by a protected one."""
    (tmp_path / "secret").write_text("correct horse\n")
    monkeypatch.setenv("SHARED_POD_PASSPHRASE_FILE", str(tmp_path / "secret"))
    succeed("rotate", pod.home, "--identity", "--passphrase")
    for _ in range(2):
        assert Path("plants/identity").read_text().startswith("shared-pod-identity/v1 argon2id")
        Path("plants/identity.before").unlink()
        succeed(*ROTATE)


def test_an_identity_that_lies_elsewhere_is_replaced_there(pod: TestPod, tmp_path: Path) -> None:
    """Home's file may lead to an encrypted volume; nothing secret is written beside the link."""
    volume = tmp_path / "volume"
    volume.mkdir()
    (pod.home / "identity").rename(volume / "plants.identity")
    (pod.home / "identity").symlink_to(volume / "plants.identity")
    succeed("rotate", pod.home, "--identity")
    assert (pod.home / "identity").is_symlink()
    assert {path.name for path in volume.iterdir()} == {"plants.identity", "plants.identity.before"}
    assert {"identity.next", "identity.before"}.isdisjoint(path.name for path in pod.home.iterdir())


def test_killed_at_every_step_somebody_opens_everything(pod: TestPod, invite: Invite, tmp_path: Path) -> None:
    """Home's own identity does, whichever it is then; the same command goes on."""
    put(pod, invite, NOTE)
    seen = set()
    for step in range(1, 500):
        home = tmp_path / f"killed-{step}"
        subprocess.run(["cp", "-R", "--", pod.home, home], check=True)
        if not killed_at(step, partial(_rotate, home), home):
            assert step > 10
            break
        killed = TestPod(home, pod.keys, pod.policy)
        put(killed, invite, NOTE)
        assert _count(home) == 2
        seen.add(_stage(killed))
        again = run("rotate", home, "--identity")
        assert again.code == 0 or "the rotation before is finished" in again.err
        assert _stage(killed) == "finished"
        assert run("check", home).out == "ok\n"
        assert _identity(home) != pod.keys.identity
        shutil.rmtree(home)
    assert seen == {"nothing", "drawn", "both", "replaced", "finished"}


def _rotate(home: Path) -> None:
    found = find_home(home)
    identity = open_identity(found)
    rotate_identity(found, identity, ask_new_passphrase=lambda: None, entropy=os.urandom)


def _stage(pod: TestPod) -> str:
    count = len(load_policy(pod.folder).recipients)
    if (pod.home / "identity.next").exists():
        return "both" if count == 2 else "drawn"
    if not (pod.home / "identity.before").exists():
        return "nothing"
    return "replaced" if count == 2 else "finished"


def test_a_planted_wrap_stops_it_and_the_old_identity_stays(pod: TestPod, invite: Invite) -> None:
    """Who has the file key wrote a row for the coming recipient, once the policy named it."""
    put(pod, invite, NOTE)
    coming = Identity(os.urandom(32))
    (pod.home / "identity.next").write_text(f"{coming.reveal().hex()}\n")
    with pod.forging() as connection:
        connection.execute("INSERT INTO rewrap VALUES (1, ?, x'00')", (coming.recipient.kid,))
    assert run(*ROTATE).code == 23
    assert _identity() == pod.keys.identity
    assert _count() == 1


def test_what_stands_in_the_way_is_said(pod: TestPod, invite: Invite) -> None:
    """A copy, an interrupted rotation of the file key, an identity of another time."""
    put(pod, invite, NOTE)
    line = format_rotation(FileKey(bytes(32)), pod.keys.identity, pod.policy.pod_id)
    (pod.home / "rotation").write_bytes(line)
    ended = run(*ROTATE)
    assert (ended.code, "`rotate --file-key` again first" in ended.err) == (11, True)
    (pod.home / "rotation").unlink()

    (pod.home / "identity.before").write_text(f"{'ab' * 32}\n")
    (pod.home / "identity.next").write_text(f"{'cd' * 32}\n")
    ended = run(*ROTATE)
    assert (ended.code, "of another time" in ended.err) == (26, True)
    assert _identity() == pod.keys.identity
    (pod.home / "identity.before").unlink()

    log_key = (pod.folder.path / "log.key").read_bytes()
    (pod.folder.path / "log.key").unlink()
    assert run(*ROTATE).code == 10
    assert run("rewrap", "plants").code == 10
    (pod.folder.path / "log.key").write_bytes(log_key)
    succeed(*ROTATE)
    assert _count() == 1
    assert run("rotate", "plants", "--identity", "--file-key").code == 2


def test_an_edit_by_hand_is_signed_on_the_way(pod: TestPod, invite: Invite) -> None:
    """What is committed to the vault is a pair."""
    with pod.folder.pod_toml.open("a") as file:
        file.write("# by hand\n")
    succeed(*ROTATE)
    put(pod, invite, NOTE)
    assert _count() == 1
    assert load_policy(pod.folder).pod_toml.endswith(b"# by hand\n")


def test_a_rename_that_fails_leaves_the_old_identity(pod: TestPod) -> None:
    """It still opens everything; the same command goes on."""
    with renames_refused("identity.next"):
        assert run("rotate", pod.home, "--identity").code == 26
    assert _identity(pod.home) == pod.keys.identity
    assert _count(pod.home) == 0
    succeed("rotate", pod.home, "--identity")
    assert _identity(pod.home) != pod.keys.identity


def test_an_older_slots_json_put_there_on_the_way_is_not_followed(
    pod: TestPod, invite: Invite, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Signed by the old identity alone: the new one refuses it, and goes on from the newest."""
    put(pod, invite, NOTE)
    older = pod.folder.slots_json.read_bytes()
    replace = identity_rotation._replace
    newest = []

    def swap(files: identity_rotation.IdentityFiles) -> None:
        replace(files)
        newest.append(pod.folder.slots_json.read_bytes())
        pod.folder.slots_json.write_bytes(older)

    with monkeypatch.context() as patched:
        patched.setattr(identity_rotation, "_replace", swap)
        ended = run(*ROTATE)
    assert (ended.code, "never endorsed" in ended.err) == (24, True)
    assert pod.folder.slots_json.read_bytes() == older
    pod.folder.slots_json.write_bytes(newest[0])
    assert _count() == 1
    succeed(*ROTATE)
    assert len(load_policy(pod.folder).recipients) == 1
    assert _count() == 1
