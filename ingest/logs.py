"""The server's log: one JSON object a line, on standard error.

A line may hold an owner's keyed digest, a status, sizes, durations, an error's
class and our own sentence about it, which may name a pod's folder. It never
holds a key, an id, a value, where a pod lies or a foreign exception's text.
Refused requests get a line each, up to a bound a second; accepted ones are
counted in a summary a minute, because a line each costs throughput
(``--log-requests`` switches them on). Digests are keyed anew in every process:
they join lines of one run, and name nobody.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import traceback
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path, PurePath

import msgspec

from ingest.messages import WriterFault
from vault.errors import VaultError

DIGEST_BYTES = 8
MOST_LINES_A_SECOND = 100
"""Lines about requests, and of each kind of failure; the rest of a second is only counted, so that nobody
fills the disk, nor hides a failure behind requests that are refused."""
ERROR_ID_BYTES = 6

Field = str | int | float | None


def write_stderr(line: bytes) -> None:
    """Write one line to standard error, in one call, so that processes do not mix lines."""
    # A closed terminal or a full pipe must not stop a pod that can still store.
    with contextlib.suppress(OSError):
        os.write(2, line)


def _place(frame: traceback.FrameSummary) -> str:
    return f"{'/'.join(PurePath(frame.filename).parts[-2:])}:{frame.lineno}"


def places_of(error: BaseException) -> str:
    """Where an error was raised: neither its text nor its locals, which may hold what a client sent."""
    return " ".join(_place(frame) for frame in traceback.extract_tb(error.__traceback__))


class Log:
    """Writes the log of one process.

    Args:
        write: Takes one line with its newline.
        now_ms: UTC milliseconds.
        entropy: Source of the digests' key and of error ids.
        is_logging_requests: Whether accepted requests get a line too.
        pods: Pod folders that are served; a sentence names them, and not where they lie.

    Attributes:
        failures: How many failures of each event there were since the process started.
    """

    def __init__(
        self,
        write: Callable[[bytes], None],
        *,
        now_ms: Callable[[], int],
        entropy: Callable[[int], bytes],
        is_logging_requests: bool = False,
        pods: Iterable[Path] = (),
    ) -> None:
        self._write = write
        self._now_ms = now_ms
        self._entropy = entropy
        self._is_logging_requests = is_logging_requests
        self._key = entropy(32)
        # Longest first: one pod's folder may lie in another's.
        self._places = sorted((f"{pod.parent}/" for pod in pods), key=len, reverse=True)
        self._statuses: Counter[int] = Counter()
        self._summarized: Counter[int] = Counter()
        self.failures: Counter[str] = Counter()
        self._second = 0
        self._lines: Counter[str] = Counter()
        self._unwritten = 0

    def event(self, event: str, **fields: Field) -> None:
        """Write one line."""
        time = datetime.fromtimestamp(self._now_ms() / 1000, UTC).isoformat(timespec="milliseconds")
        self._write(msgspec.json.encode({"time": time, "event": event, **fields}) + b"\n")

    def digest(self, owner: bytes) -> str:
        """An owner as this process's log shows it: 16 hex digits of keyed BLAKE2b."""
        return hashlib.blake2b(owner, key=self._key, digest_size=DIGEST_BYTES).hexdigest()

    def stored(self, owner: bytes, status: int, body_bytes: int, seconds: float) -> None:
        """Count an accepted request; write a line where that was asked for."""
        self._statuses[status] += 1
        if self._is_logging_requests:
            self._request(owner, status, body_bytes, seconds)

    def refused(self, owner: bytes, status: int, body_bytes: int, seconds: float) -> None:
        """Count a refused request and write its line, within the bound a second."""
        self._statuses[status] += 1
        self._request(owner, status, body_bytes, seconds)

    def counted(self, status: int) -> None:
        """Count a request to no known path: anybody can make those without end."""
        self._statuses[status] += 1

    def _request(self, owner: bytes, status: int, body_bytes: int, seconds: float) -> None:
        ms = round(seconds * 1000, 3)
        if self._has_room("request"):
            self.event("request", owner=self.digest(owner), status=status, body_bytes=body_bytes, ms=ms)

    def _has_room(self, event: str) -> bool:
        second = self._now_ms() // 1000
        if second != self._second:
            self._second = second
            self._lines.clear()
        self._lines[event] += 1
        is_room = self._lines[event] <= MOST_LINES_A_SECOND
        self._unwritten += not is_room
        return is_room

    def failure(self, event: str, error: BaseException, owner: bytes | None = None) -> str:
        """Write one line about an error: our own sentence, or where a foreign one was raised.

        Returns:
            The line's error id, which may be shown to a client.
        """
        self.failures[event] += 1
        error_id = self._entropy(ERROR_ID_BYTES).hex()
        fields: dict[str, Field] = {"error_id": error_id, "error": type(error).__name__}
        if owner is not None:
            fields["owner"] = self.digest(owner)
        if isinstance(error, VaultError):
            fields["sentence"] = self._without_places(str(error))
        elif isinstance(error, WriterFault):
            fields["error"], fields["at"] = error.error, error.places
        else:
            fields["at"] = places_of(error)
        if self._has_room(event):
            self.event(event, **fields)
        return error_id

    def _without_places(self, sentence: str) -> str:
        for place in self._places:
            sentence = sentence.replace(place, "")
        return sentence

    def summary(self) -> None:
        """Write how many requests had which status since the last summary; nothing if none."""
        if not self._statuses:
            return
        counts = {f"status_{status}": count for status, count in sorted(self._statuses.items())}
        self.event("summary", **counts, lines_left_out=self._unwritten)
        self._summarized += self._statuses
        self._statuses.clear()
        self._unwritten = 0

    @property
    def answered(self) -> Counter[int]:
        """How many requests had which status since the process started."""
        return self._summarized + self._statuses
