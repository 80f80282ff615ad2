"""Policies: pod.toml and slots.json as they lie in a pod's folder, with a NUL between them.

Promises: a pair that is accepted was signed by a signer it lists, over exactly
these bytes, and says in each member what FORMAT.md allows there; its slots
open under the right key or are refused; nothing of it is trusted further than
signatures and revision lead.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
from collections.abc import Iterator
from typing import Any

from tests.fuzz.target import Shape, Target
from tests.support.vectors import vectors
from tests.vectors import world
from vault.encoding import pae
from vault.errors import DamagedError, FormatTooNewError, MalformedError, PolicyError, WrongKeyError
from vault.invites import issued_slots, members_of
from vault.keys import is_signed
from vault.pod import parse_pod_toml
from vault.policies import Policy, check_signer, check_successor, parse_policy, past_signers
from vault.reader import file_key_of
from vault.slots import lookup_of, open_slot

_FRAME = re.compile(
    rb'\{"signature":"([0-9a-f]{128})","signer":"([0-9a-f]{64})","policy":(.*)\}\n', re.DOTALL
)
_HASH = re.compile(rb'"pod_toml": ?"[0-9a-f]{64}"')
_KNOWN = {"expires", "types", "max_items", "max_bytes", "max_item_bytes", "rate"}
_LAST = parse_policy(
    *(
        next(vector for vector in vectors("policies/pairs") if vector["name"] == "first policy")[
            name
        ].encode()
        for name in ("pod_toml", "slots_json")
    )
)


def run(data: bytes) -> None:
    """Verify the pair; then use it as a server, a contributor and a maintainer do."""
    pod_toml, _, slots_json = data.partition(b"\0")
    try:
        policy = parse_policy(pod_toml, slots_json)
    except (FormatTooNewError, MalformedError, PolicyError):
        return
    frame = _FRAME.fullmatch(slots_json)
    assert frame
    signer, signed = bytes.fromhex(frame[2].decode()), frame[3]
    assert is_signed(
        signer, bytes.fromhex(frame[1].decode()), pae(b"policy/v1", policy.config.owner_key.pod_id, signed)
    )
    assert (policy.signer, policy.digest) == (signer, hashlib.sha256(slots_json).digest())
    _require_rules(policy, json.loads(signed, object_pairs_hook=_unique), pod_toml)
    _use(policy)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    assert len(dict(pairs)) == len(pairs), "a member appears twice"
    return dict(pairs)


def _require_rules(policy: Policy, members: dict[str, Any], pod_toml: bytes) -> None:
    """FORMAT.md, "Policy", spelled out once more."""
    assert members_of(policy) == members
    assert members["format"] == 1
    assert 1 <= members["revision"] < 2**63
    assert members["pod_toml"] == hashlib.sha256(pod_toml).hexdigest()
    assert policy.recipients
    assert policy.signer.hex() in [entry["key"] for entry in members["signers"]]
    assert {entry["kind"] for entry in members["logs"]} <= {"vault", "function"}
    for slot, entry in zip(policy.slots, members["slots"], strict=True):
        is_open = entry["state"] == "active" and entry.get("wrap") and entry["caveats"].keys() <= _KNOWN
        assert slot.is_open is bool(is_open)
        assert (slot.number, slot.lookup.hex()) == (entry["number"], entry["lookup"])
        assert type(entry["number"]) is int
        counts = [entry["caveats"].get(name, 1) for name in _KNOWN - {"types", "rate"}]
        assert all(type(count) is int and 1 <= count < 2**63 for count in counts)
        assert slot.caveats is None or slot.caveats.as_map().keys() == entry["caveats"].keys()
    assert len(policy.slot_by_number) == len(policy.slot_by_lookup) == len(policy.slots)


def _use(policy: Policy) -> None:
    for key in world.KEYS:
        found = policy.slot_by_lookup.get(lookup_of(key, policy.pod_id))
        with contextlib.suppress(WrongKeyError):
            assert found is None or open_slot(found, key, policy.pod_id).number == found.number
    _trust(policy)
    with contextlib.suppress(DamagedError, MalformedError, WrongKeyError):
        issued_slots(policy, world.IDENTITY)
    with contextlib.suppress(DamagedError, MalformedError, WrongKeyError):
        file_key_of(policy, world.IDENTITY)


def _trust(policy: Policy) -> None:
    """Who signed it is who is trusted, or was endorsed: here, by one of the world's identities."""
    known = {identity.signer for identity in (world.IDENTITY, world.OTHER_IDENTITY)}
    with contextlib.suppress(PolicyError):
        check_signer(policy, world.IDENTITY.signer)
        assert policy.signer in past_signers(policy)
    with contextlib.suppress(PolicyError):
        is_new = check_successor(_LAST, policy)
        assert policy.pod_id == _LAST.pod_id
        assert not is_new or (policy.revision > _LAST.revision and past_signers(policy) & known)


def _split(data: bytes) -> list[bytes]:
    pod_toml, _, slots_json = data.partition(b"\0")
    frame = _FRAME.fullmatch(slots_json)
    if not frame:
        raise ValueError("no frame")
    return [pod_toml, frame[3]]


def _join(fields: list[bytes]) -> bytes:
    """Hashed and signed by the first maintainer, for the pod that pod.toml names."""
    pod_toml, signed = (*fields, b"", b"")[:2]
    signed = _HASH.sub(b'"pod_toml":"%s"' % hashlib.sha256(pod_toml).hexdigest().encode(), signed)
    pod_id = world.POD_ID
    with contextlib.suppress(FormatTooNewError, MalformedError):
        pod_id = parse_pod_toml(pod_toml).owner_key.pod_id
    identity = world.IDENTITY
    signature = identity.sign(pae(b"policy/v1", pod_id, signed))
    frame = b'{"signature":"%s","signer":"%s","policy":%s}\n'
    return pod_toml + b"\0" + frame % (signature.hex().encode(), identity.signer.hex().encode(), signed)


def _seeds() -> Iterator[bytes]:
    for vector in vectors("policies/pairs"):
        yield f"{vector['pod_toml']}\0{vector['slots_json']}".encode()
    for vector in vectors("policies/pod-toml"):
        signed = _FRAME.fullmatch(_LAST.slots_json)
        assert signed
        yield _join([vector["pod_toml"].encode(), signed[3]])
    for vector in vectors("policies/successors"):
        yield f"{vector['pod_toml']}\0{vector['new']}".encode()


TARGET = Target(run, _seeds, 16_384, (Shape(_split, _join),))
