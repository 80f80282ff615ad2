"""What a disk may hold after the power was cut: a model of a file system that promises no more than POSIX.

Conservative for ext4 and XFS: whatever they may leave, this may leave, and more.

- What was written to a file is kept for sure once an fsync of that file has returned.
  Before, each sector of 512 bytes is, independently, as it was or as after any of the writes since;
  the size is any it had since. A sector never written inside the file is zeros, or (as with
  ``data=writeback``) something else. Cutting a file short is atomic, and what was written after it is not
  there without it: both are done by the journal.
- A name in a folder is kept for sure once an fsync of the folder has returned. Before, what was done to
  names is done up to any point, for names that have nothing to do with each other independently. A rename
  is atomic: both of its names change, or none. The fsync of a file keeps none of its names.
- A sector is written whole or not. What was synced is not altered.

docs/durability.md defends the model.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from tests.power import records
from tests.power.records import Record

SECTOR_BYTES = 512
SHARED_MEMORY = "-shm"


class Write(NamedTuple):
    """Bytes written at an offset."""

    offset: int
    data: bytes


class Truncate(NamedTuple):
    """A file made this long."""

    size: int


Change = Write | Truncate


def _changed(content: bytearray, change: Change) -> None:
    match change:
        case Write(offset, data):
            if len(content) < offset:
                content.extend(bytes(offset - len(content)))
            content[offset : offset + len(data)] = data
        case Truncate(size):
            del content[size:]
            content.extend(bytes(size - len(content)))


class File:
    """A file: what is durable of it, and what was done since.

    Args:
        durable: Its content at the last sync.
    """

    def __init__(self, durable: bytes = b"") -> None:
        self.durable = bytearray(durable)
        self.pending: list[Change] = []

    def sync(self) -> None:
        """Make all of it durable."""
        for change in self.pending:
            _changed(self.durable, change)
        self.pending.clear()

    def after(self, changes: Iterable[Change]) -> bytes:
        """The content, had exactly these been done since the last sync."""
        content = bytearray(self.durable)
        for change in changes:
            _changed(content, change)
        return bytes(content)


class Folder:
    """A folder: the names that are durable, and those a process sees now."""

    def __init__(self) -> None:
        self.durable: dict[str, File | Folder] = {}
        self.current: dict[str, File | Folder] = {}


Node = File | Folder


class NameChange(NamedTuple):
    """One name that leads elsewhere, or nowhere, from then on."""

    folder: Folder
    name: str
    node: Node | None


_Names = tuple[NameChange, ...]
"""What one call did to names: one for most, two for a rename; all of it or nothing is kept."""


def _apply_names(entries: dict[str, Node], folder: Folder, names: _Names) -> None:
    for change in names:
        if change.folder is folder:
            entries.pop(change.name, None)
            if change.node is not None:
                entries[change.name] = change.node


class Disk:
    """A folder on a disk, while a recorded process works in it.

    Args:
        root: As it is before the first record; all of it is durable.
    """

    def __init__(self, root: Path) -> None:
        self._by_inode: dict[int, Node] = {}
        self.root = self._load(root)
        self.pending: list[_Names] = []
        """What was done to names since their folders were synced, in order."""

    def sync_all(self) -> None:
        """Make everything durable, as a shutdown in order does."""
        for node in self._by_inode.values():
            self._sync(node)

    def _load(self, path: Path) -> Folder:
        folder = Folder()
        for entry in sorted(path.iterdir()):
            if entry.is_dir():
                folder.durable[entry.name] = self._load(entry)
            else:
                file = File(entry.read_bytes())
                self._by_inode[entry.stat().st_ino] = file
                folder.durable[entry.name] = file
        folder.current = dict(folder.durable)
        self._by_inode[path.stat().st_ino] = folder
        return folder

    def take(self, record: Record) -> None:
        """Do what one record says."""
        match record.operation:
            case records.WRITE:
                self._file(record.inode).pending.append(Write(record.number, record.data))
            case records.TRUNCATE:
                self._file(record.inode).pending.append(Truncate(record.number))
            case records.SYNC:
                self._sync(self._by_inode[record.inode])
            case records.CREATE | records.MKDIR:
                node = self._by_inode[record.inode] = (
                    File() if record.operation == records.CREATE else Folder()
                )
                self._name(NameChange(self._folder(record.parent), record.name, node))
            case records.UNLINK:
                self._name(NameChange(self._folder(record.parent), record.name, None))
            case records.RENAME:
                source, target = self._folder(record.parent), self._folder(record.other_parent)
                node = source.current[record.name]
                self._name(NameChange(source, record.name, None), NameChange(target, record.other_name, node))

    def _file(self, inode: int) -> File:
        file = self._by_inode[inode]
        assert isinstance(file, File)
        return file

    def _folder(self, inode: int) -> Folder:
        folder = self._by_inode[inode]
        assert isinstance(folder, Folder)
        return folder

    def _name(self, *names: NameChange) -> None:
        for folder in {id(change.folder): change.folder for change in names}.values():
            _apply_names(folder.current, folder, names)
        self.pending.append(names)

    def _sync(self, node: Node) -> None:
        if isinstance(node, File):
            node.sync()
            return
        kept: list[_Names] = []
        for names in self.pending:
            # Half of a rename would be kept if the other folder were left out.
            if any(change.folder is node for change in names):
                _keep_names(names)
            else:
                kept.append(names)
        self.pending = kept


def _keep_names(names: _Names) -> None:
    for folder in {id(change.folder): change.folder for change in names}.values():
        _apply_names(folder.durable, folder, names)


class Cut:
    """One power cut: draws what the disk holds after it.

    Args:
        disk: As the processes left it; not changed.
        chance: The source of every choice.
    """

    def __init__(self, disk: Disk, chance: random.Random) -> None:
        self._disk = disk
        self._chance = chance
        self._content = chance.choice(_CONTENTS)
        self._names: dict[int, dict[str, Node]] = {}
        for names in chance.choice(_NAMES)(disk.pending, chance):
            for change in names:
                entries = self._names.setdefault(id(change.folder), dict(change.folder.durable))
                _apply_names(entries, change.folder, (change,))

    def lay_out(self, target: Path) -> None:
        """Write what is left to the new folder ``target``."""
        self._lay_out(self._disk.root, target)

    def _lay_out(self, folder: Folder, target: Path) -> None:
        target.mkdir(mode=0o700)
        for name, node in self._names.get(id(folder), folder.durable).items():
            if isinstance(node, Folder):
                self._lay_out(node, target / name)
                continue
            is_noise = name.endswith(SHARED_MEMORY)
            content = _noise(self._chance) if is_noise else self._content(node, self._chance)
            (target / name).write_bytes(content)
            (target / name).chmod(0o600)


def _noise(chance: random.Random) -> bytes:
    """SQLite's shared memory is written through a mapping: after a restart it may hold anything."""
    return chance.randbytes(chance.choice((0, 3, 32_768)))


