"""The maintainer's command in this process, and items put into a pod without a server."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner

from maintainer_tools.cli import cli
from tests.support.pods import TestPod
from vault.encoding import mp
from vault.items import Item, parse_item, server_id
from vault.links import Invite
from vault.policies import Policy, load_policy
from vault.slots import OpenedSlot, lookup_of, open_slot
from vault.store import Writer, open_writer
from vault.submissions import Answer, Submission, submit

RECEIVED_MS = 1_763_683_200_000
"""2025-11-21, midnight UTC: when every item put in here is received, unless a test says another time."""


@dataclass(frozen=True)
class Ended:
    """How a command ended.

    Attributes:
        code: Its exit code.
        raw: Its standard output.
        err: Its standard error.
    """

    code: int
    raw: bytes
    err: str

    @property
    def out(self) -> str:
        """Standard output as text."""
        return self.raw.decode()

    @property
    def lines(self) -> list[str]:
        """Standard output, line by line."""
        return self.out.splitlines()

    @property
    def json(self) -> Any:
        """Standard output, decoded."""
        return json.loads(self.raw)

    @property
    def error(self) -> Any:
        """The last line of standard error, decoded."""
        return json.loads(self.err.splitlines()[-1])


def run(
    *arguments: str | Path, stdin: str | bytes = "", environment: Mapping[str, str] | None = None
) -> Ended:
    """Run ``shared-pod`` in this process, without a terminal."""
    result = CliRunner().invoke(cli, [str(argument) for argument in arguments], input=stdin, env=environment)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return Ended(result.exit_code, result.stdout_bytes, result.stderr)


def succeed(*arguments: str | Path, stdin: str | bytes = "") -> Ended:
    """Run ``shared-pod``; what it says belongs to the failure when it does not end with 0."""
    ended = run(*arguments, stdin=stdin)
    assert ended.code == 0, f"{arguments} ended with {ended.code}:\n{ended.out}\n{ended.err}"
    return ended


def writer_of(pod: TestPod, invite: Invite, ms: int = RECEIVED_MS) -> Writer:
    """Open a pod's vault as its server does after a request with the invite."""
    policy, opened = _opened(pod, invite)
    return open_writer(
        pod.folder, policy, opened.file_key, pod.keys.log_key, now_ms=lambda: ms, entropy=os.urandom
    )


def submissions(pod: TestPod, invite: Invite, payloads: Iterable[Mapping[str, Any]]) -> list[Submission]:
    """What the door makes of payloads."""
    _, opened = _opened(pod, invite)
    return [submit(opened, parse_item(payload, make_id=_make_id)) for payload in payloads]


def put(pod: TestPod, invite: Invite, *payloads: Mapping[str, Any], ms: int = RECEIVED_MS) -> list[Answer]:
    """Store items in one batch, as if they had come over HTTP; refusals fail the test."""
    writer = writer_of(pod, invite, ms)
    answers = writer.commit(load_policy(pod.folder), submissions(pod, invite, payloads))
    assert writer.close()
    assert [answer.sentence for answer in answers if answer.sentence] == []
    return answers


def put_forged(pod: TestPod, invite: Invite, members: dict[str, Any]) -> None:
    """Store what no door lets in, as a server that was taken over can."""
    (honest,) = submissions(pod, invite, [{"type": "Note"}])
    forged = Item(honest.item.type, members["id"], {}, (), mp(members))
    writer = writer_of(pod, invite)
    writer.commit(load_policy(pod.folder), [msgspec.structs.replace(honest, item=forged)])
    assert writer.close()


def _opened(pod: TestPod, invite: Invite) -> tuple[Policy, OpenedSlot]:
    """The policy as it stands in the folder, and the slot the invite opens."""
    policy = load_policy(pod.folder)
    slot = policy.slot_by_lookup[lookup_of(invite.database_key, policy.pod_id)]
    return policy, open_slot(slot, invite.database_key, policy.pod_id)


def _make_id() -> str:
    return server_id(RECEIVED_MS, os.urandom(10))


@contextlib.contextmanager
def renames_refused(name: str) -> Iterator[None]:
    """Have the operating system refuse to rename a file that has this name, before or after."""
    replace = Path.replace

    def refuse(path: Path, target: Path) -> Path:
        if name in {path.name, Path(target).name}:
            raise PermissionError(1, "Operation not permitted")
        return replace(path, target)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Path, "replace", refuse)
        yield
