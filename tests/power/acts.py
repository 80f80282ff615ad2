"""What is done while a call fails, and what must be true afterwards, whatever became of it."""

from __future__ import annotations

import abc
import dataclasses
import os
import random
import shutil
from collections.abc import Sequence
from pathlib import Path

import vault.store
from ingest.problems import DISK_FULL, UNAVAILABLE, problem_of_failure
from ingest.vault_thread import OpenVault, Tools
from tests.power.founder import found
from tests.power.rotator import rotate
from tests.storm.counting import count
from tests.storm.promises import Promises
from tests.support.pods import PATIENCE, TestPod
from vault.checking import check_vault
from vault.errors import DiskFullError, OutcomeUnknownError, StorageError, VaultError
from vault.judging import Outcome
from vault.links import Invite
from vault.pod import PodFolder
from vault.policies import load_policy
from vault.reader import open_reader
from vault.slots import OpenedSlot
from vault.snapshot import private_snapshot, take_snapshot
from vault.submissions import Submission

INVITE = "field-team"


class Stage:
    """A copy of the template, whose vault is worked by what a server works it with.

    Args:
        pod: In its own home.
        invite: Its one invite.
        promises: What the pod had acknowledged before.
    """

    def __init__(self, pod: TestPod, invite: Invite, promises: Promises) -> None:
        self.pod = pod
        self.invite = invite
        self.promises = promises
        self.warnings: list[str] = []
        self.vault = OpenVault(pod.folder, Tools(pod.clock, os.urandom, PATIENCE), self.warnings.append)

    @property
    def slot(self) -> OpenedSlot:
        """What the invite opens."""
        return self.pod.slots[INVITE]

    def batch(self, name: str) -> list[Submission]:
        """Three items, small and large; the same for the same name."""
        texts = {f"{name}-{i}": "x" * size for i, size in enumerate((10, 300, 6_000))}
        self.promises.texts |= texts
        return [self.pod.submission(self.slot, id=item_id, text=text) for item_id, text in texts.items()]

    def commit(self, batch: Sequence[Submission]) -> set[Outcome]:
        """Have a batch committed, and remember what was promised."""
        answers = self.vault.commit(self.pod.policy, self.slot.file_key, batch)
        for submission, answer in zip(batch, answers, strict=True):
            if answer.outcome in {Outcome.STORED, Outcome.RETRY}:
                self.promises.acknowledged.add(submission.item.id)
                self.promises.receipts[submission.item.id] = answer.receipt or ""
        return {answer.outcome for answer in answers}

    def stored(self, batch: Sequence[Submission]) -> list[str]:
        """Which items of a batch the vault holds, as the maintainer sees it. Closes the vault."""
        assert self.vault.close()
        return sorted({item.id for item in self.pod.items()} & {each.item.id for each in batch})

    def faults(self) -> list[str]:
        """What is wrong with the vault after all; closes it."""
        assert self.vault.close()
        result = count(self.pod.home, self.promises)
        return [] if result.is_clean else [str(result)]


class Template:
    """A pod that is copied for each case: closed well, with one batch.

    Args:
        folder: Where it is made.
        seed: Its keys follow from it.
    """

    def __init__(self, folder: Path, seed: str) -> None:
        self._pod = found(folder / "template", seed)
        self._invite = self._pod.invite(INVITE)
        self._pod.slots[INVITE] = self._pod.opened(self._invite)
        self._promises = Promises()
        stage = Stage(self._pod, self._invite, self._promises)
        stage.commit(stage.batch("before"))
        stage.vault.close()

    def stage(self, folder: Path) -> Stage:
        """A copy in ``folder``, which is not there yet; nothing of its vault is open."""
        folder.mkdir()
        shutil.copytree(self._pod.home, folder / "home")
        chance = random.Random(str(folder))  # noqa: S311 - a test must repeat itself
        pod = dataclasses.replace(
            self._pod, home=folder / "home", entropy=chance.randbytes, slots=dict(self._pod.slots)
        )
        promises = Promises(
            dict(self._promises.texts), set(self._promises.acknowledged), dict(self._promises.receipts)
        )
        return Stage(pod, self._invite, promises)


