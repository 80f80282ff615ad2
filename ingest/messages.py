"""What a worker and its writer process say to each other, and how it is framed.

Both ends are this program, of one version, started together; nothing of this is
stored and no other program speaks it. A frame is its length (LE32) and one
MessagePack array. A message may hold keys: it goes through a socket pair, never
through a file, an argument or a log, and no repr shows it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from vault import errors
from vault.errors import VaultError
from vault.submissions import Answer, Submission

LENGTH_BYTES = 4
READY = b"r"
"""Sent once by a writer process over its control socket: the libraries are loaded and the tested ones."""
WANTED = b"v"
"""Sent over the control socket with a socket on which a pod's vault is to be served."""


class Serve(msgspec.Struct, array_like=True, tag="serve"):
    """The first request of a connection: the folder of the pod it is about."""

    folder: str


class Commit(msgspec.Struct, array_like=True, tag="commit"):
    """Make a batch durable; its answer is ``Committed`` or ``Failed``.

    Attributes:
        policy: In force, judges all of the batch: pod.toml and slots.json as they were read; None
            if it is the one of the commit before.
        file_key: 32 bytes; opens the vault if it is not open.
        batch: 1 to 512 submissions.
    """

    policy: tuple[bytes, bytes] | None
    file_key: bytes
    batch: Sequence[Submission]

    def __repr__(self) -> str:
        return f"Commit({len(self.batch)} submissions, **redacted**)"


class Look(msgspec.Struct, array_like=True, tag="look"):
    """Erase what requests in the pod's folder ask for; its answer is ``Looked`` or ``Failed``.

    Attributes:
        policy: As of ``Commit``; its signers are heard.
    """

    policy: tuple[bytes, bytes] | None


class Close(msgspec.Struct, array_like=True, tag="close"):
    """Close the vault if it is open; its answer is ``Closed`` or ``Failed``."""


class Committed(msgspec.Struct, array_like=True, tag="committed"):
    """What became of a batch.

    Attributes:
        answers: One a submission, in their order.
        seconds: How long it took in the writer, an opening of the vault with it.
        synced_seconds: How much of that was COMMIT, which is the fsync; 0 if nothing was stored.
    """

    answers: list[Answer]
    seconds: float
    synced_seconds: float


class Looked(msgspec.Struct, array_like=True, tag="looked"):
    """What the requests came to.

    Attributes:
        is_open: Whether the vault is open; else nothing was done, ask again when it is.
        items: Items erased now.
        refusals: A sentence for each erasure that was asked for and does not hold.
    """

    is_open: bool
    items: int
    refusals: list[str]


class Closed(msgspec.Struct, array_like=True, tag="closed"):
    """Whether the vault is closed; it is not while a snapshot is being taken: ask again."""

    is_closed: bool


class Failed(msgspec.Struct, array_like=True, tag="failed"):
    """Why a request failed.

    Attributes:
        error: Its class.
        sentence: Our own sentence; empty for a foreign error, whose text may hold anything.
        places: Where a foreign error was raised.
    """

    error: str
    sentence: str
    places: str


class Warned(msgspec.Struct, array_like=True, tag="warned"):
    """A sentence for the maintainer's log; answers nothing."""

    sentence: str


Request = Serve | Commit | Look | Close
Reply = Committed | Looked | Closed | Failed | Warned


class WriterFault(Exception):  # noqa: N818  # names the fact, as vault.errors do
    """The writer met an error that should not happen.

    Attributes:
        error: Its class.
        places: Where it was raised; never its text.
    """

    def __init__(self, error: str, places: str) -> None:
        super().__init__(error)
        self.error = error
        self.places = places


def error_of(failed: Failed) -> Exception:
    """The error a failure stands for: of ``vault.errors``, or a ``WriterFault``."""
    kind = getattr(errors, failed.error, None)
    if isinstance(kind, type) and issubclass(kind, VaultError):
        # Not kind(sentence): one of them is made of two parts.
        error = kind.__new__(kind)
        Exception.__init__(error, failed.sentence)
        return error
    return WriterFault(failed.error, failed.places)


_encode = msgspec.msgpack.Encoder().encode
decode_request = msgspec.msgpack.Decoder(Request).decode
decode_reply = msgspec.msgpack.Decoder(Reply).decode


def frame(message: Request | Reply) -> bytes:
    """One message as it is sent."""
    content = _encode(message)
    return len(content).to_bytes(LENGTH_BYTES, "little") + content


class Frames:
    """Cuts what arrives into frames."""

    __slots__ = ("_buffer",)

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, received: bytes) -> Iterator[bytes]:
        """Take what arrived, and yield the contents of every frame that is whole."""
        self._buffer += received
        while len(self._buffer) >= LENGTH_BYTES:
            end = LENGTH_BYTES + int.from_bytes(self._buffer[:LENGTH_BYTES], "little")
            if len(self._buffer) < end:
                return
            content = bytes(self._buffer[LENGTH_BYTES:end])
            del self._buffer[:end]
            yield content
