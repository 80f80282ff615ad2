"""`checkpoint export` and `import`, and the warning of a home that has seen more."""

from __future__ import annotations

import shutil
import stat
from pathlib import Path

import pytest
import segno

from maintainer_tools.exits import Exit
from maintainer_tools.homes import find_home
from maintainer_tools.witnesses import move_seen
from tests.support.maintaining import put, run, succeed
from tests.support.pods import TestPod
from vault.errors import RollbackError
from vault.links import Invite
from vault.notes import Checkpoint, origin_of, read_checkpoint, sign_checkpoint
from vault.witness import read_witness

SEEN = Path("plants/seen.checkpoint")
MOST_CHARACTERS = 300
"""A code of so many is printed and photographed without trouble."""


@pytest.fixture
def yesterday(pod: TestPod, invite: Invite) -> Path:
    """A copy of a pod's files with one batch; since then a second was taken."""
    put(pod, invite, {"type": "Note", "id": "first1"})
    shutil.copytree("plants/pod", "yesterday")
    put(pod, invite, {"type": "Note", "id": "second"})
    return Path("yesterday")


def put_back(yesterday: Path) -> None:
    """Vault and log.head together."""
    for name in ("vault.db", "log.head"):
        shutil.copy(yesterday / name, Path("plants/pod") / name)


@pytest.mark.usefixtures("yesterday")
def test_export_writes_the_newest_checkpoint() -> None:
    """As a file, as text, with its facts."""
    written = succeed("checkpoint", "export", "plants", "paper.checkpoint")
    printed = succeed("checkpoint", "export", "plants")
    facts = succeed("checkpoint", "export", "plants", "--json").json

    note = Path("paper.checkpoint").read_bytes()
    assert note == Path("plants/pod/log.head").read_bytes() == printed.raw
    assert stat.S_IMODE(Path("paper.checkpoint").stat().st_mode) == 0o600
    assert "a checkpoint of 2 batches, epoch 1" in written.err
    assert (facts["epoch"], facts["batches"]) == (1, 2)
    assert facts["checkpoint"].encode() == note
    assert facts["root"] == read_checkpoint(note).root.hex()
    assert not SEEN.exists()


@pytest.mark.usefixtures("yesterday")
def test_export_draws_a_code_that_holds_the_note() -> None:
    """Two rows of the code a line, the quiet zone around it."""
    drawn = succeed("checkpoint", "export", "plants", "--qr").out.splitlines()
    note = Path("plants/pod/log.head").read_bytes()
    code = segno.make(note, mode="byte", error="m", micro=False)

    assert len(note.decode()) < MOST_CHARACTERS
    side = len(code.matrix) + 2 * code.default_border_size
    assert len(drawn) == (side + 1) // 2
    assert {"█", "▀", "▄"} <= set("".join(drawn))


def test_there_is_no_checkpoint_of_nothing(pod: TestPod) -> None:
    """A new pod's log has no batch."""
    ended = run("checkpoint", "export", pod.home)

    assert ended.code == Exit.MISSING
    assert "nothing was put into this pod yet" in ended.err


def test_export_overwrites_nothing(yesterday: Path) -> None:
    """A checkpoint of last year is worth more than one of today."""
    Path("paper.checkpoint").write_bytes(b"old")

    assert run("checkpoint", "export", "plants", "paper.checkpoint").code == Exit.STORAGE
    assert Path("paper.checkpoint").read_bytes() == b"old"
    assert yesterday.exists()


def test_import_moves_the_witness_forward_and_never_back(yesterday: Path) -> None:
    """An older one says nothing new."""
    newest = succeed("checkpoint", "export", "plants", "newest.checkpoint")
    older = succeed("checkpoint", "import", "plants", yesterday / "log.head", "--json")
    assert SEEN.read_bytes() == (yesterday / "log.head").read_bytes()

    newer = succeed("checkpoint", "import", "plants", "newest.checkpoint")
    again = succeed("checkpoint", "import", "plants", yesterday / "log.head", "--json")

    assert newest.code == 0
    assert older.json["is_moved"] is True
    assert "Remembered in seen.checkpoint" in newer.err
    assert again.json == {**older.json, "is_moved": False}
    assert SEEN.read_bytes() == Path("newest.checkpoint").read_bytes()
    assert stat.S_IMODE(SEEN.stat().st_mode) == 0o600


