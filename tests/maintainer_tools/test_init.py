"""`init`: a pod and its home, whole or not at all."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from maintainer_tools.asking import PASSPHRASE_VARIABLE
from tests.support.maintaining import run, succeed
from vault.identity_file import read_identity
from vault.pod import PodFolder
from vault.policies import load_policy


def _no_passphrase() -> str:
    raise AssertionError("nothing may ask here")


def test_a_home_has_an_identity_and_a_pod() -> None:
    """The transcript a newcomer sees: what is where, what to save, what next."""
    ended = succeed("init", "plants", "--name", "Street plants")

    assert ended.raw == b""
    lines = ended.err.splitlines()
    assert lines[0] == 'Made plants, the home of the pod "Street plants":'
    assert any("plants/identity  the one secret" in line for line in lines)
    assert any(line.endswith("identity print plants") for line in lines)
    assert any(line.endswith("serve plants") for line in lines)
    assert lines[-1].endswith("invite new plants --name field-team --url http://127.0.0.1:3030")
    assert max(map(len, lines)) <= 100
    assert sorted(os.listdir("plants")) == ["identity", "pod"]
    assert sorted(os.listdir("plants/pod")) == ["log.key", "pod.toml", "slots.json", "vault.db"]


def test_the_secret_is_not_printed() -> None:
    """A terminal's scrollback is no place for it; `identity print` is asked for."""
    ended = succeed("init", "plants", "--json")

    digits = Path("plants/identity").read_text().strip()
    assert digits not in ended.out + ended.err
    assert ended.json["owner_key"] in Path("plants/pod/pod.toml").read_text()
    assert ended.json["home"] == "plants"


def test_everything_is_its_owners_alone() -> None:
    """Other accounts of the machine read nothing, not even names."""
    os.umask(old := os.umask(0))
    succeed("init", "plants")

    modes = {
        path: stat.S_IMODE(path.lstat().st_mode) for path in [Path("plants"), *Path("plants").rglob("*")]
    }
    assert {path: mode for path, mode in modes.items() if mode & 0o077} == {}
    os.umask(old)


def test_what_was_asked_for_is_signed() -> None:
    """Name, url and policy stand in pod.toml, and the pair verifies."""
    options = ("--name", 'A "b"\\', "--url", "https://x.example/", "--policy", "closed")

    ended = succeed("init", "plants", *options)

    assert ended.err.endswith("invite new plants --name field-team\n")

    config = load_policy(PodFolder(Path("plants/pod"))).config
    assert (config.name, config.url, config.policy) == ('A "b"\\', "https://x.example", "closed")


def test_a_name_that_is_not_given_is_the_folders() -> None:
    """One thing less to think of."""
    succeed("init", "plants")

    assert load_policy(PodFolder(Path("plants/pod"))).config.name == "plants"


@pytest.mark.parametrize("kind", ["folder", "file", "link"])
def test_what_exists_is_refused_and_left_alone(kind: str) -> None:
    """A second init would make the first one's items unreadable."""
    home = Path("plants")
    if kind == "folder":
        home.mkdir()
    elif kind == "file":
        home.write_text("mine")
    else:
        home.symlink_to("nowhere")

    ended = run("init", "plants")

    assert (ended.code, ended.raw) == (26, b"")
    assert "plants exists already" in ended.err
    assert os.listdir() == ["plants"]


@pytest.mark.parametrize(
    ("options", "code", "sentence"),
    [
        (["--url", "plants.example.org"], 25, "url: https://host"),
        (["--url", "https://user:x@plants.example.org"], 25, "url: https://host"),
        (["--name", "x" * 201], 25, "name must have at most 200 characters"),
        (["--policy", "open"], 2, "'open' is not one of"),
    ],
)
def test_what_cannot_be_meant_leaves_nothing(options: list[str], code: int, sentence: str) -> None:
    """Not half a home that the next try finds in its way."""
    ended = run("init", "plants", *options)

    assert ended.code == code
    assert sentence in ended.err
    assert os.listdir() == []


def test_a_missing_parent_folder_has_its_own_sentence() -> None:
    """Not `no such file`, about which one wonders which file."""
    ended = run("init", "no/plants")

    assert (ended.code, ended.err) == (10, "error: no does not exist; make it first\n")


def test_a_passphrase_comes_from_standard_input_or_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """Scripts have no terminal; an argument would stand in every process list."""
    succeed("init", "one", "--passphrase", stdin="Geheim äöü\n")
    Path("secret").write_text("other\nnot this\n")
    monkeypatch.setenv(PASSPHRASE_VARIABLE, "secret")
    succeed("init", "two", "--passphrase")

    assert Path("one/identity").read_text().startswith("shared-pod-identity/v1 argon2id ")
    read_identity(Path("one/identity"), lambda: "Geheim äöü")
    read_identity(Path("two/identity"), lambda: "other")


@pytest.mark.parametrize(
    ("stdin", "code", "sentence"),
    [
        ("", 4, "nothing came from standard input"),
        ("\n", 4, "nothing came from standard input"),
        (b"\xff\n", 25, "UTF-8"),
    ],
)
def test_no_passphrase_is_no_home(stdin: str | bytes, code: int, sentence: str) -> None:
    """Asked for protection, an unprotected identity must not result."""
    ended = run("init", "plants", "--passphrase", stdin=stdin)

    assert ended.code == code
    assert sentence in ended.err
    assert os.listdir() == []


def test_an_empty_passphrase_file_is_no_passphrase(monkeypatch: pytest.MonkeyPatch) -> None:
    """A script whose secret did not arrive."""
    Path("secret").write_text("\n")
    monkeypatch.setenv(PASSPHRASE_VARIABLE, "secret")

    assert run("init", "plants", "--passphrase").code == 4
    assert run("init", "plants", "--passphrase", environment={PASSPHRASE_VARIABLE: "gone"}).code == 10
    assert os.listdir() == ["secret"]


def test_without_passphrase_the_identity_is_the_digits() -> None:
    """What stands on paper and what stands in the file are the same 64 digits."""
    succeed("init", "plants")

    found = read_identity(Path("plants/identity"), _no_passphrase)
    assert Path("plants/identity").read_text() == f"{found.reveal().hex()}\n"
