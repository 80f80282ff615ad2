"""`ls`, `show`, `check`, `snapshot`, `upgrade`: what they print, and that they leave the pod alone."""

from __future__ import annotations

import itertools
import json
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from maintainer_tools.homes import find_home
from maintainer_tools.upgrade import upgrade_home
from tests.support.maintaining import RECEIVED_MS, put, run, submissions, succeed, writer_of
from tests.support.pods import TestPod
from vault.connection import WritingConnection
from vault.encoding import le32
from vault.errors import LockedError
from vault.links import Invite
from vault.locks import Lock, Patience, hold_vault
from vault.migrations import STEPS, Step
from vault.policies import load_policy
from vault.sqlcipher import open_keyed

ROSE = {"type": "Plant", "id": "rose-1", "latinName": "Rosa canina", "heightCm": 120, "seenOn": RECEIVED_MS}
LONG_ID = "0123456789abcdef0123456789abcdef"


def _folder(pod: TestPod) -> dict[str, tuple[bytes, int]]:
    """Every file of the pod: its bytes and when it was last changed. Locks are none of it."""
    return {
        path.name: (path.read_bytes(), path.stat().st_mtime_ns)
        for path in pod.folder.path.iterdir()
        if path.suffix != ".lock"
    }


def test_ls_is_newest_first_with_whole_ids_for_programs(pod: TestPod, invite: Invite) -> None:
    """Id, type, time, summary; tabs between."""
    put(pod, invite, ROSE)
    put(pod, invite, {"type": "Note", "id": LONG_ID, "latinName": "x\ty"}, ms=RECEIVED_MS + 60_000)

    ended = succeed("ls", "plants")

    assert ended.lines == [
        f"field-team/{LONG_ID}\tNote\t2025-11-21T00:01:00.000Z\tx\\x09y",
        "field-team/rose-1\tPlant\t2025-11-21T00:00:00.000Z\tRosa canina, 120.0, 2025-11-21",
    ]
    assert ended.err == ""


def test_ls_says_how_much_it_left_out(pod: TestPod, invite: Invite) -> None:
    """A list that ends without a word looks complete."""
    put(pod, invite, *({"type": "Plant", "count": number} for number in range(30)))

    ended = succeed("ls", "plants")
    few = succeed("ls", "plants", "--limit", "2")

    assert len(ended.lines) == 20
    assert ended.err == "20 of the pod's 30 items, newest first; --limit shows more.\n"
    assert [line.split("\t")[3] for line in few.lines] == ["29", "28"]


def test_ls_takes_type_and_invite(pod: TestPod, invite: Invite) -> None:
    """And says when nothing fits, or the invite never was."""
    school = pod.invite("school")
    put(pod, invite, ROSE)
    put(pod, school, {"type": "Note", "id": "note-1"})

    assert [line.split("\t")[0] for line in succeed("ls", "plants", "--type", "Note").lines] == [
        "school/note-1"
    ]
    assert len(succeed("ls", "plants", "--from", "field-team").lines) == 1
    assert succeed("ls", "plants", "--type", "Tree").err == "No item fits.\n"
    assert run("ls", "plants", "--from", "nobody").code == 10


def test_ls_of_an_empty_pod_says_so(pod: TestPod) -> None:
    """Silence would look like a failure."""
    assert succeed("ls", pod.home).err == "The pod is empty.\n"
    assert succeed("ls", pod.home, "--json").raw == b""


def test_ls_json_has_whole_items(pod: TestPod, invite: Invite) -> None:
    """The same lines as `export --format jsonl`."""
    put(pod, invite, ROSE)

    ended = succeed("ls", "plants", "--json")

    assert json.loads(ended.out) == ROSE | {"_from": "field-team", "_seq": 1, "_received": RECEIVED_MS}
    assert ended.raw == succeed("export", "plants", "-").raw


def test_hostile_text_is_shown_not_obeyed(pod: TestPod, invite: Invite) -> None:
    """Contributors write what they like; the maintainer's terminal is not theirs. JSON stays exact."""
    hostile = "\x1b[2J\u202e[bold]\nx"
    put(pod, invite, {"type": "Plant", "id": "rose-1", "latinName": hostile})

    shown = succeed("ls", "plants").out + succeed("show", "plants", "rose-1").out
    exact = succeed("show", "plants", "rose-1", "--json")

    assert "\x1b" not in shown
    assert "\u202e" not in shown
    assert r"\x1b[2J\u202e[bold]\x0ax" in shown
    assert exact.json["latinName"] == hostile


