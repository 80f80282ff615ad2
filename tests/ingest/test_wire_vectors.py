"""Every wire vector through a real server process on a real socket, each to a fresh pod.

The original's clients must work here unchanged. What the vectors expect was
measured on the original, and decided where ours answers better.
"""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.pods import TestPod, make_pod
from tests.support.server import Response, Server, serving
from vault.links import Invite

VECTORS = Path(__file__).parents[1] / "data" / "wire_vectors.jsonl"


def _vectors() -> list[dict[str, Any]]:
    return [json.loads(line) for line in VECTORS.read_text(encoding="utf-8").splitlines()]


class _Run:
    """All pods in one server, as many as vectors; each vector answered once."""

    def __init__(self, folder: Path) -> None:
        self.pods: dict[str, tuple[TestPod, Invite]] = {}
        self.answers: dict[str, Response] = {}
        self.stored: dict[str, int] = {}
        for i, vector in enumerate(_vectors()):
            pod = make_pod(folder / str(i))
            self.pods[vector["name"]] = pod, pod.invite()

    def send(self, server: Server, vector: dict[str, Any]) -> None:
        """Send what goes before, then the request itself."""
        pod, invite = self.pods[vector["name"]]
        key = invite.database_key.reveal().hex()
        for payload in vector["before"]:
            assert server.create_item(pod.owner, key, payload).status == 200
        self.answers[vector["name"]] = _send(server, vector["request"], pod.owner, key)

    def count(self) -> None:
        """Count what each pod holds, with the maintainer's own reader."""
        self.stored = {name: len(pod.items()) for name, (pod, _) in self.pods.items()}


def _filled(template: bytes, owner: str, key: str) -> bytes:
    for mark, value in (("owner", owner), ("key", key), ("OWNER", owner.upper()), ("KEY", key.upper())):
        template = template.replace(b"{%s}" % mark.encode(), value.encode())
    return template


def _send(server: Server, request: dict[str, Any], owner: str, key: str) -> Response:
    body: bytes | None = None
    if "body_b64" in request:
        body = base64.b64decode(request["body_b64"])
    elif "body" in request:
        body = _filled(request["body"].encode(), owner, key)
    path = _filled(request["path"].encode(), owner, key).decode()
    return server.request(request["method"], path, body, request.get("headers"))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> _Run:
    """Send every vector once; the tests below look at the answers."""
    run = _Run(tmp_path_factory.mktemp("vectors"))
    pods = (pod.folder.path for pod, _ in run.pods.values())
    with serving(*pods, options=["--throttle", "0"]) as server:
        for vector in _vectors():
            run.send(server, vector)
        assert server.stop() == 0
    run.count()
    return run


@pytest.mark.parametrize("vector", [pytest.param(vector, id=vector["name"]) for vector in _vectors()])
def test_a_request_is_answered_and_stored_as_its_vector_says(run: _Run, vector: dict[str, Any]) -> None:
    """Status 200 is all that known clients test for; what they sent is then in the pod, once."""
    answer = run.answers[vector["name"]]

    assert answer.status == vector["status"], answer.body
    assert run.stored[vector["name"]] == len(vector["before"]) + vector["stored"]
    assert answer.headers["access-control-allow-origin"] == "*"


@pytest.mark.parametrize("vector", [pytest.param(vector, id=vector["name"]) for vector in _vectors()])
def test_an_answer_has_the_originals_form(run: _Run, vector: dict[str, Any]) -> None:
    """A 200 is what the original's clients parse; an error is one line that shows no key."""
    answer = run.answers[vector["name"]]
    pod, invite = run.pods[vector["name"]]

    if vector["status"] == 200:
        assert answer.headers["content-type"] == "application/json"
        assert isinstance(answer.json, dict if "/version" in vector["request"]["path"] else str)
    elif answer.body:
        assert answer.headers["content-type"] == "text/plain; charset=utf-8"
        assert answer.body.startswith(b"Failure: ")
        assert b"\n" not in answer.body
    assert invite.database_key.reveal().hex().encode() not in answer.body.lower()
    assert pod.owner.encode() not in answer.body.lower()
