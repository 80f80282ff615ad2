"""`collect`: segments in a folder that stands for a bucket become items of the vault, whatever happens."""

from __future__ import annotations

import itertools
import json
import os
import random
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from maintainer_tools import collect as collecting
from maintainer_tools import deployed, scratch
from maintainer_tools.fetching import fetched
from maintainer_tools.folder_source import FolderSource
from tests.support.command import ROOT, shared_pod
from tests.support.functions import Function, lay, new_function, put
from tests.support.killing import killed_at
from tests.support.maintaining import Ended, run, succeed
from tests.support.pods import make_pod, properties_toml
from tests.support.server import serving
from vault import collecting as vault_collecting
from vault.errors import MissingError, StorageError
from vault.locks import Patience, copying, hold_vault
from vault.objects import object_key, prefixes
from vault.segments import MAX_SEGMENT_BYTES
from vault.slots import OpenedSlot

STORE = Path("store")
SHORT = Patience(0.1, time.monotonic, time.sleep)


@pytest.fixture
def function(tmp_path: Path) -> Function:
    """A function of the pod in the home ``plants``."""
    STORE.mkdir()
    pod = make_pod(Path("plants"), policy="infer", more=properties_toml({"text": "Text"}))
    return new_function(pod, tmp_path / "scratch")


@pytest.fixture
def slot(function: Function) -> OpenedSlot:
    """A slot of it."""
    return function.pod.slot()


def fill(function: Function, slot: OpenedSlot, count: int, first: int = 0) -> None:
    """Put items into the store."""
    for number in range(first, first + count):
        put(STORE, function.send(slot, id=f"item-{number}", text="x", n=number))


def collect(*more: str) -> Ended:
    """Run it."""
    return run("collect", "plants", "--from", STORE, *more)


def ids(home: str | Path = "plants") -> list[str]:
    """Every id, sorted."""
    return sorted(json.loads(line)["id"] for line in succeed("ls", home, "--json", "--limit", "1000").lines)


def test_collected_items_are_items(function: Function, slot: OpenedSlot) -> None:
    """No command knows the difference."""
    fill(function, slot, 3)
    ended = collect()
    assert (ended.code, ended.out) == (0, "")
    assert "Collected 3 items; 0 were here before." in ended.err
    assert ids() == ["item-0", "item-1", "item-2"]
    assert json.loads(succeed("show", "plants", "item-1", "--json").raw)["n"] == 1
    succeed("check", "plants")
    audit = succeed("audit", "plants", "--json").json
    assert (audit["items"], audit["findings"]) == (3, [])
    exported = succeed("export", "plants", "-", "--type", "Note", "--format", "jsonl")
    assert sorted(json.loads(line)["n"] for line in exported.lines) == [0, 1, 2]
    assert "infer" in Path("plants/pod/pod.toml").read_text()
    assert "n" in succeed("schema", "show", "plants").out


def test_collecting_again_takes_what_is_new(function: Function, slot: OpenedSlot) -> None:
    """And looks at what it has only when told to."""
    fill(function, slot, 2)
    collect()
    fill(function, slot, 1, first=2)
    assert "Collected 1 items; 2 were here before." in collect().err
    before = function.pod.digests()
    for options in ((), ("--again",)):
        summary = collect("--json", *options).json
        assert summary == {
            "message_type": "summary",
            "taken": 0,
            "duplicates": 0,
            "collected_before": 3,
            "quarantined": 0,
        }
    assert function.pod.digests() == before


