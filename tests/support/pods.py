"""Real pods for tests: founded, with invites, in a temporary folder.

Two rooms meet here, as they do on a maintainer's machine: the test is the
maintainer and holds the identity; the server under test, or the writer, gets
the pod's folder. Time stands still unless a test moves it, and randomness
repeats itself for the same seed.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
import random
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from vault.caveats import Caveats
from vault.checking import Report, check_vault
from vault.errors import LockedError
from vault.founding import POD_FOLDER, Founding, draw_keys, found_home
from vault.invites import found_policy, issue, publish, reissue, revoke
from vault.items import Item, parse_item, server_id
from vault.links import Invite
from vault.locks import Patience, hold_vault
from vault.pod import PodFolder
from vault.policies import Policy, load_policy, parse_policy
from vault.properties import Scalar, ValueType
from vault.reader import Reader, open_reader
from vault.receipts import VerifiedReceipt, decode_receipt, verify_receipt
from vault.sealing import Entropy
from vault.slots import OpenedSlot, lookup_of, open_slot
from vault.snapshot import private_snapshot
from vault.sqlcipher import Connection, open_keyed
from vault.store import Writer, open_writer
from vault.stored import StoredItem
from vault.submissions import Answer, Submission, submit

POD_TOML = 'format = 1\nowner_key = "{owner}"\nname = "Test pod"\npolicy = "{policy}"\n{more}'
START_MS = 1_790_000_000_000
"""Where a fake clock starts: in September 2026."""
PATIENCE = Patience(5.0, time.monotonic, time.sleep)


@dataclass
class FakeClock:
    """UTC milliseconds that move only when a test moves them."""

    ms: int = START_MS

    def __call__(self) -> int:
        """Read it."""
        return self.ms


def seeded_entropy(seed: int = 1) -> Entropy:
    """Randomness that repeats itself for the same seed."""
    return random.Random(seed).randbytes  # noqa: S311 - a test must repeat itself


@dataclass
class TestPod:
    """A pod and its maintainer.

    Attributes:
        home: The maintainer's folder.
        keys: Every key of the pod.
        policy: The policy published last.
        clock: What its writer takes for the time.
        entropy: Its source of randomness.
        slots: What ``slot`` opened, by the invite's name.
    """

    __test__ = False

    home: Path
    keys: Founding
    policy: Policy
    clock: FakeClock = field(default_factory=FakeClock)
    entropy: Entropy = os.urandom
    slots: dict[str, OpenedSlot] = field(default_factory=dict)

    @property
    def folder(self) -> PodFolder:
        """What a server gets."""
        return PodFolder(self.home / POD_FOLDER)

    @property
    def owner(self) -> str:
        """64 lower-case hex digits."""
        return self.keys.owner_key.hex

    def is_locked(self) -> bool:
        """Whether somebody has its vault open to write."""
        try:
            hold_vault(self.folder.path).close()
        except LockedError:
            return True
        return False

    def invite(self, name: str = "field-team", **caveats: object) -> Invite:
        """Issue and publish an invite."""
        policy, invite = issue(
            self.policy,
            self.keys.identity,
            name=name,
            caveats=Caveats(**caveats),  # type: ignore[arg-type]  # a test names caveats as the command line does
            url="",
            entropy=self.entropy,
        )
        self._publish(policy)
        return invite

    def opened(self, invite: Invite) -> OpenedSlot:
        """Open an invite's slot, as a server does for its database key."""
        key, pod_id = invite.database_key, self.policy.pod_id
        return open_slot(self.policy.slot_by_lookup[lookup_of(key, pod_id)], key, pod_id)

    def slot(self, name: str = "field-team", **caveats: object) -> OpenedSlot:
        """Issue and publish an invite, and open its slot."""
        self.slots[name] = self.opened(self.invite(name, **caveats))
        return self.slots[name]

    def revoke(self, invite: Invite) -> None:
        """Revoke an invite and publish."""
        self._publish(revoke(self.policy, self.keys.identity, invite.slot))

    def rewrite(self, *, policy: str = "extend", more: str = "") -> None:
        """Publish another pod.toml."""
        pod_toml = POD_TOML.format(owner=self.owner, policy=policy, more=more).encode()
        self._publish(reissue(self.policy, self.keys.identity, pod_toml))

    def policy_anew(self) -> Policy:
        """A policy that starts over at revision 1, as from one who lost slots.json. Not published."""
        slots_json = found_policy(
            self.policy.pod_toml,
            self.keys.identity,
            pod_id=self.policy.pod_id,
            file_key=self.keys.file_key,
            log_public=self.keys.log_key.public,
        )
        return parse_policy(self.policy.pod_toml, slots_json)

    def _publish(self, policy: Policy) -> None:
        publish(self.folder, policy)
        self.policy = load_policy(self.folder)

    def make_id(self) -> str:
        """An id as the server makes one."""
        return server_id(self.clock(), self.entropy(10))

    def item(self, **payload: Scalar | None) -> Item:
        """Parse an item; its type is Note unless the payload says another."""
        return parse_item({"type": "Note"} | payload, make_id=self.make_id)

    def submission(self, slot: OpenedSlot, **payload: Scalar | None) -> Submission:
        """An item that came through a slot and asks for a receipt."""
        return submit(slot, self.item(**payload), wants_receipt=True)

    def put(self, writer: Writer, **payload: Scalar | None) -> Answer:
        """Commit one item of its field team."""
        (answer,) = writer.commit(self.policy, [self.submission(self.slots["field-team"], **payload)])
        return answer

    def crashed_writing(self, folder: Path) -> TestPod:
        """What a kill leaves in ``folder`` after one more item of its field team: item-3."""
        self.clock.ms += 1000
        item = self.submission(self.slots["field-team"], id="item-3", text="x")
        return self.crash_after(folder / "crashed", item)

    def declaration(self, slot: OpenedSlot, name: str, value_type: str) -> Submission:
        """A declaration that came through a slot; its id follows from its content."""
        return self.submission(
            slot,
            type="ItemPropertySchema",
            id=f"{name}-{value_type}"[:36],
            itemType="Note",
            propertyName=name,
            valueType=value_type,
        )

    def verify(self, submission: Submission, receipt: str | None) -> VerifiedReceipt:
        """Check a receipt as its contributor does: with the item, and the keys in the invite."""
        assert receipt is not None
        return verify_receipt(
            decode_receipt(receipt),
            pod_id=self.policy.pod_id,
            log_keys=self.policy.vault_logs,
            c=submission.c,
        )

    def open_writer(self) -> Writer:
        """Open the vault for appending, under the policy published last."""
        return open_writer(
            self.folder,
            self.policy,
            self.keys.file_key,
            self.keys.log_key,
            now_ms=self.clock,
            entropy=self.entropy,
        )

    @contextmanager
    def writer(self) -> Iterator[Writer]:
        """Open the vault for the length of a ``with`` block, and close it well."""
        writer = self.open_writer()
        try:
            yield writer
        finally:
            assert writer.close()

    @contextmanager
    def reader(self) -> Iterator[Reader]:
        """Open a private copy with the identity. Not while a writer of this process is open."""
        with (
            private_snapshot(self.folder.path, PATIENCE) as copy,
            open_reader(PodFolder(copy), self.keys.identity) as reader,
        ):
            yield reader

    @contextmanager
    def forging(self) -> Iterator[Connection]:
        """Change a closed vault as one with its file key can: no trigger stands in the way meanwhile."""
        connection = open_keyed(self.folder.vault, self.keys.file_key)
        triggers = connection.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'").fetchall()
        try:
            for name, _ in triggers:
                connection.execute(f"DROP TRIGGER {name}")
            yield connection
            for _, sql in triggers:
                connection.execute(sql)
        finally:
            connection.close()

    def crashed(self, home: Path) -> TestPod:
        """What a kill at this moment leaves: every file as it is, nothing closed, copied to ``home``.

        By another process: closing vault.db in this one would drop the locks of a writer that is open.
        """
        subprocess.run(["cp", "-R", "--", self.home, home], check=True)
        return dataclasses.replace(self, home=home)

    def items(self) -> list[StoredItem]:
        """Everything stored, in order. Not while a writer of this process is open."""
        with self.reader() as reader:
            return list(reader.items())

    def crash_after(self, home: Path, *submissions: Submission) -> TestPod:
        """What a kill right after one batch leaves, in ``home``; this pod itself is closed well."""
        with self.writer() as writer:
            writer.commit(self.policy, submissions)
            crashed = self.crashed(home)
        assert crashed.folder.wal.stat().st_size > 0
        return crashed

    def whole_ids(self) -> list[str]:
        """Every item's id, in order, of a vault that has no fault. Not while a writer is open here."""
        assert self.check().findings == []
        return [item.id for item in self.items()]

    def digests(self) -> dict[str, str]:
        """What the vault, its log and log.head hold; an empty log is what looking leaves behind."""
        files = (self.folder.vault, self.folder.wal, self.folder.log_head)
        return {
            path.name: hashlib.sha256(path.read_bytes()).hexdigest()
            for path in files
            if path.exists() and (path != self.folder.wal or path.stat().st_size)
        }

    def check(self) -> Report:
        """Check the whole vault. Not while a writer of this process is open."""
        with self.reader() as reader:
            return check_vault(reader, lambda _: None)


