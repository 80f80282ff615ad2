"""A pod's vault as the worker has it: requests to the writer process, over a socket of its own.

Connected by the first batch, let go when the vault is closed. When the writer
process dies, what it was asked fails and the next batch connects anew. Used
from the event loop only. The other end is ``ingest.vault_thread``.
"""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from collections.abc import Callable, Sequence
from typing import cast

from ingest.messages import (
    Close,
    Closed,
    Commit,
    Committed,
    Failed,
    Frames,
    Look,
    Looked,
    Reply,
    Request,
    Serve,
    Warned,
    decode_reply,
    error_of,
    frame,
)
from vault.errors import OutcomeUnknownError, VaultError
from vault.keys import FileKey
from vault.pod import PodFolder
from vault.policies import Policy
from vault.submissions import Answer, Submission

Connect = Callable[[socket.socket], None]
"""Has the vault served at the other end of a socket; raises StorageError."""
Warn = Callable[[str], None]
Measure = Callable[[Committed], None]
Answering = Committed | Looked | Closed
Told = Callable[[Answering | Exception], None]
NOT_OPEN = Looked(is_open=False, items=0, refusals=[])


class _Connection(asyncio.Protocol):
    """One connection: requests out, replies in, in the same order."""

    def __init__(self, folder: PodFolder, warn: Warn) -> None:
        self._warn = warn
        self._waiting: deque[Told] = deque()
        self._unsent = [frame(Serve(str(folder.path)))]
        self._transport: asyncio.WriteTransport | None = None
        self._frames = Frames()
        self.policy: Policy | None = None
        self.is_lost = False

    def ask(self, request: Request, told: Told) -> None:
        """Send a request; ``told`` is called once, with its reply or an error."""
        self._waiting.append(told)
        if self._transport:
            self._transport.write(frame(request))
        else:
            self._unsent.append(frame(request))

    def files_of(self, policy: Policy) -> tuple[bytes, bytes] | None:
        """What to send of a policy: its files, or None if the writer has them; it has from then on."""
        files = None if self.policy is policy else (policy.pod_toml, policy.slots_json)
        self.policy = policy
        return files

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.WriteTransport", transport)
        self._transport.write(b"".join(self._unsent))
        self._unsent.clear()

    def data_received(self, data: bytes) -> None:
        for content in self._frames.feed(data):
            self._take(decode_reply(content))

    def _take(self, reply: Reply) -> None:
        if isinstance(reply, Warned):
            self._warn(reply.sentence)
            return
        told = self._waiting.popleft()
        if isinstance(reply, Failed):
            # What the writer has of the policy is not known any more.
            self.policy = None
            told(error_of(reply))
        else:
            told(reply)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # asyncio's signature
        self.is_lost = True
        while self._waiting:
            self._waiting.popleft()(
                OutcomeUnknownError(
                    "the process that writes this vault has ended; nothing was acknowledged, "
                    "and the next item starts it again"
                )
            )

    def end(self) -> None:
        if self._transport:
            self._transport.close()


async def _attach(connection: _Connection, ours: socket.socket) -> None:
    try:
        await asyncio.get_running_loop().create_connection(lambda: connection, sock=ours)
    except OSError as exc:
        connection.connection_lost(exc)


class RemoteVault:
    """Has batches of one pod committed by the writer process.

    Args:
        folder: The pod's folder.
        connect: Has it served.
        warn: Takes each sentence the vault warns with.
        measure: Takes what became of each batch that was committed.
    """

    def __init__(self, folder: PodFolder, connect: Connect, warn: Warn, measure: Measure) -> None:
        self._folder = folder
        self._connect = connect
        self._warn = warn
        self._measure = measure
        self._connection: _Connection | None = None
        self._attaching: asyncio.Task[None] | None = None

    def commit(
        self,
        policy: Policy,
        file_key: FileKey,
        batch: Sequence[Submission],
        told: Callable[[Sequence[Answer] | Exception], None],
    ) -> None:
        """Have a batch made durable, the vault opened first if it is not open.

        Args:
            policy: In force when the batch closes; judges all of it.
            file_key: From a slot that was opened.
            batch: 1 to 512 submissions of this pod.
            told: Called once, later: with one answer each, or with a
                ``VaultError`` or a ``WriterFault``.
        """

        def take(reply: Answering | Exception) -> None:
            if isinstance(reply, Committed):
                told(reply.answers)
                self._measure(reply)
            else:
                told(cast("Exception", reply))

        try:
            connection = self._connected()
        except VaultError as exc:
            asyncio.get_running_loop().call_soon(told, exc)
            return
        connection.ask(Commit(connection.files_of(policy), file_key.reveal(), batch), take)

    def look(self, policy: Policy, told: Callable[[Looked | Exception], None]) -> None:
        """Have the requests in the pod's folder looked at, if the vault is open.

        Args:
            policy: In force; its signers are heard.
            told: Called once, later: with what they came to, or with an error.
        """

        def take(reply: Answering | Exception) -> None:
            told(reply if isinstance(reply, Looked) else cast("Exception", reply))

        if self._connection is None or self._connection.is_lost:
            asyncio.get_running_loop().call_soon(told, NOT_OPEN)
        else:
            self._connection.ask(Look(self._connection.files_of(policy)), take)

    def close(self, told: Callable[[bool | Exception], None]) -> None:
        """Have the vault closed if it is open.

        Args:
            told: Called once, later: with False when a snapshot is being
                taken, so that it is still open, ask again; or with an error.
        """

        def take(reply: Answering | Exception) -> None:
            told(reply.is_closed if isinstance(reply, Closed) else cast("Exception", reply))

        if self._connection is None or self._connection.is_lost:
            asyncio.get_running_loop().call_soon(told, True)  # noqa: FBT003  # it is closed
        else:
            self._connection.ask(Close(), take)

    def end(self) -> None:
        """Let the connection go. The vault is closed; a later commit connects again."""
        connection, self._connection = self._connection, None
        if connection:
            connection.end()

    def _connected(self) -> _Connection:
        if self._connection is None or self._connection.is_lost:
            self._connection = self._attach()
        return self._connection

    def _attach(self) -> _Connection:
        ours, theirs = socket.socketpair()
        try:
            with theirs:
                self._connect(theirs)
        except VaultError:
            ours.close()
            raise
        connection = _Connection(self._folder, self._warn)
        self._attaching = asyncio.create_task(_attach(connection, ours))
        return connection
