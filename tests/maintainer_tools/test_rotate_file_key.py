"""`rotate --file-key`: another key of the vault, whatever happens on the way."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from functools import partial
from pathlib import Path

import pytest

from maintainer_tools.file_key_rotation import rotate_file_key
from maintainer_tools.homes import changing, find_home, open_identity
from tests.support.killing import killed_at
from tests.support.maintaining import put, renames_refused, run, succeed
from tests.support.pods import PATIENCE, TestPod
from vault.database import connect_read
from vault.errors import LockedError, VaultError, WrongKeyError
from vault.files import replace_file
from vault.keys import FileKey
from vault.links import Invite
from vault.locks import Patience, copying, hold_vault
from vault.pod import PodFolder
from vault.policies import Policy, check_successor, load_policy
from vault.reader import file_key_of
from vault.rekeying import format_rotation
from vault.slots import OpenedSlot, lookup_of, open_slot

ROTATE = ("rotate", "plants", "--file-key")
NOTE = {"type": "Plant", "latinName": "Bellis perennis"}


def _policy(pod: TestPod) -> Policy:
    return load_policy(pod.folder)


def _slot(pod: TestPod, invite: Invite) -> OpenedSlot:
    policy = _policy(pod)
    key = invite.database_key
    return open_slot(policy.slot_by_lookup[lookup_of(key, policy.pod_id)], key, policy.pod_id)


def _rows(folder: PodFolder, file_key: FileKey) -> list[object]:
    with connect_read(folder.vault, file_key) as rows:
        tables = [name for (name,) in rows.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
        return [rows.execute(f"SELECT * FROM {table} ORDER BY 1, 2") for table in tables]


def _count(home: str | Path = "plants") -> int:
    assert run("check", home).code == 0
    return len(succeed("ls", home, "--json").lines)


def test_every_row_is_the_same_under_another_key(pod: TestPod, invite: Invite) -> None:
    """The old key opens nothing any more; the invite, which nobody touched, does."""
    put(pod, invite, NOTE, NOTE)
    old_key, before = _slot(pod, invite).file_key, _policy(pod)
    rows = _rows(pod.folder, old_key)

    ended = succeed(*ROTATE)

    new_key = _slot(pod, invite).file_key
    assert new_key != old_key
    assert file_key_of(_policy(pod), pod.keys.identity) == new_key
    assert _rows(pod.folder, new_key) == rows
    with pytest.raises(WrongKeyError):
        _rows(pod.folder, old_key)
    assert check_successor(before, _policy(pod))
    assert "Every open invite goes on working" in ended.err
    put(pod, invite, NOTE)
    assert _count() == 3
    names = {path.name for path in pod.folder.path.iterdir()}
    assert names.isdisjoint({"vault.db.new", "vault.db-wal", "rotation"})
    assert not (pod.home / "rotation").exists()


def test_a_tombstone_stays_one(pod: TestPod, invite: Invite) -> None:
    """Revoked slots get no wrap of the new key; expired and limited ones keep their limits."""
    other = pod.invite("other", max_items=3)
    pod.revoke(invite)
    succeed(*ROTATE)
    tombstone, limited = _policy(pod).slots
    assert (tombstone.wrap, tombstone.is_open) == (None, False)
    assert limited.caveats is not None
    assert limited.caveats.max_items == 3
    put(pod, other, NOTE)
    assert [line.split()[2] for line in succeed("invite", "ls", "plants").lines] == ["revoked", "open"]


def test_a_pod_that_was_never_written_is_rotated(pod: TestPod) -> None:
    """No batch, no log.head."""
    succeed("rotate", pod.home, "--file-key")
    assert _count() == 0


def test_revoke_with_rotate_does_both(pod: TestPod, invite: Invite) -> None:
    """What the holder could have unwrapped opens no later copy."""
    other = pod.invite("other")
    put(pod, invite, NOTE)
    unwrapped = _slot(pod, invite).file_key
    ended = succeed("invite", "revoke", "plants", "field-team", "--rotate")
    assert "Revoked field-team" in ended.err
    assert not _policy(pod).slots[0].is_open
    with pytest.raises(WrongKeyError):
        _rows(pod.folder, unwrapped)
    put(pod, other, NOTE)
    # Once more: revoked before, rotated again.
    second = _slot(pod, other).file_key
    assert "revoked before" in succeed("invite", "revoke", "plants", "field-team", "--rotate").err
    assert _slot(pod, other).file_key != second


def test_it_says_what_to_replace(pod: TestPod) -> None:
    """Nothing is replaced by accident."""
    assert pod.home.exists()
    ended = run("rotate", "plants")
    assert (ended.code, "--file-key" in ended.err) == (2, True)


def test_a_vault_somebody_writes_is_left_alone(pod: TestPod, invite: Invite) -> None:
    """A server that does not look at requests keeps its vault, as it is."""
    put(pod, invite, NOTE)
    before = pod.folder.vault.read_bytes()
    found, patience = find_home(pod.home), Patience(0.1, time.monotonic, time.sleep)
    with (
        hold_vault(pod.folder.path),
        changing(found, pod.keys.identity) as change,
        pytest.raises(LockedError, match="has not"),
    ):
        rotate_file_key(found, change, pod.keys.identity, entropy=os.urandom, patience=patience)
    assert pod.folder.vault.read_bytes() == before


def test_a_revocation_is_in_force_though_the_rotation_fails(
    pod: TestPod, invite: Invite, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It comes first, and is published."""

    def refuse(*_: object, **__: object) -> None:
        raise LockedError("somebody has it")

    assert invite.slot == 1
    monkeypatch.setattr("maintainer_tools.invite.rotate_file_key", refuse)
    ended = run("invite", "revoke", "plants", "field-team", "--rotate")
    assert (ended.code, "Revoked field-team" in ended.err) == (11, True)
    assert not _policy(pod).slots[0].is_open


