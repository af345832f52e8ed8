"""Timings of this process's own requests that are not written yet.

A request only adds its timing, which costs it a microsecond. The timing is counted when it is
written. The number of timings is limited, both before and after counting.

Each timing is counted twice: in the rows of its minute, which expire, and in counters that only
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

# About twenty seconds of a busy process.
MAX_TIMINGS = 20_000
# The most rows while the store accepts no writes: for example, an hour of twenty routes.
MAX_COUNTS = 10_000
# Upper ends of the histogram's buckets, in seconds: the defaults of Prometheus' client libraries.
BOUNDS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
# The prefix of the counters' names. There is one counter for each bucket, without the values of
# smaller buckets, one for the sum of all in microseconds, and one for failed requests.
PREFIX = "requests:"
BUCKETS = tuple(f"{PREFIX}le:{bound}" for bound in (*BOUNDS_S, "+Inf"))
SUM_US, FAILED = f"{PREFIX}us", f"{PREFIX}failed"


class Observed(NamedTuple):
    """The counted timings.

    :param tally: for :data:`.timings.PERFORMANCE`.
    :param counters: amounts for the counters of the accounting, by name.
    :param releases: the releases that the timings named.
    """

    tally: Tally
    counters: Counter[str]
    releases: set[str]


class Observations:
    """Timings of one project. Any thread may add them; only one thread at a time may take them."""

    def __init__(self, project_id: int) -> None:
        self._project_id = project_id
        self._timings: deque[tuple[float, Timing]] = deque()
        self._kept = _nothing()

    def add(self, timing: Timing) -> bool:
        """Add a timing. Return ``False`` if there is no room for it."""
        if len(self._timings) >= MAX_TIMINGS:
            return False
        self._timings.append((time.time(), timing))
        return True

    def take(self) -> Observed:
        """Count and return the timings. A caller that cannot write them calls :meth:`give_back`."""
        observed, self._kept = self._kept, _nothing()
        while self._timings and len(observed.tally) < MAX_COUNTS:
            at, timing = self._timings.popleft()
            observed.tally.add(self._project_id, at, (timing,))
            observed.releases.add(timing.release)
            _count(observed.counters, timing)
        return observed

    def give_back(self, observed: Observed) -> None:
        """Keep counted timings that were not written for the next :meth:`take`."""
        self._kept = observed


def _nothing() -> Observed:
    return Observed(Tally(PERFORMANCE), Counter(), set())


def _count(counters: Counter[str], timing: Timing) -> None:
    if timing.ms is not None:
        counters[BUCKETS[bisect_left(BOUNDS_S, timing.ms / 1000)]] += 1
        counters[SUM_US] += round(timing.ms * 1000)
    if timing.failed:
        counters[FAILED] += 1
