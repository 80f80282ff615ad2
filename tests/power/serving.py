"""A real server under the shim, with clients that say in its log what they were promised.

Parent, worker and writer process all run under it. A promise is noted once its
answer was read, so never before it was given.
"""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from pathlib import Path

from tests.power.marks import Acknowledged, Mark, Sent, encode_mark
from tests.power.records import packed_mark
from tests.power.shim import environment
from tests.support.pods import TestPod
from tests.support.server import Response, Server, serving
from vault.links import Invite

CLIENTS, ITEMS = 6, 12
LONGEST_TEXT = 4_000
GIVE_UP_SECONDS = 30.0
OK, BUSY = 200, 503


class _Client(threading.Thread):
    """Sends its items one after the other, each until it is accepted."""

    def __init__(self, name: str, server: Server, pod: TestPod, invite: Invite, log: int) -> None:
        super().__init__(name=name, daemon=True)
        self._server = server
        self._owner = pod.owner
        self._key = invite.database_key.reveal().hex()
        self._log = log
        self._chance = random.Random(name)  # noqa: S311 - a test must repeat itself
        self.failed: list[int] = []

    def run(self) -> None:
        for number in range(ITEMS):
            item_id = f"{self.name}-{number:03d}"
            text = "x" * self._chance.randrange(LONGEST_TEXT)
            self._say(Sent({item_id: text}))
            answer = self._until_answered({"type": "Note", "id": item_id, "text": text})
            if answer.status != OK:
                self.failed.append(answer.status)
                return
            self._say(Acknowledged({item_id: answer.headers["pod-receipt"]}))

    def _say(self, mark: Mark) -> None:
        # One call: what several processes append to one file does not mix.
        os.write(self._log, packed_mark(encode_mark(mark)))

    def _until_answered(self, payload: object) -> Response:
        deadline = time.monotonic() + GIVE_UP_SECONDS
        while True:
            answer = self._server.create_item(self._owner, self._key, payload, {"Pod-Receipt": "1"})
            if answer.status != BUSY or time.monotonic() > deadline:
                return answer
            time.sleep(0.05)


def serve_recorded(pod: TestPod, invite: Invite, root: Path, log: Path, seed: str) -> None:
    """Serve a pod below ``root``, twice load it with clients, kill its writer in between, and stop it.

    The writer is killed while nothing is under way: a kill between a call and its
    record would leave the log without what the file has.
    """
    marks = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        with serving(pod.folder.path, environment=environment(root, log)) as server:
            _load(server, pod, invite, marks, f"{seed}-a")
            os.kill(server.writer_pid, signal.SIGKILL)
            _load(server, pod, invite, marks, f"{seed}-b")
            assert server.stop_group() == 0, server.log
    finally:
        os.close(marks)


def _load(server: Server, pod: TestPod, invite: Invite, marks: int, name: str) -> None:
    clients = [_Client(f"{name}{i}", server, pod, invite, marks) for i in range(CLIENTS)]
    for client in clients:
        client.start()
    for client in clients:
        client.join(2 * GIVE_UP_SECONDS)
    assert [client.failed for client in clients] == [[]] * CLIENTS, server.log