def test_a_copy_is_not_rotated(pod: TestPod) -> None:
    """Its server would go on with the old key, and lock everybody out with the new slots.json."""
    (pod.folder.path / "log.key").unlink()
    ended = run(*ROTATE)
    assert (ended.code, "it is a copy" in ended.err) == (10, True)


def test_what_a_killed_server_left_in_its_log_is_kept(pod: TestPod, tmp_path: Path) -> None:
    """The write-ahead log moves in first, and none of the old key lies beside the new vault."""
    slot = pod.slot("other")
    crashed = pod.crash_after(tmp_path / "crashed", pod.submission(slot, type="Plant"))
    succeed("rotate", crashed.home, "--file-key")
    assert _count(crashed.home) == 1


def test_killed_at_every_step_the_same_command_goes_on(pod: TestPod, invite: Invite, tmp_path: Path) -> None:
    """Whatever stands after the kill opens under the key somebody has, or finishing makes it so."""
    put(pod, invite, NOTE)
    disagreed = 0
    for step in range(1, 500):
        home = tmp_path / f"killed-{step}"
        subprocess.run(["cp", "-R", "--", pod.home, home], check=True)
        if not killed_at(step, partial(_rotate, home), home):
            assert step > 10
            break
        killed = TestPod(home, pod.keys, pod.policy)
        disagreed += not _is_agreed(killed)
        succeed("rotate", home, "--file-key")
        assert not (home / "rotation").exists()
        assert {path.name for path in killed.folder.path.iterdir()}.isdisjoint({"vault.db.new"})
        put(killed, invite, NOTE)
        assert _count(home) == 2
        shutil.rmtree(home)
    assert disagreed > 0


def _rotate(home: Path) -> None:
    found = find_home(home)
    identity = open_identity(found)
    with changing(found, identity) as change:
        rotate_file_key(found, change, identity, entropy=os.urandom)


def _is_agreed(pod: TestPod) -> bool:
    """Whether vault.db opens under slots.json's key. If not, tools say what to do, and home has the key."""
    try:
        _rows(pod.folder, file_key_of(_policy(pod), pod.keys.identity))
    except WrongKeyError:
        ended = run("ls", pod.home)
        assert (ended.code, "run `rotate --file-key` again" in ended.err) == (11, True)
        assert (pod.home / "rotation").exists()
        return False
    assert run("check", pod.home).code == 0
    return True


