"""A second reader, in Go, agrees with ours: on every golden vector, and on pods it has never seen.

``reader/`` was written from vault/FORMAT.md and shares no code with us: its
SQLCipher pages are decrypted by Go's standard library, its HPKE is Go's, its
SQLite a translation of SQLite's own source.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.support.functions import new_function
from tests.support.functions import put as put_objects
from tests.support.golang import build, go
from tests.support.invites import write_invite
from tests.support.maintaining import succeed
from tests.support.pods import PATIENCE, TestPod, new_pod
from tests.support.vectors import TESTDATA, item_facts
from vault.erasures import sign_erasure
from vault.errors import VaultError
from vault.identity_file import parse_identity
from vault.opening import Identity
from vault.pod import PodFolder
from vault.reader import open_reader
from vault.receipts import decode_receipt
from vault.snapshot import private_snapshot

SOURCE = Path(__file__).parent / "reader"
PAGE = 4096

pytestmark = pytest.mark.timeout(600)  # the first build compiles SQLite


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Go program, built."""
    return build(SOURCE, tmp_path_factory.mktemp("go") / "reader")


def run(reader: Path, *arguments: str | Path, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """Run it."""
    command = [reader, *arguments]
    return subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=240, check=False)


def lines(reader: Path, *arguments: str | Path, stdin: str = "") -> list[Any]:
    """Run it, and read its lines of JSON."""
    ran = run(reader, *arguments, stdin=stdin)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return [json.loads(line) for line in ran.stdout.splitlines()]


def names() -> list[Path]:
    """Every vector."""
    found = (path.relative_to(TESTDATA) for path in sorted(TESTDATA.rglob("*-*.json")))
    return [path for path in found if path.name.startswith(("accept-", "refuse-", "find-"))]


def test_it_is_tidy(reader: Path) -> None:  # noqa: ARG001 - skipped without Go
    """Formatted, and nothing for vet to say."""
    formatted = subprocess.run(["gofmt", "-l", SOURCE], capture_output=True, text=True, check=True)
    assert formatted.stdout == ""
    vetted = go(SOURCE, "vet", "./...")
    assert vetted.returncode == 0, vetted.stderr


def test_it_reads_and_refuses_every_vector(reader: Path) -> None:
    """Each value, and each kind of error."""
    ran = run(reader, "vectors", TESTDATA)
    assert ran.stdout == f"{len(names())} vectors, 0 failed\n", ran.stdout + ran.stderr


def test_it_fails_every_vector_that_says_otherwise(reader: Path, tmp_path: Path) -> None:
    """What it compares is what it read: a vector turned around never passes."""
    shutil.copytree(TESTDATA / "vaults/files", tmp_path / "vaults/files")
    for name in names():
        vector = json.loads((TESTDATA / name).read_bytes())
        if "finds" in vector:
            vector["about"] = "nothing"
        elif vector.pop("error", None) is None:
            vector["error"] = "DamagedError"
        else:
            vector.pop("at", None)  # of a receipt: where it is refused
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(json.dumps(vector))
    ran = run(reader, "vectors", tmp_path)
    assert ran.returncode == 1
    assert ran.stdout.splitlines()[-1] == f"{len(names())} vectors, {len(names())} failed"


PROPERTIES = {"text": "Text", "real": "Real", "whole": "Integer", "is": "Bool", "at": "DateTime"}
PAYLOADS: list[dict[str, Any]] = [
    {"text": "", "is": False},
    {"text": "\0 \u2028 <&> é 𝄞 \x7f", "real": 0.1, "whole": -(2**63)},
    {"real": 1e300, "whole": 2**63 - 1, "deleted": True},
    {"real": 2.0**63, "at": 1.5, "dateCreated": -1, "dateModified": 0},
    {"real": -0.0, "text": "x" * 70_000},
    {"real": 5e-324, "id": "note-1"},
]


def _fill(pod: TestPod) -> list[Any]:
    """Three batches through two slots, one of which declares a name; return the answers to one's items."""
    one, two = pod.slot("one"), pod.slot("two", max_items=100)
    with pod.writer() as writer:
        first = [pod.submission(one, **payload) for payload in PAYLOADS]
        answers = writer.commit(pod.policy, first)
        writer.commit(pod.policy, [pod.declaration(two, "own", "Text"), pod.submission(two, own="mine")])
        writer.commit(pod.policy, [pod.submission(two, id="note-1", real=0.5)])
    assert all(answer.receipt for answer in answers)
    return list(zip(first, answers, strict=True))


@pytest.fixture
def pod(tmp_path: Path) -> TestPod:
    """A pod of its own."""
    return new_pod(tmp_path, properties=PROPERTIES)


def _canonical(value: Any) -> str:
    """As JSON, which tells 2.0 from 2 and true from 1."""
    return json.dumps(value, sort_keys=True)


