"""Bad days: every kind of bad file has its sentence and its exit code, and nothing is changed."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.maintaining import put, run, submissions, succeed, writer_of
from tests.support.pods import TestPod, make_pod
from vault.connection import WritingConnection
from vault.database import PolicyRow, create
from vault.encoding import le32
from vault.founding import Founding
from vault.keys import OwnerKey
from vault.links import Invite
from vault.meta import first_meta
from vault.policies import load_policy
from vault.sqlcipher import open_keyed

PAGE = 4096


class Day:
    """A pod with a past: every batch a copy of its folder was kept.

    Attributes:
        pod: As it stands now, closed after three batches.
        invite: Its one invite.
    """

    def __init__(self, pod: TestPod, invite: Invite) -> None:
        self.pod, self.invite = pod, invite
        for number in range(3):
            put(pod, invite, {"type": "Plant", "count": number})
            self._keep(f"closed-{number + 1}")
        writer = writer_of(pod, invite)
        for number in range(3, 5):
            writer.commit(
                load_policy(pod.folder), submissions(pod, invite, [{"type": "Plant", "count": number}])
            )
        # As a kill leaves it: part of the pod is in the log alone.
        self._keep("killed")
        assert writer.close()
        self._keep("newest")

    @property
    def folder(self) -> Path:
        """The pod's folder."""
        return self.pod.folder.path

    def _keep(self, name: str) -> None:
        shutil.copytree(self.folder, Path("past") / name, ignore=shutil.ignore_patterns("*.lock", "*-shm"))

    def bring_back(self, name: str, *files: str) -> None:
        """Put files of the past into the pod's folder; those that were not there then are removed."""
        for file in files:
            (self.folder / file).unlink(missing_ok=True)
            if (Path("past") / name / file).exists():
                shutil.copy2(Path("past") / name / file, self.folder / file)


VAULT = ("vault.db", "vault.db-wal")


def _empty(day: Day) -> None:
    (day.folder / "vault.db").write_bytes(b"")


def _plaintext(day: Day) -> None:
    (day.folder / "vault.db").unlink()
    connection = sqlite3.connect(day.folder / "vault.db")
    connection.execute("CREATE TABLE item(x)")
    connection.commit()
    connection.close()


def _cut_inside_a_page(day: Day) -> None:
    os.truncate(day.folder / "vault.db", PAGE * 3 + 100)


def _cut_between_pages(day: Day) -> None:
    path = day.folder / "vault.db"
    os.truncate(path, path.stat().st_size - PAGE * 2)


def _of_another_pod(day: Day) -> None:
    other = make_pod(Path("other"))
    shutil.copy2(other.folder.vault, day.folder / "vault.db")


def _of_another_pod_with_this_ones_key(day: Day) -> None:
    keys = day.pod.keys
    other = Founding(OwnerKey(os.urandom(32)), keys.identity, keys.file_key, keys.log_key)
    policy = load_policy(day.pod.folder)
    (day.folder / "vault.db").unlink()
    create(
        day.folder / "vault.db",
        keys.file_key,
        meta=first_meta(other.owner_key.pod_id),
        policy_row=PolicyRow(policy.revision, policy.digest, policy.pod_toml, policy.slots_json),
    )


def _of_a_newer_format(day: Day) -> None:
    with WritingConnection(open_keyed(day.folder / "vault.db", day.pod.keys.file_key)) as connection:
        ((trigger,),) = connection.execute("SELECT sql FROM sqlite_schema WHERE name = 'meta_update'")
        connection.execute("DROP TRIGGER meta_update")
        connection.execute("UPDATE meta SET value = ? WHERE key = 'format'", (le32(99),))
        connection.execute(trigger)
        connection.truncate_wal()


def _without_its_log(day: Day) -> None:
    day.bring_back("killed", "log.head", *VAULT)
    (day.folder / "vault.db-wal").unlink()


def _with_a_log_of_another_time(day: Day) -> None:
    (day.folder / "vault.db-wal").unlink(missing_ok=True)
    shutil.copy2(Path("past") / "killed" / "vault.db-wal", day.folder / "vault.db-wal")
    shutil.copy2(Path("past") / "closed-1" / "vault.db", day.folder / "vault.db")


def _older_than_log_head(day: Day) -> None:
    day.bring_back("killed", *VAULT)
    # A later log.head, of a pod that went on.
    newest = day.pod
    for path in VAULT:
        shutil.copy2(day.folder / path, Path("past") / path)
    day.bring_back("newest", "vault.db", "vault.db-wal", "log.head")
    put(newest, day.invite, {"type": "Plant", "count": 6})
    for path in VAULT:
        shutil.copy2(Path("past") / path, day.folder / path)


