"""A colleague: their public key, the old items, a home of their own; and how it ends."""

from __future__ import annotations

import json
import shutil
import stat
from pathlib import Path

import pytest

from tests.support.maintaining import put, run, succeed
from tests.support.pods import TestPod
from vault.links import Invite
from vault.policies import load_policy
from vault.public_file import parse_public

NOTE = {"type": "Plant", "latinName": "Bellis perennis"}


def _colleague(home: str = "ada") -> Path:
    """Make a colleague's home; return their public key's file."""
    succeed("identity", "new", home)
    file = Path(f"{home}.pub")
    file.write_bytes(succeed("identity", "public", home).raw)
    return file


def _join(home: str = "ada", *, snapshot: str = "copy", maintainer: str = "plants.pub") -> None:
    succeed("snapshot", "plants", snapshot)
    Path(maintainer).write_bytes(succeed("identity", "public", "plants").raw)
    succeed("join", home, "--pod", snapshot, "--maintainer", maintainer)


def _ids(home: str) -> list[str]:
    ended = run("ls", home, "--json")
    assert ended.code == 0, ended.err
    return [json.loads(line)["id"] for line in ended.lines]


def test_a_colleague_reads_new_items_and_old_ones(pod: TestPod, invite: Invite) -> None:
    """The whole way: two identities, one pod, nothing shared but public keys."""
    put(pod, invite, NOTE)
    file = _colleague()

    added = succeed("recipient", "add", "plants", file, "--name", "ada")
    put(pod, invite, NOTE)
    assert parse_public(file.read_text().strip()).fingerprint in added.err
    assert "rewrap plants" in added.err
    assert succeed("rewrap", "plants", "--json").json == {"message_type": "summary", "added": 1}
    assert "already" in succeed("rewrap", "plants").err
    put(pod, invite, NOTE)

    _join()
    assert len(_ids("ada")) == 3
    assert _ids("ada") == _ids("plants")
    succeed("export", "ada", "out", "--format", "csv")
    assert run("check", "ada").out == "ok\n"
    assert stat.S_IMODE(Path("ada").stat().st_mode) == 0o700
    assert stat.S_IMODE(Path("ada/signer").stat().st_mode) == 0o600
    assert succeed("invite", "ls", "ada").lines == succeed("invite", "ls", "plants").lines


def test_without_rewrap_old_items_stay_closed(pod: TestPod, invite: Invite) -> None:
    """And it is said whose batch it is."""
    put(pod, invite, NOTE)
    succeed("recipient", "add", "plants", _colleague(), "--name", "ada")
    _join()
    ended = run("ls", "ada")
    assert (ended.code, "not sealed to this identity" in ended.err) == (12, True)


def test_a_colleague_changes_nothing(pod: TestPod, invite: Invite) -> None:
    """They are no signer, and every command that would change says whom to ask."""
    succeed("recipient", "add", "plants", _colleague(), "--name", "ada")
    put(pod, invite, {**NOTE, "id": "note-0001"})
    _join()
    for command in (
        ("invite", "revoke", "ada", "field-team"),
        ("recipient", "remove", "ada", "ada"),
        ("rewrap", "ada"),
        ("rotate", "ada", "--identity"),
        ("rotate", "ada", "--file-key"),
        ("erase", "ada", "field-team/note-0001", "--yes"),
    ):
        ended = run(*command)
        assert (ended.code, "changes nothing; ask them" in ended.err) == (24, True)


def test_recipients_are_listed_by_name_and_key(pod: TestPod) -> None:
    """The home's own first; a script gets the same."""
    file = _colleague()
    kid = parse_public(file.read_text().strip()).recipient.kid.hex()
    succeed("recipient", "add", "plants", "-", "--name", "ada", stdin=file.read_bytes())
    own, ada = succeed("recipient", "ls", "plants").lines
    assert own.startswith("(this home)")
    assert ada.split() == ["ada", kid]
    found = succeed("recipient", "ls", "plants", "--json").json
    assert [(each["name"], each["is_own"]) for each in found] == [(None, True), ("ada", False)]
    assert found[1]["kid"] == kid
    assert found[0]["kid"] == pod.keys.identity.recipient.kid.hex()