def test_what_is_not_taken_is_said_and_stays(function: Function, slot: OpenedSlot) -> None:
    """A line each, with what programs go by; exit code 3; the others are taken."""
    fill(function, slot, 1)
    pod_id = function.pod.policy.pod_id
    shard = next(prefixes(pod_id))
    lay(STORE, f"{shard}\x1b[31m", b"x")
    lay(STORE, object_key(pod_id, bytes(22)), bytes(4096))
    lay(STORE, object_key(pod_id, b"\x10" * 22), bytes(MAX_SEGMENT_BYTES + 2048))
    os.mkfifo(STORE / object_key(pod_id, b"\x20" * 22))
    (STORE / object_key(pod_id, b"\x30" * 22)).symlink_to("/etc/passwd")
    (STORE / object_key(pod_id, b"\x40" * 22)).mkdir()
    os.mknod(STORE / object_key(pod_id, b"\x50" * 22), stat.S_IFSOCK | 0o600)
    before = sorted(STORE.rglob("*"))
    ended = collect("--json")
    *refused, summary = (json.loads(line) for line in ended.lines)
    assert ended.code == 3
    assert (summary["taken"], summary["quarantined"]) == (1, 7)
    assert sorted(each["reason"] for each in refused) == [
        "damaged",
        "malformed",
        "malformed",
        "missing",
        "missing",
        "missing",
        "missing",
    ]
    assert sorted(STORE.rglob("*")) == before
    said = collect()
    assert said.code == 3
    assert "\x1b" not in said.out
    assert len(said.lines) == 7
    assert "7 were not taken" in said.err
    assert ids() == ["item-0"]


def test_limits_are_lifted_by_a_word(function: Function) -> None:
    """What a function promised beyond a limit is the maintainer's to decide."""
    slot = function.pod.slot("few", max_items=1)
    fill(function, slot, 2)
    ended = collect()
    assert (ended.code, len(ids())) == (3, 1)
    assert "limit " in ended.out
    assert collect("--beyond-limits").code == 0
    assert len(ids()) == 2


def test_a_duplicate_is_listed_once_and_erased_wholly(function: Function, slot: OpenedSlot) -> None:
    """The same item over a server and over a function."""
    pod = function.pod
    submission = pod.submission(slot, id="item-1", text="secret")
    with pod.writer() as writer:
        writer.commit(pod.policy, [submission, pod.submission(slot, id="item-2", text="y")])
    put(STORE, function.deposit(slot, submission))
    ended = collect()
    assert "1 of them were here by another way too" in ended.err
    assert ids() == ["item-1", "item-2"]
    assert succeed("audit", "plants", "--json").json["findings"] == []
    succeed("erase", "plants", "item-1", "--yes")
    assert ids() == ["item-2"]
    with pod.reader() as reader:
        assert [item.id for item in reader.items(has_duplicates=True)] == ["item-2"]
    assert succeed("audit", "plants", "--json").json["findings"] == []


def test_an_erased_duplicates_sender_is_erased_too(function: Function, slot: OpenedSlot) -> None:
    """By invite, and where only the copy without a name is left."""
    pod = function.pod
    submission = pod.submission(slot, id="item-1", text="secret")
    with pod.writer() as writer:
        writer.commit(pod.policy, [submission])
    put(STORE, function.deposit(slot, submission))
    collect()
    with pod.reader() as reader:
        statement = reader.sign_erasure(next(reader.items()), 5)
    with pod.writer() as writer:
        writer.erase(pod.policy, [statement])
    assert ids() == ["item-1"]
    succeed("erase", "plants", "--from", "field-team", "--yes")
    assert ids() == []


def test_what_was_deployed_is_remembered(function: Function, slot: OpenedSlot) -> None:
    """A function has a policy that no server ever took; home keeps it."""
    fill(function, slot, 1)
    had = function.pod.policy
    function.pod.slot("later")
    refused = collect()
    assert refused.code == 3
    assert refused.out.startswith("policy ")
    folder = deployed.keep_deployed(Path("plants"), had)
    assert folder.stat().st_mode & 0o777 == 0o700
    (folder.parent / ("0" * 64)).mkdir()  # killed before its two files were there
    (folder.parent / ".directory").write_bytes(b"left by a file manager")
    assert collect().code == 0
    assert ids() == ["item-0"]
    shutil.rmtree(folder)
    succeed("check", "plants")


def test_a_deployed_policy_that_is_altered_is_warned_of(function: Function, slot: OpenedSlot) -> None:
    """It does not count."""
    fill(function, slot, 1)
    folder = deployed.keep_deployed(Path("plants"), function.pod.policy)
    function.pod.slot("later")
    (folder / "pod.toml").write_bytes(b"altered")
    ended = collect()
    assert ended.code == 3
    assert "warning: " in ended.err