def _flipped(day: Day) -> None:
    path = day.folder / "vault.db"
    raw = bytearray(path.read_bytes())
    for page in range(1, len(raw) // PAGE):
        raw[page * PAGE + 2000] ^= 1
    path.write_bytes(raw)


def _gone(day: Day) -> None:
    (day.folder / "vault.db").unlink()


def _policy_gone(day: Day) -> None:
    (day.folder / "slots.json").unlink()


def _policy_of_a_later_format(day: Day) -> None:
    path = day.folder / "pod.toml"
    path.write_text(path.read_text().replace("format = 1", "format = 2"))


def _policy_forged(day: Day) -> None:
    path = day.folder / "slots.json"
    path.write_bytes(path.read_bytes().replace(b'"revision":2', b'"revision":3'))


def _another_pods_folder(day: Day) -> None:
    other = make_pod(Path("other"))
    for path in other.folder.path.iterdir():
        shutil.copy2(path, day.folder / path.name)


CASES: list[tuple[Callable[[Day], None], int, str]] = [
    (_empty, 16, "is empty, a vault was expected"),
    (_plaintext, 17, "is an unencrypted SQLite file"),
    (_cut_inside_a_page, 18, "ends inside a page"),
    (_cut_between_pages, 18, "ends after page"),
    (_of_another_pod, 13, "does not open under this pod's file key: it is another pod's"),
    (_of_another_pod_with_this_ones_key, 13, "the vault is of another pod than pod.toml"),
    (_of_a_newer_format, 14, "the vault has format 99"),
    (_without_its_log, 19, "without its write-ahead log"),
    (_with_a_log_of_another_time, 19, "are of different times"),
    (_older_than_log_head, 22, "an older vault was put here"),
    (_flipped, 23, "a page of the vault fails its checks"),
    (_gone, 10, "there is nothing to copy"),
    (_policy_gone, 10, "slots.json is not in"),
    (_policy_of_a_later_format, 14, "pod.toml: it is of a later format"),
    (_policy_forged, 24, "signature does not hold"),
    (_another_pods_folder, 12, "is not sealed to this identity"),
]


@pytest.fixture
def day(pod: TestPod, invite: Invite) -> Day:
    """A pod with a past."""
    return Day(pod, invite)


def _state(folder: Path) -> dict[str, tuple[bytes, int]]:
    return {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.iterdir()}


@pytest.mark.parametrize("command", [["ls"], ["export"], ["check"]], ids=lambda command: command[0])
@pytest.mark.parametrize(("spoil", "code", "sentence"), CASES, ids=lambda case: getattr(case, "__name__", ""))
def test_every_bad_file_has_its_sentence_and_code_and_is_left_as_it_is(
    day: Day, spoil: Callable[[Day], None], code: int, sentence: str, command: list[str]
) -> None:
    """What one does next differs each time; and the only copy must survive the looking."""
    succeed("ls", "plants")
    spoil(day)
    before = _state(day.folder)

    ended = run(*command, "plants", *(["out"] if command == ["export"] else []))

    assert (ended.code, sentence in ended.err) == (code, True), ended.err
    assert _state(day.folder) == before
    assert not Path("out").exists()
    assert not Path("out.partial").exists()
    assert "/shared-pod-" not in ended.err


def test_the_sentences_differ(day: Day) -> None:
    """A code may be shared; what was found may not."""
    sentences = set()
    original = _files(day.folder)
    for spoil, _, _ in CASES:
        shutil.rmtree("other", ignore_errors=True)
        spoil(day)
        sentences.add(run("ls", "plants").err)
        _restore(day.folder, original)

    assert len(sentences) >= len(CASES) - 2


def test_a_killed_server_left_nothing_bad(day: Day) -> None:
    """A vault and its log as the kill left them are whole."""
    day.bring_back("killed", "log.head", *VAULT)

    assert succeed("check", "plants").err.startswith("Checked 5 items in 5 batches.\n")


def test_a_backup_with_its_own_log_head_reads(day: Day) -> None:
    """Older, and complete: that is what a backup is."""
    day.bring_back("closed-2", "log.head", *VAULT)

    assert len(succeed("ls", "plants").lines) == 2


def _files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def _restore(folder: Path, files: dict[str, bytes]) -> None:
    for path in folder.iterdir():
        path.unlink()
    for name, raw in files.items():
        (folder / name).write_bytes(raw)
