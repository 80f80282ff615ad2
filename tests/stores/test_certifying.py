"""`store certify`, the real command, against real stores: which it accepts, and which it rejects, and why."""

from __future__ import annotations

import base64
import os
import secrets
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from cloud.store_address import StoreAddress
from cloud.verdicts import Verdict, read_verdict
from maintainer_tools.certifying import RACERS, RACES
from tests.stores import rclone
from tests.stores.ceph import Ceph
from tests.stores.conftest import Record
from tests.stores.owning import owned_bucket
from tests.stores.rclone import running_rclone
from tests.stores.swift import running_swift
from tests.support.certificates import self_signed
from tests.support.command import Ran, shared_pod
from tests.support.stores import Store, new_bucket

RACED = f"{RACERS} writers raced for each of {RACES} keys by 2 ways; one won each"
IGNORED = "it ignores the condition: a second put under one key was answered 200"
SEVERAL_WON = f"of {RACERS} writers who raced for one key were each told that they won"
NEW_BUCKET = "certify a new bucket without either"
OTHER_STORE = "use another store"


class Certified:
    """How the command ended, and what it wrote.

    Attributes:
        ran: The command.
        seconds: How long it took.
        verdict: What it wrote.
    """

    def __init__(self, address: StoreAddress, folder: Path, environment: Mapping[str, str]) -> None:
        began = time.monotonic()
        self.ran: Ran = shared_pod("store", "certify", str(address), cwd=folder, environment=environment)
        self.seconds = time.monotonic() - began
        self.verdict: Verdict = read_verdict(folder / "store.verdict")

    @property
    def failed(self) -> dict[str, str]:
        """What each check that failed said."""
        return {check.name: check.said for check in self.verdict.checks if not check.is_passed}

    @property
    def row(self) -> tuple[str, str]:
        """What is told of it: the verdict, with the checks that failed, and how long it took."""
        said = f"rejected: {', '.join(self.failed)}" if self.failed else "accepted"
        return said, f"{self.seconds:.0f} s"

    def require_accepted(self) -> None:
        """Every check passed, the races by both ways."""
        assert self.ran.code == 0, self.ran.err
        assert self.verdict.is_accepted
        assert RACED in self.ran.err

    def require_rejected(self, failed: Mapping[str, str], advice: str) -> None:
        """These checks failed, each for this reason and with this advice, and no other."""
        assert self.ran.code == 3, self.ran.err
        assert not self.verdict.is_accepted
        assert list(self.failed) == list(failed), self.ran.err
        for name, reason in failed.items():
            assert reason in self.failed[name]
            assert advice in self.failed[name]


def certify(store: Store, folder: Path, *endpoints: str, keeps_tags: bool = True) -> Certified:
    """Run it with the keys of the bucket's owner."""
    address = store.address(*endpoints, keeps_tags=keeps_tags)
    return Certified(address, folder, store.admin.environment)


def test_a_plain_bucket_of_ceph_is_accepted(ceph: Ceph, tmp_path: Path, record: Record) -> None:
    """By both of its gateways; nothing is left in it."""
    store = new_bucket(ceph.store())
    certified = certify(store, tmp_path, *ceph.endpoints)
    record(f"Ceph RGW {ceph.version()}, plain bucket, two gateways", *certified.row)
    certified.require_accepted()
    assert certified.verdict.configuration["versioning"] == "never"
    assert store.keys_of_objects() == []


def test_a_bucket_of_ceph_as_its_owner_has_it_is_accepted(
    ceph: Ceph, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, record: Record
) -> None:
    """Behind TLS, encrypted where it lies, with a policy that lets a function's user put and no more."""
    store, _ = owned_bucket(ceph)
    pem = self_signed(tmp_path / "gateway.pem")
    key = base64.b64encode(secrets.token_bytes(32)).decode()
    options = f"rgw crypt default encryption key = {key}"
    monkeypatch.setenv("AWS_CA_BUNDLE", str(pem))

    with ceph.more_gateways(2, options, pem) as ways:
        certified = certify(store, tmp_path, *ways)
        record("the same, TLS, encrypted, a policy for another user", *certified.row)
        certified.require_accepted()

        # It is encrypted: a gateway that has not the key cannot show it.
        content = os.urandom(100)
        first, second = (replace(store, endpoint=way) for way in ways)
        first.client().put_object(Bucket=store.bucket, Key="seen", Body=content)
        assert second.content("seen") == content
        with pytest.raises(ClientError):
            store.content("seen")