def test_a_removed_recipient_opens_nothing_new_and_keeps_what_they_had(pod: TestPod, invite: Invite) -> None:
    """Their old copy reads on; a copy made later does not open, though what they had is in it."""
    succeed("recipient", "add", "plants", _colleague(), "--name", "ada")
    put(pod, invite, NOTE)
    _join()

    ended = succeed("recipient", "remove", "plants", "ada")
    assert "no key can be taken back" in ended.err
    put(pod, invite, NOTE)
    succeed("rewrap", "plants")

    assert len(_ids("ada")) == 1
    shutil.rmtree("ada/pod")
    succeed("snapshot", "plants", "later")
    ended = run("join", "ada", "--pod", "later", "--maintainer", "plants.pub")
    assert ended.code == 12
    # They put the earlier slots.json, with the file key they had, beside the later vault.
    shutil.copytree("later", "ada/pod")
    shutil.copy("copy/slots.json", "ada/pod/slots.json")
    assert run("ls", "ada").code != 0
    succeed("rotate", "plants", "--file-key")
    succeed("snapshot", "plants", "rotated")
    shutil.rmtree("ada/pod")
    shutil.copytree("rotated", "ada/pod")
    shutil.copy("copy/slots.json", "ada/pod/slots.json")
    assert run("check", "ada").code == 13
    assert run("recipient", "remove", "plants", "ada").code == 10


def test_a_key_can_be_removed_by_its_id(pod: TestPod) -> None:
    """For one without a name."""
    succeed("recipient", "add", pod.home, _colleague(), "--name", "ada")
    kid = succeed("recipient", "ls", pod.home, "--json").json[1]["kid"]
    succeed("recipient", "remove", pod.home, kid)
    assert len(load_policy(pod.folder).recipients) == 1


def test_hostile_keys_change_nothing(pod: TestPod) -> None:
    """Garbage, a pipe's worth, a link's text, a half of another's key."""
    before = pod.folder.slots_json.read_bytes()
    whole = _colleague().read_text()
    for content, code in (
        ("", 25),
        ("x" * 5000, 25),
        (whole.replace("/v1 ", "/v2 "), 14),
        (whole[:60] + ("B" if whole[60] == "A" else "A") + whole[61:], 23),
        (whole + whole, 25),
    ):
        Path("bad.pub").write_text(content)
        ended = run("recipient", "add", "plants", "bad.pub", "--name", "eve")
        assert (ended.code, ended.out) == (code, "")
        assert pod.folder.slots_json.read_bytes() == before
    assert run("recipient", "add", "plants", "none.pub", "--name", "eve").code == 10


def test_who_is_no_recipient_joins_nothing(pod: TestPod) -> None:
    """Nor with another maintainer's key: the folder is not believed."""
    file = _colleague()
    succeed("snapshot", pod.home, "copy")
    Path("plants.pub").write_bytes(succeed("identity", "public", pod.home).raw)
    assert run("join", "ada", "--pod", "copy", "--maintainer", "plants.pub").code == 12
    assert run("join", "ada", "--pod", "copy", "--maintainer", file).code == 24
    assert sorted(path.name for path in Path("ada").iterdir()) == ["identity"]
    ended = run("join", "nobody", "--pod", "copy", "--maintainer", "plants.pub")
    assert (ended.code, "`identity new`" in ended.err) == (4, True)


def test_a_home_that_has_a_pod_joins_no_other(pod: TestPod) -> None:
    """One home, one pod."""
    succeed("snapshot", pod.home, "copy")
    Path("plants.pub").write_bytes(succeed("identity", "public", pod.home).raw)
    assert run("join", pod.home, "--pod", "copy", "--maintainer", "plants.pub").code == 26


def test_a_folder_signed_by_another_is_not_read_by_a_joined_home(pod: TestPod, invite: Invite) -> None:
    """Who may write the colleague's copy cannot put another pod's pair there."""
    put(pod, invite, NOTE)
    succeed("recipient", "add", "plants", _colleague(), "--name", "ada")
    _join()
    Path("ada/signer").write_text(f"{'ab' * 32}\n")
    assert run("ls", "ada").code == 24
    Path("ada/signer").write_text("x\n")
    assert run("ls", "ada").code == 25


def test_an_edit_by_hand_is_signed_before_old_items_are_given(pod: TestPod, invite: Invite) -> None:
    """The policy is committed to the vault, and there it must be a pair."""
    put(pod, invite, NOTE)
    succeed("recipient", "add", "plants", _colleague(), "--name", "ada")
    with pod.folder.pod_toml.open("a") as file:
        file.write("# by hand\n")
    assert "edited by hand" in succeed("rewrap", "plants").err
    put(pod, invite, NOTE)
    _join()
    assert len(_ids("ada")) == 2


def test_a_protected_identity_is_made_and_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """A home without a pod, with a passphrase."""
    Path("secret").write_text("correct horse\n")
    monkeypatch.setenv("SHARED_POD_PASSPHRASE_FILE", "secret")
    succeed("identity", "new", "ada", "--passphrase")
    assert Path("ada/identity").read_text().startswith("shared-pod-identity/v1")
    assert succeed("identity", "public", "ada").out.startswith("shared-pod-public/v1 ")
    assert run("identity", "new", "ada").code == 26
