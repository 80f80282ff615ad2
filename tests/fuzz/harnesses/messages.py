"""What a worker sends to the process that writes, if the worker was taken over: frames, and anything else.

Promises: the writer answers each whole frame once, in order, with a message of
ours, and ends with its connection; no answer holds a key; what was in the vault
before is there, unchanged, and the vault opens. Read as replies, the same bytes
give a message or an error of the decoder.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from itertools import islice

import msgspec

from ingest.messages import (
    Close,
    Closed,
    Commit,
    Committed,
    Failed,
    Frames,
    Look,
    Looked,
    Reply,
    Serve,
    Warned,
    WriterFault,
    decode_reply,
    decode_request,
    error_of,
    frame,
)
from ingest.vault_thread import Tools, serve_vault
from tests.fuzz.plants import FILES, PUT_IN, content_of, lay_out, require_no_secret, scratch
from tests.fuzz.target import Shape, Target
from tests.vectors import world
from tests.vectors.founding import policy
from vault.errors import VaultError
from vault.items import parse_item
from vault.locks import Patience
from vault.pod import PodFolder
from vault.reader import open_reader
from vault.slots import open_slot
from vault.submissions import Submission, submit

_NOT_DECODED = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_LAID = {
    "vault.db": "two.db",
    "log.head": "head-2",
    **dict.fromkeys(("pod.toml", "slots.json", "log.key")),
}
_NOW_MS = 1_763_700_009_000
_BEFORE = 5
"""Items of the two batches that the vault begins with."""
_RECEIVE = 1 << 16
_POLICY = policy()


def run(data: bytes) -> None:
    """Let a writer read it behind an honest beginning; then read it as a worker does."""
    contents = {name: FILES[source or name] for name, source in _LAID.items()}
    folder = lay_out(_FOLDER, contents)
    told = _told(folder, data)
    frames = list(Frames().feed(data))
    _require_answers(told, frames)
    if folder.vault.read_bytes() != contents["vault.db"]:
        _require_kept(folder)
    for content in frames:
        _read_reply(content)


def _told(folder: PodFolder, data: bytes) -> list[Reply]:
    """Everything that the writer says."""
    ours, theirs = socket.socketpair()
    heard: list[bytes] = []

    def hear() -> None:
        while received := ours.recv(_RECEIVE):
            heard.append(received)

    def speak() -> None:
        ours.sendall(frame(Serve(str(folder.path))) + frame(Look((_POLICY.pod_toml, _POLICY.slots_json))))
        ours.sendall(data)
        ours.shutdown(socket.SHUT_WR)

    threads = [threading.Thread(target=act) for act in (hear, speak)]
    for thread in threads:
        thread.start()
    serve_vault(theirs, Tools(lambda: _NOW_MS, os.urandom, Patience(0.0, time.monotonic, time.sleep)))
    for thread in threads:
        thread.join()
    ours.close()
    said = b"".join(heard)
    require_no_secret(said.decode("latin-1"), said.hex())
    return [decode_reply(content) for content in Frames().feed(said)]


def _require_answers(told: Sequence[Reply], frames: Sequence[bytes]) -> None:
    first, *answers = [reply for reply in told if not isinstance(reply, Warned)]
    assert isinstance(first, Looked)
    expected = [_answers_to(content) for content in frames]
    wanted = [kinds for kinds in expected if kinds]
    assert len(answers) == len(wanted)
    assert all(isinstance(answer, kinds) for answer, kinds in zip(answers, wanted, strict=True))
    for answer in answers:
        if isinstance(answer, Failed):
            assert isinstance(error_of(answer), VaultError | WriterFault)


def _answers_to(content: bytes) -> tuple[type, ...]:
    """What may answer one frame; nothing answers Serve."""
    try:
        request = decode_request(content)
    except _NOT_DECODED:
        return (Failed,)
    answers: dict[type, tuple[type, ...]] = {
        Serve: (),
        Commit: (Committed, Failed),
        Look: (Looked, Failed),
        Close: (Closed, Failed),
    }
    return answers[type(request)]


def _require_kept(folder: PodFolder) -> None:
    """The batches of before, item by item. What a worker made up since may be anything."""
    with open_reader(folder, world.IDENTITY) as reader:
        batches = list(reader.batches())
        items = []
        for batch in batches[:2]:
            rows = [row.sealed for row in reader.sealed_items(batch)]
            items += [(item.canonical, item.slot) for item in reader.open_batch(batch).open_items(rows)]
        assert len(items) == _BEFORE
        # Batch by batch: those of before come before anything is refused that the worker made up.
        assert all(content_of(item) in PUT_IN for item in islice(reader.items(), _BEFORE))


def _read_reply(content: bytes) -> None:
    try:
        reply = decode_reply(content)
    except _NOT_DECODED:
        return
    if isinstance(reply, Failed):
        assert isinstance(error_of(reply), VaultError | WriterFault)


def _contents(data: bytes) -> list[bytes]:
    """Of each frame."""
    found = list(Frames().feed(data))
    if not found:
        raise ValueError("no frame")
    return found


def _joined(contents: Sequence[bytes]) -> bytes:
    return b"".join(len(content).to_bytes(4, "little") + content for content in contents)


def _submission(slot: int, **payload: object) -> Submission:
    opened = open_slot(_POLICY.slot_by_number[slot], world.KEYS[slot], world.POD_ID)
    item = parse_item({"type": "Plant", "id": "plant-9"} | payload, make_id=str)  # type: ignore[arg-type]  # JSON
    return submit(opened, item, wants_receipt=True)


def _seeds() -> Iterator[bytes]:
    key = world.FILE_KEY.reveal()
    batches = [
        [_submission(1, height=2.5)],
        [_submission(2, id="plant-1", seen=1), _submission(2, seen=True), _submission(1, height=1)],
        [_submission(2, type="ItemPropertySchema", itemType="Plant", propertyName="x", valueType="Text")],
        [_submission(1, type="Withdrawal", targetItemId="plant-1")],
        [],
    ]
    commits = [frame(Commit(None, key, batch)) for batch in batches]
    yield from commits
    yield commits[0] + frame(Close()) + commits[0] + frame(Look(None))
    yield frame(Commit(None, bytes(32), batches[0])) + commits[1]
    yield frame(Commit(None, b"short", batches[0]))
    yield frame(Look((b"", b"{}")))
    yield frame(Serve("/nowhere")) + commits[0]
    for reply in (Committed([], 0.0, 0.0), Looked(is_open=True, items=0, refusals=[]), Warned("x")):
        yield frame(reply)
    for error in ("DiskFullError", "VaultError", "Fault", "ItemError", "__doc__", "annotations"):
        yield frame(Failed(error, "sentence", "places"))
    yield b"\xff\xff\xff\xff" + commits[0]
    yield _joined([b"\x91" * 4000, b"", b"\xc1"])


_FOLDER = scratch()

TARGET = Target(run, _seeds, 4_096, (Shape(_contents, _joined),))