class Act(abc.ABC):
    """Something that is done while calls fail; it is prepared while all still succeed.

    Args:
        stage: Where.
    """

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.prepare()

    @abc.abstractmethod
    def prepare(self) -> None:
        """Do what comes before it."""

    @abc.abstractmethod
    def run(self) -> None:
        """Do it; raises what it raises."""

    @abc.abstractmethod
    def look(self, error: Exception | None) -> list[str]:
        """Say what is wrong after it ended with this error, the disk working again."""

    def attempt(self) -> Exception | None:
        """Do it, and return the error it ended with, if any."""
        try:
            self.run()
        except Exception as exc:  # noqa: BLE001  # which one it was is what is judged
            return exc
        return None

    def judge(self, error: Exception | None) -> list[str]:
        """With a disk that works again: say what is wrong now, the kind of the error with it."""
        wrong = [] if error is None or isinstance(error, StorageError) else [_named(error)]
        try:
            return wrong + self.look(error)
        except (VaultError, AssertionError) as exc:
            return [*wrong, f"afterwards: {_named(exc)}"]


def _named(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


class Create(Act):
    """One batch, into a vault that is open: what a create_item request waits for."""

    def prepare(self) -> None:
        self.stage.commit(self.stage.batch("opening"))
        # log.head is due again then.
        self.stage.pod.clock.ms += 1_000
        self.batch = self.stage.batch("faulted")

    def run(self) -> None:
        assert self.stage.commit(self.batch) == {Outcome.STORED}

    def look(self, error: Exception | None) -> list[str]:
        stored, findings = self.stage.stored(self.batch), []
        if error is None and len(stored) != len(self.batch):
            findings.append(f"acknowledged, and only {stored} are there")
        if isinstance(error, VaultError):
            findings += self._refused(error, stored)
        # The client sends it again.
        outcomes = self.stage.commit(self.batch)
        if outcomes != ({Outcome.RETRY} if stored else {Outcome.STORED}):
            findings.append(f"sent again, the batch is {outcomes}")
        return findings + self.stage.faults()

    def _refused(self, error: VaultError, stored: list[str]) -> list[str]:
        told = problem_of_failure(error)
        expected = DISK_FULL if isinstance(error, DiskFullError) else UNAVAILABLE
        findings = [] if told == expected else [f"the door answers {told}"]
        may_be_there = isinstance(error, OutcomeUnknownError)
        if stored and not (may_be_there and len(stored) == len(self.batch)):
            findings.append(f"{_named(error)}, but {stored} are stored")
        return findings


class CreateAndCheckpoint(Create):
    """One batch, before which the write-ahead log is moved into the vault and begins anew in its file."""

    def prepare(self) -> None:
        vault.store.RESTART_FRAMES = 1
        super().prepare()


class CreateOverOldFrames(CreateAndCheckpoint):
    """One batch, into a log that began anew in its file."""

    def prepare(self) -> None:
        super().prepare()
        self.stage.commit(self.stage.batch("moved"))


class CreateAndTruncate(CreateAndCheckpoint):
    """One batch, before which a log is moved into the vault whose file has grown too large to be kept."""

    def prepare(self) -> None:
        vault.store.TRUNCATE_FRAMES = 1
        super().prepare()


class CreateAndOpen(Create):
    """One batch, for which the vault is opened first."""

    def prepare(self) -> None:
        self.batch = self.stage.batch("faulted")


class CreateAfterDeath(Create):
    """One batch, for which a vault is opened that was not closed."""

    def prepare(self) -> None:
        self.stage.commit(self.stage.batch("unsettled"))
        died = self.stage.pod.crashed(self.stage.pod.home.with_name("died"))
        assert self.stage.vault.close()
        self.stage = Stage(died, self.stage.invite, self.stage.promises)
        self.batch = self.stage.batch("faulted")


class Close(Create):
    """An orderly closing after a batch."""

    def prepare(self) -> None:
        self.batch = self.stage.batch("closed")
        self.stage.commit(self.batch)

    def run(self) -> None:
        assert self.stage.vault.close()

    def _refused(self, error: VaultError, stored: list[str]) -> list[str]:
        whole = len(stored) == len(self.batch)
        return [] if whole else [f"{_named(error)}, and only {stored} are there"]


class Snapshot(Act):
    """A snapshot of a vault that was closed."""

    def prepare(self) -> None:
        self.out = self.stage.pod.home / "copy"

    def run(self) -> None:
        take_snapshot(self.stage.pod.folder.path, self.out, PATIENCE)

    def look(self, error: Exception | None) -> list[str]:
        findings = self._whole(self.out) if error is None or self.out.exists() else []
        again = self.out.with_name("copy-again")
        take_snapshot(self.stage.pod.folder.path, again, PATIENCE)
        return findings + self._whole(again) + self.stage.faults()

    def _whole(self, out: Path) -> list[str]:
        with (
            private_snapshot(out, PATIENCE) as copy,
            open_reader(PodFolder(copy), self.stage.pod.keys.identity) as reader,
        ):
            findings = check_vault(reader, lambda _: None).findings
            missing = self.stage.promises.acknowledged - {item.id for item in reader.items()}
        return findings + [f"the snapshot lacks {item_id}" for item_id in missing]


class Publish(Act):
    """Another invite: slots.json is replaced."""

    def prepare(self) -> None:
        self.slots = len(self.stage.pod.policy.slots)

    def run(self) -> None:
        self.stage.pod.invite("second")

    def look(self, error: Exception | None) -> list[str]:
        found_policy = load_policy(self.stage.pod.folder)
        self.stage.pod.policy = found_policy
        findings = [] if error or len(found_policy.slots) == self.slots + 1 else ["the invite is not there"]
        self.stage.commit(self.stage.batch("after"))
        return findings + self.stage.faults()


class Rotate(Act):
    """Another file key for the vault. Nothing is promised of a door meanwhile; run again, it goes on."""

    def prepare(self) -> None:
        self.old_key = self.stage.slot.file_key

    def run(self) -> None:
        rotate(self.stage.pod.home)

    def look(self, error: Exception | None) -> list[str]:
        if error is not None:
            self.run()
        self.stage.pod.policy = load_policy(self.stage.pod.folder)
        self.stage.pod.slots[INVITE] = self.stage.pod.opened(self.stage.invite)
        findings = ["the key is the old one"] if self.stage.slot.file_key == self.old_key else []
        self.stage.commit(self.stage.batch("after"))
        return findings + self.stage.faults()


class FoundPod(Act):
    """A founding."""

    def prepare(self) -> None:
        self.home = self.stage.pod.home / "founded"

    def run(self) -> None:
        self.stage.pod = found(self.home, "another")

    def look(self, error: Exception | None) -> list[str]:
        if error is not None and not self.home.exists():
            shutil.rmtree(self.home.with_name("founded.partial"), ignore_errors=True)
            self.run()
        elif error is not None:
            elsewhere = found(self.home.with_name("same"), "another")
            self.stage.pod = dataclasses.replace(
                elsewhere, home=self.home, policy=load_policy(PodFolder(self.home / "pod"))
            )
        invite = self.stage.pod.invite(INVITE)
        self.stage.pod.slots[INVITE] = self.stage.pod.opened(invite)
        fresh = Stage(self.stage.pod, invite, Promises())
        fresh.commit(fresh.batch("first"))
        return fresh.faults()


ACTS: dict[str, type[Act]] = {
    "create": Create,
    "create and checkpoint": CreateAndCheckpoint,
    "create over old frames": CreateOverOldFrames,
    "create and truncate": CreateAndTruncate,
    "create and open": CreateAndOpen,
    "create after a death": CreateAfterDeath,
    "close": Close,
    "snapshot": Snapshot,
    "publish": Publish,
    "rotate": Rotate,
    "found": FoundPod,
}
"""What they are called, and what prepares them."""
