"""The second reader, in Go, judges every input of the corpora as ours does: kind by kind, value by value.

A fuzzer finds the inputs at the edges of a format; two readers written from the
same page tell whether the page is clear about them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.fuzz.campaign import CORPORA, CRASHES
from tests.fuzz.harnesses import notes, receipts, requests
from tests.interop.test_reader import SOURCE, run
from tests.support.golang import build
from tests.vectors import world
from vault.errors import VaultError
from vault.identity_file import parse_identity
from vault.items import read_canonical
from vault.links import format_invite, parse_invite
from vault.notes import verify_checkpoint
from vault.policies import parse_policy
from vault.public_file import parse_public
from vault.receipt_files import parse_receipt_file
from vault.rekeying import parse_rotation
from vault.requests import Hold, parse_request

pytestmark = pytest.mark.timeout(600)  # the first build compiles SQLite

Read = Callable[[], dict[str, Any]]


class Vector(NamedTuple):
    """An input as a golden vector: its folder, its members, and what our reading gives."""

    folder: str
    members: dict[str, Any]
    read: Read


def _hexes(keys: Iterable[bytes]) -> list[str]:
    return [key.hex() for key in keys]


def _notes(data: bytes) -> Iterator[Vector]:
    def read() -> dict[str, Any]:
        found = verify_checkpoint(data, notes.ORIGIN, notes.LOG_KEYS)
        return {"checkpoint": {"origin": found.origin, "size": found.size, "root": found.root.hex()}}

    members = {"note_hex": data.hex(), "origin": notes.ORIGIN, "log_keys": _hexes(notes.LOG_KEYS)}
    yield Vector("checkpoints", members, read)


def _receipts(data: bytes) -> Iterator[Vector]:
    yield from (_receipt(data, trust) for trust in receipts.TRUSTS)


def _receipt(data: bytes, trust: receipts.Trust) -> Vector:
    members = {
        "file_hex": data.hex(),
        "pod_id": trust.pod_id.hex(),
        "log_keys": [trust.log_key.public.hex()],
        "function_keys": _hexes(trust.function_keys),
        "at": "read",
    }

    def read() -> dict[str, Any]:
        file = parse_receipt_file(data)
        members["at"] = "verify"
        found = receipts.verify(file, trust)
        members["at"] = ""
        receipt = file.receipt
        proves = {
            "item_id": file.item_id,
            "c": receipt.c.hex(),
            "index": receipt.index,
            "batch": receipt.batch,
            "ms": found.receipt.header.ms,
            "epoch": found.receipt.epoch,
            "sizes": [checkpoint.size for checkpoint in found.checkpoints],
        }
        return {"proves": proves}

    return Vector("receipt-files", members, read)


def _requests(data: bytes) -> Iterator[Vector]:
    def read() -> dict[str, Any]:
        found = parse_request(data, pod_id=world.POD_ID, request_id=requests.ID, signers=requests.SIGNERS)
        if isinstance(found, Hold):
            return {"asks": {"verb": "hold", "until": found.until_ms}}
        return {"asks": {"verb": "erase", "statements": _hexes(found.statements)}}

    members = {
        "request": data.hex(),
        "pod_id": world.POD_ID.hex(),
        "id": requests.ID.hex(),
        "signers": _hexes(requests.SIGNERS),
    }
    yield Vector("requests", members, read)


def _invites(data: bytes) -> Iterator[Vector]:
    link = data.decode("ascii", "replace")

    def read() -> dict[str, Any]:
        found = parse_invite(link)
        invite = {
            "url": found.url,
            "owner_key": found.owner_key.hex,
            "database_key": found.database_key.reveal().hex(),
            "slot": found.slot,
            "log_keys": _hexes(found.log_keys),
            "function_keys": _hexes(found.function_keys),
            "signer": found.signer.hex(),
            "name": found.name,
            "pod_name": found.pod_name,
            "expires": found.expires,
            "types": None if found.types is None else list(found.types),
        }
        return {"invite": invite, "link_again": format_invite(found)}

    yield Vector("invites", {"link": link}, read)


def _policies(data: bytes) -> Iterator[Vector]:
    pod_toml, _, slots_json = data.partition(b"\0")

    def read() -> dict[str, Any]:
        found = parse_policy(pod_toml, slots_json)
        policy = {
            "revision": found.revision,
            "digest": found.digest.hex(),
            "pod_id": found.pod_id.hex(),
            "recipients": [recipient.kid.hex() for recipient in found.recipients],
            "signer": found.signer.hex(),
            "signers": _hexes(found.signers),
            "vault_logs": _hexes(found.vault_logs),
            "function_logs": _hexes(found.function_logs),
            "open_slots": [slot.number for slot in found.slots if slot.is_open],
            "closed_slots": [slot.number for slot in found.slots if not slot.is_open],
        }
        return {"policy": policy}

    members = {"pod_toml": pod_toml.decode(), "slots_json": slots_json.decode()}
    yield Vector("policies/pairs", members, read)


def _items(data: bytes) -> Iterator[Vector]:
    def read() -> dict[str, Any]:
        return {"members": read_canonical(data)}

    yield Vector("items/canonical", {"canonical": data.hex()}, read)


def _keyfiles(data: bytes) -> Iterator[Vector]:
    content = data.decode()

    def read_identity() -> dict[str, Any]:
        return {"identity": parse_identity(data, str).reveal().hex()}

    def read_public() -> dict[str, Any]:
        found = parse_public(content)
        return {
            "kid": found.recipient.kid.hex(),
            "signer": found.signer.hex(),
            "fingerprint": found.fingerprint,
        }

    def read_rotation() -> dict[str, Any]:
        return {"file_key": parse_rotation(content, world.IDENTITY, world.POD_ID).reveal().hex()}

    if "argon2id" not in content:
        yield Vector("identities", {"content": content, "passphrase": None}, read_identity)
    yield Vector("public-files", {"line": content}, read_public)
    rotation = {"line": content, "identity": world.IDENTITY.reveal().hex(), "pod_id": world.POD_ID.hex()}
    yield Vector("rotations", rotation, read_rotation)


VECTORS_OF: dict[str, Callable[[bytes], Iterator[Vector]]] = {
    "notes": _notes,
    "receipts": _receipts,
    "requests": _requests,
    "invites": _invites,
    "policies": _policies,
    "items": _items,
    "keyfiles": _keyfiles,
}


def write(folder: Path, name: str, inputs: Iterable[Path]) -> int:
    """Write the vectors of a target's inputs; those that JSON cannot hold are left out. Returns how many."""
    count = 0
    for path in inputs:
        try:
            found = list(VECTORS_OF[name](path.read_bytes()))
        except UnicodeDecodeError:
            continue
        for number, vector in enumerate(found):
            _write(folder / vector.folder, f"{path.name}-{number}", vector)
            count += 1
    return count


def _write(folder: Path, name: str, vector: Vector) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    try:
        expected = vector.read()
    except VaultError as exc:
        expected = {"error": type(exc).__name__}
    verb = "refuse" if "error" in expected else "accept"
    content = json.dumps({**vector.members, **expected}, ensure_ascii=False)
    (folder / f"{verb}-{name}.json").write_bytes(content.encode())


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Go program, built."""
    return build(SOURCE, tmp_path_factory.mktemp("go") / "reader")


@pytest.mark.parametrize("name", VECTORS_OF)
def test_it_judges_every_input_as_we_do(reader: Path, tmp_path: Path, name: str) -> None:
    """Accepted with the same values, or refused with the same kind."""
    count = write(tmp_path, name, [*(CORPORA / name).glob("*"), *(CRASHES / name).glob("*")])
    ran = run(reader, "vectors", tmp_path)

    assert count
    assert ran.stdout == f"{count} vectors, 0 failed\n", ran.stdout + ran.stderr
