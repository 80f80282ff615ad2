"""Judging what a power cut left: does the vault open without a person, and is every promise kept?"""

from __future__ import annotations

import dataclasses
import os
import traceback
from pathlib import Path

import msgspec

from tests.power.marks import Said
from tests.power.rotator import rotate
from tests.storm.counting import count
from tests.support.pods import PATIENCE, TestPod
from vault.checking import check_vault
from vault.errors import VaultError
from vault.judging import Outcome
from vault.links import Invite
from vault.pod import PodFolder
from vault.policies import load_policy
from vault.reader import open_reader
from vault.snapshot import private_snapshot

RETRIES = 3
"""How many acknowledged items are sent again after each cut."""


def _described(exc: Exception) -> str:
    where = traceback.extract_tb(exc.__traceback__)[-1]
    return f"{type(exc).__name__} in {where.name}: {exc}"


def judge(home: Path, pod: TestPod, invite: Invite, said: Said, *, is_read_first: bool) -> list[str]:
    """Open what is left as a server does at its start, store one more item, and count.

    Args:
        home: What the cut left; changed.
        pod: The pod, with its keys.
        invite: Its slot.
        said: What had been promised when the power was cut.
        is_read_first: Whether the maintainer looks at it before the server.

    Returns:
        What is wrong, a sentence each; none means that every promise is kept.
    """
    try:
        policy = load_policy(PodFolder(home / "pod"))
        left = dataclasses.replace(pod, home=home, policy=policy, entropy=os.urandom)
        found = left.check().findings + _halves(left, said) if is_read_first else []
        found += _deposit(left, invite, said)
        return found + _count(left, said) + ([] if found else _halves(left, said)) + _copies(left, said)
    except (VaultError, AssertionError) as exc:
        return [_described(exc)]


def _deposit(pod: TestPod, invite: Invite, said: Said) -> list[str]:
    slot = pod.opened(invite)
    texts, acknowledged = said.promises.texts, sorted(said.promises.acknowledged)
    again = [pod.submission(slot, id=item_id, text=texts[item_id]) for item_id in acknowledged[-RETRIES:]]
    fresh = pod.submission(slot, id=f"after-the-cut-{len(texts)}", text="after")
    with pod.writer() as writer:
        *answers, last = writer.commit(pod.policy, [*again, fresh])
    if last.outcome is Outcome.STORED:
        texts[fresh.item.id] = "after"
        said.promises.acknowledged.add(fresh.item.id)
        said.promises.receipts[fresh.item.id] = last.receipt or ""
    outcomes = {answer.outcome for answer in answers}
    return [] if outcomes <= {Outcome.RETRY} else [f"an acknowledged item sent again is {outcomes}"]


def _count(pod: TestPod, said: Said) -> list[str]:
    result = count(pod.home, said.promises)
    return [] if result.is_clean else [str(result)]


def _halves(pod: TestPod, said: Said) -> list[str]:
    stored = {item.id for item in pod.items()}
    return [f"half a batch: {sorted(ids)}" for ids in said.batches if ids & stored and ids - stored]


def _copies(pod: TestPod, said: Said) -> list[str]:
    findings = []
    for name, acknowledged in said.copies.items():
        with (
            private_snapshot(pod.home / name, PATIENCE) as copy,
            open_reader(PodFolder(copy), pod.keys.identity) as reader,
        ):
            findings += [f"{name}: {finding}" for finding in check_vault(reader, lambda _: None).findings]
            missing = acknowledged - {item.id for item in reader.items()}
            findings += [f"{name}: lacks {item_id}" for item_id in sorted(missing)]
    return findings


def judge_founding(home: Path, pod: TestPod, *, is_said: bool) -> list[str]:
    """Judge a founding that was interrupted: a home is there whole, or is not there.

    Args:
        home: Where it was to be.
        pod: One with the same keys.
        is_said: Whether the founder had said that it was done.
    """
    if not home.exists():
        return ["the pod is founded, and is not there"] if is_said else []
    try:
        policy = load_policy(PodFolder(home / "pod"))
        left = dataclasses.replace(pod, home=home, policy=policy, entropy=os.urandom)
        invite = left.invite("after-the-cut")
        assert (home / "identity").read_bytes() == (pod.home / "identity").read_bytes()
        return _deposit(left, invite, Said()) + left.check().findings
    except (VaultError, AssertionError, FileNotFoundError) as exc:
        return [_described(exc)]


def judge_rotation(home: Path, pod: TestPod, invite: Invite, said: Said) -> list[str]:
    """Judge a rotation that was interrupted: said to be done it is done, else the same command ends it.

    Args:
        home: What the cut left; changed.
        pod: The pod, with the keys it had before.
        invite: Its slot.
        said: What had been promised when the power was cut.
    """
    try:
        if not said.is_rotated:
            rotate(home)
        policy = load_policy(PodFolder(home / "pod"))
        left = dataclasses.replace(pod, home=home, policy=policy, entropy=os.urandom)
        file_key = left.opened(invite).file_key
        if file_key == pod.keys.file_key:
            return ["the rotation is done, and the file key is the old one"]
        left.keys = msgspec.structs.replace(pod.keys, file_key=file_key)
        return _deposit(left, invite, said) + _count(left, said)
    except (VaultError, AssertionError) as exc:
        return [_described(exc)]