def test_an_invite_made_between_is_taken_along(pod: TestPod, invite: Invite, tmp_path: Path) -> None:
    """Another command may run before the interrupted one is run again."""
    put(pod, invite, NOTE)
    _killed_between(pod)
    link = succeed("invite", "new", "plants", "--name", "late", "--url", "http://127.0.0.1:1").out.strip()
    assert link
    succeed(*ROTATE)
    assert [slot.is_open for slot in _policy(pod).slots] == [True, True]
    put(pod, invite, NOTE)
    assert _count() == 2
    assert tmp_path.exists()


def _killed_between(pod: TestPod) -> None:
    """Leave what a kill between the two renames leaves."""
    slots_json = pod.folder.slots_json.read_bytes()
    old = _policy(pod)
    succeed("rotate", pod.home, "--file-key")
    new_key = file_key_of(_policy(pod), pod.keys.identity)
    pod.folder.slots_json.write_bytes(slots_json)
    (pod.home / "rotation").write_bytes(format_rotation(new_key, pod.keys.identity, old.pod_id))


def test_an_upgrade_finds_the_key_of_an_interrupted_rotation(pod: TestPod, invite: Invite) -> None:
    """The next version may come in between: `rotate` wants its format, so `upgrade` must open the vault."""
    put(pod, invite, NOTE)
    _killed_between(pod)

    assert "nothing to do" in succeed("upgrade", "plants").err

    succeed(*ROTATE)
    assert "nothing to do" in succeed("upgrade", "plants").err
    assert _count() == 1


def test_what_was_begun_is_not_believed_unread(pod: TestPod, invite: Invite) -> None:
    """A rotation of another identity, of a later format, or garbage: nothing is changed."""
    put(pod, invite, NOTE)
    _killed_between(pod)
    whole = (pod.home / "rotation").read_bytes()
    before = pod.folder.vault.read_bytes()
    for content, code in (
        (b"x\n", 25),
        (b"shared-pod-rotation/v2 x\n", 14),
        (whole[:-40] + b"AAAA" + whole[-36:], 23),
    ):
        (pod.home / "rotation").write_bytes(content)
        assert run(*ROTATE).code == code
        assert pod.folder.vault.read_bytes() == before
    (pod.home / "rotation").write_bytes(whole)
    succeed(*ROTATE)
    assert _count() == 1


def test_an_older_slots_json_is_not_rotated_from(pod: TestPod, invite: Invite) -> None:
    """Somebody who may write the folder puts back the slots.json in which they were not revoked."""
    put(pod, invite, NOTE)
    older = pod.folder.slots_json.read_bytes()
    pod.revoke(invite)
    put(pod, pod.invite("other"), NOTE)
    pod.folder.slots_json.write_bytes(older)
    ended = run(*ROTATE)
    assert (ended.code, "is older or of another line" in ended.err) == (24, True)
    assert not (pod.home / "rotation").exists()


def test_an_older_slots_json_opens_nothing_after_a_rotation(pod: TestPod, invite: Invite) -> None:
    """The revoked holder's slot is open in it, and unwraps a key of no vault."""
    put(pod, invite, NOTE)
    older = pod.folder.slots_json.read_bytes()
    succeed("invite", "revoke", "plants", "field-team", "--rotate")
    pod.folder.slots_json.write_bytes(older)
    slot = _slot(pod, invite)
    with pytest.raises(WrongKeyError):
        _rows(pod.folder, slot.file_key)
    assert run("ls", "plants").code == 13


def test_a_vault_that_was_swapped_is_not_rotated(pod: TestPod, invite: Invite, tmp_path: Path) -> None:
    """An older one, or another pod's: as refused by a server, and left as it is."""
    put(pod, invite, NOTE)
    older = pod.folder.vault.read_bytes()
    put(pod, invite, NOTE)
    pod.folder.vault.write_bytes(older)
    ended = run(*ROTATE)
    assert ended.code in {19, 22}
    assert pod.folder.vault.read_bytes() == older
    pod.folder.vault.write_bytes(os.urandom(8192))
    assert run(*ROTATE).code == 12
    assert tmp_path.exists()


