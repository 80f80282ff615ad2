"""Exit codes: the whole table, and which error leads to which.

`shared-pod help exit-codes` prints this table. Codes are only ever added: scripts
stand on them. `contributor_tools.exits` repeats those of its commands; a test compares.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from types import MappingProxyType

import click

from vault import errors


class Exit(IntEnum):
    """How a command ended."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    FINDINGS = 3
    NO_CREDENTIALS = 4
    UNREADABLE = 5
    MISSING = 10
    LOCKED = 11
    WRONG_KEY = 12
    FOREIGN_POD = 13
    FORMAT_TOO_NEW = 14
    FORMAT_TOO_OLD = 15
    EMPTY_FILE = 16
    PLAINTEXT = 17
    TRUNCATED = 18
    TORN = 19
    UNREACHABLE = 20
    REFUSED = 21
    ROLLBACK = 22
    DAMAGED = 23
    POLICY = 24
    MALFORMED = 25
    STORAGE = 26
    OTHER_ITEM = 30
    UNKNOWN_LOG_KEY = 31
    BAD_SIGNATURE = 32
    NOT_IN_BATCH = 33
    NOT_IN_LOG = 34
    INTERRUPTED = 130


class CredentialsMissingError(errors.VaultError):
    """A command that opens items was given no identity, or no passphrase for it."""


MEANINGS: Mapping[Exit, str] = MappingProxyType(
    {
        Exit.DONE: "done",
        Exit.FAILED: "failed, or the answer to a question was no",
        Exit.USAGE: "the command line is wrong",
        Exit.FINDINGS: "done, with findings: what is wrong, was refused or left out is named",
        Exit.NO_CREDENTIALS: "the identity, or its passphrase, is needed and was not given",
        Exit.UNREADABLE: "done, but what was sealed so that nobody can read it was left out",
        Exit.MISSING: "a file or folder that should be there is not",
        Exit.LOCKED: "another process is in the way; try again later",
        Exit.WRONG_KEY: "the key, identity or passphrase opens nothing here",
        Exit.FOREIGN_POD: "a file of another pod",
        Exit.FORMAT_TOO_NEW: "written by a later version of this program; update it",
        Exit.FORMAT_TOO_OLD: "written by an earlier version; run upgrade",
        Exit.EMPTY_FILE: "the vault has no bytes",
        Exit.PLAINTEXT: "the vault is not encrypted",
        Exit.TRUNCATED: "the vault ends too early",
        Exit.TORN: "the vault and its write-ahead log do not belong together, or one is missing",
        Exit.UNREACHABLE: "the server cannot be reached; nothing is lost, try again",
        Exit.REFUSED: "the server refuses",
        Exit.ROLLBACK: "the vault is older than, or not the one, that its log.head or a checkpoint has seen",
        Exit.DAMAGED: "the vault fails its own checks",
        Exit.POLICY: "pod.toml and slots.json are no pair signed by a signer you trust",
        Exit.MALFORMED: "a file or value is not of its format",
        Exit.STORAGE: "the disk is full, or the operating system failed a read or write",
        Exit.OTHER_ITEM: "the receipt or promise is for another item, or for other content of this one",
        Exit.UNKNOWN_LOG_KEY: "the receipt or promise is signed by a key that the invite does not name",
        Exit.BAD_SIGNATURE: "the receipt's checkpoint, or the promise, is not what its key signed",
        Exit.NOT_IN_BATCH: "the item of the receipt or promise is not in its batch",
        Exit.NOT_IN_LOG: "the receipt's batch is not in its log",
        Exit.INTERRUPTED: "interrupted",
    }
)

_OF_ERRORS: Mapping[type[Exception], Exit] = MappingProxyType(
    {
        CredentialsMissingError: Exit.NO_CREDENTIALS,
        errors.MalformedError: Exit.MALFORMED,
        errors.MissingError: Exit.MISSING,
        errors.LockedError: Exit.LOCKED,
        errors.WrongKeyError: Exit.WRONG_KEY,
        errors.ForeignPodError: Exit.FOREIGN_POD,
        errors.FormatTooNewError: Exit.FORMAT_TOO_NEW,
        errors.FormatTooOldError: Exit.FORMAT_TOO_OLD,
        errors.DamagedError: Exit.DAMAGED,
        errors.EmptyFileError: Exit.EMPTY_FILE,
        errors.PlaintextError: Exit.PLAINTEXT,
        errors.TruncatedError: Exit.TRUNCATED,
        errors.TornError: Exit.TORN,
        errors.RollbackError: Exit.ROLLBACK,
        errors.PolicyError: Exit.POLICY,
        errors.BusyError: Exit.LOCKED,
        errors.StorageError: Exit.STORAGE,
        OSError: Exit.STORAGE,
        click.UsageError: Exit.USAGE,
        click.Abort: Exit.INTERRUPTED,
    }
)


def exit_of(error: BaseException) -> Exit:
    """The code an error ends a command with: its own class's, else its nearest ancestor's."""
    for kind in type(error).__mro__:
        if kind in _OF_ERRORS:
            return _OF_ERRORS[kind]
    return Exit.FAILED
