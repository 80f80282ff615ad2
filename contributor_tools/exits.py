"""Exit codes of `send`; the same numbers as every other command's.

The whole table is in `maintainer_tools.exits`, which a contributor's room does
not import; a test holds the two together.
"""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """How a run of `send` ended."""

    DONE = 0
    FAILED = 1
    FINDINGS = 3
    """Some rows were rejected."""
    UNREACHABLE = 20
    """The server cannot be reached, or cannot now; nothing is lost, run it again."""
    REFUSED = 21
    """The server refuses the invite."""
    INTERRUPTED = 130
