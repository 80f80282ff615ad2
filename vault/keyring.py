"""Keyring: what opens segments, which are the pod's keys of today and those they took the place of.

A segment may lie in its store, and a function may go on making more, while the
pod gets another file key or its maintainer another identity. FORMAT.md,
"Collecting".
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path

from vault.errors import DamagedError, MalformedError, WrongKeyError
from vault.header import Header
from vault.keys import FileKey
from vault.opening import Identity, OpenedBatch, open_file_key
from vault.policy_history import History
from vault.segment_reading import read_segment
from vault.segments import Segment


def _nobody() -> None:
    return None


class Keyring:
    """Opens segments with the present keys, and with earlier ones where those do not.

    Args:
        identity: The maintainer's.
        file_key: The pod's.
        history: Has the file key that each policy was sealed with.
        ask_earlier: Gives the identity that the present one took the place of,
            None if there is none; asked once, and only when it is needed.

    Attributes:
        identity: The present one.
    """

    def __init__(
        self,
        identity: Identity,
        file_key: FileKey,
        history: History,
        ask_earlier: Callable[[], Identity | None] = _nobody,
    ) -> None:
        self.identity = identity
        self._file_key = file_key
        self._history = history
        self._ask_earlier = ask_earlier

    def read(self, content: bytes, scratch: Path) -> Segment:
        """Read a segment; what it says is not believed yet.

        Raises:
            VaultError: As ``vault.segment_reading.read_segment``; DamagedError if none of the keys opens it.
        """
        try:
            return read_segment(content, self._file_key, scratch)
        except DamagedError:
            for key in self._earlier_keys():
                with contextlib.suppress(DamagedError):
                    return read_segment(content, key, scratch)
            raise

    def open_batch(self, header: Header, wraps: bytes) -> OpenedBatch:
        """Unwrap a batch's data key; raises what ``OpenedBatch`` does."""
        try:
            return OpenedBatch(self.identity, header, wraps)
        except WrongKeyError:
            if self._earlier is None:
                raise
            return OpenedBatch(self._earlier, header, wraps)

    @cached_property
    def _earlier(self) -> Identity | None:
        return self._ask_earlier()

    def _earlier_keys(self) -> Iterator[FileKey]:
        yield from self._keys_of_today
        # Only where those do not: a passphrase may have to be asked for.
        yield from self._keys_of_before

    @cached_property
    def _keys_of_today(self) -> list[FileKey]:
        return [key for key in self._keys(self.identity) if key != self._file_key]

    @cached_property
    def _keys_of_before(self) -> list[FileKey]:
        known = [self._file_key, *self._keys_of_today]
        return [key for key in self._keys(self._earlier) if key not in known] if self._earlier else []

    def _keys(self, identity: Identity) -> Iterator[FileKey]:
        pod_id = self._history.pod_id
        # Most policies have what the one before had.
        for sealed in dict.fromkeys(policy.file_key for policy in self._history.policies()):
            with contextlib.suppress(WrongKeyError, DamagedError, MalformedError):
                yield open_file_key(identity, sealed, pod_id)