def _assert_same_items(reader: Path, pod: TestPod, joined: Path | None = None) -> int:
    """Both read the same from a snapshot, with the keys of one home; return how much that is."""
    home = joined or pod.home
    keys = [home / "identity", home / "signer"] if joined else [home / "identity"]
    identity = parse_identity(keys[0].read_bytes(), str)
    with private_snapshot(pod.folder.path, PATIENCE) as copy:
        found = lines(reader, "items", copy, *keys)
        assert lines(reader, "check", copy, *keys) == []
        trusted = pod.keys.identity.signer if joined else None
        with open_reader(PodFolder(copy), identity, trusted) as ours:
            expected = [item_facts(item) for item in ours.items()]
    assert _canonical(found) == _canonical(expected)
    return len(expected)


def test_it_reads_a_pod_it_has_never_seen(reader: Path, pod: TestPod) -> None:
    """Every kind of value, through two slots; an empty vault first."""
    assert _assert_same_items(reader, pod) == 0
    _fill(pod)
    assert _assert_same_items(reader, pod) == len(PAYLOADS) + 3


def test_it_reads_what_only_the_write_ahead_log_holds(reader: Path, pod: TestPod, tmp_path: Path) -> None:
    """A server that was killed; page images of several commits, and no checkpoint."""
    _fill(pod)
    slot = pod.slots["one"]
    with pod.writer() as writer:
        for number in range(9):
            writer.commit(pod.policy, [pod.submission(slot, text=f"{number}" * 9_000)])
        killed = pod.crashed(tmp_path / "killed")
    assert killed.folder.wal.stat().st_size > 9 * 9_000
    assert _assert_same_items(reader, killed) == len(PAYLOADS) + 3 + 9


def test_it_reads_what_was_collected(reader: Path, tmp_path: Path) -> None:
    """Batches that a function signed, a view that was settled, and one that came twice."""
    pod = new_pod(tmp_path, "infer", properties=PROPERTIES)
    function = new_function(pod, tmp_path / "scratch")
    slot = pod.slot()
    served = pod.submission(slot, id="note-1", text="x")
    with pod.writer() as writer:
        writer.commit(pod.policy, [served])
    store = tmp_path / "store"
    put_objects(
        store, function.deposit(slot, served), *(function.send(slot, own=own) for own in (1, 2.5, "x"))
    )
    succeed("collect", pod.home, "--from", store)
    assert _assert_same_items(reader, pod) == 4


def _mix_garbage(pod: TestPod) -> None:
    """Batch 1: an item, three that are none, one whose salt is none. Batch 2: an item."""
    slot = pod.slot()
    first, last = pod.submission(slot, text="first"), pod.submission(slot, text="last")
    content = (b"", b"\x81" * 300, first.item.canonical + b"x")
    items = (msgspec.structs.replace(first.item, canonical=each) for each in content)
    garbage = [
        msgspec.structs.replace(first, name=bytes([i]) * 22, item=item) for i, item in enumerate(items)
    ]
    short = msgspec.structs.replace(last, name=b"s" * 22, salt=b"short")
    with pod.writer() as writer:
        writer.commit(pod.policy, [first, *garbage, short])
        writer.commit(pod.policy, [last])


def test_it_passes_over_what_was_sealed_to_be_unreadable(reader: Path, pod: TestPod) -> None:
    """Named by place; what follows is read."""
    _mix_garbage(pod)
    with private_snapshot(pod.folder.path, PATIENCE) as copy:
        found = lines(reader, "items", copy, pod.home / "identity")
    with pod.reader() as ours:
        read = [item_facts(item) for item in ours.items()]
        passed_over = [(each.seq, each.batch) for each in ours.unreadable()]
    assert len(read) == 2
    assert [line for line in found if "unreadable" not in line] == read
    assert [(line["seq"], line["batch"]) for line in found if "unreadable" in line] == passed_over
    assert [seq for seq, _ in passed_over] == [2, 3, 4, 5]


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE item SET sealed = zeroblob(length(sealed)) WHERE seq = 1",
        "UPDATE item SET sealed = (SELECT sealed FROM item WHERE seq = 3) WHERE seq = 2",
        "UPDATE item SET c = zeroblob(32) WHERE seq = 1",
        "UPDATE item SET digest = zeroblob(32) WHERE seq = 5",
    ],
)
def test_what_is_not_as_it_was_logged_stops_it(reader: Path, pod: TestPod, damage: str) -> None:
    """Garbage in a batch does not make what was altered in it look like more garbage."""
    _mix_garbage(pod)
    with pod.forging() as vault:
        vault.execute(damage)
    with private_snapshot(pod.folder.path, PATIENCE) as copy:
        ran = run(reader, "items", copy, pod.home / "identity")
    assert ran.returncode != 0
    assert ran.stdout == ""
    assert "DamagedError: " in ran.stderr or "MalformedError: " in ran.stderr


