"""A small campaign of power cuts, bugs that it must find, and the model of the disk it stands on."""

from __future__ import annotations

import random
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.power.campaign import Campaign
from tests.power.disk import SECTOR_BYTES, Cut, Disk
from tests.power.founder import found
from tests.power.plants import NOTHING, PLANTS
from tests.power.records import CREATE, MKDIR, RENAME, SYNC, TRUNCATE, UNLINK, WRITE, Record, read_log
from tests.power.shim import NO_COMPILER, environment, has_compiler, run_under

FOUNDING = {name for name in PLANTS if name.startswith("founding")}
ROTATING = {name for name in PLANTS if name.startswith("a rotation")}
DEPOSITING = PLANTS.keys() - FOUNDING - ROTATING - {NOTHING}
CUTS = 300
"""Of one small disk: enough for each of its ends to be seen, whatever the seed."""

needs_compiler = pytest.mark.skipif(not has_compiler(), reason=NO_COMPILER)


@needs_compiler
def test_forty_power_cuts_lose_nothing(tmp_path: Path) -> None:
    """`make power-cuts` does the same, a thousand times."""
    campaign = Campaign(tmp_path, "forty", steps=8)
    campaign.found(10)
    campaign.deposit(30)

    assert campaign.tally.failures == []
    assert campaign.tally.cuts == 40
    assert campaign.tally.acknowledged > 200


@needs_compiler
def test_ten_power_cuts_of_a_real_server_lose_nothing(tmp_path: Path) -> None:
    """Three processes and many clients: what a 200 promised is what was synced."""
    campaign = Campaign(tmp_path, "ten")
    campaign.serve(10)

    assert campaign.tally.failures == []
    assert campaign.tally.cuts == 10
    assert campaign.tally.acknowledged > 10


@needs_compiler
def test_power_cuts_of_a_rotation_lose_nothing(tmp_path: Path) -> None:
    """At no moment is a key that is needed nowhere."""
    campaign = Campaign(tmp_path, "rotation")
    campaign.rotate(12)

    assert campaign.tally.failures == []
    assert campaign.tally.cuts == 12


@needs_compiler
@pytest.mark.parametrize(
    ("plant", "cut", "cuts"),
    [
        *((plant, Campaign.rotate, 24) for plant in sorted(ROTATING)),
        *((plant, Campaign.found, 40) for plant in sorted(FOUNDING)),
        *((plant, Campaign.deposit, 48) for plant in sorted(DEPOSITING)),
    ],
)
def test_a_careless_program_is_found(
    plant: str, cut: Callable[[Campaign, int], None], cuts: int, tmp_path: Path
) -> None:
    """Or the campaign would say nothing: each rotates, founds or writes with one line gone wrong."""
    campaign = Campaign(tmp_path, "careless", plant)
    cut(campaign, cuts)

    assert campaign.tally.failures


@needs_compiler
def test_the_shim_sees_all_that_changes(tmp_path: Path) -> None:
    """Done to the model, the log of a run gives the very files that the run left."""
    root, log = tmp_path / "root", tmp_path / "log"
    root.mkdir()
    pod = found(root / "home", "pod")
    key = pod.invite().database_key.reveal().hex()
    disk = Disk(root)
    run_under(environment(root, log), "tests.power.depositor", root / "home", key, NOTHING, "all", 25)
    records = read_log(log)
    for record in records:
        disk.take(record)
    disk.sync_all()
    Cut(disk, random.Random(1)).lay_out(tmp_path / "left")  # noqa: S311 - whatever it draws, all is synced

    assert {WRITE, TRUNCATE, SYNC, CREATE, UNLINK, RENAME, MKDIR} <= {each.operation for each in records}
    assert _files(tmp_path / "left") == _files(root)


def _files(root: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file() and not path.name.endswith("-shm")
    }


@needs_compiler
@pytest.mark.parametrize(
    "code",
    [
        "import mmap; f = open('new', 'w+b'); f.truncate(9); mmap.mmap(f.fileno(), 9)",
        "import os; open('new', 'w').close(); os.link('new', 'other')",
        "import os; os.symlink('new', 'other')",
        "import os; open('new', 'w').close(); os.truncate('new', 9)",
        "import os; f = open('new', 'wb'); os.writev(f.fileno(), [b'x'])",
        "import os; open('new', 'w').close(); os.rename('new', '../out')",
    ],
)
def test_what_the_shim_does_not_follow_is_refused(code: str, tmp_path: Path) -> None:
    """A change that is missing from the log would make every cut after it a lie."""
    root, log, run = tmp_path / "root", tmp_path / "log", tmp_path / "run.py"
    root.mkdir()
    run.write_text(f"import os\nos.chdir({str(root)!r})\n{code}\n")
    named = environment(root, log) | {"PYTHONPATH": str(tmp_path)}
    run_under(named, "run")

    with pytest.raises(ValueError, match="cannot follow"):
        read_log(log)


