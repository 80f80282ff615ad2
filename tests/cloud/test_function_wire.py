"""The recorded wire vectors through a function: what clients of the original are answered.

Each goes to a pod of its own whose policy is ``closed``: what a vector's clients
declared before is declared by its maintainer. Vectors that declare something
new need the policy ``extend``, which functions do not have.
"""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from ingest.function import Function
from tests.ingest.test_wire_vectors import _filled, _vectors
from tests.support.deploying import Deployed, deploy
from tests.support.pods import TestPod, make_pod, properties_toml
from tests.support.runtime_api import http_event, item_event
from tests.support.stores import Store, new_bucket, running_store
from vault.links import Invite

DECLARATION = "ItemPropertySchema"


def _declares(vector: dict[str, Any]) -> bool:
    """Whether the request itself declares a property."""
    body = vector["request"].get("body", "")
    return DECLARATION in body or DECLARATION.encode() in base64.b64decode(
        vector["request"].get("body_b64", "")
    )


VECTORS = [vector for vector in _vectors() if not _declares(vector)]


def _event(vector: dict[str, Any], owner: str, key: str) -> dict[str, Any]:
    request = vector["request"]
    path, _, query = _filled(request["path"].encode(), owner, key).decode().partition("?")
    more: dict[str, Any] = {"rawQueryString": query}
    body: str | None = None
    if "body_b64" in request:
        body, more["isBase64Encoded"] = request["body_b64"], True
    elif "body" in request:
        body = _filled(request["body"].encode(), owner, key).decode()
    return http_event(request["method"], path, body, request.get("headers"), **more)


class _Run:
    """All pods in one function, as many as vectors; each vector answered once."""

    def __init__(self, folder: Path, store: Store) -> None:
        self.sites: dict[str, tuple[Deployed, Invite]] = {}
        self.answers: dict[str, dict[str, Any]] = {}
        self.stored: dict[str, int] = {}
        (folder / "bundles").mkdir()
        self.role = store.role()
        for number, vector in enumerate(VECTORS):
            pod = _pod(folder / str(number), vector["before"])
            site = deploy(pod, folder, store, self.role)
            site.bundle = folder / "bundles" / str(number)
            self.sites[vector["name"]] = site, site.invite()
        site, _ = self.sites[VECTORS[0]["name"]]
        self.environment = site.environment() | {"POD_BUNDLE": str(folder / "bundles")}

    def send(self, function: Function, vector: dict[str, Any]) -> None:
        """Send what goes before, then the request itself."""
        site, invite = self.sites[vector["name"]]
        owner, key = site.pod.owner, invite.database_key.reveal().hex()
        for payload in vector["before"]:
            assert function.answer(item_event(owner, key, payload))["statusCode"] == 200
        self.answers[vector["name"]] = function.answer(_event(vector, owner, key))

    def count(self, store: Store) -> None:
        """Count what each pod has in the store."""
        keys = store.keys_of_objects()
        for name, (site, _) in self.sites.items():
            self.stored[name] = sum(f"/{site.pod.policy.pod_id.hex()}/" in key for key in keys)


def _pod(home: Path, before: list[dict[str, Any]]) -> TestPod:
    declared = {entry["propertyName"]: entry["valueType"] for entry in before if entry["type"] == DECLARATION}
    return make_pod(home, policy="closed", more=properties_toml(declared))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> _Run:
    """Send every vector once; the tests below look at the answers."""
    with running_store() as running, pytest.MonkeyPatch.context() as patch:
        store = new_bucket(running)
        run = _Run(tmp_path_factory.mktemp("vectors"), store)
        for name, value in run.role.environment.items():
            patch.setenv(name, value)
        function = Function(run.environment)
        for vector in VECTORS:
            run.send(function, vector)
        function.end()
        run.count(store)
    return run


def test_most_vectors_apply() -> None:
    """What is left out is few, and of one kind."""
    assert len(VECTORS) > 0.6 * len(_vectors())


@pytest.mark.parametrize("vector", [pytest.param(vector, id=vector["name"]) for vector in VECTORS])
def test_a_request_is_answered_and_stored_as_its_vector_says(run: _Run, vector: dict[str, Any]) -> None:
    """As a server answers it; what was stored is an object of its pod, once."""
    answer = run.answers[vector["name"]]
    site, invite = run.sites[vector["name"]]
    stored_before = sum(entry["type"] != DECLARATION for entry in vector["before"])

    assert answer["statusCode"] == vector["status"], answer["body"]
    assert run.stored[vector["name"]] == stored_before + vector["stored"]
    assert answer["headers"]["access-control-allow-origin"] == "*"
    if vector["status"] == 200:
        assert answer["headers"]["content-type"] == "application/json"
        json.loads(answer["body"])
    elif answer["body"]:
        assert answer["headers"]["content-type"] == "text/plain; charset=utf-8"
        assert answer["body"].startswith("Failure: ")
    assert invite.database_key.reveal().hex() not in answer["body"].lower()
    assert site.pod.owner not in answer["body"].lower()