def test_a_full_disk_leaves_all_as_it_was(
    pod: TestPod, invite: Invite, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever refuses before the rename leaves no second vault."""
    put(pod, invite, NOTE)
    before = pod.folder.vault.read_bytes()

    def refuse(*_: object) -> None:
        raise VaultError("no")

    monkeypatch.setattr("maintainer_tools.file_key_rotation.replace_file", refuse)
    assert run(*ROTATE).code == 1
    assert pod.folder.vault.read_bytes() == before
    assert not pod.folder.vault.with_name("vault.db.new").exists()


def test_a_rotation_that_had_only_to_be_tidied_is_not_done_twice(pod: TestPod, invite: Invite) -> None:
    """Killed right after slots.json: the key stays."""
    succeed(*ROTATE)
    new_key = _slot(pod, invite).file_key
    (pod.home / "rotation").write_bytes(format_rotation(new_key, pod.keys.identity, pod.policy.pod_id))
    succeed(*ROTATE)
    assert _slot(pod, invite).file_key == new_key
    assert not (pod.home / "rotation").exists()


def test_a_rotation_waits_for_who_copies_and_gives_up(pod: TestPod) -> None:
    """A snapshot in between would be of two keys."""
    identity = pod.keys.identity
    patience = Patience(0.2, time.monotonic, time.sleep)
    found = find_home(pod.home)
    with (
        copying(pod.folder.path, PATIENCE),
        changing(found, identity) as change,
        pytest.raises(LockedError, match="copying the vault"),
    ):
        rotate_file_key(found, change, identity, entropy=os.urandom, patience=patience)
    succeed("rotate", pod.home, "--file-key")


def test_a_log_that_came_back_stops_the_swap(
    pod: TestPod, invite: Invite, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite would replay it over the new file."""
    put(pod, invite, NOTE)
    with monkeypatch.context() as patched:
        patched.setattr("vault.fresh.holds_frames", lambda _: True)
        assert run(*ROTATE).code == 11
    assert not pod.folder.vault.with_name("vault.db.new").exists()
    succeed("rotate", pod.home, "--file-key")
    assert _count(pod.home) == 1


@pytest.mark.parametrize("what", ["vault.db", "vault.db.new", "slots.json", "pod.toml"])
def test_what_is_swapped_on_the_way_is_not_believed(
    pod: TestPod, invite: Invite, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """Who may write the folder puts an older or foreign file there right before the renames."""
    put(pod, invite, NOTE)
    older = {path.name: path.read_bytes() for path in pod.folder.path.iterdir() if path.is_file()}
    pod.revoke(invite)
    other = pod.invite("other")
    put(pod, other, NOTE)
    keep = (pod.folder.path / "vault.db").read_bytes()

    def swap(path: Path, content: bytes) -> None:
        (pod.folder.path / what).write_bytes(older.get(what, os.urandom(8192)))
        replace_file(path, content)

    with monkeypatch.context() as patched:
        patched.setattr("maintainer_tools.file_key_rotation.replace_file", swap)
        ended = run(*ROTATE)
    if what == "vault.db.new":
        # It opens under no key: said, and nothing is published. With the vault put back, it begins again.
        assert ended.code == 12
        pod.folder.vault.write_bytes(keep)
        succeed(*ROTATE)
    else:
        assert ended.code == 0
    assert [slot.is_open for slot in _policy(pod).slots] == [False, True]
    assert not (pod.home / "rotation").exists()
    put(pod, other, NOTE)
    assert _count() == 3


def test_a_rename_that_fails_is_said_and_leaves_the_old_vault(pod: TestPod, invite: Invite) -> None:
    """By the operating system: the pod goes on under the old key, and the command can be run again."""
    put(pod, invite, NOTE)
    before = pod.folder.vault.read_bytes()
    with renames_refused("vault.db"):
        assert run(*ROTATE).code == 26
    assert pod.folder.vault.read_bytes() == before
    assert _count() == 1
    succeed(*ROTATE)
    assert _count() == 1


def test_what_cannot_be_removed_at_the_end_is_said(pod: TestPod, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rotation is done; the same command tidies."""

    def refuse(path: Path, *, missing_ok: bool = False) -> None:
        if path.name == "rotation":
            raise PermissionError(1, "Operation not permitted")
        unlink(path, missing_ok=missing_ok)

    unlink = Path.unlink
    with monkeypatch.context() as patched:
        patched.setattr(Path, "unlink", refuse)
        assert run("rotate", pod.home, "--file-key").code == 26
    assert _count(pod.home) == 0
    succeed("rotate", pod.home, "--file-key")
    assert not (pod.home / "rotation").exists()
