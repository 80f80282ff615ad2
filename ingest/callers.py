"""Who sent lately, in all pods of a process, and who of them much.

Asked when a batch closes, and not for each item. One who has much waiting is
held back for the sake of those who have little, and only while there are such:
where everybody has much, nobody is held back. docs/decisions/who-floods-waits.md.
"""

from __future__ import annotations

from collections.abc import Hashable

LATELY_SECONDS = 1.0
"""Who sends an item a second, or more often, is not made to wait behind a flood."""
MUCH_ITEMS = 8
MUCH_BYTES = 64 << 10
"""What waits of one caller beyond either is much; so much of one who is held back goes into a batch."""
HELD_BACK_BYTES_PER_SECOND = 4 << 20
"""And so fast: what a batch took of one who is held back is paid for in time."""
_NEVER = float("-inf")


class Callers:
    """Who sent lately. Used from the event loop only."""

    __slots__ = ("_much_at", "_pruned_at", "_seen_at")

    def __init__(self) -> None:
        self._seen_at: dict[Hashable, float] = {}
        self._much_at: dict[Hashable, float] = {}
        self._pruned_at = _NEVER

    def note(self, caller: Hashable, now: float, *, has_much: bool) -> None:
        """Note that something of ``caller`` waits.

        Args:
            caller: A slot of a pod.
            now: Monotone seconds.
            has_much: Whether it is beyond ``MUCH_ITEMS`` or ``MUCH_BYTES``.
        """
        self._seen_at[caller] = now
        if has_much:
            self._much_at[caller] = now
        if now - self._pruned_at > LATELY_SECONDS:
            self._prune(now)

    def has_others_with_little(self, caller: Hashable, now: float) -> bool:
        """Whether somebody else sent lately, and not much at any time lately."""
        earliest = now - LATELY_SECONDS
        return any(
            at >= earliest and other != caller and self._much_at.get(other, _NEVER) < earliest
            for other, at in self._seen_at.items()
        )

    def _prune(self, now: float) -> None:
        self._pruned_at = now
        earliest = now - LATELY_SECONDS
        self._seen_at = {caller: at for caller, at in self._seen_at.items() if at >= earliest}
        self._much_at = {caller: at for caller, at in self._much_at.items() if at >= earliest}