@pytest.mark.parametrize("how", ["versioned", "locked"])
def test_a_versioned_bucket_of_ceph_is_rejected(ceph: Ceph, how: str, tmp_path: Path, record: Record) -> None:
    """It ignores the condition there; another bucket in the same store would do."""
    store = new_bucket(ceph.store())
    if how == "locked":
        store = replace(store, bucket=f"{store.bucket}-locked")
        store.client().create_bucket(Bucket=store.bucket, ObjectLockEnabledForBucket=True)
    else:
        store.client().put_bucket_versioning(
            Bucket=store.bucket, VersioningConfiguration={"Status": "Enabled"}
        )
    certified = certify(store, tmp_path, *ceph.endpoints)
    record(f"the same, {how} bucket", *certified.row)
    certified.require_rejected({"one after the other": IGNORED, "at once": SEVERAL_WON}, NEW_BUCKET)
    assert certified.verdict.configuration["versioning"] == "Enabled"
    assert certified.verdict.configuration["lock"] == ("Enabled" if how == "locked" else "not told")


def test_a_bucket_of_ceph_whose_versioning_was_suspended_is_accepted(
    ceph: Ceph, tmp_path: Path, record: Record
) -> None:
    """The condition holds there, over what was put before too."""
    store = new_bucket(ceph.store())
    client, at = store.client(), {"Bucket": store.bucket, "Key": "before"}
    for status in ("Enabled", "Suspended"):
        client.put_bucket_versioning(Bucket=store.bucket, VersioningConfiguration={"Status": status})
        if status == "Enabled":
            client.put_object(**at, Body=b"first")
    with pytest.raises(ClientError, match="PreconditionFailed"):
        client.put_object(**at, Body=b"second", IfNoneMatch="*")
    certified = certify(store, tmp_path, *ceph.endpoints)
    record("the same, versioned once, then suspended", *certified.row)
    certified.require_accepted()
    assert certified.verdict.configuration["versioning"] == "Suspended"


def test_a_bucket_of_ceph_that_is_open_to_everybody_is_rejected(
    ceph: Ceph, tmp_path: Path, record: Record
) -> None:
    """Whoever reaches it could fill it."""
    store = new_bucket(ceph.store())
    store.client().put_bucket_acl(Bucket=store.bucket, ACL="public-read-write")
    certified = certify(store, tmp_path, *ceph.endpoints)
    record("the same, bucket open to everybody", *certified.row)
    certified.require_rejected({"no secret": "was stored"}, "take the right to write away")


def test_a_wrong_secret_is_refused_by_ceph(ceph: Ceph, tmp_path: Path) -> None:
    """By every check, and nothing is stored; what to look at is said."""
    store = new_bucket(ceph.store())
    wrong = replace(store, admin=replace(store.admin, secret_key=secrets.token_hex(20)))
    certified = certify(wrong, tmp_path, *ceph.endpoints)
    assert certified.ran.code == 3, certified.ran.err
    assert len(certified.failed) == len(certified.verdict.checks)
    assert all("403" in said and "check the bucket, the keys" in said for said in certified.failed.values())
    assert wrong.admin.secret_key not in certified.ran.err
    assert store.keys_of_objects() == []


@pytest.mark.usefixtures("installed")
def test_rclone_is_rejected(tmp_path: Path, record: Record) -> None:
    """It ignores the condition, also one by one; without tags, which it has not, it is no better."""
    with running_rclone() as running:
        store = new_bucket(running)
        certified = certify(store, tmp_path, keeps_tags=False)
    record(f"`rclone serve s3` {rclone.version()}, tags=none", *certified.row)
    certified.require_rejected({"one after the other": IGNORED, "at once": SEVERAL_WON}, OTHER_STORE)


@pytest.mark.usefixtures("installed")
def test_swift_is_rejected(tmp_path: Path, record: Record) -> None:
    """One by one it keeps its word; of writers that race several win. It has no tags."""
    with running_swift() as swift:
        store = new_bucket(swift.store())
        with_tags = certify(store, tmp_path)
        certified = certify(store, tmp_path, keeps_tags=False)
    record(f"OpenStack Swift {swift.version()} s3api, tags=none", *certified.row)
    certified.require_rejected({"at once": SEVERAL_WON}, OTHER_STORE)
    assert list(with_tags.failed) == ["at once", "tags"]
    assert "501" in with_tags.failed["tags"]
    assert "add tags=none" in with_tags.failed["tags"]
