"""The background task that writes the search index."""

from __future__ import annotations

import time

from app.search.indexing import catch_up
from app.store.leased_task import LeasedTask

# A run ends after this time, so that it is over before the lease is. The next run goes on.
RUN_S = 20.0
# Between two batches: events and pages come first.
PAUSE_S = 0.02


class SearchTask(LeasedTask):
    """Indexes new events seconds after they are stored."""

    name = "searching"
    poll_s = 2.0

    def work(self) -> None:
        """Index the events that are not in the index yet."""
        ends = time.monotonic() + RUN_S
        catch_up(self.store, goes_on=lambda: self._goes_on(ends))

    def _goes_on(self, ends: float) -> bool:
        return not self.stopping.wait(PAUSE_S) and time.monotonic() < ends
