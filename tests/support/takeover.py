"""A worker that was taken over: it says what it likes to a real writer process, over the worker's socket."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from ingest.messages import Commit, Frames, Reply, Serve, Warned, decode_reply, frame
from ingest.writer_process import WriterProcess
from tests.support.pods import TestPod
from vault.policies import load_policy
from vault.submissions import Submission

_RECEIVE_BYTES = 65_536


class TakenOverWorker:
    """Has what a worker of a pod has: its policy, its file key, a socket to who writes the vault."""

    def __init__(self, pod: TestPod, vault: socket.socket) -> None:
        self._pod = pod
        self._vault = vault
        self._frames = Frames()
        vault.sendall(frame(Serve(str(pod.folder.path))))

    def commit(self, *batch: Submission) -> Reply:
        """Have a batch committed, nothing of it looked at."""
        return self.say(self.commit_frame(batch))

    def commit_frame(self, batch: Sequence[Submission]) -> bytes:
        """The bytes that ask for it."""
        policy = load_policy(self._pod.folder)
        files = policy.pod_toml, policy.slots_json
        return frame(Commit(files, self._pod.keys.file_key.reveal(), batch))

    def say(self, message: bytes) -> Reply:
        """Send bytes of its own; the answer to them."""
        self._vault.sendall(message)
        while received := self._vault.recv(_RECEIVE_BYTES):
            for content in self._frames.feed(received):
                reply: Reply = decode_reply(content)
                if not isinstance(reply, Warned):
                    return reply
        raise ConnectionError("the writer let go of the socket without an answer")


@contextmanager
def taken_over_worker(pod: TestPod) -> Iterator[TakenOverWorker]:
    """Start the real writer process and take the worker's place; at the end the vault is closed."""
    process = WriterProcess(time.monotonic)
    process.start()
    try:
        asyncio.run(process.ready())
        ours, theirs = socket.socketpair()
        with ours:
            ours.settimeout(30.0)
            with theirs:
                process.connect(theirs)
            yield TakenOverWorker(pod, ours)
    finally:
        asyncio.run(process.stop())
