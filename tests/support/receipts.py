"""A pod with a few batches, and what a contributor to it keeps: invite, item, receipt."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from tests.support.invites import write_invite
from tests.support.maintaining import Ended, run
from tests.support.pods import TestPod, new_pod
from vault.header import log_leaf
from vault.items import parse_item
from vault.links import Invite
from vault.notes import Checkpoint, read_checkpoint, sign_checkpoint
from vault.properties import Scalar
from vault.receipts import Receipt, decode_receipt, encode_receipt
from vault.submissions import submit
from vault.tree import Frontier

PAYLOAD: dict[str, Scalar | None] = {"type": "Note", "id": "note-b1", "text": "x", "n": 1.0}
"""The second of three items of the third batch."""


@dataclass
class Kept:
    """What a contributor has.

    Attributes:
        pod: Whose receipt it is.
        invite: What the item was sent with.
        folder: Where the files are.
        header: The Pod-Receipt header's value.
    """

    pod: TestPod
    invite: Invite
    folder: Path
    header: str

    @property
    def receipt(self) -> Receipt:
        """Decoded."""
        return decode_receipt(self.header)

    def file(self, name: str, content: str | bytes | dict[str, Any]) -> Path:
        """Write a file."""
        path = self.folder / name
        raw = json.dumps(content) if isinstance(content, dict) else content
        path.write_bytes(raw.encode() if isinstance(raw, str) else raw)
        return path

    def invite_file(self, name: str = "field-team.invite", **changes: Any) -> Path:
        """Write the invite, or one that is changed."""
        return write_invite(self.folder / name, msgspec.structs.replace(self.invite, **changes))

    def changed(self, **changes: object) -> str:
        """The header's value with other fields."""
        return encode_receipt(msgspec.structs.replace(self.receipt, **changes))

    def verify(self, receipt: str | bytes | None = None, *more: str | Path, item: object = None) -> Ended:
        """Run `receipt verify` on the header's value and ``PAYLOAD``, or on others."""
        given = self.header if receipt is None else receipt
        sent = PAYLOAD if item is None else item
        return run(
            "receipt",
            "verify",
            self.file("receipt", given),
            "--invite",
            self.invite_file(),
            "--item",
            self.file("item.json", sent if isinstance(sent, bytes) else json.dumps(sent)),
            *more,
        )

    def header_of_a_fork(self) -> str:
        """What a log key can sign too: the same batch, logged as the first."""
        frontier, note = Frontier(), read_checkpoint(self.receipt.checkpoint)
        frontier.append(log_leaf(self.receipt.header))
        forked = sign_checkpoint(Checkpoint(note.origin, 1, frontier.root()), self.pod.keys.log_key)
        return encode_receipt(msgspec.structs.replace(self.receipt, batch=1, log_path=(), checkpoint=forked))

    def log(self, *texts: str) -> None:
        """Log more batches, one item each."""
        slot = self.pod.opened(self.invite)
        with self.pod.writer() as writer:
            for text in texts:
                writer.commit(self.pod.policy, [self.pod.submission(slot, text=text)])


def keep(tmp_path: Path, *, seed: int = 1) -> Kept:
    """Make a pod of four batches, and keep the receipt of ``PAYLOAD``."""
    pod = new_pod(tmp_path, properties={"text": "Text", "n": "Real"}, seed=seed)
    invite = msgspec.structs.replace(pod.invite(), url="https://pod.example.org")
    slot = pod.opened(invite)
    kept = Kept(pod, invite, tmp_path, "")
    kept.log("first", "second")
    with pod.writer() as writer:
        item = parse_item(PAYLOAD, make_id=str)
        beside = [pod.submission(slot, text=text) for text in ("before", "after")]
        batch = [beside[0], submit(slot, item, wants_receipt=True), beside[1]]
        kept.header = writer.commit(pod.policy, batch)[1].receipt or ""
    kept.log("last")
    return kept