def test_show_prints_all_of_one_item(pod: TestPod, invite: Invite) -> None:
    """What, from whom, when, where; then the properties in the schema's order."""
    put(pod, invite, ROSE)

    ended = succeed("show", "plants", "rose-1")

    assert [line.split(maxsplit=1) for line in ended.lines] == [
        ["id", "rose-1"],
        ["type", "Plant"],
        ["from", "field-team"],
        ["received", "2025-11-21T00:00:00.000Z"],
        ["seq", "1"],
        ["batch", "1"],
        ["latinName", "Rosa canina"],
        ["heightCm", "120.0"],
        ["seenOn", "2025-11-21"],
    ]


@pytest.mark.parametrize(
    "wanted", [LONG_ID, f"field-team/{LONG_ID}", LONG_ID[-8:], f"field-team/{LONG_ID[-8:]}"]
)
def test_show_takes_an_id_an_invites_id_or_the_end_of_one(pod: TestPod, invite: Invite, wanted: str) -> None:
    """A list on a screen shows the end of long ids; that must be enough to ask for the item."""
    put(pod, invite, {"type": "Plant", "id": LONG_ID}, ROSE)

    assert succeed("show", "plants", wanted, "--json").json["id"] == LONG_ID


def test_ids_belong_to_slots_and_an_ambiguous_one_lists_them(pod: TestPod, invite: Invite) -> None:
    """Two contributors may use one id; which is meant is not guessed."""
    school = pod.invite("school")
    put(pod, invite, ROSE)
    put(pod, school, ROSE | {"latinName": "Malva"})

    ended = run("show", "plants", "rose-1")
    as_json = run("show", "plants", "rose-1", "--json")

    assert (ended.code, ended.raw) == (2, b"")
    assert "field-team/rose-1 (Plant), school/rose-1 (Plant)" in ended.err
    assert as_json.error["code"] == 2
    assert succeed("show", "plants", "school/rose-1", "--json").json["latinName"] == "Malva"


def test_a_whole_id_is_meant_before_the_end_of_another(pod: TestPod, invite: Invite) -> None:
    """Else an item could hide another from its reader."""
    put(pod, invite, {"type": "Plant", "id": LONG_ID}, {"type": "Plant", "id": LONG_ID[-8:], "count": 1})

    assert succeed("show", "plants", LONG_ID[-8:], "--json").json["count"] == 1


@pytest.mark.parametrize("wanted", ["rose-2", "school/rose-1", "ose-1", "", "/"])
def test_an_item_that_is_not_there_has_its_own_code(pod: TestPod, invite: Invite, wanted: str) -> None:
    """A few last characters are no name."""
    put(pod, invite, ROSE)

    assert run("show", "plants", wanted).code == 10


def test_check_recomputes_everything(pod: TestPod, invite: Invite) -> None:
    """One word on stdout, the count beside it."""
    put(pod, invite, ROSE)
    put(pod, invite, {"type": "Note"}, {"type": "Note"})

    ended = succeed("check", "plants")
    report = succeed("check", "plants", "--json").json

    assert ended.out == "ok\n"
    assert ended.err.splitlines() == [
        "Checked 3 items in 2 batches.",
        "warning: if this home were lost: no recovery shares were made; `recovery make` makes them",
    ]
    assert (report["items"], report["batches"], report["findings"]) == (3, 2, [])


def test_check_ends_with_3_when_something_is_wrong(pod: TestPod, invite: Invite) -> None:
    """Done, with findings: a script sees it without reading."""
    put(pod, invite, ROSE, {"type": "Note"})
    with WritingConnection(open_keyed(pod.folder.vault, pod.keys.file_key)) as connection:
        connection.execute("DROP TRIGGER slot_update")
        connection.execute("UPDATE slot SET items = items + 1")
        ((sql,),) = [(sql,) for sql in STEPS[0].statements if "slot_update" in sql]
        connection.execute(sql)

    ended = run("check", "plants")
    report = run("check", "plants", "--json")

    assert (ended.code, report.code) == (3, 3)
    assert ended.lines == ["FAIL  slot 1: its counters are not those of its items"]
    assert "1 finding." in ended.err
    assert report.json["findings"] == ["slot 1: its counters are not those of its items"]


