"""What servers and commands answered over an era: the only memory that no kill reaches.

Each id belongs to one client thread, so that the sets need no lock of their own.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass
class Promises:
    """Kept by the storm's own process, which is never killed; counted by another.

    Attributes:
        texts: Id to text of every item that may be stored: sent, and well-formed.
        acknowledged: Ids answered 200.
        receipts: Id to receipt, of those that asked and were answered 200.
        forbidden: Texts that were refused for good (400, 409): no item may hold one.
        to_erase: Ids that the maintainer set out to erase: each may be there or not.
        erased: Those of them that a command said are erased.
        copied: Ids that were acknowledged when the newest snapshot that is done was begun.
        faults: Answers, and ends of commands, that should not have been.
    """

    texts: dict[str, str] = field(default_factory=dict)
    acknowledged: set[str] = field(default_factory=set)
    receipts: dict[str, str] = field(default_factory=dict)
    forbidden: set[str] = field(default_factory=set)
    to_erase: set[str] = field(default_factory=set)
    erased: set[str] = field(default_factory=set)
    copied: set[str] = field(default_factory=set)
    faults: list[str] = field(default_factory=list)


@dataclass
class Traffic:
    """How much was asked.

    Attributes:
        statuses: How many answers of each status.
        unanswered: How many requests ended without an answer.
    """

    statuses: Counter[int] = field(default_factory=Counter)
    unanswered: int = 0