class _Small:
    """A disk with the folder and the file ``old``, which holds two sectors of a."""

    def __init__(self, folder: Path) -> None:
        self.root, self._folder = folder / "root", folder
        self.root.mkdir()
        self.old = self.root / "old"
        self.old.write_bytes(b"a" * 2 * SECTOR_BYTES)
        self.disk = Disk(self.root)
        self.inode, self.folder_inode = self.old.stat().st_ino, self.root.stat().st_ino

    def do(self, operation: str, **more: Any) -> None:
        """Take one record; it is about ``old`` unless it says otherwise."""
        blank = Record(operation, self.inode, self.folder_inode, "", self.folder_inode, "", 0, b"")
        self.disk.take(blank._replace(**more))

    def ends(self) -> Counter[tuple[tuple[str, bytes], ...]]:
        """What is left by many cuts, each end with how often it was seen."""
        seen: Counter[tuple[tuple[str, bytes], ...]] = Counter()
        for number in range(CUTS):
            left = self._folder / f"left-{number}"
            Cut(self.disk, random.Random(number)).lay_out(left)  # noqa: S311 - a test must repeat itself
            seen[tuple(sorted((path.name, path.read_bytes()) for path in left.iterdir()))] += 1
            shutil.rmtree(left)
        return seen

    def contents(self) -> set[bytes]:
        """What ``old`` holds after many cuts."""
        return {dict(end)["old"] for end in self.ends()}


@pytest.fixture
def small(tmp_path: Path) -> _Small:
    """A disk of one file."""
    return _Small(tmp_path)


A, B, C = (letter * SECTOR_BYTES for letter in (b"a", b"b", b"c"))


def test_a_write_that_was_not_synced_is_kept_sector_by_sector(small: _Small) -> None:
    """Dropped, whole, or torn at either end."""
    small.do(WRITE, data=B + B)

    assert small.contents() == {A + A, B + B, A + B, B + A}


def test_writes_are_reordered(small: _Small) -> None:
    """The later one may be there without the earlier."""
    small.do(WRITE, data=B)
    small.do(WRITE, data=C, number=SECTOR_BYTES)

    assert A + C in small.contents()


def test_what_was_synced_is_kept(small: _Small) -> None:
    """And nothing else is."""
    small.do(WRITE, data=B)
    small.do(SYNC)

    assert small.contents() == {B + A}


def test_a_file_that_grew_may_have_its_size_without_its_bytes(small: _Small) -> None:
    """Zeros, or what the disk held there before."""
    small.do(WRITE, data=B, number=2 * SECTOR_BYTES)

    found = small.contents()
    assert {A + A, A + A + B, A + A + bytes(SECTOR_BYTES)} < found
    assert any(content[2 * SECTOR_BYTES :] not in {b"", B, bytes(SECTOR_BYTES)} for content in found)


def test_a_cut_short_file_is_short_or_as_it_was(small: _Small) -> None:
    """What is written after the cut is not there without it."""
    small.do(TRUNCATE, number=0)
    small.do(WRITE, data=B)

    found = small.contents()
    assert {A + A, b"", B} < found
    assert {len(content) for content in found - {A + A}} == {0, SECTOR_BYTES}


def test_the_name_of_a_new_file_may_be_gone_though_the_file_was_synced(small: _Small) -> None:
    """An fsync of the file keeps no name: that takes one of its folder."""
    small.do(CREATE, inode=1, name="new")
    small.do(WRITE, inode=1, data=B)
    small.do(SYNC, inode=1)

    assert {tuple(name for name, _ in end) for end in small.ends()} == {("old",), ("new", "old")}
    assert {dict(end).get("new", B) for end in small.ends()} == {B}
    small.do(SYNC, inode=small.folder_inode)
    assert {tuple(name for name, _ in end) for end in small.ends()} == {("new", "old")}


def test_a_rename_is_atomic_and_may_come_before_what_it_names(small: _Small) -> None:
    """The old file or the new one, never neither; the new one's bytes may be missing."""
    small.do(CREATE, inode=1, name="old.new")
    small.do(WRITE, inode=1, data=B)
    small.do(RENAME, name="old.new", other_name="old")

    found = small.ends()
    assert all("old" in dict(end) for end in found)
    assert {dict(end)["old"] for end in found} >= {A + A, B, b""}


def test_names_apart_are_kept_apart(small: _Small) -> None:
    """The second may be there without the first."""
    small.do(CREATE, inode=1, name="one")
    small.do(CREATE, inode=2, name="two")
    small.do(UNLINK, name="old")

    found = {tuple(name for name, _ in end) for end in small.ends()}
    assert {("two",), ("one", "two"), ("old", "two"), ("old",), ()} <= found
