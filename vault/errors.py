"""Every way a pod's files or inputs can be refused, one class a reaction.

What is not here: HTTP statuses (``ingest.problems``) and exit codes
(``maintainer_tools.exits``). Both map these classes; nothing here knows them.
A message says what was found, what was expected and what to do next. It never
holds a key, a passphrase, a stored value or a contributor's payload.

::

    VaultError
     ├── MalformedError        bytes that are not the format they should be
     │    └── ItemError        an item that breaks a rule of the wire; names the field
     ├── MissingError          a file or folder that should be there is not
     ├── LockedError           another process holds the lock; try again later
     ├── WrongKeyError         this key, identity or passphrase opens nothing here
     ├── ForeignPodError       a whole file, but of another pod
     ├── FormatTooNewError     written by a later version of this program
     ├── FormatTooOldError     written by an earlier one; `upgrade` migrates it
     ├── DamagedError          content that fails its own checks
     │    ├── EmptyFileError   zero bytes where a vault should be
     │    ├── PlaintextError   an unencrypted SQLite file where a vault should be
     │    ├── TruncatedError   the file ends inside a page, or before its last page
     │    └── TornError        a database whose write-ahead log is missing or of another time
     ├── RollbackError         the log is smaller than, or forks from, one already seen
     ├── PolicyError           pod.toml and slots.json are not a pair signed by a trusted signer
     ├── BusyError             correct, but not now: a limit in time or space; try again
     └── StorageError          the operating system failed a read, write or sync
          ├── DiskFullError    no space left; nothing of this batch was stored
          └── OutcomeUnknownError  COMMIT itself failed: stored or not, nobody knows yet
"""

from __future__ import annotations

from enum import StrEnum


class VaultError(Exception):
    """Never raised itself; the root of every refusal below."""


class MalformedError(VaultError):
    """Bytes that do not parse as the format they were given as."""


class ItemError(MalformedError):
    """An item that breaks a rule of the wire format.

    Attributes:
        field: The JSON member at fault, as the client wrote it, at most 64
            characters; safe to show to the client that sent it.
    """

    def __init__(self, field: str, sentence: str) -> None:
        super().__init__(f"{field}: {sentence}")
        self.field = field


class MissingError(VaultError):
    """A file or folder that should be there is not."""


class LockedError(VaultError):
    """Another process holds the lock this act needs."""


class WrongKeyError(VaultError):
    """A key, identity or passphrase that opens nothing here."""


class ForeignPodError(VaultError):
    """A file that is whole, but belongs to another pod."""


class FormatTooNewError(VaultError):
    """A file written by a later version of this program."""


class FormatTooOldError(VaultError):
    """A file of an earlier format; `upgrade` migrates it."""


class Fault(StrEnum):
    """What of a receipt does not match, for who holds it: each has another remedy."""

    OTHER_ITEM = "other_item"
    UNKNOWN_LOG_KEY = "unknown_log_key"
    SIGNATURE = "signature"
    ITEM_PATH = "item_path"
    LOG_PATH = "log_path"


class DamagedError(VaultError):
    """Content that fails its own checks.

    Attributes:
        fault: What of a receipt or a checkpoint failed; None of other content.
    """

    def __init__(self, sentence: str = "", fault: Fault | None = None) -> None:
        super().__init__(sentence)
        self.fault = fault


class EmptyFileError(DamagedError):
    """Zero bytes where a vault should be."""


class PlaintextError(DamagedError):
    """An unencrypted SQLite file where a vault should be."""


class TruncatedError(DamagedError):
    """A file that ends inside a page, or before its last page."""


class TornError(DamagedError):
    """A database whose write-ahead log is missing or of another time."""


class RollbackError(VaultError):
    """A log that is smaller than, or forks from, one already seen."""


class PolicyError(VaultError):
    """A pod.toml and slots.json that are not a pair signed by a trusted signer."""


class BusyError(VaultError):
    """Correct, but not possible now; the caller may try again."""


class StorageError(VaultError):
    """The operating system failed a read, a write or a sync."""


class DiskFullError(StorageError):
    """No space left on the device; nothing of the batch was stored."""


class OutcomeUnknownError(StorageError):
    """COMMIT returned an error; whether the batch is durable is not known."""