def make_pod(home: Path, *, policy: str = "extend", more: str = "", entropy: Entropy = os.urandom) -> TestPod:
    """Found a pod at ``home``, which does not exist yet.

    Args:
        home: The maintainer's folder.
        policy: extend, closed or infer.
        more: Further lines of pod.toml.
        entropy: Source of its keys and of what its writer draws.
    """
    keys = draw_keys(entropy)
    pod_toml = POD_TOML.format(owner=keys.owner_key.hex, policy=policy, more=more).encode()
    founded = found_home(home, keys, pod_toml, passphrase=None, entropy=entropy)
    return TestPod(home, keys, founded, entropy=entropy)


def properties_toml(properties: Mapping[str, ValueType | str]) -> str:
    """The lines of pod.toml that declare properties."""
    return "".join(f'[properties.{name}]\ntype = "{kind}"\n' for name, kind in properties.items())


def new_pod(
    tmp_path: Path,
    policy: str = "extend",
    properties: Mapping[str, ValueType | str] | None = None,
    *,
    more: str = "",
    seed: int = 1,
) -> TestPod:
    """Found a pod at ``tmp_path/home`` in which a Note may have a Text named ``text``.

    Args:
        tmp_path: The test's own folder.
        policy: extend, closed or infer.
        properties: What the maintainer declares instead.
        more: Further lines of pod.toml.
        seed: Another seed makes another pod.
    """
    declared = properties_toml({"text": "Text"} if properties is None else properties)
    return make_pod(tmp_path / "home", policy=policy, more=more + declared, entropy=seeded_entropy(seed))
