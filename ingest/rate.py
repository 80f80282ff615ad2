"""The rate caveat: items and body bytes a minute, per slot.

A token bucket for each of the two: it holds a minute's worth, and fills
steadily. So a slot may burst a minute's worth at once and then continues at
the steady pace. Every request whose key opened the slot is charged, accepted
or not, except those refused here. Kept in memory: a restart fills every
bucket. The clock is passed in. FORMAT.md, "Slots".
"""

from __future__ import annotations

import math

MINUTE_SECONDS = 60.0
ROUNDING = 1e-9
"""Minutes; who waits exactly as long as told must not fail by a float's last bit."""


class Meter:
    """What one slot has left of its rate.

    Args:
        rate: Most items and most body bytes a minute, each at least 1.
        now: Seconds of a monotone clock.
    """

    __slots__ = ("_at", "_bytes_left", "_items_left", "rate")

    def __init__(self, rate: tuple[int, int], now: float) -> None:
        self.rate = rate
        self._items_left, self._bytes_left = float(rate[0]), float(rate[1])
        self._at = now

    def charge(self, body_bytes: int, now: float) -> int:
        """Charge one request.

        Args:
            body_bytes: Length of its body; at most ``rate[1]``, or it never passes.
            now: Seconds of the same clock.

        Returns:
            0 if it was charged; else the whole seconds to wait, and nothing
            was charged.
        """
        minutes = max(now - self._at, 0.0) / MINUTE_SECONDS
        items_left = min(self._items_left + minutes * self.rate[0], self.rate[0]) - 1
        bytes_left = min(self._bytes_left + minutes * self.rate[1], self.rate[1]) - body_bytes
        missing_minutes = max(-items_left / self.rate[0], -bytes_left / self.rate[1])
        if missing_minutes > ROUNDING:
            return math.ceil((missing_minutes - ROUNDING) * MINUTE_SECONDS)
        self._items_left, self._bytes_left, self._at = items_left, bytes_left, now
        return 0
