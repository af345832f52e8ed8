"""The background task that writes the search index."""

from __future__ import annotations

import time

from app.search.indexing import catch_up
from app.store.leased_task import LeasedTask

# A run ends after this time, so that it is over before the lease is. The next run goes on.
RUN_S = 20.0
# Between two batches the task rests this many times as long as the batch took, so that events and
# pages come first: under a flood it takes a quarter of a core, and catches up later.
REST = 3.0
LEAST_REST_S, MOST_REST_S = 0.02, 0.5


class SearchTask(LeasedTask):
    """Indexes new events seconds after they are stored."""

    name = "searching"
    poll_s = 2.0

    def work(self) -> None:
        """Index the events that are not in the index yet."""
        self._resumed_at = time.monotonic()
        ends = self._resumed_at + RUN_S
        catch_up(self.store, goes_on=lambda: self._goes_on(ends))

    def _goes_on(self, ends: float) -> bool:
        rest = REST * (time.monotonic() - self._resumed_at)
        is_stopping = self.stopping.wait(min(max(rest, LEAST_REST_S), MOST_REST_S))
        self._resumed_at = time.monotonic()
        return not is_stopping and self._resumed_at < ends