def _nothing(file: File, _: random.Random) -> bytes:
    return bytes(file.durable)


def _everything(file: File, _: random.Random) -> bytes:
    return file.after(file.pending)


def _up_to_a_point(file: File, chance: random.Random) -> bytes:
    """In order, the last write torn at a sector."""
    kept = file.pending[: chance.randint(0, len(file.pending))]
    if kept and isinstance(last := kept[-1], Write):
        whole_bytes = chance.randrange(0, len(last.data) + SECTOR_BYTES, SECTOR_BYTES)
        kept = [*kept[:-1], Write(last.offset, last.data[:whole_bytes])]
    return file.after(kept)


def _all_but_one(file: File, chance: random.Random) -> bytes:
    writes = [place for place, change in enumerate(file.pending) if isinstance(change, Write)]
    kept = list(file.pending)
    if writes:
        del kept[chance.choice(writes)]
    return file.after(kept)


def _any_sectors(file: File, chance: random.Random) -> bytes:
    """Each sector of any moment since the sync, the size of any moment."""
    cuts = [place for place, change in enumerate(file.pending) if isinstance(change, Truncate)]
    content, floor = bytearray(file.durable), bytearray(file.durable)
    sizes, versions = [len(content)], dict[int, list[bytes]]()
    # What was written after a file was cut short is not there without the cut.
    for change in file.pending[: chance.choice([*cuts, len(file.pending)])]:
        _changed(content, change)
        if isinstance(change, Truncate):
            _changed(floor, change)
            versions = {n: found for n, found in versions.items() if (n + 1) * SECTOR_BYTES <= change.size}
            sizes = [change.size]
            continue
        sizes.append(len(content))
        end = change.offset + len(change.data)
        for sector in range(change.offset // SECTOR_BYTES, -(-end // SECTOR_BYTES)):
            versions.setdefault(sector, []).append(_sector(content, sector))
    left = bytearray(floor)
    for sector, later in sorted(versions.items()):
        at = sector * SECTOR_BYTES
        never = chance.randbytes(SECTOR_BYTES) if chance.random() < _STALE else bytes(SECTOR_BYTES)
        first = _sector(floor, sector) if at < len(floor) else never
        _changed(left, Write(at, chance.choice([first, *later])))
    _changed(left, Truncate(chance.choice(sizes)))
    return bytes(left)


_STALE = 0.1
"""How often a sector that was never written holds something else than zeros."""


def _sector(content: bytearray, sector: int) -> bytes:
    found = bytes(content[sector * SECTOR_BYTES : (sector + 1) * SECTOR_BYTES])
    return found + bytes(SECTOR_BYTES - len(found))


def _no_names(_: list[_Names], __: random.Random) -> list[_Names]:
    return []


def _all_names(pending: list[_Names], _: random.Random) -> list[_Names]:
    return pending


def _names_up_to_a_point(pending: list[_Names], chance: random.Random) -> list[_Names]:
    """As a journal keeps them."""
    return pending[: chance.randint(0, len(pending))]


def _names_apart(pending: list[_Names], chance: random.Random) -> list[_Names]:
    """Names that no call links, each up to a point of its own."""
    until: dict[int, int] = {}
    groups = _linked(pending)
    for group in set(groups):
        members = [place for place, found in enumerate(groups) if found == group]
        until[group] = chance.choice([-1, *members])
    return [names for place, names in enumerate(pending) if place <= until[groups[place]]]


def _linked(pending: list[_Names]) -> list[int]:
    """For each change, the number of the group of names it belongs to."""
    group_of: dict[tuple[int, str], int] = {}
    for number, names in enumerate(pending):
        places = {(id(change.folder), change.name) for change in names}
        joined = {group_of[place] for place in places & group_of.keys()}
        for place, group in group_of.items():
            if group in joined:
                group_of[place] = number
        group_of |= dict.fromkeys(places, number)
    return [group_of[id(names[0].folder), names[0].name] for names in pending]


_CONTENTS: tuple[Callable[[File, random.Random], bytes], ...] = (
    _nothing,
    _everything,
    _up_to_a_point,
    _all_but_one,
    _any_sectors,
    _any_sectors,
)
_NAMES: tuple[Callable[[list[_Names], random.Random], list[_Names]], ...] = (
    _no_names,
    _all_names,
    _names_up_to_a_point,
    _names_apart,
)
