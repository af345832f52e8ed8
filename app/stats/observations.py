"""What this process observed of its own requests and has not written yet.

A request only puts its timing down; it is counted when it is written, so that the request pays a
microsecond for it. Bounded, both before and after counting.

Each is counted twice: in the rows of its minute, which grow old and go, and in counters that only
grow, as Prometheus needs them.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections import Counter, deque
from typing import NamedTuple

from app.protocol.transaction import Timing
from app.stats.counting import Tally
from app.stats.timings import PERFORMANCE

# Some twenty seconds of a busy process.
MAX_TIMINGS = 20_000
# Different rows while the store takes none: an hour of twenty routes, say.
MAX_COUNTS = 10_000
# Upper ends of the histogram's buckets, in seconds: what Prometheus' clients have by default.
BOUNDS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
# What the names of the counters begin with: one for each bucket, which has only what is above the
# one before, one for the sum of all in microseconds, one for those that failed.
PREFIX = "requests:"
BUCKETS = tuple(f"{PREFIX}le:{bound}" for bound in (*BOUNDS_S, "+Inf"))
SUM_US, FAILED = f"{PREFIX}us", f"{PREFIX}failed"


class Observed(NamedTuple):
    """What was observed, counted.

    :param tally: of :data:`.timings.PERFORMANCE`.
    :param counters: to be added to the counters of the accounting, by their names.
    :param releases: that were named.
    """

    tally: Tally
    counters: Counter[str]
    releases: set[str]


class Observations:
    """Timings of one project; any thread adds them, one at a time takes them."""

    def __init__(self, project_id: int) -> None:
        self._project_id = project_id
        self._timings: deque[tuple[float, Timing]] = deque()
        self._kept = _nothing()

    def add(self, timing: Timing) -> bool:
        """Put one down; ``False`` when there is no room for it."""
        if len(self._timings) >= MAX_TIMINGS:
            return False
        self._timings.append((time.time(), timing))
        return True

    def take(self) -> Observed:
        """Take everything, counted; whoever cannot write it gives it back."""
        observed, self._kept = self._kept, _nothing()
        while self._timings and len(observed.tally) < MAX_COUNTS:
            at, timing = self._timings.popleft()
            observed.tally.add(self._project_id, at, (timing,))
            observed.releases.add(timing.release)
            _count(observed.counters, timing)
        return observed

    def give_back(self, observed: Observed) -> None:
        """Keep what was not written for the next time."""
        self._kept = observed


def _nothing() -> Observed:
    return Observed(Tally(PERFORMANCE), Counter(), set())


def _count(counters: Counter[str], timing: Timing) -> None:
    if timing.ms is not None:
        counters[BUCKETS[bisect_left(BOUNDS_S, timing.ms / 1000)]] += 1
        counters[SUM_US] += round(timing.ms * 1000)
    if timing.failed:
        counters[FAILED] += 1
