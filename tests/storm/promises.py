"""What servers answered over an era: the only memory that no kill reaches.

Each id belongs to one client thread, so that the sets need no lock of their own.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass
class Promises:
    """Kept by the storm's own process, which is never killed.

    Attributes:
        texts: Id to text of every item that may be stored: sent, and well-formed.
        acknowledged: Ids answered 200.
        receipts: Id to receipt, of those that asked and were answered 200.
        forbidden: Texts that were refused for good (400, 409): no item may hold one.
        statuses: How many answers of each status.
        unanswered: How many requests ended without an answer.
    """

    texts: dict[str, str] = field(default_factory=dict)
    acknowledged: set[str] = field(default_factory=set)
    receipts: dict[str, str] = field(default_factory=dict)
    forbidden: set[str] = field(default_factory=set)
    statuses: Counter[int] = field(default_factory=Counter)
    unanswered: int = 0