def test_what_a_scanner_made_of_a_note_is_read(yesterday: Path) -> None:
    """Without its last newline, or with other ends of lines."""
    note = (yesterday / "log.head").read_bytes()
    Path("scanned").write_bytes(note.replace(b"\n", b"\r\n").rstrip())

    succeed("checkpoint", "import", "plants", "scanned")

    assert SEEN.read_bytes() == note


def test_a_vault_and_its_head_put_back_together_are_seen(yesterday: Path) -> None:
    """By export and import as an error, by everything that reads as a warning."""
    succeed("checkpoint", "export", "plants", "paper.checkpoint")
    put_back(yesterday)
    unseen = succeed("ls", "plants")
    imported = run("checkpoint", "import", "plants", "paper.checkpoint")
    assert not SEEN.exists()
    shutil.copy("paper.checkpoint", SEEN)

    exported = run("checkpoint", "export", "plants")
    listed = succeed("ls", "plants")
    checked = succeed("check", "plants")

    lacking = "the vault holds 1 batches, {} has seen 2: 1 are missing"
    assert "warning" not in unseen.err
    assert imported.code == exported.code == Exit.ROLLBACK
    assert lacking.format("paper.checkpoint") in imported.err
    assert lacking.format("seen.checkpoint") in exported.err
    assert "warning: " + lacking.format("seen.checkpoint") in listed.err
    assert "warning: " + lacking.format("seen.checkpoint") in checked.err


def test_a_fork_is_refused(pod: TestPod, yesterday: Path) -> None:
    """Signed with the pod's own log.key, of the same size."""
    note = sign_checkpoint(Checkpoint(origin_of(pod.policy.pod_id, 1), 2, bytes(32)), pod.keys.log_key)
    Path("fork.checkpoint").write_bytes(note)

    ended = run("checkpoint", "import", "plants", "fork.checkpoint")

    assert yesterday.exists()
    assert ended.code == Exit.ROLLBACK
    assert "it was forked" in ended.err
    assert not SEEN.exists()


def test_two_logs_of_one_size_are_not_one_after_the_other(pod: TestPod, yesterday: Path) -> None:
    """Whichever of them the vault holds: the home keeps the one it saw first."""
    succeed("checkpoint", "import", "plants", yesterday / "log.head")
    note = sign_checkpoint(Checkpoint(origin_of(pod.policy.pod_id, 1), 1, bytes(32)), pod.keys.log_key)
    fork = read_witness(note, "paper", pod_id=pod.policy.pod_id, log_keys=pod.policy.vault_logs)

    with pytest.raises(RollbackError, match=r"paper and seen\.checkpoint are of two different logs of 1"):
        move_seen(find_home(pod.home), fork, pod.policy)
    assert SEEN.read_bytes() == (yesterday / "log.head").read_bytes()


@pytest.mark.usefixtures("yesterday")
def test_an_altered_witness_is_not_passed_over() -> None:
    """Whoever put the vault back might have tried to put this back as well."""
    SEEN.write_bytes(b"nothing\n")
    exported = run("checkpoint", "export", "plants")

    assert exported.code == Exit.MALFORMED
    assert "warning: a signed note was expected" in succeed("ls", "plants").err


@pytest.mark.parametrize("content", [b"", b"\xff\n", b"a note\n\nof somebody\n"])
@pytest.mark.usefixtures("yesterday")
def test_what_is_no_checkpoint_is_not_imported(content: bytes) -> None:
    """Any file can be named by mistake."""
    Path("file").write_bytes(content)

    assert run("checkpoint", "import", "plants", "file").code == Exit.MALFORMED
    assert not SEEN.exists()
