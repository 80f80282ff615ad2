"""`identity` and `recover`: one secret on paper brings all of it back."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from tests.support.maintaining import put, run, succeed
from tests.support.pods import TestPod, make_pod
from vault.identity_file import read_identity
from vault.links import Invite


def _digits(pod: TestPod) -> str:
    return pod.keys.identity.reveal().hex()


def _files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_print_gives_the_digits_alone(pod: TestPod) -> None:
    """`identity print plants | lpr`: talk goes elsewhere."""
    ended = succeed("identity", "print", "plants")

    assert ended.out == _digits(pod) + "\n"
    assert "Whoever has these digits can read every item" in ended.err


@pytest.mark.parametrize("spelling", ["{}", " {} ", "upper", "groups", "hyphens"])
def test_check_takes_digits_as_people_write_them(pod: TestPod, spelling: str) -> None:
    """Paper has groups, and pens have capitals."""
    digits = _digits(pod)
    groups = [digits[at : at + 4] for at in range(0, 64, 4)]
    spelt = {"upper": digits.upper(), "groups": " ".join(groups), "hyphens": "-".join(groups)}

    ended = succeed("identity", "check", "plants", stdin=spelt.get(spelling, spelling.format(digits)) + "\n")

    assert ended.out == "yes\n"


def test_other_digits_are_not_this_homes(pod: TestPod) -> None:
    """One digit wrong on paper is found out today, not in ten years."""
    wrong = f"{int(_digits(pod), 16) ^ 1:064x}\n"

    ended = run("identity", "check", "plants", stdin=wrong)
    as_json = run("identity", "check", "plants", "--json", stdin=wrong)

    assert (ended.code, ended.out) == (12, "no\n")
    assert (as_json.code, as_json.json) == (12, {"message_type": "answer", "is_same": False})
    assert wrong.strip() not in ended.err


@pytest.mark.parametrize(("typed", "code"), [("abc", 25), ("0" * 63, 25), ("g" * 64, 25), ("", 4)])
def test_what_is_no_digits_is_not_quoted(pod: TestPod, typed: str, code: int) -> None:
    """It may be a passphrase typed in the wrong place."""
    ended = run("identity", "check", pod.home, stdin=f"{typed}\n")

    assert (ended.code, ended.raw) == (code, b"")
    assert not typed or typed not in ended.err


def test_a_protected_identity_asks_and_a_wrong_passphrase_opens_nothing() -> None:
    """Argon2id stands between the file and its thief."""
    succeed("init", "plants", "--passphrase", stdin="right\n")

    good = succeed("identity", "print", "plants", stdin="right\n")
    bad = run("identity", "print", "plants", stdin="wrong\n")
    none = run("ls", "plants")

    assert len(good.out) == 65
    assert (bad.code, bad.raw) == (12, b"")
    assert "passphrase does not open it" in bad.err
    assert none.code == 4


def test_recover_makes_a_home_from_a_snapshot(pod: TestPod, invite: Invite) -> None:
    """A fire took the machine; a snapshot and a sheet of paper are left."""
    put(pod, invite, {"type": "Plant", "id": "rose-1", "latinName": "Rosa canina"})
    succeed("snapshot", "plants", "saved")
    shutil.rmtree("plants")

    ended = succeed("recover", "again", "--pod", "saved", stdin=_digits(pod))

    assert ended.raw == b""
    assert "Made again with the identity and a copy of saved" in ended.err
    assert "log.key" not in ended.err
    assert Path("again/identity").stat().st_mode & 0o777 == 0o600
    assert {"copy.lock": b"", "turn.lock": b"", **_files(Path("again/pod"))} == _files(Path("saved"))
    assert "Rosa canina" in succeed("ls", "again").out


def test_recover_leaves_log_key_where_it_signs(pod: TestPod) -> None:
    """Two folders that sign one log fork it; moving the key is the maintainer's decision."""
    ended = succeed("recover", "again", "--pod", "plants/pod", stdin=_digits(pod))

    assert "mv plants/pod/log.key again/pod" in ended.err
    assert not Path("again/pod/log.key").exists()
    assert Path("plants/pod/log.key").exists()


def test_recover_in_place_writes_the_identity_alone(pod: TestPod) -> None:
    """Only the identity was lost: the pod stays as it is, and is served on."""
    Path("plants/identity").unlink()
    before = _files(Path("plants"))

    succeed("recover", "plants", "--pod", "plants/pod", stdin=_digits(pod))

    assert {name: raw for name, raw in _files(Path("plants")).items() if name != "identity"} == before
    assert succeed("identity", "print", "plants").out.strip() == _digits(pod)


def test_recover_can_protect_the_identity(pod: TestPod) -> None:
    """The digits first, then the passphrase, a line each."""
    succeed("recover", "again", "--pod", "plants", "--passphrase", stdin=f"{_digits(pod)}\nnew one\n")

    assert read_identity(Path("again/identity"), lambda: "new one") == pod.keys.identity


def test_the_digits_of_another_pod_recover_nothing(pod: TestPod) -> None:
    """Found out now, not when the first item is read."""
    other = make_pod(Path("other"))

    ended = run("recover", "again", "--pod", "plants", stdin=_digits(other))

    assert ended.code in {12, 24}
    assert sorted(os.listdir()) == ["other", "plants"]
    assert pod.home.exists()


def test_recover_overwrites_nothing(pod: TestPod) -> None:
    """An identity that is there may be the only one."""
    Path("mine").mkdir()

    for home, source in (("plants", "plants/pod"), ("mine", "plants/pod")):
        ended = run("recover", home, "--pod", source, stdin=_digits(pod))
        assert ended.code == 26
        assert "exists already" in ended.err
    assert os.listdir("mine") == []


def test_recover_says_what_is_no_pod(pod: TestPod) -> None:
    """Before it asks for the secret."""
    Path("empty").mkdir()

    ended = run("recover", "again", "--pod", "empty", stdin=_digits(pod))

    assert ended.code == 10
    assert "empty holds no pod" in ended.err
    assert "digits" not in ended.err
