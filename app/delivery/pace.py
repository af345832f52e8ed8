"""Pace: how much of what had to wait may go, so that a Sentry that is back is not overrun."""

from __future__ import annotations

import time

# How many are looked at at once where some are sampled out out, or nothing is paced.
AT_A_TIME = 100


class Pace:
    """How many of the backlog may go now: a bucket that fills with so many a second."""

    def __init__(self, per_s: float) -> None:
        self._per_s = per_s
        self._full = max(1.0, per_s / 2)
        self._tokens, self._at = self._full, uptime_s()

    def allowance(self) -> int:
        """Return how many may go now."""
        if not self._per_s:
            return AT_A_TIME
        now = uptime_s()
        self._tokens = min(self._full, self._tokens + (now - self._at) * self._per_s)
        self._at = now
        return int(self._tokens)

    def spend(self, count: int) -> None:
        """Take out what goes."""
        self._tokens -= count if self._per_s else 0


def uptime_s() -> float:
    """Return seconds of a clock that nobody sets and that runs while a machine sleeps."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))
