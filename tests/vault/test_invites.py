"""The maintainer's half: it keeps what it does not know, and signs what it changes as the next revision."""

from __future__ import annotations

import hashlib
import itertools
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.vectors import world
from tests.vectors.policies import POD_TOML, members, packed, signed
from vault.caveats import Caveats
from vault.errors import (
    ForeignPodError,
    MalformedError,
    MissingError,
    PolicyError,
    StorageError,
    WrongKeyError,
)
from vault.invites import (
    found_policy,
    issue,
    issued_slots,
    list_function,
    publish,
    refreshed,
    reissue,
    revoke,
)
from vault.keys import OwnerKey
from vault.links import Invite, format_invite, parse_invite
from vault.pod import PodFolder
from vault.policies import Policy, check_successor, load_policy, parse_policy
from vault.slots import lookup_of, open_slot

URL = "https://plants.example.org"


def _founded() -> Policy:
    slots_json = found_policy(
        POD_TOML.encode(),
        world.IDENTITY,
        pod_id=world.POD_ID,
        file_key=world.FILE_KEY,
        log_public=world.LOG_KEY.public,
    )
    return parse_policy(POD_TOML.encode(), slots_json)


def _issue(policy: Policy, name: str = "field-team", **limits: Any) -> tuple[Policy, Invite]:
    return issue(
        policy, world.IDENTITY, name=name, caveats=Caveats(**limits), url=URL, entropy=world.entropy(name)
    )


def _signed_members(policy: Policy) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(policy.slots_json)["policy"]
    return found


def test_a_founded_policy_is_the_first() -> None:
    """One recipient, one signer, one log, no slot."""
    policy = _founded()
    assert (policy.revision, policy.slots, policy.signer) == (1, (), world.IDENTITY.signer)
    assert [recipient.kid for recipient in policy.recipients] == [world.IDENTITY.recipient.kid]
    assert policy.vault_logs == [world.LOG_KEY.public]


def test_an_issued_invite_opens_its_slot() -> None:
    """The link is all a contributor needs."""
    policy, invite = _issue(_founded(), max_items=5, types=("Note",), expires=1893456000000)
    invite = parse_invite(format_invite(invite))
    slot = policy.slot_by_lookup[lookup_of(invite.database_key, policy.pod_id)]
    opened = open_slot(slot, invite.database_key, policy.pod_id)
    assert opened.file_key == world.FILE_KEY
    assert opened.caveats == Caveats(max_items=5, types=("Note",), expires=1893456000000)
    assert (invite.slot, invite.name, invite.pod_name) == (1, "field-team", "Street plants")
    assert (invite.log_keys, invite.function_keys) == ((world.LOG_KEY.public,), ())
    assert (invite.expires, invite.types, invite.signer) == (1893456000000, ("Note",), world.IDENTITY.signer)


def test_each_policy_follows_the_one_before() -> None:
    """A server takes them one after another, and none twice."""
    first = _founded()
    second, _ = _issue(first)
    third, _ = _issue(second, "hobby")
    fourth = revoke(third, world.IDENTITY, 1)
    chain = [first, second, third, fourth]
    assert [policy.revision for policy in chain] == [1, 2, 3, 4]
    assert all(check_successor(one, other) for one, other in itertools.pairwise(chain))
    with pytest.raises(PolicyError, match="was accepted already"):
        check_successor(fourth, third)


def test_the_maintainer_sees_names_and_keys_of_every_slot() -> None:
    """Revoked ones too; a thief of the folder sees none."""
    policy, invite = _issue(_founded())
    policy, _ = _issue(policy, "hobby")
    policy = revoke(policy, world.IDENTITY, 1)
    issued = issued_slots(policy, world.IDENTITY)
    assert [(each.slot.number, each.name, each.slot.is_open) for each in issued] == [
        (1, "field-team", False),
        (2, "hobby", True),
    ]
    assert issued[0].secrets.view_key == invite.database_key.derive("view", policy.pod_id)
    assert b"field-team" not in policy.slots_json
    with pytest.raises(WrongKeyError):
        issued_slots(policy, world.OTHER_IDENTITY)


def test_a_revoked_slot_is_a_tombstone() -> None:
    """It keeps number, lookup and rewrap, so that neither is used again and its items can be checked."""
    policy, invite = _issue(_founded())
    before = _signed_members(policy)["slots"][0]
    after = _signed_members(revoke(policy, world.IDENTITY, invite.slot))["slots"][0]
    assert "wrap" not in after
    assert after["state"] == "revoked"
    assert {name: after[name] for name in ("number", "lookup", "rewrap", "caveats")} == {
        name: before[name] for name in ("number", "lookup", "rewrap", "caveats")
    }
    with pytest.raises(MissingError, match="slot 9 is not in this pod"):
        revoke(policy, world.IDENTITY, 9)


def test_a_refreshed_invite_is_the_same_with_todays_log_keys() -> None:
    """Its key, slot and limits stay; what signs since is named; the policy is as it was."""
    policy, invite = _issue(_founded(), types=("Plant",), expires=5_000)
    assert refreshed(policy, world.IDENTITY, invite, url=URL) == invite

    listed = list_function(policy, world.IDENTITY, world.FUNCTION_KEY.public)
    other = "https://elsewhere.example.org"
    again = refreshed(listed, world.IDENTITY, invite, url=other)

    expected = msgspec.structs.replace(invite, url=other, function_keys=(world.FUNCTION_KEY.public,))
    assert again == expected
    assert parse_invite(format_invite(again)) == expected


