"""What this process observed of its own requests and has not written yet.

A request only puts its timing down; it is counted when it is written, so that the request pays a
microsecond for it. Bounded, both before and after counting.
"""

from __future__ import annotations

import time
from collections import Counter, deque

from app.events.timings import Timed, timed
from app.protocol.transaction import Timing

# Some twenty seconds of a busy process.
MAX_TIMINGS = 20_000
# Different rows while the store takes none: an hour of twenty routes, say.
MAX_COUNTS = 10_000


class Observations:
    """Timings of one project; any thread adds them, one at a time takes them."""

    def __init__(self, project_id: int) -> None:
        self._project_id = project_id
        self._timings: deque[tuple[float, Timing]] = deque()
        self._counts: Counter[Timed] = Counter()

    def add(self, timing: Timing) -> bool:
        """Put one down; ``False`` when there is no room for it."""
        if len(self._timings) >= MAX_TIMINGS:
            return False
        self._timings.append((time.time(), timing))
        return True

    def take(self) -> Counter[Timed]:
        """Take everything, counted; whoever cannot write it gives it back."""
        counts, self._counts = self._counts, Counter()
        while self._timings and len(counts) < MAX_COUNTS:
            at, timing = self._timings.popleft()
            counts[timed(self._project_id, timing, int(at) // 60)] += 1
        return counts

    def give_back(self, counts: Counter[Timed]) -> None:
        """Keep what was not written for the next time."""
        self._counts = counts