def test_it_accepts_an_erasure(reader: Path, pod: TestPod) -> None:
    """A statement in the item's place is no loss."""
    _fill(pod)
    with pod.reader() as ours:
        batch = next(iter(ours.batches()))
        row = list(ours.sealed_items(batch))[1]
    statement = sign_erasure(batch.header, row.place, row.digest, pod.clock(), pod.keys.identity)
    with pod.writer() as writer:
        assert writer.erase(pod.policy, [statement]).items == 1
    assert _assert_same_items(reader, pod) == len(PAYLOADS) + 3 - 1


def test_it_reads_under_new_keys(reader: Path, pod: TestPod, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another file key, another identity: old batches and new ones."""
    _fill(pod)
    monkeypatch.chdir(pod.home.parent)
    succeed("rotate", pod.home, "--file-key")
    assert _assert_same_items(reader, pod) == len(PAYLOADS) + 3
    succeed("rotate", pod.home, "--identity")
    assert _assert_same_items(reader, pod) == len(PAYLOADS) + 3


def test_it_reads_as_a_colleague_does(
    reader: Path, pod: TestPod, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A recipient that came later, by the rows of rewrap; a home that trusts another's signer."""
    _fill(pod)
    monkeypatch.chdir(tmp_path)
    succeed("identity", "new", "ada")
    Path("ada.pub").write_bytes(succeed("identity", "public", "ada").raw)
    succeed("recipient", "add", pod.home, "ada.pub", "--name", "ada")
    succeed("rewrap", pod.home)
    succeed("snapshot", pod.home, "copy")
    Path("home.pub").write_bytes(succeed("identity", "public", pod.home).raw)
    succeed("join", "ada", "--pod", "copy", "--maintainer", "home.pub")
    assert _assert_same_items(reader, pod) == len(PAYLOADS) + 3
    assert _assert_same_items(reader, pod, tmp_path / "ada") == len(PAYLOADS) + 3


def test_it_verifies_receipts_with_an_invite_alone(reader: Path, pod: TestPod, tmp_path: Path) -> None:
    """Of a real pod; and for another item, or altered, it refuses them with our kind."""
    answers = _fill(pod)
    link = msgspec.structs.replace(pod.invite("third"), url="https://pod.example.org")
    invite = write_invite(tmp_path / "invite", link)
    for submission, answer in answers:
        (proven,) = lines(reader, "receipt", invite, submission.c.hex(), stdin=answer.receipt + "\n")
        ours = pod.verify(submission, answer.receipt)
        assert proven["c"] == submission.c.hex()
        assert (proven["batch"], proven["epoch"]) == (ours.checkpoint.size, ours.epoch)
        assert (proven["ms"], proven["index"]) == (ours.header.ms, decode_receipt(answer.receipt).index)
    (_, first), (other, _) = answers[:2]
    refused = run(reader, "receipt", invite, other.c.hex(), stdin=first.receipt)
    assert (refused.returncode, refused.stderr.split(":")[0]) == (1, "DamagedError")


def _flip(at: int) -> Callable[[PodFolder], None]:
    def fault(folder: PodFolder) -> None:
        content = bytearray(folder.vault.read_bytes())
        content[at] ^= 1
        folder.vault.write_bytes(content)

    return fault


FAULTS: dict[str, Callable[[PodFolder], object]] = {
    "salt": _flip(0),
    "first page": _flip(PAGE - 1),
    "second page": _flip(PAGE + 7),
    "cut": lambda folder: os.truncate(folder.vault, 3 * PAGE + 1),
    "empty": lambda folder: folder.vault.write_bytes(b""),
    "plain": lambda folder: folder.vault.write_bytes(b"SQLite format 3\0" + bytes(4080)),
    "no vault": lambda folder: folder.vault.unlink(),
    "no slots.json": lambda folder: folder.slots_json.unlink(),
    "slots.json of another": lambda folder: folder.slots_json.write_bytes(b"{}\n"),
    "pod.toml of another": lambda folder: folder.pod_toml.write_text(f'owner_key = "{"0" * 64}"\n'),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
def test_it_refuses_what_we_refuse_with_the_same_kind(
    reader: Path, pod: TestPod, fault: Callable[[PodFolder], object]
) -> None:
    """The kinds are the format's, not one program's."""
    _fill(pod)
    with private_snapshot(pod.folder.path, PATIENCE) as copy:
        fault(PodFolder(copy))
        ran = run(reader, "items", copy, pod.home / "identity")
        with pytest.raises(VaultError) as ours, open_reader(PodFolder(copy), pod.keys.identity) as opened:
            list(opened.items())
    assert (ran.returncode, ran.stderr.split(":")[0]) == (1, type(ours.value).__name__)


def test_it_opens_nothing_with_another_identity(reader: Path, pod: TestPod, tmp_path: Path) -> None:
    """A policy that another maintainer signed is nobody else's."""
    _fill(pod)
    (tmp_path / "other").write_text(Identity(bytes(range(32))).reveal().hex() + "\n")
    ran = run(reader, "items", pod.folder.path, tmp_path / "other")
    assert (ran.returncode, ran.stdout, ran.stderr.split(":")[0]) == (1, "", "PolicyError")
