r"""The edge and all behind it: whole sessions of requests, spoken in ASGI as the HTTP server speaks it.

An input is requests with NUL LF between them. A request is a line METHOD PATH,
a line for each header, an empty line, and the body, in which NUL parts what
arrives in several pieces; one that ends with NUL is cut off there. ``{owner}``,
``{key}``, ``{limited}``, ``{revoked}`` stand for keys. The first letter of the
input chooses the pod's schema policy.

Promises: every request has one whole answer with a status that FORMAT.md names,
never 500; half a body is never taken for a whole one; no answer and no line of
the log holds a key; afterwards the vault holds what was answered 200, once, and
nothing else.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ingest.asgi import Application, Message, Scope
from tests.fuzz.plants import FILES, lay_out, scratch
from tests.fuzz.target import Shape, Target
from tests.support.asgi import application, ask
from tests.support.pods import FakeClock, TestPod
from tests.vectors import world
from tests.vectors.policies import members, packed, signed, slot_entry, tombstone
from vault.founding import Founding
from vault.items import SCHEMA_TYPE
from vault.policies import Policy, parse_policy
from vault.reader import open_reader
from vault.stored import StoredItem

STATUSES = {200, 204, 400, 403, 404, 405, 408, 409, 413, 429, 503, 507}
"""FORMAT.md, "The wire"; 500 is not among them."""
BETWEEN, PIECE = b"\0\n", b"\0"
_MOST_REQUESTS = 8
_NOW_MS = 1_763_700_009_000
_KEYS = {"key": world.KEYS[1], "limited": world.KEYS[2], "revoked": world.KEYS[3]}
_MARKS = {
    b"{owner}": world.OWNER_KEY.hex.encode(),
    b"{OWNER}": world.OWNER_KEY.hex.upper().encode(),
    b"{KEY}": world.KEYS[1].reveal().hex().upper().encode(),
    **{b"{%s}" % name.encode(): key.reveal().hex().encode() for name, key in _KEYS.items()},
}
_LIMITS = {"types": ["Note", "Withdrawal"], "max_items": 3, "max_item_bytes": 200, "rate": [6, 4096]}
_VECTORS = Path(__file__).parents[2] / "data" / "wire_vectors.jsonl"
_SECRETS = [
    *(key.reveal().hex() for key in _KEYS.values()),
    world.FILE_KEY.reveal().hex(),
    world.LOG_KEY.reveal().hex(),
]


def run(data: bytes) -> None:
    """Ask all of it of one server, then count what is in its vault."""
    policy = _POLICIES.get(data[:1], _POLICIES[b""])
    contents = {
        **{name: FILES[source] for name, source in _LAID.items()},
        "pod.toml": policy.pod_toml,
        "slots.json": policy.slots_json,
    }
    folder = lay_out(_HOME / "pod", contents)
    clock = FakeClock(_NOW_MS)
    pod = TestPod(_HOME, _FOUNDING, policy, clock)
    lines: list[bytes] = []
    requests = [_filled(each) for each in data.split(BETWEEN)[:_MOST_REQUESTS]]
    answers = asyncio.run(_ask_all(pod, requests, lines))
    _require_no_key(b"".join(lines).lower())
    assert b'"unexpected"' not in b"".join(lines)
    stored = [answer for request, answer in zip(requests, answers, strict=True) if _is_item(request, answer)]
    if folder.vault.read_bytes() == contents["vault.db"]:
        assert not [each for each in stored if not _may_be_repeated(requests)]
        return
    with open_reader(folder, world.IDENTITY) as reader:
        _require_stored(list(reader.items())[_BEFORE:], stored, requests)


def _filled(request: bytes) -> bytes:
    for mark, value in _MARKS.items():
        request = request.replace(mark, value)
    return request


async def _ask_all(pod: TestPod, requests: Sequence[bytes], lines: list[bytes]) -> list[tuple[int, bytes]]:
    async with application(pod, lines.append) as app:
        return [await _ask(app, request) for request in requests]


async def _ask(app: Application, request: bytes) -> tuple[int, bytes]:
    head, _, body = request.partition(b"\n\n")
    sending = _Body(body)
    status, said = _answer(await ask(app, _scope(head), sending.receive))
    is_known_to_end = sending.is_whole or b"content-length" in head.lower() or head.startswith(b"GET ")
    assert status != 200 or is_known_to_end, "half a body was taken for a whole one"
    return status, said


def _scope(head: bytes) -> Scope:
    """As granian makes it: names of headers in lower case, no control characters but tabs."""
    line, *headers = head.split(b"\n")
    method, _, target = line.partition(b" ")
    path, _, query = target.partition(b"?")
    pairs = [header.partition(b":")[::2] for header in headers]
    return {
        "type": "http",
        "method": method.decode("latin-1"),
        "path": path.decode("latin-1"),
        "raw_path": path,
        "query_string": query,
        "headers": [(name.strip().lower(), value.strip()) for name, value in pairs],
    }


class _Body:
    """What a client sends, piece by piece."""

    def __init__(self, body: bytes) -> None:
        self._pieces = body.split(PIECE)
        self.is_whole = len(self._pieces) == 1 or bool(self._pieces[-1])

    async def receive(self) -> Message:
        if not self._pieces:
            return {"type": "http.disconnect"}
        piece = self._pieces.pop(0)
        is_more = bool(self._pieces) or not self.is_whole
        return {"type": "http.request", "body": piece, "more_body": is_more}


def _answer(sent: Sequence[Message]) -> tuple[int, bytes]:
    """One start, one whole body, and what every answer has."""
    start, *bodies = sent
    assert start["type"] == "http.response.start"
    assert bodies
    assert [message["type"] for message in bodies] == ["http.response.body"] * len(bodies)
    assert [message.get("more_body", False) for message in bodies] == [True] * (len(bodies) - 1) + [False]
    status, headers = start["status"], dict(start["headers"])
    assert status in STATUSES, status
    body = b"".join(message["body"] for message in bodies)
    assert headers[b"access-control-allow-origin"] == b"*"
    assert status not in {429, 503} or 1 <= int(headers[b"retry-after"]) <= 3_600
    if status not in {200, 204, 404}:
        assert re.fullmatch(rb"Failure: [^\n]{8,300}", body)
    assert int(headers.get(b"content-length", len(body))) == len(body)
    _require_no_key(body.lower() + b" ".join(b" ".join(pair) for pair in headers.items()).lower())
    return status, body


def _require_no_key(text: bytes) -> None:
    assert not [secret for secret in _SECRETS if secret.encode() in text]


def _is_item(request: bytes, answer: tuple[int, bytes]) -> bool:
    return answer[0] == 200 and request.startswith(b"POST ")


def _may_be_repeated(requests: Sequence[bytes]) -> bool:
    """Whether a declaration, or an item that is there already, can have been sent: both are answered 200."""
    return any(
        SCHEMA_TYPE.encode() in each or b"\\u" in each or b"plant" in each or b"019a" in each
        for each in requests
    )


def _require_stored(
    items: Sequence[StoredItem], stored: Sequence[tuple[int, bytes]], requests: Sequence[bytes]
) -> None:
    """Every item was answered 200; and every 200 is an item, or a retry of one, or a repeated declaration."""
    answered = Counter(str(json.loads(body)) for _, body in stored)
    found = Counter(item.id for item in items)
    assert not found - answered, "something is stored that was never answered"
    assert max(Counter((item.slot, item.id) for item in items).values(), default=1) == 1
    if not _may_be_repeated(requests):
        assert found.keys() == answered.keys()


def _policy(schema: str) -> Policy:
    pod_toml = (
        f'owner_key = "{world.OWNER_KEY.hex}"\npolicy = "{schema}"\n[properties.text]\ntype = "Text"\n'
        '[properties.real]\ntype = "Real"\n[limits]\nmax_item_bytes = 3000\n'
    )
    slots = [slot_entry(1, {}, name="field-team"), slot_entry(2, _LIMITS, name="hobby"), tombstone(3, "gone")]
    digest = hashlib.sha256(pod_toml.encode()).hexdigest()
    slots_json = signed(packed(members(revision=4, pod_toml=digest, slots=slots)))
    return parse_policy(pod_toml.encode(), slots_json.encode())


_HOME = scratch()
_LAID = {"vault.db": "two.db", "log.head": "head-2", "log.key": "log.key"}
_BEFORE = 5
_FOUNDING = Founding(world.OWNER_KEY, world.IDENTITY, world.FILE_KEY, world.LOG_KEY)
_POLICIES = {b"C": _policy("closed"), b"I": _policy("infer"), b"": _policy("extend")}


def _split(data: bytes) -> list[bytes]:
    """Heads and bodies in turn."""
    return [part for request in data.split(BETWEEN) for part in (request.partition(b"\n\n")[::2])]


def _join(fields: list[bytes]) -> bytes:
    heads, bodies = fields[::2], [*fields[1::2], b""]
    return BETWEEN.join(b"\n\n".join(pair) for pair in zip(heads, bodies, strict=False))


def _request(method: str, path: str, body: bytes, *headers: str) -> bytes:
    head = "\n".join([f"{method} {path}", "host: pod.test", *headers])
    return head.encode() + b"\n\n" + body


def _body(payload: object, key: str = "{key}") -> bytes:
    auth = {"type": "ClientAuth", "databaseKey": key}
    return json.dumps({"auth": auth, "payload": payload}, separators=(",", ":")).encode()


def _put(payload: object, key: str = "{key}", *headers: str) -> bytes:
    return _request("POST", "/v4/{owner}/create_item", _body(payload, key), *headers)


def _vector(vector: dict[str, Any]) -> bytes:
    request = vector["request"]
    body = base64.b64decode(request.get("body_b64", "")) or request.get("body", "").encode()
    headers = [f"{name.lower()}: {value}" for name, value in request.get("headers", {}).items()]
    last = _request(request["method"], request["path"], body, *headers)
    return BETWEEN.join([*map(_put, vector["before"]), last])


def _seeds() -> Iterator[bytes]:
    for line in _VECTORS.read_text(encoding="utf-8").splitlines():
        whole = _vector(json.loads(line))
        if len(whole) <= TARGET.max_bytes:
            yield whole
    note = {"type": "Note", "id": "note-1", "text": "a"}
    declaration = {"type": SCHEMA_TYPE, "itemType": "Note", "propertyName": "x", "valueType": "Integer"}
    withdrawal = {"type": "Withdrawal", "targetItemId": "note-1"}
    other = note | {"text": "b"}
    yield BETWEEN.join([_put(note, "{key}", "pod-receipt: 1"), _put(note), _put(other), _put(withdrawal)])
    yield BETWEEN.join([_put(note, "{limited}")] * 7)
    yield BETWEEN.join([_put({"type": "Note", "text": str(i)}, "{limited}") for i in range(5)])
    yield BETWEEN.join(
        [_put({"type": "Plant"}, "{limited}"), _put({"type": "Note", "text": "x" * 300}, "{limited}")]
    )
    yield BETWEEN.join([_put(declaration), _put(declaration), _put({"type": "Note", "x": 1, "real": 1.5})])
    yield BETWEEN.join([_put(note, "{revoked}"), _put(note, "ab" * 32), _put(note, "zz")])
    for first in "CI":
        yield first.encode() + BETWEEN.join(
            [_put({"type": "Note", "y": 1}), _put({"type": "Note", "y": 1.5})]
        )
        # The first letter is the method's too; a second request is whole.
        yield (
            first.encode()
            + BETWEEN
            + BETWEEN.join([_put({"type": "Note", "y": 1, "z": "a"}), _put(declaration)])
        )
    whole = _body(note)
    for cut in (1, 40, len(whole)):
        pieces = [whole[:cut], whole[cut:]]
        yield _request("POST", "/v4/{owner}/create_item", PIECE.join(pieces))
        yield _request("POST", "/v4/{owner}/create_item", pieces[0] + PIECE)
        yield _request("POST", "/v4/{owner}/create_item", whole, f"content-length: {cut}")
    for header in ("host: b", "content-encoding: gzip", "content-length: 99999999", "content-length: x"):
        yield _request("POST", "/v4/{owner}/create_item/", whole, header)
    for method in ("OPTIONS", "GET", "PUT", "HEAD"):
        yield _request(method, "/version/?a=b", b"")
        yield _request(method, "/v4/{OWNER}/create_item", whole)


TARGET = Target(run, _seeds, 4_096, (Shape(_split, _join),))
