"""Exit codes of `send`, `receipt` and `promise`; the same numbers as every other command's.

The whole table is in `maintainer_tools.exits`, which a contributor's room does
not import; a test holds the two together.
"""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """How a run ended."""

    DONE = 0
    FAILED = 1
    FINDINGS = 3
    """Some rows were rejected, or their receipts do not hold."""
    FOREIGN_POD = 13
    FORMAT_TOO_NEW = 14
    UNREACHABLE = 20
    """The server cannot be reached, or cannot now; nothing is lost, run it again."""
    REFUSED = 21
    """The server refuses the invite."""
    ROLLBACK = 22
    DAMAGED = 23
    MALFORMED = 25
    OTHER_ITEM = 30
    UNKNOWN_LOG_KEY = 31
    BAD_SIGNATURE = 32
    NOT_IN_BATCH = 33
    NOT_IN_LOG = 34
    INTERRUPTED = 130