def test_deployed_policies_that_cannot_be_written_are_said(function: Function) -> None:
    """A file is where the folder should be."""
    Path("plants/deployed").write_bytes(b"")
    with pytest.raises(StorageError):
        deployed.keep_deployed(Path("plants"), function.pod.policy)
    assert list(deployed.deployed_pairs(Path("plants"))) == []


def test_an_edit_by_hand_is_signed_first(function: Function, slot: OpenedSlot) -> None:
    """As every command does that goes by the policy; what was deployed before is told by its digest."""
    deployed.keep_deployed(Path("plants"), function.pod.policy)
    fill(function, slot, 1)
    toml = Path("plants/pod/pod.toml")
    toml.write_text(toml.read_text() + "# by hand\n")
    ended = collect()
    assert "the edit is signed" in ended.err
    assert (ended.code, ids()) == (0, ["item-0"])


def test_a_server_lets_go_meanwhile(function: Function, slot: OpenedSlot) -> None:
    """It takes items before and after."""
    pod = function.pod
    key = pod.invite("served").database_key.reveal().hex()
    fill(function, slot, 2)
    with serving(pod.folder.path.absolute()) as server:
        assert server.create_item(pod.owner, key, {"type": "Note", "id": "served-1"}).status == 200
        assert collect().code == 0
        deadline = time.monotonic() + 60
        while server.create_item(pod.owner, key, {"type": "Note", "id": "served-2"}).status != 200:
            assert time.monotonic() < deadline
            time.sleep(0.1)
    assert ids() == ["item-0", "item-1", "served-1", "served-2"]
    succeed("check", "plants")


