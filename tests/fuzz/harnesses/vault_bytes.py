"""A pod's folder whose bytes somebody changed: the vault, its log, log.head, and the policy's files.

What such a person has lies in ``vault/testdata/vaults/files``: pages, logs and
heads of several days, some made with the file key. Promises: ``tests.fuzz.plants``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from tests.fuzz.cuts import Cuts
from tests.fuzz.plants import FILES, WHOLE, lay_out, read_all, scratch
from tests.fuzz.target import Target
from tests.support.vectors import vectors

Contents = dict[str, bytes]
PAGE = 4096
FRAME, WAL_HEADER = 24 + PAGE, 32
NAMES = ("vault.db", "vault.db-wal", "log.head", "slots.json", "pod.toml")
SOURCES = (
    *("empty.db", "two.db", "three.db", "third.wal", "head-1", "head-2", "head-3"),
    *("pod.toml", "slots.json", "log.key", "a-second-epoch.wal", "one-item-erased.wal"),
    *("a-stranger-s-policy.wal", "the-policy-taken-away.wal", "newest-batch-missing.wal"),
    *("every-batch-missing.wal", "items-swapped.wal", "names-swapped.wal", "wraps-of-another-batch.wal"),
    *("a-trigger-less.wal", "a-view-for-a-table.wal", "another-pod-inside.wal", "newer-format.wal"),
    *("checkpoints-of-two-batches-swapped.wal", "gone-without-a-statement.wal", "signature-altered.wal"),
)
"""What there is to take from; named one by one, so that an input means the same tomorrow."""
_MOST_ACTS = 24


def run(data: bytes) -> None:
    """Lay the pod out, do to its files what the input says, and read it."""
    contents = {name: FILES[source] for name, source in WHOLE.items()}
    cuts = Cuts(data)
    for _ in range(_MOST_ACTS):
        if not cuts:
            break
        act = cuts.one_of(ACTS)
        act(contents, cuts)
    read_all(lay_out(_FOLDER, contents))


def _file(contents: Contents, cuts: Cuts) -> tuple[str, bytearray]:
    name = cuts.one_of(NAMES)
    return name, bytearray(contents.get(name, b""))


def _put(contents: Contents, cuts: Cuts) -> None:
    """One file of another day in place of this one's."""
    name = cuts.one_of(NAMES)
    contents[name] = FILES[cuts.one_of(SOURCES)]


def _xor(contents: Contents, cuts: Cuts) -> None:
    name, content = _file(contents, cuts)
    at = cuts.number(3) % (len(content) + 1)
    for place, mask in enumerate(cuts.text(), at):
        if place < len(content):
            content[place] ^= mask
    contents[name] = bytes(content)


def _write(contents: Contents, cuts: Cuts) -> None:
    name, content = _file(contents, cuts)
    at, written = cuts.number(3) % (len(content) + 1), cuts.text()
    content[at : at + len(written)] = written
    contents[name] = bytes(content)


def _truncate(contents: Contents, cuts: Cuts) -> None:
    name, content = _file(contents, cuts)
    contents[name] = bytes(content[: cuts.number(3) % (len(content) + 1)])


def _remove(contents: Contents, cuts: Cuts) -> None:
    contents.pop(cuts.one_of(NAMES), None)


def _take_page(contents: Contents, cuts: Cuts) -> None:
    """A page of the vault as it was on another day, here or at another place."""
    content = bytearray(contents.get("vault.db", b""))
    to, source, page = cuts.number() * PAGE, FILES[cuts.one_of(SOURCES)], cuts.number() * PAGE
    content[to : to + PAGE] = source[page : page + PAGE]
    contents["vault.db"] = bytes(content)


def _take_frame(contents: Contents, cuts: Cuts) -> None:
    """A frame of another log, at a place in this one."""
    content = bytearray(contents.get("vault.db-wal", b""))
    to, source, frame = cuts.number(), FILES[cuts.one_of(SOURCES)], cuts.number()
    at, begin = WAL_HEADER + to * FRAME, WAL_HEADER + frame * FRAME
    content[at : at + FRAME] = source[begin : begin + FRAME]
    contents["vault.db-wal"] = bytes(content)


ACTS: tuple[Callable[[Contents, Cuts], None], ...] = (
    _put,
    _xor,
    _write,
    _truncate,
    _remove,
    _take_page,
    _take_frame,
)
_FOLDER = scratch()


def _put_act(name: str, source: str) -> bytes:
    return bytes([ACTS.index(_put), NAMES.index(name), SOURCES.index(source)])


def _edit_act(edit: dict[str, object]) -> bytes:
    """An edit of a golden vector (FORMAT.md, "Golden vectors") as an act; of text, the first letters."""
    name = bytes([NAMES.index(str(edit["file"]))])
    match edit:
        case {"truncate": int(size)}:
            return bytes([ACTS.index(_truncate)]) + name + size.to_bytes(3, "little")
        case {"xor": [int(at), str(mask)]}:
            raw = bytes.fromhex(mask)
            return bytes([ACTS.index(_xor)]) + name + at.to_bytes(3, "little") + bytes([len(raw)]) + raw
        case {"text": str(text)}:
            written = text.encode()[:255]
            head = bytes([ACTS.index(_truncate)]) + name + bytes(3) + bytes([ACTS.index(_write)]) + name
            return head + bytes(3) + bytes([len(written)]) + written
    return b""


def _seeds() -> Iterator[bytes]:
    for folder in ("vaults/read", "vaults/check"):
        for vector in vectors(folder):
            files = vector["files"]
            if not files.keys() <= {*NAMES, "log.key"} or not {*files.values()} <= {*SOURCES}:
                continue
            puts = [
                _put_act(name, files[name])
                for name in NAMES
                if name in files and files[name] != WHOLE.get(name)
            ]
            removes = [
                bytes([ACTS.index(_remove), NAMES.index(name)])
                for name in NAMES
                if name in WHOLE and name not in files
            ]
            yield b"".join([*puts, *removes, *map(_edit_act, vector["edits"])])
    for source in SOURCES[:2]:
        yield from (bytes([ACTS.index(_take_page), page, SOURCES.index(source), page]) for page in range(20))


TARGET = Target(run, _seeds, 1_024)
