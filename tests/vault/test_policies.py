"""The policy: one signed pair, trusted by way of an identity or the policy before it."""

from __future__ import annotations

import hashlib
import json
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.vectors import world
from tests.vectors.policies import POD_TOML, THIRD, endorsement, members, packed, signed, slot_entry
from vault.errors import FormatTooNewError, MalformedError, MissingError, PolicyError
from vault.opening import Identity
from vault.pod import PodFolder
from vault.policies import (
    MAX_SLOTS_JSON_BYTES,
    Policy,
    check_signer,
    check_successor,
    load_policy,
    parse_policy,
    parse_strict_json,
    past_signers,
)

Refused = (MalformedError, PolicyError, FormatTooNewError)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


def _parse(slots_json: str, pod_toml: str = POD_TOML, *, is_edited: bool = False) -> Policy:
    return parse_policy(pod_toml.encode(), slots_json.encode(), is_edited=is_edited)


def _by(identity: Identity, *endorsements: dict[str, str], revision: int = 2) -> Policy:
    signers = [{"key": identity.signer.hex()}]
    return _parse(
        signed(packed(members(revision=revision, signers=signers, endorsements=list(endorsements))), identity)
    )


WHOLE = signed(packed(members(slots=[slot_entry(1, {"max_items": 5}, name="field-team")])))


@given(at=st.integers(0, len(WHOLE.encode()) - 1), mask=st.integers(1, 255))
@settings(max_examples=60)
def test_every_byte_of_slots_json_is_signed_or_the_frame(at: int, mask: int) -> None:
    """Nothing in it can be changed by whoever holds the folder."""
    changed = bytearray(WHOLE.encode())
    changed[at] ^= mask
    with pytest.raises(Refused):
        parse_policy(POD_TOML.encode(), bytes(changed))


@given(at=st.integers(0, len(POD_TOML) - 1), mask=st.integers(1, 255))
@settings(max_examples=60)
def test_every_byte_of_pod_toml_is_signed(at: int, mask: int) -> None:
    """By its hash in slots.json."""
    changed = bytearray(POD_TOML.encode())
    changed[at] ^= mask
    with pytest.raises(Refused):
        parse_policy(bytes(changed), WHOLE.encode())


@given(name=st.sampled_from([*members(), "hat"]), value=values)
@settings(max_examples=60)
def test_any_signed_members_give_a_policy_or_our_error(name: str, value: object) -> None:
    """A maintainer's other tool may have written it."""
    try:
        policy = _parse(signed(json.dumps(members() | {name: value}).encode()))
    except Refused:
        return
    assert policy.revision >= 1


@given(name=st.sampled_from([*slot_entry(1, {}, name="field-team"), "hat"]), value=values)
@settings(max_examples=60)
def test_any_slot_is_read_or_refused(name: str, value: object) -> None:
    """And one that is not understood is closed."""
    entry = slot_entry(1, {}, name="field-team") | {name: value}
    try:
        policy = _parse(signed(json.dumps(members(slots=[entry])).encode()))
    except Refused:
        return
    (slot,) = policy.slots
    assert slot.is_open is (entry["state"] == "active" and slot.wrap is not None and slot.caveats is not None)


@given(text=st.binary() | values.map(lambda value: json.dumps(value).encode()))
def test_any_bytes_are_one_json_object_or_our_error(text: bytes) -> None:
    """Deep nesting and 5,000-digit numbers included."""
    try:
        found = parse_strict_json(text)
    except MalformedError:
        return
    assert type(found) is dict


@pytest.mark.parametrize(
    "text", [b"[" * 100_000, b'{"a":' * 100_000, b'{"a":%s}' % (b"1" * 5000), b'{"a":Infinity}', b"\xff"]
)
def test_json_that_is_made_to_hurt_is_refused(text: bytes) -> None:
    """In our words."""
    with pytest.raises(MalformedError):
        parse_strict_json(text)


