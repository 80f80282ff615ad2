"""Whatever is asked: two vaults that differ only in what another slot stored answer alike.

The real application, clocks standing still, its vault in a thread. Hypothesis
makes up what the other slot stored and what a curious one asks. What differs by
randomness is masked: ids the server made, and in a receipt what proves and not
what it says. The number of a batch is the one thing that may differ, by exactly
the batches of the other: the size of the log is shared, and said to be.
"""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from ingest.asgi import Message, Scope
from tests.support.asgi import application, ask, receiving, scope_of
from tests.support.pods import START_MS, TestPod, new_pod
from tests.support.server import envelope
from vault.errors import ItemError
from vault.links import Invite
from vault.receipts import decode_receipt, verify_receipt

IDS = ("shared-id", "theirs-01", "0190a3c4e5f67a8b9c0d1e2f3a4b5c6d")
NAMES = ("text", "secretName", "count", "other_one")
TYPES = ("Note", "Other", "PluginRun")
VALUES: tuple[Any, ...] = ("a", "b" * 300, 1, 2.5, 2**63, True, None)
_MADE_ID = re.compile(rb'\A"[0-9a-f]{32}"\Z')


class Request(NamedTuple):
    """One request of the curious: what is sent, and who it says it is."""

    owner: str
    key: str
    payload: Any
    wants_receipt: bool
    is_cut: bool


