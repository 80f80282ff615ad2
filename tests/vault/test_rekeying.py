"""Another file key: every open slot unwraps it, and no closed one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.pods import TestPod, new_pod, seeded_entropy
from tests.vectors import world
from tests.vectors.policies import POD_TOML, members, packed, signed
from vault.encoding import pae
from vault.errors import (
    DamagedError,
    FormatTooNewError,
    MalformedError,
    PolicyError,
    WrongKeyError,
)
from vault.keys import FileKey
from vault.notes import to_base64
from vault.opening import Identity, open_file_key
from vault.policies import Policy, check_successor, parse_policy
from vault.rekeying import format_rotation, is_keyed, parse_rotation, rekey
from vault.sealing import SUITE_BYTE, seal_to_each
from vault.slots import lookup_of, open_slot

NEW_KEY = FileKey(bytes(range(32)))


def _rekeyed(pod: TestPod) -> Policy:
    return rekey(pod.policy, pod.keys.identity, NEW_KEY, seeded_entropy(7))


def _line(pod: TestPod, plaintext: bytes, identity: Identity | None = None) -> str:
    info = pae(b"rotation/v1", SUITE_BYTE, pod.policy.pod_id)
    recipient = (identity or pod.keys.identity).recipient
    return f"shared-pod-rotation/v1 {to_base64(seal_to_each([recipient], plaintext, info))}"


def test_every_invite_opens_the_new_key(tmp_path: Path) -> None:
    """Under its own limits; the maintainer too."""
    pod = new_pod(tmp_path)
    invites = [pod.invite("one"), pod.invite("two", max_items=2, types=("Note",))]
    policy = _rekeyed(pod)
    assert check_successor(pod.policy, policy)
    for invite in invites:
        slot = policy.slot_by_lookup[lookup_of(invite.database_key, policy.pod_id)]
        assert open_slot(slot, invite.database_key, policy.pod_id).file_key == NEW_KEY
        assert slot.caveats == pod.policy.slot_by_number[slot.number].caveats
    assert open_file_key(pod.keys.identity, policy.file_key, policy.pod_id) == NEW_KEY
    assert is_keyed(policy, pod.keys.identity, NEW_KEY)
    assert not is_keyed(pod.policy, pod.keys.identity, NEW_KEY)


def test_a_closed_slot_gets_no_wrap(tmp_path: Path) -> None:
    """Even where an earlier program had left it one."""
    pod = new_pod(tmp_path)
    gone, kept = pod.invite("gone"), pod.invite("kept")
    found: dict[str, Any] = json.loads(pod.policy.slots_json)["policy"]
    found["slots"][0]["state"] = "revoked"
    half_closed = _signed(pod, found)
    policy = rekey(half_closed, pod.keys.identity, NEW_KEY, seeded_entropy(7))
    assert policy.slot_by_number[gone.slot].wrap is None
    assert policy.slot_by_number[kept.slot].is_open
    assert policy.slot_by_number[gone.slot].rewrap == half_closed.slot_by_number[gone.slot].rewrap


def _signed(pod: TestPod, found: dict[str, Any]) -> Policy:
    text = packed(found)
    signature = pod.keys.identity.sign(pae(b"policy/v1", pod.policy.pod_id, text))
    frame = b'{"signature":"%s","signer":"%s","policy":%s}\n'
    signer = pod.keys.identity.signer.hex().encode()
    return parse_policy(pod.policy.pod_toml, frame % (signature.hex().encode(), signer, text))


def test_a_slot_with_an_unknown_limit_stops_a_rotation(tmp_path: Path) -> None:
    """Its wrap is bound to a limit that cannot be written here; leaving it would lock its holder out."""
    pod = new_pod(tmp_path)
    pod.invite("later")
    found: dict[str, Any] = json.loads(pod.policy.slots_json)["policy"]
    found["slots"][0]["caveats"] = {"hats": 3}
    with pytest.raises(FormatTooNewError, match="slot 1 has a limit"):
        rekey(_signed(pod, found), pod.keys.identity, NEW_KEY, seeded_entropy(7))


def test_what_is_not_known_is_kept() -> None:
    """Members of a later version survive."""
    strange = parse_policy(POD_TOML.encode(), signed(packed(members(hats=[1, 2]))).encode())
    policy = rekey(strange, world.IDENTITY, NEW_KEY, world.entropy("rekey"))
    assert json.loads(policy.slots_json)["policy"]["hats"] == [1, 2]


def test_only_a_signer_that_opens_the_slots_rotates(tmp_path: Path) -> None:
    """A colleague who reads cannot."""
    pod = new_pod(tmp_path)
    with pytest.raises((PolicyError, WrongKeyError)):
        rekey(pod.policy, world.OTHER_IDENTITY, NEW_KEY, seeded_entropy(7))


def test_a_begun_rotation_is_read_by_its_identity_alone(tmp_path: Path) -> None:
    """The file lies at home, and shows nothing."""
    pod = new_pod(tmp_path)
    pod_id = pod.policy.pod_id
    line = format_rotation(NEW_KEY, pod.keys.identity, pod_id).decode().removesuffix("\n")
    assert parse_rotation(line, pod.keys.identity, pod_id) == NEW_KEY
    with pytest.raises(WrongKeyError, match="another identity"):
        parse_rotation(line, world.OTHER_IDENTITY, pod_id)
    with pytest.raises(DamagedError):
        parse_rotation(line, pod.keys.identity, world.OTHER_POD_ID)
    with pytest.raises(DamagedError, match="no key"):
        parse_rotation(_line(pod, b"short"), pod.keys.identity, pod_id)


def test_other_lines_are_refused(tmp_path: Path) -> None:
    """By their kinds."""
    pod = new_pod(tmp_path)
    for line, kind in (
        ("", MalformedError),
        ("shared-pod-identity/v1 x", MalformedError),
        ("shared-pod-rotation/v1 !", MalformedError),
        ("shared-pod-rotation/v1 AAAA", MalformedError),
        ("shared-pod-rotation/v2 AAAA", FormatTooNewError),
    ):
        with pytest.raises(kind):
            parse_rotation(line, pod.keys.identity, pod.policy.pod_id)
