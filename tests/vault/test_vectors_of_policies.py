"""Golden vectors of slots, views, policies, invites, identity files: each gives its value, or its refusal."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.vectors import Vector, cases, policy_facts, refusal, unhex
from vault.caveats import Caveats, parse_caveats
from vault.identity_file import format_identity, is_protected, parse_identity
from vault.keys import DatabaseKey, PodId
from vault.links import format_invite, parse_invite
from vault.opening import Identity, open_slot_secrets
from vault.pod import PodConfig, parse_pod_toml
from vault.policies import check_successor, parse_policy
from vault.properties import ValueType
from vault.slots import NONCE_BYTES, Slot, lookup_of, open_slot, wrap_file_key
from vault.views import open_view, seal_view


@pytest.mark.parametrize("vector", cases("slots/caveats"))
def test_caveats(vector: Vector) -> None:
    """Known ones have their shape; an unknown one closes the slot."""
    if "error" in vector:
        with refusal(vector):
            parse_caveats(vector["members"])
        return
    caveats = parse_caveats(vector["members"])
    assert (caveats is not None) is vector["is_open"]
    if caveats is not None:
        assert caveats.encoded().hex() == vector["encoded"]
        assert json.dumps(caveats.as_map()) == json.dumps(vector["members"])


@pytest.mark.parametrize("vector", cases("slots/wraps"))
def test_wraps(vector: Vector) -> None:
    """A wrap opens under its key, in its pod, at its number, with its caveats, and nowhere else."""
    key, pod_id = DatabaseKey(unhex(vector["database_key"])), PodId(unhex(vector["pod_id"]))
    caveats = parse_caveats(vector["caveats"])
    wrap = None if vector["wrap"] is None else unhex(vector["wrap"])
    is_open = vector["state"] == "active" and caveats is not None and wrap is not None
    slot = Slot(vector["number"], lookup_of(key, pod_id), b"", caveats, wrap, is_open)
    if "error" in vector:
        with refusal(vector):
            open_slot(slot, key, pod_id)
        return
    opened = open_slot(slot, key, pod_id)
    assert opened.file_key.reveal().hex() == vector["file_key"]
    assert slot.lookup.hex() == vector["lookup"]
    assert _wrapped_again(slot, key, pod_id) == wrap


def _wrapped_again(slot: Slot, key: DatabaseKey, pod_id: PodId) -> bytes:
    return wrap_file_key(
        open_slot(slot, key, pod_id).file_key,
        key.derive("wrap", pod_id),
        pod_id=pod_id,
        number=slot.number,
        caveats=slot.caveats or Caveats(),
        nonce=(slot.wrap or b"")[:NONCE_BYTES],
    )


@pytest.mark.parametrize("vector", cases("slots/rewraps"))
def test_rewraps(vector: Vector) -> None:
    """The maintainer finds name and keys of every slot."""
    identity, pod_id = Identity(unhex(vector["identity"])), PodId(unhex(vector["pod_id"]))
    if "error" in vector:
        with refusal(vector):
            open_slot_secrets(identity, unhex(vector["rewrap"]), pod_id, vector["number"])
        return
    secrets = open_slot_secrets(identity, unhex(vector["rewrap"]), pod_id, vector["number"])
    assert secrets.name == vector["slot_name"]
    for use in ("wrap_key", "view_key"):
        assert getattr(secrets, use).hex() == vector[use]
    assert secrets.name_key.reveal().hex() == vector["name_key"]


@pytest.mark.parametrize("vector", cases("views"))
def test_views(vector: Vector) -> None:
    """A view opens for its slot only."""
    key, pod_id = unhex(vector["view_key"]), PodId(unhex(vector["pod_id"]))
    sealed = None if vector["view"] is None else unhex(vector["view"])
    if "error" in vector:
        with refusal(vector):
            open_view(sealed, key, pod_id=pod_id, slot=vector["slot"])
        return
    own = open_view(sealed, key, pod_id=pod_id, slot=vector["slot"])
    assert own == {name: ValueType(kind) for name, kind in vector["own"].items()}
    if sealed is not None:
        assert seal_view(own, key, pod_id=pod_id, slot=vector["slot"], nonce=unhex(vector["nonce"])) == sealed


@pytest.mark.parametrize("vector", cases("policies/pod-toml"))
def test_pod_toml(vector: Vector) -> None:
    """What people write is read, or the member at fault is named."""
    if "error" in vector:
        with refusal(vector):
            parse_pod_toml(vector["pod_toml"].encode())
    else:
        assert _config(parse_pod_toml(vector["pod_toml"].encode())) == vector["config"]


def _config(config: PodConfig) -> dict[str, Any]:
    return {
        "name": config.name,
        "url": config.url,
        "policy": config.policy,
        "properties": {name: str(kind) for name, kind in config.properties.items()},
        "labels": config.labels,
        "max_item_bytes": config.max_item_bytes,
    }


@pytest.mark.parametrize("vector", cases("policies/pairs"))
def test_policies(vector: Vector) -> None:
    """A pair is one, signed by a signer it lists, of exactly this shape."""
    pod_toml, slots_json = vector["pod_toml"].encode(), vector["slots_json"].encode()
    if "error" in vector:
        with refusal(vector):
            parse_policy(pod_toml, slots_json)
    else:
        assert policy_facts(parse_policy(pod_toml, slots_json)) == vector["policy"]


@pytest.mark.parametrize("vector", cases("policies/successors"))
def test_successors(vector: Vector) -> None:
    """Trust passes by revision and endorsement only."""
    pod_toml = vector["pod_toml"].encode()
    last, new = (parse_policy(pod_toml, vector[which].encode()) for which in ("last", "new"))
    if "error" in vector:
        with refusal(vector):
            check_successor(last, new)
    else:
        assert check_successor(last, new) is vector["is_new"]


@pytest.mark.parametrize("vector", cases("invites"))
def test_invites(vector: Vector) -> None:
    """A link is whole, or said to be broken without being quoted."""
    if "error" in vector:
        with refusal(vector):
            parse_invite(vector["link"])
        return
    invite = parse_invite(vector["link"])
    assert format_invite(invite) == vector["link_again"]
    assert {
        "url": invite.url,
        "owner_key": invite.owner_key.hex,
        "database_key": invite.database_key.reveal().hex(),
        "slot": invite.slot,
        "log_keys": [key.hex() for key in invite.log_keys],
        "function_keys": [key.hex() for key in invite.function_keys],
        "signer": invite.signer.hex(),
        "name": invite.name,
        "pod_name": invite.pod_name,
        "expires": invite.expires,
        "types": None if invite.types is None else list(invite.types),
    } == vector["invite"]


@pytest.mark.parametrize("vector", cases("identities"))
def test_identity_files(vector: Vector) -> None:
    """Either 64 digits, or a box that one passphrase opens."""
    content = vector["content"].encode()
    if "error" in vector:
        with refusal(vector):
            parse_identity(content, lambda: str(vector["passphrase"]))
        return
    passphrases = iter([vector["passphrase"]])
    identity = parse_identity(content, lambda: str(next(passphrases)))
    assert identity.reveal().hex() == vector["identity"]
    is_asked = next(passphrases, None) is None and vector["passphrase"] is not None
    assert is_asked is is_protected(content)
    if vector["name"] == "clear":
        assert format_identity(identity, None, bytes) == content
