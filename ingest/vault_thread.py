"""The one thread that has a pod's vault open, from its first item to idleness.

SQLite's connection, the locks and the signing key live in this thread and
nowhere else; the event loop asks, and gets futures. A vault is opened by the
first batch that brings its file key, and closed when asked. After any failure
it is closed and verified anew before it is used again. Nothing here creates or
migrates a vault. FORMAT.md, "Opening".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from vault.deciding import Submission
from vault.errors import BusyError
from vault.locks import Patience
from vault.pod import PodFolder, load_log_key
from vault.policies import Policy
from vault.store import Answer, Writer, open_writer

POLL_SECONDS = 0.05
"""Between two tries to open while a snapshot is being taken; a try costs milliseconds."""

Clock = Callable[[], int]
Entropy = Callable[[int], bytes]


class VaultThread:
    """Opens, commits to and closes one vault, in a thread of its own.

    Args:
        folder: The pod's folder.
        now_ms: UTC milliseconds.
        entropy: Source of randomness.
        patience: How long an opening waits for a snapshot that is being taken.
        warn: Takes each sentence a vault warns with; called in the thread.
    """

    def __init__(
        self,
        folder: PodFolder,
        *,
        now_ms: Clock,
        entropy: Entropy,
        patience: Patience,
        warn: Callable[[str], None],
    ) -> None:
        self._folder = folder
        self._now_ms = now_ms
        self._entropy = entropy
        self._patience = patience
        self._warn = warn
        self._executor: ThreadPoolExecutor | None = None
        self._writer: Writer | None = None
        self._is_spent = False

    def commit(self, policy: Policy, batch: Sequence[Submission]) -> Future[Sequence[Answer]]:
        """Make a batch durable, opening the vault first if it is not open.

        Args:
            policy: In force when the batch closes; judges all of it.
            batch: 1 to 512 submissions of this pod.

        Returns:
            One answer each; or what ``open_writer`` and ``Writer.commit`` raise.
        """
        return self._thread().submit(self._commit, policy, batch)

    def close(self) -> Future[bool]:
        """Close the vault if it is open.

        Returns:
            False when a snapshot is being taken: it is still open, ask again.
        """
        return self._thread().submit(self._close)

    def end(self) -> None:
        """Let the thread go. The vault is closed; a later commit starts another."""
        if self._executor:
            self._executor.shutdown(wait=False)
            self._executor = None

    def _thread(self) -> ThreadPoolExecutor:
        if not self._executor:
            self._executor = ThreadPoolExecutor(1, thread_name_prefix="vault")
        return self._executor

    def _commit(self, policy: Policy, batch: Sequence[Submission]) -> Sequence[Answer]:
        if self._writer and self._is_spent and not self._close():
            raise BusyError(
                "the vault must be closed and verified first, and a snapshot is being taken; try again"
            )
        if self._writer is None:
            self._writer = self._open_patiently(policy, batch[0])
        # Until the commit has ended well, nothing is known about the connection.
        self._is_spent = True
        answers = self._writer.commit(policy, batch)
        self._is_spent = False
        self._report(self._writer)
        return answers

    def _open_patiently(self, policy: Policy, first: Submission) -> Writer:
        deadline = self._patience.clock() + self._patience.timeout_seconds
        while True:
            try:
                return self._open(policy, first)
            except BusyError:
                if self._patience.clock() >= deadline:
                    raise
            self._patience.sleep(POLL_SECONDS)

    def _open(self, policy: Policy, first: Submission) -> Writer:
        writer = open_writer(
            self._folder,
            policy,
            first.slot.file_key,
            load_log_key(self._folder),
            now_ms=self._now_ms,
            entropy=self._entropy,
        )
        self._report(writer)
        return writer

    def _report(self, writer: Writer) -> None:
        while writer.warnings:
            self._warn(writer.warnings.pop(0))

    def _close(self) -> bool:
        writer, self._writer = self._writer, None
        if writer is not None and not writer.close():
            self._writer = writer
            return False
        return True
