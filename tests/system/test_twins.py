"""Two vaults that differ only in what others stored answer one request sequence alike."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from tests.support.pods import TestPod, new_pod
from tests.support.server import Server, envelope, serving

_MADE_ID = re.compile(rb'"[0-9a-f]{32}"')
_DATE = re.compile(rb"(?i)date: [^\r]*")


def _declare(name: str, value_type: str) -> dict[str, object]:
    return {
        "type": "ItemPropertySchema",
        "itemType": "Note",
        "propertyName": name,
        "valueType": value_type,
    }


SEQUENCE: list[dict[str, object]] = [
    {"type": "Note", "text": "a"},
    {"type": "Note", "id": "shared-id", "text": "mine"},
    {"type": "Note", "id": "shared-id", "text": "mine"},
    {"type": "Note", "id": "shared-id", "text": "other"},
    {"type": "Note", "secretName": "x"},
    _declare("secretName", "Text"),
    _declare("secretName", "Text"),
    _declare("secretName", "Integer"),
    {"type": "Note", "secretName": 5},
    {"type": "Note", "secretName": "x"},
    {"type": "PluginRun", "containerImage": "alpine", "targetItemId": "theirs-1"},
    {"type": "Note", "id": "theirs-1"},
    {"type": "Note", "id": "bad id"},
    {"type": "Other", "text": 1},
]
"""What a curious contributor tries: others' ids, others' properties, targets of others' items."""


def _raw(server: Server, owner: str, key: str, payload: object) -> bytes:
    body = envelope(key, payload)
    head = (
        f"POST /v4/{owner}/create_item HTTP/1.1\r\nHost: pod\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    with server.connect() as connection:
        connection.sendall(head.encode() + body)
        answer = b"".join(iter(lambda: connection.recv(65_536), b""))
    return _MADE_ID.sub(b'"made"', _DATE.sub(b"date:", answer))


def _answers(pod: TestPod, key: str) -> list[bytes]:
    with serving(pod.folder.path) as server:
        answers = [_raw(server, pod.owner, key, payload) for payload in SEQUENCE]
        assert server.stop() == 0
    return answers


def test_others_items_change_no_byte_of_an_answer(tmp_path: Path) -> None:
    """Write-only: no answer reveals another contributor's items, ids or schema."""
    pod = new_pod(tmp_path)
    curious, other = pod.invite("curious"), pod.slot("other")
    shutil.copytree(pod.home, tmp_path / "twin")
    twin = TestPod(tmp_path / "twin", pod.keys, pod.policy)
    with twin.writer() as writer:
        stored = [
            twin.declaration(other, "secretName", "Bool"),
            *(twin.submission(other, id=f"theirs-{number}", secretName=True) for number in range(40)),
            twin.submission(other, id="shared-id", text="theirs"),
        ]
        assert {answer.outcome.value for answer in writer.commit(twin.policy, stored)} == {"stored"}
    key = curious.database_key.reveal().hex()
    answers = _answers(pod, key)
    assert answers == _answers(twin, key)
    statuses = [answer.split()[1] for answer in answers]
    assert (
        statuses
        == [b"200"] * 3
        + [b"409", b"400", b"200", b"200", b"400", b"400", b"200", b"200", b"200"]
        + [b"400"] * 2
    )