def test_an_invite_that_opens_nothing_here_is_not_refreshed() -> None:
    """Another pod's, a stranger's, one that was revoked: it would look as if it worked."""
    policy, invite = _issue(_founded())
    foreign = msgspec.structs.replace(invite, owner_key=OwnerKey(bytes(32)))
    with pytest.raises(ForeignPodError):
        refreshed(policy, world.IDENTITY, foreign, url=URL)
    with pytest.raises(PolicyError, match="opens nothing in this pod"):
        refreshed(_founded(), world.IDENTITY, invite, url=URL)
    with pytest.raises(PolicyError, match="opens nothing in this pod"):
        refreshed(revoke(policy, world.IDENTITY, invite.slot), world.IDENTITY, invite, url=URL)
    with pytest.raises(WrongKeyError):
        refreshed(policy, world.OTHER_IDENTITY, invite, url=URL)


def test_numbers_are_never_used_again() -> None:
    """Items of a revoked slot keep their sender."""
    policy, _ = _issue(_founded())
    policy, second = _issue(revoke(policy, world.IDENTITY, 1), "hobby")
    assert second.slot == 2


def test_a_name_is_used_once_for_ever() -> None:
    """Exports call items field-team/ID."""
    policy, _ = _issue(_founded())
    for taken in (policy, revoke(policy, world.IDENTITY, 1)):
        with pytest.raises(MalformedError, match="an invite named field-team exists or existed"):
            _issue(taken)
    with pytest.raises(MalformedError, match="invite name"):
        _issue(policy, "../x")


def test_a_source_of_randomness_that_repeats_is_noticed() -> None:
    """Two slots of one database key would be one contributor."""
    policy, _ = _issue(_founded())
    with pytest.raises(MalformedError, match="repeats itself"):
        issue(
            policy,
            world.IDENTITY,
            name="other",
            caveats=Caveats(),
            url=URL,
            entropy=world.entropy("field-team"),
        )


def test_what_this_version_does_not_know_is_kept() -> None:
    """Members of a later version survive an invite from this one."""
    strange = parse_policy(
        POD_TOML.encode(), signed(packed(members(hats=[1, 2], zebra={"a": None}))).encode()
    )
    policy, _ = _issue(strange)
    policy = revoke(policy, world.IDENTITY, 1)
    found = _signed_members(policy)
    assert (found["hats"], found["zebra"]) == ([1, 2], {"a": None})


def test_an_edited_pod_toml_is_signed_as_the_next_revision() -> None:
    """Slots and all the rest stay."""
    policy, _ = _issue(_founded())
    edited = POD_TOML.encode() + b'policy = "closed"\n'
    again = reissue(policy, world.IDENTITY, edited)
    assert (again.revision, again.config.policy) == (3, "closed")
    assert again.slots == policy.slots
    assert _signed_members(again)["pod_toml"] == hashlib.sha256(edited).hexdigest()
    assert check_successor(policy, again)


def test_another_owner_key_is_not_signed_for() -> None:
    """It would be another pod, whose identity did not sign."""
    foreign = POD_TOML.replace(world.OWNER_KEY.hex, world.OTHER_OWNER_KEY.hex).encode()
    with pytest.raises(PolicyError):
        reissue(_founded(), world.IDENTITY, foreign)


def test_who_is_no_signer_cannot_issue() -> None:
    """A second recipient reads, and invites nobody."""
    with pytest.raises((PolicyError, WrongKeyError)):
        issue(
            _founded(), world.OTHER_IDENTITY, name="x", caveats=Caveats(), url=URL, entropy=world.entropy("x")
        )
    with pytest.raises(PolicyError, match="not one of the signers"):
        reissue(_founded(), world.OTHER_IDENTITY, POD_TOML.encode())


def test_a_published_pair_is_a_pair(tmp_path: Path) -> None:
    """slots.json last: who looks in between sees no pair and keeps the old one."""
    folder = PodFolder(tmp_path)
    first = _founded()
    publish(folder, first)
    assert load_policy(folder).digest == first.digest
    edited = reissue(first, world.IDENTITY, POD_TOML.encode() + b"# edited\n")
    folder.pod_toml.write_bytes(edited.pod_toml)
    with pytest.raises(PolicyError):
        load_policy(folder)
    publish(folder, edited)
    assert load_policy(folder).digest == edited.digest


def test_a_folder_that_is_gone_takes_no_policy(tmp_path: Path) -> None:
    """In our words."""
    with pytest.raises(StorageError):
        publish(PodFolder(tmp_path / "gone"), _founded())


def test_a_policy_that_nobody_could_read_is_not_signed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every reader refuses a larger slots.json unread: publishing one would close the pod."""
    monkeypatch.setattr("vault.invites.MAX_SLOTS_JSON_BYTES", 5_000)
    with pytest.raises(MalformedError, match="which nobody reads"):
        _issue(_founded())