@pytest.mark.parametrize(
    "command", [["ls"], ["show"], ["export"], ["check"], ["schema", "show"], ["snapshot"], ["invite", "ls"]]
)
def test_reading_changes_nothing_in_the_pod(pod: TestPod, invite: Invite, command: list[str]) -> None:
    """Not a byte, not a time, while its server has it open with a log that was not moved yet."""
    put(pod, invite, ROSE)
    writer = writer_of(pod, invite)
    writer.commit(load_policy(pod.folder), submissions(pod, invite, [{"type": "Note", "id": "note-1"}]))
    before = _folder(pod)
    rest = {"show": ["note-1"], "export": ["-"], "snapshot": ["copy"]}

    succeed(*command, "plants", *rest.get(command[0], []))

    assert _folder(pod) == before
    assert "vault.db-wal" in before
    assert writer.close()


def test_reading_leaves_no_copy_behind(
    pod: TestPod, invite: Invite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither when all goes well nor when not."""
    (tmp_path / "private").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "private"))
    put(pod, invite, ROSE)
    succeed("ls", "plants")
    pod.folder.vault.write_bytes(b"")

    assert run("ls", "plants").code == 16
    assert os.listdir("private") == []


def test_a_missing_log_head_is_a_warning(pod: TestPod, invite: Invite) -> None:
    """Everything can be read; that it is the newest cannot be told."""
    put(pod, invite, ROSE)
    pod.folder.log_head.unlink()

    ended = succeed("ls", "plants")

    assert "warning: log.head is missing or unreadable" in ended.err
    assert len(ended.lines) == 1


def test_snapshot_copies_a_pod_without_any_key(pod: TestPod, invite: Invite) -> None:
    """From a home or a pod's folder; log.key and the locks stay."""
    put(pod, invite, ROSE)
    (pod.home / "identity").unlink()

    ended = succeed("snapshot", "plants", "one", "--json")
    succeed("snapshot", "plants/pod", "two")

    assert sorted(os.listdir("one")) == ["log.head", "pod.toml", "slots.json", "vault.db"]
    assert sorted(os.listdir("two")) == sorted(os.listdir("one"))
    size = sum(path.stat().st_size for path in Path("one").iterdir())
    assert ended.json == {"message_type": "summary", "folder": "one", "size_bytes": size}


def test_snapshot_overwrites_nothing(pod: TestPod) -> None:
    """Yesterday's copy may be the good one."""
    Path("one").mkdir()

    ended = run("snapshot", pod.home, "one")

    assert ended.code == 26
    assert "exists already" in ended.err
    assert os.listdir("one") == []


def test_upgrade_of_the_newest_format_does_nothing(pod: TestPod) -> None:
    """And says so."""
    before = _folder(pod)

    ended = succeed("upgrade", "plants")

    assert ended.err == "The vault has format 1, the newest this program knows; nothing to do.\n"
    assert _folder(pod)["vault.db"] == before["vault.db"]
    assert sorted(os.listdir("plants")) == ["identity", "pod"]


NEXT_STEP = Step(2, ("CREATE TABLE later(x INTEGER) STRICT",))
NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def test_upgrade_takes_a_snapshot_first(pod: TestPod, invite: Invite) -> None:
    """The copy is of the old format, and opens with the version that wrote it."""
    put(pod, invite, ROSE)
    before = pod.folder.vault.read_bytes()

    out = upgrade_home(find_home(pod.home), pod.keys.file_key, NOW, steps=[*STEPS, NEXT_STEP])

    assert out == pod.home / "before-upgrade-1-20261121T120000Z"
    assert (out / "vault.db").read_bytes() == before
    with WritingConnection(open_keyed(pod.folder.vault, pod.keys.file_key)) as connection:
        assert connection.execute("SELECT value FROM meta WHERE key = 'format'") == [(le32(2),)]


def test_upgrade_waits_for_nobody_who_writes(pod: TestPod) -> None:
    """A server that has the vault open would write on in the old format."""
    before = _folder(pod)

    with hold_vault(pod.folder.path):
        ended = run("upgrade", "plants")

    assert ended.code == 11
    assert "stop it" in ended.err
    assert _folder(pod) == before


def test_upgrade_gives_up_when_someone_keeps_copying(pod: TestPod) -> None:
    """Nothing is upgraded under a copy that is being taken."""
    now = itertools.count()
    patience = Patience(5, lambda: float(next(now)), lambda _: None)

    with Lock(pod.folder.path / "copy.lock") as copy:
        assert copy.try_shared()
        with pytest.raises(LockedError, match="copying"):
            upgrade_home(
                find_home(pod.home), pod.keys.file_key, NOW, steps=[*STEPS, NEXT_STEP], patience=patience
            )
