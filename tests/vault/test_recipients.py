"""Recipients: who opens what from which revision on."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.pods import TestPod, new_pod
from tests.vectors import world
from vault.errors import DamagedError, MalformedError, MissingError, PolicyError, WrongKeyError
from vault.invites import issued_slots, next_policy, revoke
from vault.notes import to_base64
from vault.opening import Identity, open_file_key
from vault.policies import Policy, check_signer, check_successor, past_signers
from vault.recipients import (
    add_recipient,
    hand_over,
    let_go,
    named_recipients,
    recipient_info,
    remove_recipient,
)
from vault.sealing import Recipient, seal_to_each

ADA = world.OTHER_IDENTITY
EVE = Identity(bytes(range(32)))


@pytest.fixture
def pod(tmp_path: Path) -> TestPod:
    """A pod with two invites, one of them revoked."""
    pod = new_pod(tmp_path)
    pod.invite("field-team")
    pod.revoke(pod.invite("gone"))
    return pod


def _added(pod: TestPod, name: str = "ada", identity: Identity = ADA) -> Policy:
    return add_recipient(pod.policy, pod.keys.identity, identity.recipient, name=name)


def _opens(policy: Policy, identity: Identity) -> bool:
    """Whether an identity opens the file key and every slot of a policy."""
    try:
        open_file_key(identity, policy.file_key, policy.pod_id)
        issued_slots(policy, identity)
    except WrongKeyError:
        return False
    return True


def test_a_new_recipient_opens_all_that_the_policy_seals(pod: TestPod) -> None:
    """The file key, and each slot's name and keys; tombstones too."""
    policy = _added(pod)
    assert check_successor(pod.policy, policy)
    assert _opens(policy, ADA)
    assert _opens(policy, pod.keys.identity)
    assert not _opens(pod.policy, ADA)
    assert [issued.name for issued in issued_slots(policy, ADA)] == ["field-team", "gone"]
    assert policy.slots[0].wrap == pod.policy.slots[0].wrap
    assert policy.signers == pod.policy.signers


def test_names_are_for_recipients_alone(pod: TestPod) -> None:
    """Who steals the folder learns how many there are."""
    name = "ada-of-london"  # no base64 spells a hyphen by chance
    policy = add_recipient(_added(pod, name), pod.keys.identity, EVE.recipient, name="eve")
    assert b"ada-" not in policy.slots_json
    for reader in (pod.keys.identity, ADA, EVE):
        assert [each.name for each in named_recipients(policy, reader)] == ["", name, "eve"]
    with pytest.raises(WrongKeyError):
        named_recipients(_added(pod), EVE)


def test_who_is_one_already_or_has_a_taken_name_is_refused(pod: TestPod) -> None:
    """And a name that is none."""
    policy = _added(pod)
    for recipient, name in ((ADA.recipient, "ada-2"), (EVE.recipient, "ada"), (EVE.recipient, "../x")):
        with pytest.raises(MalformedError):
            add_recipient(policy, pod.keys.identity, recipient, name=name)


def test_a_key_that_cannot_be_sealed_to_changes_nothing(pod: TestPod) -> None:
    """A small-order point shows itself before anything is signed."""
    weak = Recipient(ADA.recipient.raw[:-32] + bytes(32))
    with pytest.raises(MalformedError, match="X25519"):
        add_recipient(pod.policy, pod.keys.identity, weak, name="weak")


def test_a_removed_recipient_opens_no_later_policy(pod: TestPod) -> None:
    """And keeps the earlier one, which is said plainly where it is done."""
    added = _added(pod)
    policy = remove_recipient(added, pod.keys.identity, ADA.recipient)
    assert not _opens(policy, ADA)
    assert _opens(added, ADA)
    assert [each.name for each in named_recipients(policy, pod.keys.identity)] == [""]
    with pytest.raises(MissingError):
        remove_recipient(policy, pod.keys.identity, ADA.recipient)
    with pytest.raises(MalformedError, match="rotate --identity"):
        remove_recipient(policy, pod.keys.identity, pod.keys.identity.recipient)


def test_who_only_reads_changes_no_recipients(pod: TestPod) -> None:
    """A colleague is no signer."""
    with pytest.raises(PolicyError):
        add_recipient(_added(pod), ADA, EVE.recipient, name="eve")


@pytest.mark.parametrize("name", [3, "!", to_base64(b"x")])
def test_a_name_that_is_none_is_refused(pod: TestPod, name: object) -> None:
    """Signed by the maintainer, but by which program?"""
    with pytest.raises((MalformedError, DamagedError)):
        named_recipients(_with_name(pod, name), pod.keys.identity)


@pytest.mark.parametrize("name", [b"\xff", b"../x", b""])
def test_a_sealed_name_that_is_none_is_refused(pod: TestPod, name: bytes) -> None:
    """It is shown, and typed."""
    own = pod.keys.identity.recipient
    sealed = seal_to_each([own], name, recipient_info(pod.policy.pod_id, own.kid))
    with pytest.raises(MalformedError, match="is none"):
        named_recipients(_with_name(pod, to_base64(sealed)), pod.keys.identity)


def _with_name(pod: TestPod, name: object) -> Policy:
    found: dict[str, Any] = json.loads(pod.policy.slots_json)["policy"]
    return next_policy(
        pod.policy, pod.keys.identity, {"recipients": [found["recipients"][0] | {"name": name}]}
    )


def test_an_identity_is_followed_by_another_step_by_step(pod: TestPod) -> None:
    """At each step somebody opens all of it, home and server trust it, and the past still counts."""
    old, new = pod.keys.identity, EVE
    both = hand_over(_added(pod), old, new)
    after = let_go(both, new, old)
    assert all(check_successor(one, other) for one, other in itertools.pairwise([pod.policy, both, after]))
    assert (_opens(both, old), _opens(both, new)) == (True, True)
    assert (_opens(after, old), _opens(after, new), _opens(after, ADA)) == (False, True, True)
    for policy in (both, after):
        check_signer(policy, old.signer)
        check_signer(policy, new.signer)
        assert old.signer in past_signers(policy)
    assert after.signers == (new.signer,)
    with pytest.raises(MissingError):
        let_go(after, new, old)


def test_handing_over_twice_adds_nothing(pod: TestPod) -> None:
    """An interrupted rotation goes on, also after another change by the old identity."""
    old = pod.keys.identity
    both = hand_over(pod.policy, old, EVE)
    assert hand_over(both, old, EVE) is both
    changed = revoke(both, old, 1)
    again = hand_over(changed, old, EVE)
    assert (again.signer, again.signers, again.endorsements) == (EVE.signer, both.signers, both.endorsements)
    assert [each.kid for each in again.recipients] == [each.kid for each in both.recipients]


def test_the_old_identity_signs_nothing_a_server_takes_afterwards(pod: TestPod) -> None:
    """Whoever found it is shut out once the server has the last policy."""
    old = pod.keys.identity
    both = hand_over(pod.policy, old, EVE)
    after = let_go(both, EVE, old)
    forged = revoke(revoke(both, old, 1), old, 2)
    assert forged.revision > after.revision
    with pytest.raises(PolicyError, match="does not lead"):
        check_successor(after, forged)
    with pytest.raises(PolicyError, match="never endorsed"):
        check_signer(forged, EVE.signer)


def test_only_a_signer_names_its_successor(pod: TestPod) -> None:
    """Reading is not deciding."""
    with pytest.raises(PolicyError):
        hand_over(_added(pod), ADA, EVE)
