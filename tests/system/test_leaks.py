"""Nothing a contributor wrote, and no key, is found in a file, a log line, argv or the environment."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path

from tests.support.pods import TestPod, new_pod
from tests.support.server import Server, envelope, serving

TYPE = "CanaryType"
PROPERTY = "canaryProperty"
TEXT = "canary text, not found at rest"
ITEM_ID = "canary-id-0123456789"
INVITE = "canary-invite"
ITEMS = 300


def _forms(secret: bytes) -> Iterator[bytes]:
    yield secret
    yield secret.hex().encode()
    yield secret.hex().upper().encode()
    yield base64.b64encode(secret).rstrip(b"=")
    yield base64.urlsafe_b64encode(secret).rstrip(b"=")


def _canaries(pod: TestPod, key: bytes) -> list[bytes]:
    written = [text.encode() for text in (TYPE, PROPERTY, TEXT, ITEM_ID, INVITE)]
    secrets = (key, pod.keys.file_key.reveal(), pod.keys.identity.reveal())
    return [*written, *(form for secret in secrets for form in _forms(secret))]


def _abuse(server: Server, owner: str, key: str) -> None:
    wrong = "ab" * 32
    path = f"/v4/{owner}/create_item"
    good = {"type": TYPE, "id": ITEM_ID, PROPERTY: TEXT}
    assert server.create_item(owner, wrong, good).status == 403
    assert server.create_item(wrong, key, good).status == 403
    fresh = {**good, "id": ITEM_ID + "-fresh"}
    assert server.create_item(owner, key, {**fresh, "unknownProperty": TEXT}).status == 400
    assert server.create_item(owner, key, {**fresh, PROPERTY: 1}).status == 400
    assert server.create_item(owner, key, {**good, "type": TYPE + "!"}).status == 400
    assert server.request("POST", path, envelope(key, good)[:-2]).status == 400
    assert server.request("POST", path + "/" + TEXT.replace(" ", "")).status == 404
    assert server.request("POST", "/v4/account", envelope(key, good)).status == 404
    assert server.create_item(owner, key, {**good, "type": "Other"}).status == 409


def _fill(server: Server, owner: str, key: str) -> None:
    schema = {"type": "ItemPropertySchema", "itemType": TYPE, "propertyName": PROPERTY, "valueType": "Text"}
    assert server.create_item(owner, key, schema).status == 200
    assert server.create_item(owner, key, {"type": TYPE, "id": ITEM_ID, PROPERTY: TEXT}).status == 200
    for number in range(ITEMS):
        answer = server.create_item(
            owner, key, {"type": TYPE, PROPERTY: f"{TEXT} {number}"}, {"Pod-Receipt": "1"}
        )
        assert answer.status == 200


def _found(canaries: list[bytes], places: dict[str, bytes]) -> list[str]:
    return [
        f"{canary!r} in {place}"
        for place, content in places.items()
        for canary in canaries
        if canary in content
    ]


def _process_places(server: Server) -> dict[str, bytes]:
    return {
        f"/proc/{pid}/{name}": Path(f"/proc/{pid}/{name}").read_bytes()
        for pid in (server.process.pid, server.worker_pid)
        for name in ("cmdline", "environ")
    }


def test_no_canary_and_no_key_is_found_outside_the_request(tmp_path: Path) -> None:
    """Searched while the vault is open with a full log, and after it was closed; and the server's log."""
    pod = new_pod(tmp_path, properties={})
    invite = pod.invite(INVITE)
    key = invite.database_key.reveal()
    canaries = _canaries(pod, key)
    with serving(pod.folder.path, options=["--log-requests", "--idle-seconds", "60"]) as server:
        _fill(server, pod.owner, key.hex())
        _abuse(server, pod.owner, key.hex())
        assert pod.folder.wal.stat().st_size > 0
        open_places = {str(path): path.read_bytes() for path in pod.folder.path.iterdir()}
        process_places = _process_places(server)
        assert server.stop() == 0
        log = server.log.encode()
    closed_places = {str(path): path.read_bytes() for path in pod.folder.path.iterdir()}
    assert not pod.folder.wal.exists()
    owner = pod.owner.encode()
    assert owner not in log
    assert owner.upper() not in log
    assert str(pod.folder.path).encode() not in log
    for places in (open_places, closed_places, process_places, {"log": log}):
        assert _found(canaries, places) == []


def test_the_canaries_are_there_to_be_found(tmp_path: Path) -> None:
    """The search itself works: with the identity, every canary comes out."""
    pod = new_pod(tmp_path, properties={})
    invite = pod.invite(INVITE)
    with serving(pod.folder.path) as server:
        _fill(server, pod.owner, invite.database_key.reveal().hex())
        assert server.stop() == 0
    items = [item for item in pod.items() if item.type == TYPE]
    assert len(items) == ITEMS + 1
    assert items[0].full_id == f"{INVITE}/{ITEM_ID}"
    assert items[0].members[PROPERTY] == TEXT