def test_who_has_the_vault_open_is_said(
    function: Function, slot: OpenedSlot, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that does not answer, or another command."""
    fill(function, slot, 1)
    monkeypatch.setattr(collecting, "PATIENCE", SHORT)
    with hold_vault(function.pod.folder.path):
        ended = collect()
    assert ended.code == 11
    assert "let go of this vault" in ended.err
    assert collect().code == 0


def test_a_copy_that_is_made_meanwhile_does_not_stop_it_long(function: Function, slot: OpenedSlot) -> None:
    """What was collected is stored, though the vault could not be closed."""
    fill(function, slot, 1)
    with copying(function.pod.folder.path, SHORT):
        # In a process of its own, which ends with the vault open.
        ended = shared_pod("collect", "plants", "--from", str(STORE), cwd=Path.cwd())
    assert ended.code == 0
    assert "what was collected is stored all the same" in ended.err
    assert ids() == ["item-0"]


def test_a_vault_that_was_not_closed_waits_for_who_copies(
    function: Function, slot: OpenedSlot, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A WAL is moved before anything is added."""
    pod = function.pod.crash_after(tmp_path / "crashed", function.pod.submission(slot, id="item-9", text="x"))
    fill(function, slot, 1)
    monkeypatch.setattr(collecting, "PATIENCE", SHORT)
    with copying(pod.folder.path, SHORT):
        assert run("collect", pod.home, "--from", STORE).code == 11
    assert run("collect", pod.home, "--from", STORE).code == 0
    assert ids(pod.home) == ["item-0", "item-9"]


def test_only_where_the_vault_is_written(function: Function, slot: OpenedSlot) -> None:
    """A copy without its log.key signs nothing."""
    fill(function, slot, 1)
    function.pod.folder.log_key.unlink()
    ended = collect()
    assert ended.code == 10
    assert "Run it where the pod is served" in ended.err


@pytest.mark.usefixtures("function")
def test_a_folder_is_named() -> None:
    """Not a file, and not nothing."""
    Path("file").write_bytes(b"")
    for name in ("nowhere", "file"):
        ended = run("collect", "plants", "--from", name)
        assert ended.code == 10
        assert "name the one that holds v1/" in ended.err
    assert collect().code == 0


def test_killed_at_every_step_it_goes_on(
    function: Function, slot: OpenedSlot, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Nothing is lost, nothing is there twice, whichever file was being opened."""
    fill(function, slot, 5)
    monkeypatch.setattr(collecting, "SEGMENTS_AT_ONCE", 2)
    memory = tmp_path / "memory"
    memory.mkdir()
    monkeypatch.setattr(scratch, "SHARED_MEMORY", memory)
    step, counts, left = 1, set(), 0
    while True:
        home = tmp_path / f"home-{step}"
        shutil.copytree("plants", home)
        killed = killed_at(step, partial(succeed, "collect", home, "--from", STORE), home)
        counts.add(len(ids(home)))
        left += len(list(memory.iterdir()))
        assert run("collect", home, "--from", STORE).code == 0
        assert list(memory.iterdir()) == [], "what the kill left there is gone"
        assert ids(home) == [f"item-{n}" for n in range(5)]
        assert run("check", home).code == 0
        if not killed:
            break
        step += 1
    assert counts == {0, 2, 4, 5}
    assert left


def test_killed_at_any_moment_it_goes_on(function: Function, slot: OpenedSlot) -> None:
    """By the clock, which also falls into commits."""
    fill(function, slot, 60)
    luck = random.Random(6)  # noqa: S311  # a test must repeat itself
    command = [sys.executable, "-c", _SLOWLY, "collect", "plants", "--from", str(STORE)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    for _ in range(6):
        process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
        time.sleep(0.8 + luck.random())
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert set(ids()) <= {f"item-{n}" for n in range(60)}
    assert collect().code == 0
    assert ids() == sorted(f"item-{n}" for n in range(60))
    assert succeed("audit", "plants", "--json").json["findings"] == []


_SLOWLY = (
    "from pathlib import Path; from maintainer_tools import collect, scratch; "
    "collect.SEGMENTS_AT_ONCE, scratch.SHARED_MEMORY = 1, Path.cwd(); "
    "from maintainer_tools.cli import main; main()"
)


class _Store:
    """A store in memory; ``failing`` names keys that it does not give."""

    def __init__(self, count: int, failing: frozenset[str] = frozenset()) -> None:
        self.count = count
        self.failing = failing

    def keys(self, prefix: str) -> Iterator[str]:
        """All."""
        return (f"{prefix}{number}" for number in range(self.count))

    def fetch(self, key: str, most_bytes: int) -> bytes:
        """One, after a while."""
        assert most_bytes == MAX_SEGMENT_BYTES
        time.sleep(random.random() / 200)  # noqa: S311  # to come in another order
        if key in self.failing:
            raise StorageError("the store is down")
        if key.endswith("7"):
            raise MissingError("gone")
        return key.encode()


@pytest.mark.parametrize("jobs", [1, 4])
def test_objects_come_in_the_order_of_their_keys(jobs: int) -> None:
    """Fetched at once, and one that is gone stops none."""
    store = _Store(20)
    found = list(fetched(store, store.keys("k"), jobs))
    assert [key for key, _ in found] == [f"k{number}" for number in range(20)]
    assert [content for _, content in found if isinstance(content, bytes)] == [
        f"k{number}".encode() for number in range(20) if number not in {7, 17}
    ]


@pytest.mark.parametrize("jobs", [1, 4])
def test_a_store_that_fails_ends_it(jobs: int) -> None:
    """After what came before."""
    store = _Store(200, frozenset({"k9"}))
    objects = fetched(store, store.keys("k"), jobs)
    assert [key for key, _ in itertools.islice(objects, 9)] == [f"k{number}" for number in range(9)]
    with pytest.raises(StorageError, match="the store is down"):
        next(objects)


def test_no_more_than_a_few_are_fetched_ahead() -> None:
    """Memory is bounded by jobs, not by the store."""
    store, asked = _Store(100), []

    def keys() -> Iterator[str]:
        for key in store.keys("k"):
            asked.append(key)
            yield key

    ahead = fetched(store, keys(), 3)
    next(ahead)
    assert len(asked) == 6


def test_a_folder_that_cannot_be_read_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not taken for an empty one."""
    (tmp_path / "v1").mkdir()
    (tmp_path / "v1" / "0").write_bytes(b"")

    def failing(*_: object) -> int:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "scandir", failing)
    with pytest.raises(StorageError, match="Input/output error"):
        list(FolderSource(tmp_path).keys("v1/0/"))
    monkeypatch.setattr(os, "open", failing)
    with pytest.raises(StorageError, match="Input/output error"):
        FolderSource(tmp_path).fetch("v1/0", 5)


def test_what_is_in_the_way_of_one_object_stops_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file where a folder should be, or one that may not be read, is one object's matter."""
    (tmp_path / "v1").mkdir()
    (tmp_path / "v1" / "0").write_bytes(b"")
    assert list(FolderSource(tmp_path).keys("v1/0/")) == ["v1/0"]

    def denied(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", denied)
    with pytest.raises(MissingError, match="may be read"):
        FolderSource(tmp_path).fetch("v1/0", 5)


def test_large_segments_are_not_gathered(
    function: Function, slot: OpenedSlot, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A transaction ends at its size, not only at its count."""
    taken = []
    take = vault_collecting.Collector.take

    def count(self: vault_collecting.Collector, segments: list[object]) -> object:
        taken.append(len(segments))
        return take(self, segments)  # type: ignore[arg-type]

    monkeypatch.setattr(vault_collecting.Collector, "take", count)
    monkeypatch.setattr(collecting, "MAX_BATCH_BYTES", 3 * 4096)
    fill(function, slot, 7)
    assert collect().code == 0
    assert taken == [3, 3, 1]


def test_without_shared_memory_it_works_too(
    function: Function, slot: OpenedSlot, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Each segment becomes a file for a moment, wherever temporary files are."""
    monkeypatch.setattr(scratch, "SHARED_MEMORY", tmp_path / "nowhere")
    fill(function, slot, 1)
    assert collect().code == 0
    assert ids() == ["item-0"]


def test_a_place_that_somebody_else_took_is_left_to_them(
    function: Function, slot: OpenedSlot, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The folder in memory is everybody's: a link or a file of theirs is neither followed nor removed."""
    fill(function, slot, 1)
    memory, theirs = tmp_path / "memory", tmp_path / "theirs"
    theirs.mkdir()
    (theirs / "kept").touch()
    memory.mkdir()
    monkeypatch.setattr(scratch, "SHARED_MEMORY", memory)
    with scratch.scratch_folder(Path("plants")) as folder:
        assert folder.stat().st_mode & 0o777 == 0o700
    folder.symlink_to(theirs)
    assert collect().code == 0
    assert [path.name for path in theirs.iterdir()] == ["kept"]
    assert list(memory.iterdir()) == [folder]
    assert ids() == ["item-0"]


def test_a_scratch_folder_that_cannot_be_made_is_said(
    function: Function, slot: OpenedSlot, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Nothing is taken then."""
    fill(function, slot, 1)

    def denied(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(scratch, "SHARED_MEMORY", tmp_path)
    monkeypatch.setattr(scratch, "_made", denied)
    assert collect().code == 26
    assert ids() == []


def test_an_empty_object_is_said_unless_its_item_was_erased(function: Function, slot: OpenedSlot) -> None:
    """A maintainer puts one where they removed what they erased; anywhere else something is gone."""
    deposits = [function.send(slot, id=f"item-{number}", text="x") for number in range(2)]
    put(STORE, *deposits)
    lay(STORE, deposits[1].key, b"")
    ended = collect("--json")
    assert (ended.code, json.loads(ended.lines[0])["reason"]) == (3, "malformed")
    named = json.loads(succeed("erase", "plants", "item-0", "--yes", "--json").lines[0])
    assert named["object"] == deposits[0].key
    lay(STORE, deposits[0].key, b"")
    ended = collect("--again", "--json")
    *refused, summary = map(json.loads, ended.lines)
    assert [each["key"] for each in refused] == [deposits[1].key]
    assert (summary["taken"], summary["collected_before"]) == (0, 1)
    assert ids() == []