class Said(NamedTuple):
    """One answer, masked, and the batch that its receipt names, if it has one."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes
    batch: int | None


_likely = st.fixed_dictionaries(
    {"type": st.just("Note"), "text": st.sampled_from(("a", "b", "c" * 300))},
    optional={"id": st.sampled_from(IDS[:2])},
)
_wild = st.fixed_dictionaries(
    {"type": st.sampled_from(TYPES)},
    optional={"id": st.sampled_from(IDS), "deleted": st.booleans()}
    | {name: st.sampled_from(VALUES) for name in NAMES},
)
_items = _likely | _wild
_declarations = st.fixed_dictionaries(
    {
        "type": st.just("ItemPropertySchema"),
        "itemType": st.sampled_from(TYPES),
        "propertyName": st.sampled_from(NAMES),
        "valueType": st.sampled_from(("Text", "Integer", "Real", "Bool", "DateTime")),
    },
    optional={"id": st.sampled_from(IDS)},
)
_withdrawals = st.fixed_dictionaries(
    {"type": st.just("Withdrawal"), "targetItemId": st.sampled_from((*IDS, "never-sent", "bad id"))},
    optional={"id": st.sampled_from(IDS), "text": st.just("a")},
)
_broken = st.sampled_from(
    ({}, {"type": "Note", "id": "bad id"}, {"type": "No te"}, {"type": "Note", "text": ["list"]}, [1], None)
)
_requests = st.builds(
    Request,
    owner=st.sampled_from(("right",) * 8 + ("upper", "unknown", "malformed")),
    key=st.sampled_from(("curious",) * 8 + ("limited",) * 3 + ("revoked", "expired", "wrong", "malformed")),
    payload=_items | _declarations | _withdrawals | _broken,
    wants_receipt=st.booleans(),
    is_cut=st.sampled_from((False,) * 15 + (True,)),
)
_again = st.integers(0, 13)
"""One of those before once more: a retry, or a declaration repeated."""


class Template:
    """A pod that every example copies, the other's invite, and the curious one's database keys.

    No tuple and no dataclass: Hypothesis would spell it out with every example it found.
    """

    def __init__(self, pod: TestPod, other: Invite, keys: dict[str, str]) -> None:
        self.pod, self.other, self.keys = pod, other, keys


@pytest.fixture(scope="module", params=["extend", "closed", "infer"])
def template(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Template:
    """A pod of each schema policy, with a slot in every state there is."""
    pod = new_pod(tmp_path_factory.mktemp("template"), policy=request.param)
    limited = {"types": ("Note",), "max_items": 2, "max_item_bytes": 200, "rate": (4, 10_000)}
    invites = {
        "curious": pod.invite("curious"),
        "limited": pod.invite("limited", **limited),
        "revoked": pod.invite("revoked"),
        "expired": pod.invite("expired", expires=START_MS),
    }
    other = pod.invite("other")
    pod.revoke(invites["revoked"])
    keys = {name: invite.database_key.reveal().hex() for name, invite in invites.items()}
    return Template(pod, other, keys | {"wrong": "ab" * 32, "malformed": "no key"})


def _copy(pod: TestPod, folder: Path) -> TestPod:
    shutil.copytree(pod.home, folder)
    return TestPod(folder, pod.keys, pod.policy)


def _store(pod: TestPod, other: Invite, payloads: Sequence[dict[str, Any]]) -> int:
    """Store what the other slot has, a batch each; how many batches that made."""
    slot, stored = pod.opened(other), 0
    with pod.writer() as writer:
        for payload in [{"id": "theirs-01", "text": "theirs"}, *payloads]:
            try:
                submission = pod.submission(slot, **payload)
            except ItemError:
                continue
            (answer,) = writer.commit(pod.policy, [submission])
            stored += answer.outcome.value == "stored"
    return stored


def _scope(pod: TestPod, request: Request) -> Scope:
    owner = {"right": pod.owner, "upper": pod.owner.upper(), "unknown": "cd" * 32, "malformed": "xyz"}
    headers = (("pod-receipt", "1"),) if request.wants_receipt else ()
    return scope_of("POST", f"/v4/{owner[request.owner]}/create_item", *headers)


def _said(pod: TestPod, sent: Sequence[Message]) -> Said:
    """Mask what differs from run to run."""
    start, *bodies = sent
    body = b"".join(message["body"] for message in bodies)
    is_made = _MADE_ID.match(body) and json.loads(body) not in IDS
    headers, batch = [], None
    for name, value in start["headers"]:
        if name.lower() == b"pod-receipt":
            batch, masked = _masked_receipt(pod, value.decode(), is_made=bool(is_made))
            headers.append((name, masked))
        else:
            headers.append((name, value))
    return Said(start["status"], tuple(headers), b"made" if is_made else body, batch)


def _masked_receipt(pod: TestPod, value: str, *, is_made: bool) -> tuple[int, bytes]:
    receipt = decode_receipt(value)
    verified = verify_receipt(receipt, pod_id=pod.policy.pod_id, log_keys=pod.policy.vault_logs)
    header = verified.header
    says = (
        "made" if is_made else receipt.c.hex(),
        receipt.index,
        len(receipt.item_path),
        header.ms,
        header.count,
        header.log_key_hash.hex(),
        header.policy.hex(),
        verified.epoch,
    )
    return receipt.batch, repr(says).encode()


async def _ask_all(pod: TestPod, keys: dict[str, str], requests: Sequence[Request]) -> list[Said]:
    said = []
    async with application(pod, lambda _: None) as app:
        version = await ask(app, scope_of("GET", "/version"))
        said.append(_said(pod, version))
        for request in requests:
            body = envelope(keys[request.key], request.payload)
            cut = body[: len(body) // 2] if request.is_cut else body
            said.append(_said(pod, await ask(app, _scope(pod, request), receiving(cut))))
    return said


def _spelt_out(asked: Sequence[Request | int]) -> list[Request]:
    requests: list[Request] = []
    for each in asked:
        if isinstance(each, Request):
            requests.append(each)
        elif requests:
            requests.append(requests[each % len(requests)])
    return requests


@pytest.mark.timeout(600)  # what is found is made small before it is shown
@given(
    theirs=st.lists(_items | _declarations, max_size=6),
    asked=st.lists(_requests | _again, min_size=10, max_size=24),
)
@settings(max_examples=50)
def test_nothing_that_is_asked_tells_the_twins_apart(
    template: Template, theirs: list[dict[str, Any]], asked: list[Request | int]
) -> None:
    """Items, retries, conflicts, declarations, wrong keys, limits, broken bodies, receipts."""
    pod, other, keys = template.pod, template.other, template.keys
    requests = _spelt_out(asked)
    with tempfile.TemporaryDirectory() as folder:
        lone, twin = _copy(pod, Path(folder, "lone")), _copy(pod, Path(folder, "twin"))
        batches = _store(twin, other, theirs)
        assert batches
        expected = asyncio.run(_ask_all(lone, keys, requests))
        found = asyncio.run(_ask_all(twin, keys, requests))
    for said in expected:
        event(f"status {said.status}{' with a receipt' if said.batch else ''}")
    assert [said[:3] for said in found] == [said[:3] for said in expected]
    assert [said.batch for said in found] == [said.batch and said.batch + batches for said in expected]