def test_slots_are_found_by_lookup_and_by_number() -> None:
    """Both are unique."""
    policy = _parse(WHOLE)
    (slot,) = policy.slots
    assert policy.slot_by_lookup == {slot.lookup: slot}
    assert policy.slot_by_number == {1: slot}
    assert policy.vault_logs == [world.LOG_KEY.public]
    assert policy.function_logs == []


def test_an_edit_by_hand_is_read_where_that_is_asked_for() -> None:
    """Home's tools go on with it; a server does not take it."""
    edited = POD_TOML + 'policy = "closed"\n'
    with pytest.raises(PolicyError, match="schema apply"):
        _parse(WHOLE, edited)
    assert _parse(WHOLE, edited, is_edited=True).config.policy == "closed"


def test_a_pair_is_loaded_from_a_folder(tmp_path: Path) -> None:
    """Or the missing one of the two is named."""
    folder = PodFolder(tmp_path)
    with pytest.raises(MissingError, match=r"slots\.json"):
        load_policy(folder)
    folder.slots_json.write_text(WHOLE)
    with pytest.raises(MissingError, match=r"pod\.toml"):
        load_policy(folder)
    folder.pod_toml.write_text(POD_TOML)
    assert load_policy(folder).digest == _parse(WHOLE).digest
    folder.slots_json.write_bytes(b" " * (MAX_SLOTS_JSON_BYTES + 1))
    with pytest.raises(MalformedError, match="larger than"):
        load_policy(folder)


def test_an_identity_trusts_its_own_policy_and_those_it_endorsed() -> None:
    """Over any number of steps, in any order."""
    one, two, three = world.IDENTITY, world.OTHER_IDENTITY, THIRD
    check_signer(_by(one), one.signer)
    check_signer(_by(two, endorsement(one, two.signer)), one.signer)
    check_signer(_by(three, endorsement(two, three.signer), endorsement(one, two.signer)), one.signer)


def test_an_identity_does_not_trust_a_strangers_policy() -> None:
    """Endorsements in a circle lead nowhere."""
    one, two, three = world.IDENTITY, world.OTHER_IDENTITY, THIRD
    for policy in (
        _by(two),
        _by(two, endorsement(three, two.signer), endorsement(two, three.signer)),
        _by(two, endorsement(two, one.signer)),
    ):
        with pytest.raises(PolicyError, match="never endorsed"):
            check_signer(policy, one.signer)


def test_a_policy_of_another_pod_follows_nothing() -> None:
    """Whatever its revision and signer."""
    foreign_toml = POD_TOML.replace(world.OWNER_KEY.hex, world.OTHER_OWNER_KEY.hex)
    digest = hashlib.sha256(foreign_toml.encode()).hexdigest()
    foreign = _parse(
        signed(packed(members(revision=9, pod_toml=digest)), pod_id=world.OTHER_POD_ID), foreign_toml
    )
    with pytest.raises(PolicyError, match="of another pod"):
        check_successor(_parse(WHOLE), foreign)


def test_history_trusts_the_signers_that_led_here() -> None:
    """A former signer's policies stay true after it has handed over."""
    policy = _by(world.OTHER_IDENTITY, endorsement(world.IDENTITY, world.OTHER_IDENTITY.signer))
    assert past_signers(policy) == {world.IDENTITY.signer, world.OTHER_IDENTITY.signer}


def test_a_flood_of_endorsements_is_followed_once() -> None:
    """Each signature is checked at most once, so a hostile file costs what it weighs."""
    bogus: dict[str, Any] = endorsement(world.OTHER_IDENTITY, THIRD.signer) | {
        "by": world.IDENTITY.signer.hex()
    }
    flood = [bogus | {"key": f"{number:064x}"} for number in range(2_000)]
    policy = _by(world.OTHER_IDENTITY, *flood)
    began = time.process_time()
    with pytest.raises(PolicyError):
        check_signer(policy, world.IDENTITY.signer)
    assert time.process_time() - began < 10
