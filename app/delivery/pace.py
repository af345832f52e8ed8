"""Pace: how much of the backlog may be sent, so that it does not overload a Sentry that is back."""

from __future__ import annotations

import time

# How many envelopes are read at once if sampling may drop some, or if there is no pace.
AT_A_TIME = 100


class Pace:
    """How many envelopes of the backlog may be sent now: a token bucket.

    :param per_s: tokens added a second; 0 for no limit.
    """

    def __init__(self, per_s: float) -> None:
        self._per_s = per_s
        self._full = max(1.0, per_s / 2)
        self._tokens, self._at = self._full, uptime_s()

    def allowance(self) -> int:
        """Return how many envelopes may be sent now."""
        if not self._per_s:
            return AT_A_TIME
        now = uptime_s()
        self._tokens = min(self._full, self._tokens + (now - self._at) * self._per_s)
        self._at = now
        return int(self._tokens)

    def spend(self, count: int) -> None:
        """Subtract the envelopes that are sent."""
        self._tokens -= count if self._per_s else 0


def uptime_s() -> float:
    """Return seconds of a clock that cannot be set and that also runs while the machine sleeps."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))
