"""The one thread that has a pod's vault open, from its first item to idleness.

Runs in the writer process, at the other end of the worker's socket. SQLite's
connection, the locks and the signing key live here and nowhere else. A vault
is opened by the first batch that brings its file key, and closed when asked.
After any failure it is closed and verified anew before it is used again.
Nothing here creates or migrates a vault. FORMAT.md, "Opening".
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from ingest.logs import places_of
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
    decode_request,
    frame,
)
from ingest.reserve import disk_full, has_room
from vault.errors import BusyError, VaultError
from vault.keys import FileKey
from vault.locks import Patience
from vault.pod import PodFolder, load_log_key
from vault.policies import Policy, parse_policy
from vault.requests import Erase, list_requests, read_request
from vault.store import Writer, open_writer
from vault.submissions import Answer, Submission

POLL_SECONDS = 0.05
"""Between two tries to open while a snapshot is being taken; a try costs milliseconds."""
RECEIVE_BYTES = 256 << 10

Clock = Callable[[], int]
Entropy = Callable[[int], bytes]


class Tools(NamedTuple):
    """What a vault is worked with.

    Attributes:
        now_ms: UTC milliseconds.
        entropy: Source of randomness.
        patience: How long an opening waits for a snapshot that is being taken.
    """

    now_ms: Clock
    entropy: Entropy
    patience: Patience


class OpenVault:
    """One vault: opened by its first batch, committed to, closed.

    Args:
        folder: The pod's folder.
        tools: Clock, randomness, patience.
        warn: Takes each sentence a vault warns with.
    """

    def __init__(self, folder: PodFolder, tools: Tools, warn: Callable[[str], None]) -> None:
        self._folder = folder
        self._tools = tools
        self._warn = warn
        self._writer: Writer | None = None
        self._is_spent = False

    def commit(self, policy: Policy, file_key: FileKey, batch: Sequence[Submission]) -> list[Answer]:
        """Make a batch durable, opening the vault first if it is not open.

        Args:
            policy: In force when the batch closed; judges all of it.
            file_key: From a slot that was opened.
            batch: 1 to 512 submissions of this pod.

        Returns:
            One answer each.

        Raises:
            DiskFullError: What would be left is kept; the vault is closed.
            VaultError: What ``open_writer`` and ``Writer.commit`` raise.
        """
        if self._writer and self._is_spent and not self.close():
            raise BusyError(
                "the vault must be closed and verified first, and a snapshot is being taken; try again"
            )
        self._require_room(batch)
        if self._writer is None:
            self._writer = self._open_patiently(policy, file_key)
        # Until the commit has ended well, nothing is known about the connection.
        self._is_spent = True
        answers = self._writer.commit(policy, batch)
        self._is_spent = False
        self._report(self._writer)
        return answers

    def _require_room(self, batch: Sequence[Submission]) -> None:
        if has_room(self._folder, batch):
            return
        # Now, while there is room for it: a stop has then nothing left to do. It may be all that was needed.
        self.close()
        if not has_room(self._folder, batch):
            raise disk_full()

    def look(self, policy: Policy) -> Looked:
        """Erase what the requests in the pod's folder ask for, if the vault is open.

        Read here and not told: what is erased is what the maintainer signed,
        whoever has this process look.

        Args:
            policy: In force; its signers are heard.

        Raises:
            VaultError: What ``Writer.erase`` and ``list_requests`` raise.
        """
        if self._writer is None or self._is_spent:
            return Looked(is_open=False, items=0, refusals=[])
        looked = Looked(is_open=True, items=0, refusals=[])
        self._is_spent = True
        for request in self._erasing(policy):
            erased = self._writer.erase(policy, request.statements)
            looked.items += erased.items
            looked.refusals += erased.refusals
        self._is_spent = False
        self._report(self._writer)
        return looked

    def _erasing(self, policy: Policy) -> Iterator[Erase]:
        for found in list_requests(self._folder).found:
            try:
                request = read_request(found, pod_id=policy.pod_id, signers=policy.signers)
            except VaultError:
                # The worker has logged it.
                continue
            if isinstance(request, Erase):
                yield request

    def rest(self) -> None:
        """Do what the next batch would have to wait for; called while nothing is asked."""
        if self._writer and not self._is_spent:
            self._is_spent = True
            # What failed shows again when the next batch closes and verifies the vault.
            with contextlib.suppress(VaultError):
                self._writer.rest()
                self._is_spent = False

    @property
    def synced_seconds(self) -> float:
        """How long COMMIT of the last batch took; 0 if that stored nothing."""
        return self._writer.synced_seconds if self._writer else 0.0

    def _open_patiently(self, policy: Policy, file_key: FileKey) -> Writer:
        patience = self._tools.patience
        deadline = patience.clock() + patience.timeout_seconds
        while True:
            try:
                return self._open(policy, file_key)
            except BusyError:
                if patience.clock() >= deadline:
                    raise
            patience.sleep(POLL_SECONDS)

    def _open(self, policy: Policy, file_key: FileKey) -> Writer:
        writer = open_writer(
            self._folder,
            policy,
            file_key,
            load_log_key(self._folder),
            now_ms=self._tools.now_ms,
            entropy=self._tools.entropy,
            seconds=self._tools.patience.clock,
        )
        self._report(writer)
        return writer

    def _report(self, writer: Writer) -> None:
        while writer.warnings:
            self._warn(writer.warnings.pop(0))

    def close(self) -> bool:
        """Close the vault if it is open.

        Returns:
            False when a snapshot is being taken: it is still open, ask again.
        """
        writer, self._writer = self._writer, None
        if writer is not None and not writer.close():
            self._writer = writer
            return False
        return True


class _Serving:
    """Answers the requests about one pod, in their order."""

    def __init__(self, sock: socket.socket, tools: Tools) -> None:
        self._sock = sock
        self._tools = tools
        self._policy: Policy | None = None
        self._vault: OpenVault | None = None

    def _send(self, reply: Reply) -> None:
        self._sock.sendall(frame(reply))

    def take(self, content: bytes) -> None:
        """Do what one request says."""
        try:
            reply = self._do(decode_request(content))
        except VaultError as exc:
            reply = Failed(type(exc).__name__, str(exc), "")
        except Exception as exc:  # noqa: BLE001  # whatever happens, its batch is told, and the next is tried
            reply = Failed(type(exc).__name__, "", places_of(exc))
        if reply:
            self._send(reply)

    def _do(self, request: Request) -> Reply | None:
        match request:
            case Serve(folder):
                self._vault = OpenVault(
                    PodFolder(Path(folder)), self._tools, lambda sentence: self._send(Warned(sentence))
                )
                return None
            case Commit(policy, file_key, batch):
                self._take_policy(policy)
                return self._commit(FileKey(file_key), batch)
            case Look(policy):
                self._take_policy(policy)
                return self._look()
            case Close():
                return Closed(self._vault is None or self._vault.close())

    def _take_policy(self, policy: tuple[bytes, bytes] | None) -> None:
        if policy:
            self._policy = None
            self._policy = parse_policy(*policy)

    def _commit(self, file_key: FileKey, batch: Sequence[Submission]) -> Committed:
        if not self._vault or not self._policy:
            raise RuntimeError("a commit came before its folder and its policy")
        clock = self._tools.patience.clock
        began = clock()
        answers = self._vault.commit(self._policy, file_key, batch)
        return Committed(answers, clock() - began, self._vault.synced_seconds)

    def _look(self) -> Looked:
        if not self._vault or not self._policy:
            raise RuntimeError("a look came before its folder and its policy")
        return self._vault.look(self._policy)

    def rest(self) -> None:
        """Nothing is asked now."""
        if self._vault:
            self._vault.rest()

    def end(self) -> None:
        """Close the vault: the worker has let it go, or is gone."""
        if self._vault:
            # Nobody is left to tell; the next opening finds out.
            with contextlib.suppress(VaultError):
                self._vault.close()


def _receive(sock: socket.socket, rest: Callable[[], None]) -> bytes:
    """Wait for bytes; ``rest`` first, if none are there."""
    with contextlib.suppress(BlockingIOError):
        return sock.recv(RECEIVE_BYTES, socket.MSG_DONTWAIT)
    rest()
    return sock.recv(RECEIVE_BYTES)


def serve_vault(sock: socket.socket, tools: Tools) -> None:
    """Answer a worker's requests about one pod until it closes the connection.

    Args:
        sock: The connection; closed at the end.
        tools: Clock, randomness, patience.
    """
    frames = Frames()
    with sock:
        serving = _Serving(sock, tools)
        try:
            while received := _receive(sock, serving.rest):
                for content in frames.feed(received):
                    serving.take(content)
        except OSError:
            # The worker died: it reads no answer any more.
            return
        finally:
            serving.end()
